"""A store that signs what is written to it."""

from __future__ import annotations

from collections.abc import Iterator

from store.castore.path_info import PathInfo
from store.composition.protocol import Store, Tree
from store.nar_reader import Source
from store.records import replace
from store.signatures import SecretKey


class Signing:
    """Hands everything on to ``store``; what is added gets a signature of ``key`` first.

    The store below checks the archive against the very path info that is signed, or keeps nothing.
    """

    def __init__(self, store: Store, key: SecretKey) -> None:
        self.store = store
        self.key = key
        self.store_dir = store.store_dir
        self.uri = f"{store.uri} signed by {key.name}"

    def query(self, path: str) -> PathInfo | None:
        return self.store.query(path)

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.store.by_digest(digest)

    def paths(self) -> Iterator[str]:
        return self.store.paths()

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return self.store.nar(info)

    def tree(self, info: PathInfo) -> Tree:
        return self.store.tree(info)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        signature = self.key.sign(info.fingerprint())
        if signature not in info.signatures:
            info = replace(info, signatures=[*info.signatures, signature])
        return self.store.add(info, source)

    def close(self) -> None:
        self.store.close()
