"""A flake as its user edits it: read where it lies, with inputs that are locked as far as that is known here.

Its tree is not copied, so ``self`` is its folder, and what Git does not track is seen. What its lock file says is taken
as it stands. An input that the lock file lacks is locked for this evaluation if this machine has it; else whoever asks
for it hears that, and may be allowed to have the lock file written (:class:`FlakeLocking`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING, Final

from evaluator.builtins.flake_refs import Ref
from evaluator.fetching import Tree
from evaluator.flakes.calling import inputs_of
from evaluator.flakes.definition import Flake, read_flake
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.lock_file import LockFile, Node
from evaluator.flakes.locking import Locked, lock_what_can_be, read_lock
from evaluator.flakes.reference import is_relative
from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.runtime.values import EMPTY_ATTRS, Attrs
from store import store_path
from store.hashes import HashError, parse

if TYPE_CHECKING:
    from evaluator.session import Session
    from store.composition.castore_store import CastoreStore

_LOCK: Final = "flake.lock:"


class InPlace:
    """The inputs of a flake, each worked out when it is asked for.

    ``faults``: why there is none of a name that is wanted. ``trees``: the store paths of pinned inputs, also of inputs
    of inputs, and the flake's own input that leads to them. ``source`` is what ``self`` knows of its tree. ``lasting``:
    none of them is a part of it, which an edit may change.
    """

    def __init__(
        self,
        folder: str,
        source: Attrs,
        inputs: Attrs,
        faults: dict[str, EvalError],
        trees: dict[str, str],
        lasting: bool,
    ) -> None:
        self._folder: Final = folder
        self.lasting: Final = lasting
        self.source: Final = source
        self.inputs: Final = inputs
        self.faults: Final = faults
        self.trees: Final = trees

    def locking(self, name: str) -> str:
        """What evaluation misses where the input ``name`` is not locked."""
        return f"{_LOCK}{self._folder}#{name}"

    def refuse(self, session: Session, name: str) -> EvalError:
        """What to raise for an input that there is none of: it may be locked if its user wants that."""
        fault = self.faults.get(name) or self.faults.get("")
        why = "" if fault is None or fetcher_of(session).means.was_refused(fault) else f": {fault.message}"
        store = session.store()
        if store is not None:
            session.fetches.setdefault(self.locking(name), FlakeLocking(self._folder))
            try:
                store.realise([self.locking(name)])
            except Unrealised as missing:
                found = Unrealised(missing.element)
                found.state = missing.state
                found.message = f"the input '{name}' is not locked{why}"
                return found
            except EvalError as failed:
                return failed
        return EvalError(f"the input '{name}' is not locked{why}")


class FlakeLocking:
    """Locks the inputs of a flake that are not locked, and writes that down. A :class:`evaluator.io.store.Fetch`
    which nobody reads from: what it makes is a file of the user's."""

    at_hand: Final = False
    meddles: Final = True
    title: Final = "Lock the inputs of this flake"

    def __init__(self, folder: str) -> None:
        self._folder: Final = folder

    @property
    def what(self) -> str:
        return f"the lock file of '{self._folder}'"

    def permit(self) -> None:
        pass

    def run(self, store: CastoreStore, cancel: Event | None = None) -> None:
        from builder.communicating import communicate

        # A process of its own: the evaluation that this one is doing goes on meanwhile.
        command = [sys.executable, "-P", "-m", "evaluator.cli", "flake", "lock", self._folder]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as process:
            # The lock file is written whole, or not at all.
            _, said = communicate(process, cancel or Event(), process.terminate)
        if process.returncode:
            text = said.decode("utf-8", "replace").strip()
            raise EvalError(text.removeprefix("error: ") or f"locking '{self._folder}' failed")


def in_place(session: Session, folder: str) -> InPlace:
    """The inputs of the flake in ``folder``, an absolute path. Never raises: what is wrong is a fault of its inputs."""
    ref: Ref = {"type": "path", "path": folder}
    tree = Tree(folder, "", dict(ref))
    items: dict[str, object] = {"outPath": folder}
    try:
        items["lastModified"] = int(os.stat(f"{folder}/flake.nix").st_mtime)
    except OSError:
        items["lastModified"] = 0  # it was never saved
    source = Attrs(items, None)
    faults: dict[str, EvalError] = {}
    empty = Flake(ref, ref, ref, tree, folder, None, {})
    try:
        before = read_lock(session, empty)
    except EvalError as error:
        before = LockFile()
        faults[""] = error
    flake, lock = empty, before
    try:
        flake = read_flake(session, ref, ref, ref, tree, folder, ())
        lock, more = lock_what_can_be(session, flake, before)
        faults.update(dict.fromkeys(more, faults[""]) if "" in faults else more)
    except EvalError as error:
        faults.setdefault("", error)  # half-typed: what was locked is what it had
    try:
        inputs = inputs_of(session, Locked(flake, lock, before), source)
    except EvalError as error:
        faults.update(dict.fromkeys(lock.root.inputs, error))
        inputs = EMPTY_ATTRS
    lasting = not any(isinstance(node, Node) and is_relative(node.locked) for _, node in lock.all_inputs())
    return InPlace(folder, source, inputs, faults, _trees(lock), lasting)


def _trees(lock: LockFile) -> dict[str, str]:
    found: dict[str, str] = {}
    for path, node in lock.all_inputs():
        pin = node.locked.get("narHash") if isinstance(node, Node) else None
        if isinstance(pin, str):
            try:
                found.setdefault(store_path.fixed_output_path("source", True, parse(pin, "sha256")), path[0])
            except (HashError, store_path.BadStorePath):
                continue
    return found
