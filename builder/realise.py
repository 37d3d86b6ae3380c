"""Making store paths be there: the one door through which evaluator, command line and editor have things built.

    realiser = Realiser(store, jobs=2)
    paths = realiser.realise([Wish("/nix/store/….drv", ("out",)), Wish("/nix/store/…-source")])
    paths["/nix/store/….drv!out"]  # -> "/nix/store/…-hello"

What is there already costs a look. What is not is fetched from the substituters, else built. Derivations must be in the
store, with their sources and input derivations (:meth:`store.composition.castore_store.CastoreStore.add_derivation`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from builder.progress import Event
from store.composition.castore_store import CastoreStore
from store.composition.protocol import Store


@dataclass(frozen=True, slots=True)
class Wish:
    """A derivation and those of its outputs that are wanted (none named: all), or a plain store path."""

    path: str
    outputs: tuple[str, ...] = ()

    @staticmethod
    def of(element: str) -> Wish:
        """The wish that an element of a string context is: ``PATH``, ``!OUTPUT!DRV``; ``DRV!OUTPUT,…`` as printed.

        ``=DRV`` wants the ``.drv`` itself, which nobody can build: it is not a wish.
        """
        if element.startswith("!"):
            _, output, path = element.split("!", 2)
            return Wish(path, (output,))
        path, _, outputs = element.partition("!")
        return Wish(path, tuple(outputs.split(",")) if outputs and outputs != "*" else ())


class RealiseError(Exception):
    """Something wished for could not be made; the text says what and why."""


class Cancelled(RealiseError):
    """Whoever asked did not want it any more; nothing is left behind."""


class BuildFailed(RealiseError):
    """A derivation's build failed.

    ``drv_path``: which one. ``why``: one sentence. ``log``: the last lines of what it said. ``kind`` is ``"build"``,
    ``"timeout"``, ``"hash-mismatch"``, ``"not-deterministic"`` or ``"unbuildable"`` (a wrong system, no way to get
    it), from which follows :attr:`exit_code`. ``needed_by`` is the chain of derivations from the wish down to this one.
    ``others``: further failures of the same call, when it kept going.
    """

    def __init__(
        self,
        drv_path: str,
        why: str,
        log: tuple[str, ...] = (),
        kind: str = "build",
        needed_by: tuple[str, ...] = (),
        others: tuple[BuildFailed, ...] = (),
    ) -> None:
        super().__init__(f"build of '{drv_path}' failed: {why}" if drv_path.endswith(".drv") else why)
        self.drv_path = drv_path
        self.why = why
        self.log = log
        self.kind = kind
        self.needed_by = needed_by
        self.others = others

    @property
    def exit_code(self) -> int:
        """What a command ends with: 100, 101 timeout, 102 hash mismatch, 104 not deterministic, or these combined."""
        bits = 0
        for failure in (self, *self.others):
            bits |= _BITS[failure.kind]
        return 0x60 | bits


_BITS = {"build": 0x04, "unbuildable": 0x04, "timeout": 0x05, "hash-mismatch": 0x06, "not-deterministic": 0x08}


class Realiser:
    """Makes wishes true in ``store``. Any number of threads may use one at once.

    ``substituters`` are asked before anything is built (None: those of Nix's configuration; their paths are copied
    with all that they refer to, signed as each of these stores requires). ``jobs`` builds run at once.
    ``keep_going``: a failure cuts only what hangs on it, and is raised when all the rest is done. ``on_event`` hears
    what happens, one event at a time.
    """

    def __init__(
        self,
        store: CastoreStore,
        *,
        substituters: Sequence[Store] | None = None,
        jobs: int = 1,
        keep_going: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.store = store
        self.substituters = substituters
        self.jobs = jobs
        self.keep_going = keep_going
        self.on_event = on_event

    def realise(self, wishes: Iterable[Wish], cancel: threading.Event | None = None) -> dict[str, str]:
        """Make them true; blocks. Answers ``DRV!OUTPUT`` -> store path, and ``PATH`` -> itself for plain paths.

        Raises :class:`BuildFailed` (the first failure, with the others when it kept going), :class:`Cancelled` soon
        after ``cancel`` was set, and ``StoreError`` for what the store complains of (``Missing``: a derivation or
        source that is not in it).
        """
        raise NotImplementedError
