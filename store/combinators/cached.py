"""A near store in front of a far one: what is read from far is kept near."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Missing, ReadOnly, StoreError
from store.nar_reader import Source
from store.paths.closure import copy
from store.paths.protocol import KnowsRealisations, Store, Tree, realisation_in


class Cached:
    """Asks ``near``, then ``far``. Contents of far's are copied near, with all that they refer to, when first read.

    What is added goes near only.
    """

    def __init__(self, near: Store, far: Store) -> None:
        self.near = near
        self.far = far
        self.store_dir = near.store_dir
        self.uri = f"{near.uri} in front of {far.uri}"
        self._lock = Lock()
        if near.store_dir != far.store_dir:
            raise StoreError(f"{near.uri} and {far.uri} are for different stores: {near.store_dir}, {far.store_dir}")

    def query(self, path: str) -> PathInfo | None:
        return self.near.query(path) or self.far.query(path)

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.near.by_digest(digest) or self.far.by_digest(digest)

    def realisation(self, id: str) -> Realisation | None:
        return realisation_in(self.near, id) or realisation_in(self.far, id)

    def put_realisation(self, known: Realisation) -> None:
        if not isinstance(self.near, KnowsRealisations):
            raise ReadOnly(f"{self.near.uri} keeps no realisations")
        self.near.put_realisation(known)

    def paths(self) -> Iterator[str]:
        seen = set()
        for path in self.near.paths():
            seen.add(path)
            yield path
        for path in self.far.paths():
            if path not in seen:
                yield path

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return self.near.nar(self._fetched(info))

    def tree(self, info: PathInfo) -> Tree:
        return self.near.tree(self._fetched(info))

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        return self.near.add(info, source)

    def close(self) -> None:
        self.near.close()
        self.far.close()

    def _fetched(self, info: PathInfo) -> PathInfo:
        known = self.near.query(info.path)
        if known is None:
            with self._lock:  # once for all who ask at the same time
                copy(self.far, self.near, [info.path])
            known = self.near.query(info.path)
            if known is None:
                raise Missing(f"path '{info.path}' is not in {self.uri}")
        return known
