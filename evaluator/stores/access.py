"""The store that a command evaluates with: opened when it is first needed, read, written, and asked to make things.

``TVIX_STORE``, or the flag ``--store``, says which one; else it is the user's own (:mod:`store.composition.urls`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from evaluator.io.observation import STORED
from evaluator.runtime.errors import EvalError, Unrealised

if TYPE_CHECKING:
    from builder.checkouts import Checkouts
    from builder.realisations import Realisations
    from builder.realise import Realiser
    from evaluator.session import Session
    from evaluator.stores.building import Realising
    from store.backends.nix_valid import NixValidity
    from store.castore.path_info import PathInfo
    from store.composition.castore_store import CastoreStore
    from store.derivation import Derivation
    from store.paths.protocol import Store


def default_store() -> str:
    """The URL of the store that is meant where none is named."""
    return os.environ.get("TVIX_STORE") or "local:"


class LocalAccess:
    """Access to the store with this URL; ``writes``: evaluation may add to it, and have things made.

    ``settings`` are Nix's, as a command line gives them. One session at a time uses it: the one given to :meth:`serve`.
    """

    def __init__(self, url: str = "", writes: bool = False, settings: dict[str, str] | None = None) -> None:
        self.url: Final = url or default_store()
        self.writes: Final = writes
        self._settings: Final[dict[str, str]] = {} if settings is None else settings
        self._session: Session | None = None
        self._realising: Realising | None = None
        self._store: Store | None = None
        self._number = 0
        self._nix: NixValidity | None = None
        self._checkouts: Checkouts | None = None
        self._realisations: Realisations | None = None
        self._written: Final[dict[str, None]] = {}

    @property
    def store(self) -> Store:
        """The store, opened now at the latest. Raises EvalError."""
        if self._store is None:
            from store.castore.services import StoreError
            from store.composition.urls import open_url

            try:
                self._store = open_url(self.url)
            except StoreError as error:
                raise EvalError(str(error)) from None
            self._number = _inode(self._database())
        return self._store

    @property
    def castore(self) -> CastoreStore:
        """The store as one that can be written to. Raises EvalError for one that cannot."""
        from store.composition.castore_store import CastoreStore

        store = self.store
        if not isinstance(store, CastoreStore):
            raise EvalError(f"derivations cannot be written to '{self.url}': name a store like local:/FOLDER")
        return store

    def serve(self, session: Session) -> None:
        """From now on ``session`` reads from this store, and has things made there."""
        self._session = session
        self._realisations = None
        session.use_store(self)

    def is_lost(self) -> bool:
        """Whether somebody has removed the store since it was opened."""
        return self._store is not None and _inode(self._database()) != self._number

    def let_go_if_lost(self) -> None:
        """Opens the store anew, when it is needed next, if somebody has removed it."""
        if self.is_lost():
            self.close()
            self._checkouts = self._realisations = None

    def build_with(self, realiser: Realiser) -> None:
        """What evaluation needs is made by ``realiser``, instead of one of its own."""
        from evaluator.stores.building import Realising

        self._realising = Realising(self.castore, self._settings, realiser)

    def close(self) -> None:
        """Lets go of the store's files."""
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._nix is not None:
            self._nix.close()

    # --- what a session asks -------------------------------------------------------------------

    def place(self, store_path: str) -> str:
        from store.castore.services import StoreError
        from store.composition.castore_store import CastoreStore

        if self._is_empty():
            return ""
        try:
            store = self.store
            if not isinstance(store, CastoreStore) or store.query(store_path) is None:
                return ""
            if self._checkouts is None:
                from builder.places import checkouts

                self._checkouts = checkouts(store)
            return self._checkouts.path_of(store_path)
        except (StoreError, ValueError) as error:
            raise EvalError(str(error)) from None

    def in_place(self, store_path: str) -> bool:
        if self._nix is None:
            from store.backends.nix_valid import NixValidity

            self._nix = NixValidity()
        return self._nix.is_valid(store_path) is not False

    def derivation(self, drv_path: str) -> Derivation | None:
        from store.castore.services import Missing, StoreError
        from store.paths.derivations import read_derivation

        try:
            if not self._is_empty():
                return read_derivation(self.store, drv_path)
        except Missing:
            pass
        except (StoreError, ValueError) as error:
            raise EvalError(str(error)) from None
        return self._lying_derivation(drv_path) if self._lies_there(drv_path) else None

    def _lying_derivation(self, drv_path: str) -> Derivation:
        """A derivation that Nix has. Raises EvalError."""
        from store.aterm import ATermError
        from store.drv_file import parse
        from store.store_path import derivation_name

        try:
            with open(drv_path, "rb") as file:
                return parse(file.read(), derivation_name(drv_path))
        except (OSError, ATermError) as error:
            raise EvalError(f"'{drv_path}': {error}") from None

    def references(self, store_path: str) -> list[str]:
        info = self._query(store_path)
        return [] if info is None else [path for path in info.references if path != store_path]

    def became(self, drv_path: str, output: str) -> str:
        from store.castore.services import Missing, StoreError
        from store.composition.castore_store import CastoreStore

        session = self._session
        if session is None or self._is_empty():
            return ""
        try:
            store = self.store
            if not isinstance(store, CastoreStore):
                return ""
            if self._realisations is None:
                from builder.realisations import Realisations

                self._realisations = Realisations(store, session.recipe_of)
            return self._realisations.path_of(drv_path, output)
        except Missing:
            return ""
        except (StoreError, ValueError) as error:
            raise EvalError(str(error)) from None

    def allows_builds(self) -> bool:
        from builder.settings import SettingsError, load

        try:
            return load(self._settings).allow_import_from_derivation
        except SettingsError as error:
            raise EvalError(str(error)) from None

    def ensure(self, store_path: str) -> None:
        if self.writes and not self._lies_there(store_path) and self._query(store_path) is None:
            self.realise([store_path])

    def _lies_there(self, store_path: str) -> bool:
        return os.path.lexists(store_path) and self.in_place(store_path)

    def realise(self, wanted: list[str]) -> None:
        session = self._session
        wanted = [element for element in wanted if not self._is_fetched(element)]
        if not wanted:
            return
        if not self.writes or session is None:
            raise Unrealised(wanted[0])
        if not session.allows_builds:
            for element in wanted:
                if element.startswith("!"):
                    output, _, drv_path = element[1:].partition("!")
                    raise EvalError(
                        f"cannot build '{drv_path}^{output}' during evaluation because the option "
                        "'allow-import-from-derivation' is disabled"
                    )
        self.make(session, wanted)

    def make(self, session: Session, wanted: list[str]) -> None:
        """Makes what elements of a string context name (no declared fetches), whatever evaluation may build.

        Raises EvalError.
        """
        if self._realising is None:
            from evaluator.stores.building import Realising

            self._realising = Realising(self.castore, self._settings)
        self._realising.realise(session, wanted)

    def _is_fetched(self, element: str) -> bool:
        """Does a declared fetch, which needs no leave to build; whether ``element`` is one. Raises EvalError."""
        fetch = None if self._session is None else self._session.fetches.get(element)
        if fetch is None:
            return False
        fetch.run(self.castore)
        return True

    # --- writing -------------------------------------------------------------------------------

    def write(self, session: Session, drv_paths: list[str]) -> None:
        """Writes derivations of ``session``; its answer is known to hold while they are there. Raises EvalError."""
        from evaluator.stores.writing import write_derivations
        from store.castore.services import StoreError

        try:
            write_derivations(session, self.castore, drv_paths)
        except (StoreError, ValueError) as error:
            raise EvalError(str(error)) from None
        reads = session.files.reads
        if reads is not None and drv_paths:
            self._written.update(dict.fromkeys(drv_paths))
            reads.found[STORED + self.url] = "//".join(self._written)

    def write_everything(self, session: Session) -> None:
        """Writes all that ``session`` has made so far, as Nix does while it evaluates. Raises EvalError."""
        self.write(session, [*session.files.made(), *session.recipes])

    def _query(self, store_path: str) -> PathInfo | None:
        from store.castore.services import StoreError

        if self._is_empty():
            return None
        try:
            return self.store.query(store_path)
        except (StoreError, ValueError) as error:
            raise EvalError(str(error)) from None

    def _is_empty(self) -> bool:
        """Whether there is no store yet: reading makes none."""
        if self.writes or self._store is not None or not self.url.startswith("local:"):
            return False
        return not os.path.exists(self._database())

    def _database(self) -> str:
        """The file in which a local store keeps what it has; empty for all others."""
        if not self.url.startswith("local:"):
            return ""
        from store.backends.local.castore import default_folder

        return os.path.join(self.url.removeprefix("local:").partition("?")[0] or str(default_folder()), "store.db")


def _inode(file: str) -> int:
    """What tells a file from one that takes its place; 0 where there is none."""
    try:
        return os.stat(file).st_ino
    except OSError:
        return 0


def in_store(url: str, paths: list[str]) -> bool:
    """Whether the store with this URL has all of these paths."""
    from store.castore.services import StoreError

    access = LocalAccess(url)
    try:
        return not access._is_empty() and all(access.store.query(path) is not None for path in paths)
    except (StoreError, ValueError, EvalError):
        return False
    finally:
        access.close()
