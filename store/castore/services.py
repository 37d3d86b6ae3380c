"""The services that make a castore, as protocols; a backend in this process and a stub of a remote one look the same.

Everything handed out was verified against the digest it was asked for by. Writing is idempotent: what is there already
is kept. A *transaction* puts off what makes writes last: at its end all of it is kept, or, after an exception, nothing
has to be (blobs and directories that no path info reaches may stay until garbage is collected).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from store.castore.nodes import Directory, DirectoryNode
from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class StoreError(Exception):
    """Something that a store could not do; the text says what, and what can be done about it where that is known."""


class Missing(StoreError):
    """What was asked for is not there."""


class Corrupt(StoreError):
    """What is there is not what it should be; the text names the object and the file."""


class Refused(StoreError):
    """What was offered (by a cache, by an archive) was not accepted."""


class Untrusted(Refused):
    """Nobody who is trusted signed it: ``reason`` says so, the text names a remedy, too."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason} ({remedy})")
        self.reason = reason


class Full(StoreError):
    """No room to write; what was stored before is untouched."""


class ReadOnly(StoreError):
    """A store that cannot be written to."""


class Unreachable(StoreError):
    """A remote store that does not answer, or not sensibly."""


def cannot_write(error: OSError, folder: Path) -> StoreError:
    """The error for what the system said when something was to be written under ``folder``."""
    if error.errno in _NO_ROOM:
        return Full(f"no room left under {folder}: {error.strerror}; nothing that was stored before is lost")
    return StoreError(f"cannot write under {folder}: {error.strerror}")


class Blobs(Protocol):
    """Contents of files by their BLAKE3 digests."""

    def has(self, digest: bytes) -> bool:
        """Whether the blob is there, as far as is known without reading it."""

    def size(self, digest: bytes) -> int | None:
        """How many bytes it has; None when it is not there."""

    def chunks(self, digest: bytes) -> list[tuple[bytes, int]]:
        """The digests and sizes of its chunks in their order; itself for a small one. :class:`Missing`."""

    def read(self, digest: bytes) -> Iterator[bytes]:
        """Its bytes in pieces of some hundred KiB. :class:`Missing`, :class:`Corrupt` (maybe after some pieces)."""

    def read_whole(self, digest: bytes) -> bytes:
        """:meth:`read` in one piece, for blobs that are known to be small."""

    def read_many(self, digests: Sequence[bytes]) -> list[bytes]:
        """:meth:`read_whole` of some hundred small blobs, in their order: cheaper than one by one."""

    def put(self, pieces: Iterable[bytes]) -> tuple[bytes, int]:
        """Keep what comes in pieces of any size; answer its digest and size."""

    def put_whole(self, data: bytes) -> bytes:
        """:meth:`put` for contents in one piece; answer the digest."""


class Directories(Protocol):
    """Directories by their digests."""

    def get(self, digest: bytes) -> Directory | None:
        """One directory; None when it is not there. :class:`Corrupt`."""

    def get_many(self, digests: Sequence[bytes]) -> list[Directory]:
        """:meth:`get` of some hundred, in their order. :class:`Missing` when one is not there."""

    def put(self, directory: Directory) -> DirectoryNode:
        """Keep one whose own directories are there already."""


class PathInfos(Protocol):
    """What is known of store paths, by the paths."""

    def get(self, path: str) -> PathInfo | None:
        """About one path; None when it is not there. :class:`Corrupt`."""

    def by_digest(self, digest: str) -> PathInfo | None:
        """About the path with this digest (32 nix32 characters)."""

    def put(self, info: PathInfo) -> None:
        """Keep it, in place of what there was about the same path. What its node reaches must be there."""

    def list(self) -> Iterator[PathInfo]:
        """About every path."""


class Realisations(Protocol):
    """Which paths outputs turned out to have that are addressed by their contents."""

    def get(self, id: str) -> Realisation | None:
        """What ``id`` became; None when that is not known. :class:`Corrupt`."""

    def put(self, realisation: Realisation) -> None:
        """Keep it, in place of what there was about the same id. Its path must be there, or come in the same
        transaction; when that is collected as garbage, it is forgotten."""

    def list(self) -> Iterator[Realisation]:
        """All of them."""


def each(directories: Directories, digests: Iterable[bytes]) -> list[Directory]:
    """:meth:`Directories.get_many` one by one, for backends where that is cheap."""
    found = []
    for digest in digests:
        directory = directories.get(digest)
        if directory is None:
            raise Missing(f"directory {digest.hex()} is missing")
        found.append(directory)
    return found


class Castore(Protocol):
    """All of them together."""

    @property
    def blobs(self) -> Blobs:
        """Contents of files."""

    @property
    def directories(self) -> Directories:
        """Directories."""

    @property
    def path_infos(self) -> PathInfos:
        """Store paths."""

    @property
    def realisations(self) -> Realisations:
        """What content-addressed outputs became."""

    def transaction(self) -> AbstractContextManager[None]:
        """What is put inside belongs together; may be nested, then the outermost counts."""

    def close(self) -> None:
        """Let go of files and connections."""
