"""Which inputs of a flake to lock to what: what its lock file says, unless its ``flake.nix`` says otherwise now.

What is locked already is not fetched. An input of an input is locked as that flake's own lock file has it, until it is
in ours. ``inputs.a.inputs.b`` in a flake is what it wants of the inputs of its inputs, and counts more than what they
say themselves; what a command line wants counts most.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evaluator.builtins.control import say
from evaluator.builtins.flake_refs import Ref
from evaluator.flakes.definition import (
    Flake,
    Input,
    fetch_flake,
    fetch_tree,
    follows_path,
    read_flake,
    without_folder,
)
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.lock_file import InputPath, LockFile, Node, difference, is_locked, path_text, read
from evaluator.flakes.reference import is_relative, shown
from evaluator.runtime.errors import EvalError

if TYPE_CHECKING:
    from evaluator.session import Session


@dataclass
class Wishes:
    """What is wanted of locking.

    ``recreate``: look at no old lock file. ``updates``: inputs to lock anew. ``overrides``: what inputs are to be
    instead. ``change``: whether the lock file may need to be changed. ``write``: whether it is then written, and with
    ``commit`` committed.
    """

    recreate: bool = False
    updates: set[InputPath] = field(default_factory=set)
    overrides: dict[InputPath, Ref] = field(default_factory=dict)
    change: bool = True
    write: bool = False
    commit: bool = False


def named_input(flag: str, text: str) -> InputPath:
    """The way to an input that a command line names: ``a/b`` is the input b of the input a. Raises EvalError."""
    path = follows_path(text)
    if not path:
        raise EvalError(f"'{flag}' takes the name of an input, not '{text}'")
    return path


@dataclass
class Locked:
    """A flake and its lock file, as it is and as it was."""

    flake: Flake
    lock: LockFile
    before: LockFile


def lock_flake(session: Session, ref: Ref, wishes: Wishes | None = None) -> Locked:
    """Fetches a flake and locks its inputs. Raises EvalError."""
    wishes = wishes or Wishes()
    flake = fetch_flake(session, ref)
    before = read_lock(session, flake)
    locking = _Locking(session, wishes)
    lock = LockFile()
    old = None if wishes.recreate else before.root
    locking.inputs(flake.inputs, lock.root, (), old, (), flake, trusted=False)
    locking.complain()
    lock.check()
    result = Locked(flake, lock, before)
    if lock.text() != before.text():
        _changed(session, result, wishes)
    return result


def lock_what_can_be(session: Session, flake: Flake, before: LockFile) -> tuple[LockFile, dict[str, EvalError]]:
    """The inputs of a flake, and why those are not locked that cannot be.

    What ``before`` has locked is taken as it stands, and nothing is fetched for it.
    """
    lock = LockFile()
    faults: dict[str, EvalError] = {}
    for name, wanted in sorted(flake.inputs.items()):
        known = before.root.inputs.get(name)
        if wanted.follows is not None:
            lock.root.inputs[name] = wanted.follows
        elif known is not None and (
            not isinstance(known, Node) or (wanted.ref is not None and _same(known.original, wanted.ref))
        ):
            lock.root.inputs[name] = known
        else:
            locking = _Locking(session, Wishes())
            try:
                locking.inputs({name: wanted}, lock.root, (), None, (), flake, trusted=False)
            except EvalError as error:
                lock.root.inputs.pop(name, None)
                faults[name] = error
    return lock, faults


def read_lock(session: Session, flake: Flake) -> LockFile:
    """The lock file in a flake's tree; an empty one where there is none. Raises EvalError."""
    path = f"{flake.folder}/flake.lock"
    if not session.files.exists(path):
        return LockFile()
    return read(session.files.read_text(path), path)


def local_folder(ref: Ref) -> str:
    """Where on this machine a flake lies, as its user edits it; empty where that is elsewhere."""
    from builder.fetch.transfer import is_local, local_path

    below = str(ref.get("dir", ""))
    if ref.get("type") == "path":
        return os.path.join(str(ref["path"]), below)
    url = str(ref.get("url", ""))
    if ref.get("type") == "git" and is_local(url) and "rev" not in ref and "ref" not in ref:
        folder = str(local_path(url))
        if os.path.lexists(os.path.join(folder, ".git")):
            return os.path.join(folder, below)
    return ""


