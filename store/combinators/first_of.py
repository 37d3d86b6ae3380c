"""Several stores as one: the first that has a path answers for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Missing, ReadOnly, StoreError
from store.nar_reader import Source
from store.paths.protocol import KnowsRealisations, Store, Tree, realisation_in

T = TypeVar("T")


class FirstOf:
    """Asks ``stores`` in their order; writes to the first that lets it.

    A store that fails (unreachable, refused for a bad signature) is passed over as long as another one has the path;
    if none has, its failure is the answer: that a path is nowhere is only said when all were asked.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        if not stores:
            raise StoreError("a list of stores needs one at least")
        self.stores = list(stores)
        self.store_dir = stores[0].store_dir
        self.uri = ", else ".join(store.uri for store in stores)
        for store in stores:
            if store.store_dir != self.store_dir:
                raise StoreError(f"{store.uri} is for the store {store.store_dir}, not for {self.store_dir}")

    def query(self, path: str) -> PathInfo | None:
        return self._first(lambda store: store.query(path))

    def by_digest(self, digest: str) -> PathInfo | None:
        return self._first(lambda store: store.by_digest(digest))

    def realisation(self, id: str) -> Realisation | None:
        return self._first(lambda store: realisation_in(store, id))

    def put_realisation(self, known: Realisation) -> None:
        for store in self.stores:
            if isinstance(store, KnowsRealisations):
                try:
                    return store.put_realisation(known)
                except ReadOnly:
                    continue
        raise ReadOnly(f"none of {self.uri} can be written to")

    def paths(self) -> Iterator[str]:
        seen: set[str] = set()
        for store in self.stores:
            for path in store.paths():
                if path not in seen:
                    seen.add(path)
                    yield path

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        """The archive of the first store that begins to answer; one that breaks off is not made up for by the next."""
        failure: StoreError | None = None
        for store in self.stores:
            try:
                known = store.query(info.path)
                if known is None:
                    continue
                pieces = store.nar(known)
                first = next(pieces, b"")
            except StoreError as error:
                failure = failure or error
                continue
            yield first
            yield from pieces
            return
        raise failure or Missing(f"path '{info.path}' is not in {self.uri}")

    def tree(self, info: PathInfo) -> Tree:
        failure: StoreError | None = None
        for store in self.stores:
            try:
                known = store.query(info.path)
                if known is not None:
                    return store.tree(known)
            except StoreError as error:
                failure = failure or error
        raise failure or Missing(f"path '{info.path}' is not in {self.uri}")

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        for store in self.stores:
            try:
                return store.add(info, source)
            except ReadOnly:
                continue
        raise ReadOnly(f"none of {self.uri} can be written to")

    def close(self) -> None:
        for store in self.stores:
            store.close()

    def _first(self, ask: Callable[[Store], T | None]) -> T | None:
        failure: StoreError | None = None
        for store in self.stores:
            try:
                found = ask(store)
            except StoreError as error:
                failure = failure or error
                continue
            if found is not None:
                return found
        if failure is not None:
            raise failure
        return None
