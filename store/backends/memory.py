"""A castore in memory: for tests, and for what lives no longer than the process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from blake3 import blake3

from store.castore import nodes
from store.castore.nodes import Directory, DirectoryNode
from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Missing, each
from store.chunking import WHOLE, chunks
from store.store_path import digest_of


class MemoryBlobs:
    """Blobs in a dict; large ones as their chunks, so that equal stretches are kept once."""

    def __init__(self) -> None:
        self.small: dict[bytes, bytes] = {}
        self.large: dict[bytes, list[tuple[bytes, int]]] = {}

    def has(self, digest: bytes) -> bool:
        return digest in self.small or digest in self.large

    def size(self, digest: bytes) -> int | None:
        if not self.has(digest):
            return None
        return sum(size for _, size in self.chunks(digest))

    def chunks(self, digest: bytes) -> list[tuple[bytes, int]]:
        if digest in self.large:
            return self.large[digest]
        if digest not in self.small:
            raise Missing(f"blob {digest.hex()} is missing")
        return [(digest, len(self.small[digest]))]

    def read(self, digest: bytes) -> Iterator[bytes]:
        return (self.small[chunk] for chunk, _ in self.chunks(digest))

    def read_whole(self, digest: bytes) -> bytes:
        return b"".join(self.read(digest))

    def read_many(self, digests: Sequence[bytes]) -> list[bytes]:
        return [self.read_whole(digest) for digest in digests]

    def put(self, pieces: Iterable[bytes]) -> tuple[bytes, int]:
        whole = blake3()
        found = []
        for chunk in chunks(pieces):
            whole.update(chunk)
            found.append((nodes.blake3(chunk), len(chunk)))
            self.small.setdefault(found[-1][0], chunk)
        digest = whole.digest()
        if len(found) > 1:
            self.large[digest] = found
        return digest, sum(size for _, size in found)

    def put_whole(self, data: bytes) -> bytes:
        if len(data) > WHOLE:
            return self.put([data])[0]
        digest = nodes.blake3(data)
        self.small.setdefault(digest, data)
        return digest


class MemoryDirectories:
    """Directories in a dict, encoded."""

    def __init__(self) -> None:
        self.encoded: dict[bytes, bytes] = {}

    def get(self, digest: bytes) -> Directory | None:
        data = self.encoded.get(digest)
        return None if data is None else nodes.decode_directory(data)

    def get_many(self, digests: Sequence[bytes]) -> list[Directory]:
        return each(self, digests)

    def put(self, directory: Directory) -> DirectoryNode:
        data = directory.encode()
        digest = nodes.blake3(data)
        self.encoded.setdefault(digest, data)
        return DirectoryNode(digest, directory.size())


class MemoryPathInfos:
    """Path infos in a dict by the paths' digests."""

    def __init__(self) -> None:
        self.infos: dict[str, PathInfo] = {}

    def get(self, path: str) -> PathInfo | None:
        info = self.infos.get(digest_of(path))
        return info if info is not None and info.path == path else None

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.infos.get(digest)

    def put(self, info: PathInfo) -> None:
        self.infos[digest_of(info.path)] = info

    def list(self) -> Iterator[PathInfo]:
        return iter(sorted(self.infos.values(), key=lambda info: info.path))


class MemoryRealisations:
    """Realisations in a dict by their ids."""

    def __init__(self) -> None:
        self.known: dict[str, Realisation] = {}

    def get(self, id: str) -> Realisation | None:
        return self.known.get(id)

    def put(self, realisation: Realisation) -> None:
        self.known[realisation.id] = realisation

    def list(self) -> Iterator[Realisation]:
        return iter([self.known[id] for id in sorted(self.known)])


class MemoryCastore:
    """All of it in memory. Writes are there at once; a transaction undoes nothing."""

    def __init__(self) -> None:
        self.blobs = MemoryBlobs()
        self.directories = MemoryDirectories()
        self.path_infos = MemoryPathInfos()
        self.realisations = MemoryRealisations()

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        """Nothing to let go of."""