def _changed(session: Session, found: Locked, wishes: Wishes) -> None:
    """Writes the new lock file, or says that it was not."""
    resolved = found.flake.resolved
    changes = difference(found.before, found.lock)
    if not wishes.change:
        raise EvalError(
            f"flake '{shown(resolved)}' requires lock file changes but they're not allowed here:\n{changes}\n"
            "write them with 'tvix-eval flake lock'"
        )
    if not wishes.write:
        if changes:
            say(session, f"warning: not writing modified lock file of flake '{shown(resolved)}':\n{changes}")
        return
    folder = local_folder(resolved)
    if not folder:
        raise EvalError(
            f"cannot write modified lock file of flake '{shown(resolved)}' (use '--no-write-lock-file' to ignore)"
        )
    path = os.path.join(folder, "flake.lock")
    doing = "updating" if os.path.exists(path) else "creating"
    say(session, f"warning: {doing} lock file '{path}'{':' if changes else ''}" + (f"\n{changes}" if changes else ""))
    _write(path, found.lock.text())
    if resolved["type"] == "git":
        from builder.fetch.failure import FetchError
        from builder.fetch.git_command import git, without_filters

        limits = fetcher_of(session).means.limits()
        what = f"cannot have Git track '{path}'"
        try:
            own = without_filters(folder, limits)
            git(folder, "add", "--intent-to-add", "--", "flake.lock", limits=limits, what=what, settings=own)
            if wishes.commit:
                what = f"cannot commit '{path}'"
                title = f"flake.lock: {'Add' if doing == 'creating' else 'Update'}"
                text = f"{title}\n\nFlake lock file updates:\n\n{changes}\n"
                git(folder, "commit", "--quiet", "-m", text, "--", "flake.lock", limits=limits, what=what, settings=own)
        except FetchError as error:
            raise EvalError(str(error)) from None
    # From here on the tree is another one.
    fetcher_of(session).forget()
    found.flake = fetch_flake(session, found.flake.original)


