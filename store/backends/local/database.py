"""What a local store's folder holds: the database, the packs, the lock; transactions over them."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from store.backends.local import packs, schema
from store.backends.local.batch import Batch
from store.backends.local.packs import PackReader
from store.castore.services import cannot_write
from store.sqlite import sqlite3
from store.store_path import STORE_DIR

#: Bytes of room kept for collecting garbage on a full disk.
RESERVE = 1 << 22
# So many rows are written at once, so that a large tree does not wait in memory.
_ROWS = 60_000
# So many digests stand in one query.
_TOGETHER = 256
_ASKED = 300
_KNOWN = 400_000


class _Connected(threading.local):
    """Each thread's connection, until the thread ends or all is let go of."""

    connection: sqlite3.Connection | None = None


class _State(threading.local):
    """How far each thread's transaction is."""

    batch: Batch | None = None
    depth = 0
    asked = 0  # how often this transaction asked for a chunk
    known: set[bytes] | None = None


class LocalDatabase:
    """What is in ``folder`` (made when it is not there): transactions, the lock, the rows, the packs."""

    def __init__(self, folder: str | os.PathLike[str], store_dir: str = STORE_DIR) -> None:
        self.folder = Path(os.path.abspath(folder))  # other programs use it, too, which run elsewhere
        self.store_dir = store_dir
        self.path = self.folder / "store.db"
        self.pack_folder = self.folder / "packs"
        try:
            self.pack_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, self.folder) from error
        self.reserve = self.folder / "reserve"
        self.collected = self.folder / "collected"
        self.keep_reserve()
        self._state = _State()
        self._connected = _Connected()
        self._entering = threading.Lock()
        self.packs = PackReader(self.pack_folder)

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection."""
        connected = self._connected
        connection = connected.connection
        if connection is None:
            connection = connected.connection = schema.connect(self.path)
        return connection

    def keep_reserve(self) -> None:
        """Set room aside for the collector of garbage; nothing happens where there is none."""
        if self.reserve.exists():
            return
        with suppress(OSError):
            descriptor = os.open(self.reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(descriptor, 0, RESERVE)
                else:
                    os.write(descriptor, bytes(RESERVE))
            except OSError:
                self.reserve.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)

    def batch(self) -> Batch | None:
        """This thread's open transaction."""
        return self._state.batch

    @contextmanager
    def transaction(self) -> Iterator[None]:
        state = self._state
        if state.depth:
            state.depth += 1
            try:
                yield
            finally:
                state.depth -= 1
            return
        with self.lock(exclusive=False):
            state.batch = Batch(self.pack_folder)
            state.depth = 1
            state.asked = 0
            try:
                yield
                self._commit(state.batch)
            finally:
                last = state.batch  # another one when much was written
                state.batch = None
                state.depth = 0
                state.known = None
                last.stop()
                if last.pack is not None:
                    last.pack.abandon()

    @contextmanager
    def lock(self, *, exclusive: bool, wait: bool = True) -> Iterator[None]:
        """Hold the lock that keeps writers and the collector of garbage apart.

        Without ``wait`` it raises ``BlockingIOError`` when others hold it.
        """
        try:
            descriptor = os.open(self.folder / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise cannot_write(error, self.folder) from error
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(descriptor)

    def row(self, query: str, *values: object) -> tuple[object, ...] | None:
        """The first row that a query answers; :class:`StoreError` for what the database complains of."""
        try:
            found: tuple[object, ...] | None = self.db.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self.path) from error
        return found

    def rows(self, query: str, digests: Sequence[bytes]) -> Iterator[Any]:
        """The rows that ``query`` answers where its ``digest`` is one of ``digests``, in any order."""
        try:
            for at in range(0, len(digests), _TOGETHER):
                some = digests[at : at + _TOGETHER]
                # Few different lengths, so that few statements are compiled; what is asked for twice is found once.
                count = 1 << max(3, (len(some) - 1).bit_length())
                marks = ",".join("?" * count)
                values = [*some, *[some[0]] * (count - len(some))]
                yield from self.db.execute(f"{query} where digest in ({marks})", values).fetchall()
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self.path) from error

    def has_chunk(self, digest: bytes) -> bool:
        """Whether a chunk is there; for writers in a transaction.

        After some hundred questions the answers come from a set, if the store is not too large for one. Nothing is
        deleted meanwhile, and what others add may be written twice.
        """
        state = self._state
        known = state.known
        if known is not None:
            return digest in known
        try:
            state.asked += 1
            if state.asked == _ASKED:
                rows = self.db.execute("select count(*) from (select 1 from chunks limit ?)", (_KNOWN + 1,)).fetchone()
                if rows[0] <= _KNOWN:
                    state.known = {row[0] for row in self.db.execute("select digest from chunks")}
            return self.db.execute("select 1 from chunks where digest = ?", (digest,)).fetchone() is not None
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self.path) from error

    def room(self) -> None:
        """Called after something was added to the open transaction: write what it has if that is much."""
        batch = self._state.batch
        if batch is not None and (batch.rows() > _ROWS or batch.contents > packs.PACK):
            self.flush()

    def flush(self) -> None:
        """Write what the open transaction has so far, so that it can be read."""
        batch = self._state.batch
        if batch is not None:
            self._commit(batch)
            batch.stop()
            if self._state.known is not None:
                self._state.known.update(batch.chunks)
            self._state.batch = Batch(self.pack_folder)

    def _commit(self, batch: Batch) -> None:
        try:
            # The database lets others wait by sleeping: within a process there is something better.
            with self._entering:
                batch.enter(self.db)
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self.path) from error

    def close(self) -> None:
        """Let go of the files. What other threads are doing goes on: what they use is closed when they are done."""
        connection = self._connected.connection
        self._connected = _Connected()
        if connection is not None:
            connection.close()  # this thread does nothing else now, even if a traceback still knows it
        self.packs.forget()
