"""What a transaction of a local castore has written so far, and how that becomes visible: a pack, rows, all at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from store.backends.local import packs
from store.backends.local.packs import PackWriter
from store.castore import nodes, path_info
from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.sqlite import sqlite3
from store.store_path import digest_of

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import zstandard

#: A transaction with at most so many bytes of contents makes no pack.
INLINE = 1 << 18
# So many blocks wait to be compressed and written at most.
_AHEAD = 12


class Batch:
    """What a transaction has written so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chunks: dict[bytes, tuple[int, int, int]] = {}  # digest -> (block of this batch, at, size)
        self.blobs: dict[bytes, tuple[int, bytes]] = {}
        self.directories: dict[bytes, bytes] = {}
        self.infos: dict[str, PathInfo] = {}
        self.realisations: dict[str, Realisation] = {}
        self.parts: list[bytes] = []
        self.filled = 0
        self.blocks: list[Future[tuple[int, int, int, bytes | None]]] = []
        self.contents = 0
        self.pack: PackWriter | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._done = 0  # of the blocks that the worker was given
        self._compressors: dict[int, zstandard.ZstdCompressor] = {}

    def add(self, digest: bytes, data: bytes) -> None:
        size = len(data)
        if self.filled and self.filled + size > packs.BLOCK:
            self.end_block()
        self.chunks[digest] = (len(self.blocks), self.filled, size)
        self.parts.append(data)
        self.filled += size
        self.contents += size

    def end_block(self) -> None:
        data = self._taken()
        if data is not None:
            self._submit(data)

    def _taken(self) -> bytes | None:
        """The contents of the block that is being filled, which may be no bytes; None when there is no such block."""
        if not self.parts:
            return None
        data = b"".join(self.parts)
        self.parts = []
        self.filled = 0
        return data

    def add_frame(self, digest: bytes, frame: bytes, size: int) -> None:
        """:meth:`add` of contents of ``size`` bytes that are compressed already."""
        self.end_block()
        self.chunks[digest] = (len(self.blocks), 0, size)
        self.contents += size
        self._submit(frame, size)

    def _submit(self, data: bytes, size: int | None = None) -> None:
        """Have the worker write a block; with ``size`` it is compressed already."""
        if self._worker is None:
            from concurrent.futures import ThreadPoolExecutor  # loading it takes longer than most transactions

            self._worker = ThreadPoolExecutor(1, thread_name_prefix="pack")
        if len(self.blocks) >= _AHEAD:
            self.blocks[-_AHEAD].result()  # no more than a few blocks wait to be written
        large = self.contents > INLINE
        if size is None:
            self.blocks.append(self._worker.submit(self._store, data, large))
        else:
            self.blocks.append(self._worker.submit(self._keep, data, size, large))

    def _store(self, data: bytes, large: bool) -> tuple[int, int, int, bytes | None]:
        """In the worker's thread, if there is one: (at, stored, size, the frame if it is for the database)."""
        return self._keep(self._frame(data), len(data), large)

    def _frame(self, data: bytes) -> bytes:
        import zstandard

        # The more wait, the less time is taken to compress: reading and hashing need not wait for that.
        hurry = (len(self.blocks) - self._done) * len(packs.LEVELS) // (_AHEAD + 1)
        level = packs.LEVELS[min(hurry, len(packs.LEVELS) - 1)]
        if level not in self._compressors:
            self._compressors[level] = zstandard.ZstdCompressor(level=level)
        return self._compressors[level].compress(data)

    def _keep(self, frame: bytes, size: int, large: bool) -> tuple[int, int, int, bytes | None]:
        self._done += 1
        if not large and self.pack is None:
            return 0, len(frame), size, frame
        if self.pack is None:
            self.pack = PackWriter(self.folder)
        return self.pack.append(frame), len(frame), size, None

    def finished_blocks(self) -> list[tuple[int, int, int, bytes | None]]:
        data = self._taken()
        if self._worker is None:
            return [] if data is None else [self._store(data, self.contents > INLINE)]
        if data is not None:
            self._submit(data)
        return [block.result() for block in self.blocks]

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.shutdown(wait=True)
            self._worker = None

    def rows(self) -> int:
        return len(self.chunks) + len(self.directories)

    def enter(self, db: sqlite3.Connection) -> None:
        """Have all of it on the disk and, in one transaction, in the database. Raises ``sqlite3.Error``."""
        blocks = self.finished_blocks()
        if not (blocks or self.directories or self.infos or self.realisations):
            return
        if self.pack is not None:
            self.pack.sync()
        db.execute("begin immediate")
        try:
            self._insert(db, blocks)
            db.execute("commit")
        except BaseException:
            if db.in_transaction:
                db.execute("rollback")
            raise
        if self.pack is not None:
            self.pack.close()
            self.pack = None

    def _insert(self, db: sqlite3.Connection, blocks: list[tuple[int, int, int, bytes | None]]) -> None:
        pack = None
        if self.pack is not None:
            row = ("insert into packs (name, size) values (?, ?)", (self.pack.name, self.pack.size))
            pack = db.execute(*row).lastrowid
        numbers = []
        for at, stored, size, data in blocks:
            values = (None if data is not None else pack, at, stored, size, data)
            inserted = db.execute("insert into blocks (pack, at, stored, size, data) values (?, ?, ?, ?, ?)", values)
            numbers.append(inserted.lastrowid)
        db.executemany(
            "insert or ignore into chunks values (?, ?, ?, ?)",
            ((digest, numbers[block], at, size) for digest, (block, at, size) in sorted(self.chunks.items())),
        )
        db.executemany(
            "insert or ignore into blobs values (?, ?, ?)",
            ((digest, size, parts) for digest, (size, parts) in self.blobs.items()),
        )
        db.executemany("insert or ignore into directories values (?, ?)", sorted(self.directories.items()))
        now = int(time.time())
        db.executemany(
            "insert or replace into paths values (?, ?, ?, ?)",
            ((key, *sealed(key, path_info.encode(info)), now) for key, info in self.infos.items()),
        )
        db.executemany(
            "insert or replace into realisations values (?, ?, ?, ?)",
            (
                (key, digest_of(known.path), *sealed(key, known.to_text().encode()))
                for key, known in self.realisations.items()
            ),
        )


def sealed(key: str, encoded: bytes) -> tuple[bytes, bytes]:
    """What is known of ``key`` as its row has it: encoded, and the digest that vouches for the row."""
    return encoded, nodes.blake3(key.encode() + encoded)[:16]
