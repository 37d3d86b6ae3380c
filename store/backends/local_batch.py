"""What a transaction of a local castore has written so far, and how that becomes visible: a pack, rows, all at once."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from store.backends import packs
from store.backends.packs import PackWriter
from store.castore import nodes, path_info
from store.castore.path_info import PathInfo

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

#: A transaction with at most so many bytes of contents makes no pack.
INLINE = 1 << 18
_AHEAD = 4


class Batch:
    """What a transaction has written so far."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chunks: dict[bytes, tuple[int, int, int]] = {}  # digest -> (block of this batch, at, size)
        self.blobs: dict[bytes, tuple[int, bytes]] = {}
        self.directories: dict[bytes, bytes] = {}
        self.infos: dict[str, PathInfo] = {}
        self.parts: list[bytes] = []
        self.filled = 0
        self.blocks: list[Future[tuple[int, int, int, bytes | None]]] = []
        self.contents = 0
        self.pack: PackWriter | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._compressor = zstandard.ZstdCompressor(level=packs.LEVEL)

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

    def _submit(self, data: bytes) -> None:
        if self._worker is None:
            from concurrent.futures import ThreadPoolExecutor  # loading it takes longer than most transactions

            self._worker = ThreadPoolExecutor(1, thread_name_prefix="pack")
        if len(self.blocks) >= _AHEAD:
            self.blocks[-_AHEAD].result()  # no more than a few blocks wait to be written
        self.blocks.append(self._worker.submit(self._store, data, self.contents > INLINE))

    def _store(self, data: bytes, large: bool) -> tuple[int, int, int, bytes | None]:
        """In the worker's thread, if there is one: (at, stored, size, the frame if it is for the database)."""
        frame = self._compressor.compress(data)
        if not large and self.pack is None:
            return 0, len(frame), len(data), frame
        if self.pack is None:
            self.pack = PackWriter(self.folder)
        return self.pack.append(frame), len(frame), len(data), None

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
        if not blocks and not self.directories and not self.infos:
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
            ((key, *sealed(key, info), now) for key, info in self.infos.items()),
        )


def sealed(key: str, info: PathInfo) -> tuple[bytes, bytes]:
    """A path info as its row has it: encoded, and the digest that vouches for the row."""
    encoded = path_info.encode(info)
    return encoded, nodes.blake3(key.encode() + encoded)[:16]
