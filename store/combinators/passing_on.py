"""What the stores share that stand in front of one other store: all is handed on to it, unless they say otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import ReadOnly
from store.nar_reader import Source
from store.paths.protocol import KnowsRealisations, Store, Tree, realisation_in


class PassingOn:
    """Hands everything on to ``store``; ``uri`` is its name, by default that of the store behind."""

    def __init__(self, store: Store, uri: str = "") -> None:
        self.store = store
        self.store_dir = store.store_dir
        self.uri = uri or store.uri

    def query(self, path: str) -> PathInfo | None:
        return self.store.query(path)

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.store.by_digest(digest)

    def realisation(self, id: str) -> Realisation | None:
        return realisation_in(self.store, id)

    def put_realisation(self, known: Realisation) -> None:
        if not isinstance(self.store, KnowsRealisations):
            raise ReadOnly(f"{self.uri} keeps no realisations")
        self.store.put_realisation(known)

    def paths(self) -> Iterator[str]:
        return self.store.paths()

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return self.store.nar(info)

    def tree(self, info: PathInfo) -> Tree:
        return self.store.tree(info)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        return self.store.add(info, source)

    def close(self) -> None:
        self.store.close()