def _write(path: str, text: str) -> None:
    """Puts a file in its place whole."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(path), encoding="utf-8", delete=False) as file:
            file.write(text)
        mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o644
        os.chmod(file.name, mode)
        os.replace(file.name, path)
    except OSError as error:
        raise EvalError(f"cannot write lock file '{path}': {error.strerror}") from None


def _same(old: Ref, new: Ref) -> bool:
    """Whether two references are the same: some versions of Nix have the folder in the address, too."""
    return without_folder(old, True) == without_folder(new, True) and old.get("dir", "") == new.get("dir", "")


class _Locking:
    """One run over the inputs of a flake."""

    def __init__(self, session: Session, wishes: Wishes) -> None:
        self._session = session
        self._wishes = wishes
        self._overrides: dict[InputPath, Input] = {path: Input(ref=ref) for path, ref in wishes.overrides.items()}
        self._used: set[InputPath] = set()
        self._seen: set[InputPath] = set()
        self._parents: list[Ref] = []

    def inputs(
        self,
        wanted: dict[str, Input],
        node: Node,
        prefix: InputPath,
        old: Node | None,
        root: InputPath,
        parent: Flake | None,
        trusted: bool,
    ) -> None:
        """Locks the inputs of ``node``, to which ``prefix`` leads.

        ``old`` is what a lock file has in its place, one that belongs to the input at ``root``. ``parent`` is the
        flake that wants them, None where it was not fetched; ``trusted``: it is known not to have changed.
        """
        for name, each in wanted.items():
            self._override((*prefix, name), each)
        for path in self._overrides:
            if path[:-1] == prefix and path[-1] not in wanted:
                say(
                    self._session,
                    f"warning: input '{path_text(prefix)}' has an override for a non-existent input '{path[-1]}'",
                )
        for name, each in sorted(wanted.items()):
            self._input(name, each, node, (*prefix, name), old, root, parent, trusted)

    def _override(self, path: InputPath, wanted: Input) -> None:
        """Notes what an input wants its own inputs to be; whoever has spoken before counts more."""
        for name, inner in wanted.overrides.items():
            if inner.ref is not None or inner.follows is not None:
                self._overrides.setdefault((*path, name), inner)
            self._override((*path, name), inner)

    def _input(
        self,
        name: str,
        given: Input,
        node: Node,
        path: InputPath,
        old: Node | None,
        root: InputPath,
        parent: Flake | None,
        trusted: bool,
    ) -> None:
        override = self._overrides.get(path)
        wanted = given
        if override is not None:
            self._used.add(path)
            wanted = replace(override, flake=given.flake)
        if wanted.follows is not None:
            node.inputs[name] = wanted.follows
            return
        assert wanted.ref is not None
        self._seen.add(path)
        before = None if old is None or path in self._wishes.updates else old.inputs.get(name)
        if isinstance(before, Node) and _same(before.original, wanted.ref) and override is None:
            self._keep(name, before, node, path, root, parent, trusted)
            return
        self._lock(name, wanted, given, node, path, before if isinstance(before, Node) else None, root, parent)

    def _keep(
        self, name: str, before: Node, node: Node, path: InputPath, root: InputPath, parent: Flake | None, trusted: bool
    ) -> None:
        """Takes an input over as it is locked. Its flake is fetched only if its own inputs may be others now."""
        child = Node(before.original, before.locked, before.flake)
        node.inputs[name] = child
        refetch = any(len(update) > len(path) and update[: len(path)] == path for update in self._wishes.updates)
        inner: dict[str, Input] = {}
        for key, found in before.inputs.items():
            if isinstance(found, Node):
                inner[key] = Input(ref=found.original, flake=found.flake)
            elif trusted or (*path, key) in self._overrides:
                inner[key] = Input(follows=(*root, *found))
            else:
                # Whoever wanted this may not want it any more.
                refetch = True
        flake: Flake | None = None
        if refetch and before.flake:
            flake = self._fetch(before.locked, path, parent)
            inner = flake.inputs
        self.inputs(inner, child, path, before, root, flake, trusted=not refetch)

    def _lock(
        self,
        name: str,
        wanted: Input,
        given: Input,
        node: Node,
        path: InputPath,
        before: Node | None,
        root: InputPath,
        parent: Flake | None,
    ) -> None:
        """Locks an input to what it is now."""
        ref = wanted.ref
        assert ref is not None
        # An override is kept, as what this input was locked to, until the input itself is changed.
        original = given.ref or ref
        if fetcher_of(self._session).pure and not is_locked(ref):
            raise EvalError(f"cannot update flake input '{path_text(path)}' in pure mode (use '--impure', or lock it)")
        if not given.flake:
            locked = self._inside(ref, path, parent)[0] if is_relative(ref) else fetch_tree(self._session, ref)[2]
            node.inputs[name] = Node(original, locked, flake=False)
            return
        if ref in self._parents and not is_relative(ref):
            raise EvalError(f"found circular import of flake '{shown(ref)}'")
        flake = self._fetch(ref, path, parent)
        child = Node(original, flake.locked)
        node.inputs[name] = child
        self._parents.append(ref)
        try:
            # Until its inputs are in our lock file, those in its own count.
            own = before or read_lock(self._session, flake).root
            self.inputs(flake.inputs, child, path, own, root if before else path, flake, trusted=False)
        finally:
            self._parents.pop()

    def _fetch(self, ref: Ref, path: InputPath, parent: Flake | None) -> Flake:
        try:
            if not is_relative(ref):
                return fetch_flake(self._session, ref, path)
            locked, folder = self._inside(ref, path, parent)
            assert parent is not None
            return read_flake(self._session, ref, ref, locked, parent.tree, folder, path)
        except EvalError as error:
            error.note(f"while fetching the input '{path_text(path)}'", None)
            raise

    def _inside(self, ref: Ref, path: InputPath, parent: Flake | None) -> tuple[Ref, str]:
        """What a path relative to ``parent`` is locked to, and the folder that it means. Raises EvalError."""
        if parent is None:
            raise EvalError(
                f"the input '{path_text(path)}' is relative ('{shown(ref)}') to a flake that was not fetched; "
                "lock it anew with 'tvix-eval flake lock --recreate-lock-file'"
            )
        place = os.path.normpath(f"{parent.folder}/{ref['path']}")
        if place != parent.tree.path and not place.startswith(parent.tree.path + "/"):
            raise EvalError(
                f"the path '{ref['path']}' of the input '{path_text(path)}' leads out of the source tree of its flake"
            )
        if not self._session.files.exists(place):
            raise self._session.files.missing(place, f"the path of the input '{path_text(path)}' does not exist")
        tree = fetcher_of(self._session).tree(self._session, {"type": "path", "path": place})
        below = ref.get("dir")
        locked = {**tree.items, "path": ref["path"], **({"dir": below} if below else {})}
        return locked, f"{place}/{below}" if below else place

    def complain(self) -> None:
        """Says what of the wishes was about no input."""
        for path in sorted(self._wishes.overrides.keys() - self._used):
            say(self._session, f"warning: the flag '--override-input {path_text(path)}' does not match any input")
        for path in sorted(self._wishes.updates - self._seen):
            say(self._session, f"warning: the flag '--update-input {path_text(path)}' does not match any input")
