"""Pack files: where a local castore keeps contents, many blobs in one compressed block, many blocks in one file.

A pack begins with :data:`MAGIC`; zstd frames follow, each a *block* of some hundred KiB of contents. Which bytes of
which block are which blob stands in the database. A pack belongs to the one process that writes it, and is never
changed after that process has entered it there; one without an entry is a writer's that was killed, or of one still at
work, which holds a lock on it.
"""

from __future__ import annotations

import fcntl
import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from store.castore.services import Corrupt, StoreError, cannot_write

if TYPE_CHECKING:
    import zstandard

MAGIC = b"tvixpk1\n"
#: zstd's levels, the first for who has time; the others when so many blocks wait that writing would have to wait, too.
#: The last one hardly compresses, and takes no longer than writing does.
LEVELS = (1, -20, -1000)
#: Contents in a block before the next one is begun; a single large blob makes a block of its own.
BLOCK = 1 << 18
#: Bytes in a pack before the next one is begun.
PACK = 1 << 28
_OPEN_PACKS = 16
_CACHED_BLOCKS = 24


class PackWriter:
    """Writes one new pack; locked until closed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = ""
        self._descriptor = -1
        while self._descriptor < 0:
            self.name = os.urandom(8).hex()
            path = folder / f"{self.name}.pack"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise cannot_write(error, folder) from error
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else a cleaner took it for a dead one's before it was locked
                self._descriptor = descriptor
            else:
                os.close(descriptor)
        self.size = 0
        try:
            self._write(MAGIC)
        except StoreError:
            self.abandon()
            raise

    def append(self, data: bytes) -> int:
        """Write a frame; answer where it begins."""
        at = self.size
        self._write(data)
        return at

    def sync(self) -> None:
        """Have it all on the disk, the file's name too."""
        try:
            os.fdatasync(self._descriptor)
            folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise cannot_write(error, self.folder) from error

    def close(self) -> None:
        """Done; unlocks it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def abandon(self) -> None:
        """Remove what was written."""
        (self.folder / f"{self.name}.pack").unlink(missing_ok=True)
        self.close()

    def _write(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            raise cannot_write(error, self.folder) from error
        self.size += len(data)


class PackReader:
    """Reads blocks of packs; keeps some files open and some blocks at hand. For all threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: OrderedDict[str, int] = OrderedDict()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()
        self._decompressor: zstandard.ZstdDecompressor | None = None

    def cached(self, number: int) -> bytes | None:
        """The contents of block ``number``, if at hand."""
        with self._lock:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
            return block

    def inline(self, number: int, stored: bytes, size: int) -> bytes:
        """The contents of a block that the database itself holds."""
        return self._decompressed(number, stored, size, "store.db")

    def block(self, number: int, pack: str, at: int, stored: int, size: int) -> bytes:
        """The contents (``size`` bytes) of block ``number``, at ``at`` of a pack in ``stored`` bytes.

        Raises :class:`Corrupt`, and ``FileNotFoundError`` when the pack is gone.
        """
        data = self.frame(pack, at, stored)
        return self._decompressed(number, data, size, f"{self.folder / pack}.pack at byte {at}")

    def frame(self, pack: str, at: int, stored: int) -> bytes:
        """A block as it lies in a pack. Raises as :meth:`block`."""
        with self._lock:
            data = os.pread(self._file(pack), stored, at)
        if len(data) != stored:
            raise Corrupt(f"{self.folder / pack}.pack ends before byte {at + stored}")
        return data

    def forget(self) -> None:
        """Drop what is at hand: block numbers may mean something else now."""
        with self._lock:
            self._blocks.clear()
            for descriptor in self._open.values():
                os.close(descriptor)
            self._open.clear()

    def _decompressed(self, number: int, data: bytes, size: int, where: str) -> bytes:
        with self._lock:
            block = self._decompress(data, size, where)
            if len(block) != size:
                raise Corrupt(f"{where}: a block has {len(block)} bytes instead of {size}")
            self._blocks[number] = block
            if len(self._blocks) > _CACHED_BLOCKS:
                self._blocks.popitem(last=False)
            return block

    def _decompress(self, data: bytes, size: int, where: str) -> bytes:
        import zstandard

        if self._decompressor is None:
            self._decompressor = zstandard.ZstdDecompressor()
        try:
            return self._decompressor.decompress(data, max_output_size=size)
        except zstandard.ZstdError as error:
            raise Corrupt(f"{where}: a block cannot be decompressed ({error})") from None

    def _file(self, pack: str) -> int:
        descriptor = self._open.get(pack)
        if descriptor is None:
            descriptor = os.open(self.folder / f"{pack}.pack", os.O_RDONLY | os.O_CLOEXEC)
            self._open[pack] = descriptor
            if len(self._open) > _OPEN_PACKS:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(pack)
        return descriptor


def remove_if_dead(path: Path) -> bool:
    """Remove a pack without an entry unless its writer is alive; whether it was removed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
