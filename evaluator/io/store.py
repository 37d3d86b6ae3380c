"""What a session asks of a store: derivations that it did not make itself, objects to be read, objects to be made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, final

from evaluator.runtime.errors import EvalError
from store.derivation import Derivation

if TYPE_CHECKING:
    from threading import Event

    from store.composition.castore_store import CastoreStore


class StoreAccess(Protocol):
    """A store as evaluation sees it. Opened when it is first needed."""

    def place(self, store_path: str) -> str:
        """Where on disk the contents of a store object are; empty when the store has none of that path."""

    def in_place(self, store_path: str) -> bool:
        """Whether what lies where a store object belongs is that object, and not half of it, or somebody's own file.

        So it is where Nix's database says so, and where there is none that could be asked.
        """

    def derivation(self, drv_path: str) -> Derivation | None:
        """The derivation at ``drv_path``; None when the store has none. Raises EvalError for a damaged one."""

    def references(self, store_path: str) -> list[str]:
        """What a store object refers to; nothing when the store has none of that path."""

    def became(self, drv_path: str, output: str) -> str:
        """The path of an output that does not stand in its derivation; empty while nobody knows it.

        Raises EvalError.
        """

    def allows_builds(self) -> bool:
        """Whether the user's configuration lets evaluation read what derivations make. Raises EvalError."""

    def ensure(self, store_path: str) -> None:
        """Makes sure that a store object is there, where that matters: while things are written.

        Raises EvalError.
        """

    def realise(self, wanted: list[str]) -> None:
        """Makes the objects that elements of a string context name. Raises EvalError, above all Unrealised."""


class Fetch(Protocol):
    """Something whose store path is known, because its hash is, and that is fetched when it is read."""

    @property
    def what(self) -> str:
        """What people call it: an address."""

    @property
    def title(self) -> str:
        """What to offer somebody who may have it done."""

    @property
    def meddles(self) -> bool:
        """Whether it changes files of the user's, who then has to ask for it each time."""

    @property
    def at_hand(self) -> bool:
        """Whether it is on this machine, so that no other one needs to be asked."""

    def run(self, store: CastoreStore, cancel: Event | None = None) -> None:
        """Fetches it into the store, until ``cancel`` is set.

        Raises EvalError, for what was cancelled too; Unrealised where other machines may not be asked.
        """

    def permit(self) -> None:
        """The user lets other machines be asked for it."""


@final
class Recipes:
    """Derivations by their paths: those that a session instantiated, and what its store has, loaded when asked for."""

    def __init__(self) -> None:
        self.known: Final[dict[str, Derivation]] = {}
        self.store: StoreAccess | None = None

    def find(self, drv_path: str) -> Derivation | None:
        """The derivation at ``drv_path``, None when nobody knows it."""
        drv = self.known.get(drv_path)
        if drv is None and self.store is not None:
            drv = self.store.derivation(drv_path)
            if drv is not None:
                self.known[drv_path] = drv
        return drv

    def references(self, store_path: str) -> list[str]:
        """What a store object refers to that evaluation has not made."""
        return [] if self.store is None else self.store.references(store_path)

    def load(self, drv_path: str) -> Derivation:
        """:meth:`find` for what must be there. Raises EvalError."""
        drv = self.find(drv_path)
        if drv is None:
            raise EvalError(f"derivation '{drv_path}' is not known")
        return drv
