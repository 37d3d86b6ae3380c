"""A castore in a local folder: SQLite for what is where, pack files for contents. The default.

    FOLDER/store.db      the database (WAL mode); see :mod:`store.backends.schema`
    FOLDER/packs/*.pack  contents; see :mod:`store.backends.packs`
    FOLDER/gc.lock       held shared by writers, exclusively while garbage is collected
    FOLDER/reserve       room that only collecting garbage may use, so that it works on a full disk

**Many processes** may read and write at once. A writer collects into a pack of its own, has that on the disk, and
then enters it in one transaction of the database, with which everything written becomes visible; small transactions
go into the database whole. **Killed** at any moment, a writer leaves at most a pack that nothing mentions.
**Verified** is everything that is read: chunks and directories against their digests, path infos against a seal.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

import zstandard
from blake3 import blake3

from store.backends import packs, schema
from store.backends.packs import PackReader, PackWriter
from store.backends.schema import a_number, a_text, some_bytes
from store.castore import nodes, path_info
from store.castore.nodes import Directory, DirectoryError, DirectoryNode
from store.castore.path_info import PathInfo, PathInfoError
from store.castore.services import Corrupt, Missing
from store.chunking import WHOLE, chunks
from store.store_path import STORE_DIR, digest_of

#: A transaction with at most so many bytes of contents makes no pack.
INLINE = 1 << 18
#: Bytes of room kept for collecting garbage on a full disk.
RESERVE = 1 << 22
# So many rows are written at once, so that a large tree does not wait in memory.
_ROWS = 60_000
_AHEAD = 4
_ASKED = 300
_KNOWN = 400_000


def default_folder() -> Path:
    """Where the user's store is: the platform's folder for a user's data."""
    import platformdirs

    return platformdirs.user_data_path("tvix-lsp") / "store"


class _Batch:
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
        self._held: list[tuple[bytes, int]] = []  # compressed blocks that wait to be known as few or many
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
        if not self.parts:
            return
        data = b"".join(self.parts)
        self.parts = []
        self.filled = 0
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="pack")
        if len(self.blocks) >= _AHEAD:
            self.blocks[-_AHEAD].result()  # no more than a few blocks wait to be written
        self.blocks.append(self._worker.submit(self._store, data, self.contents > INLINE))

    def _store(self, data: bytes, large: bool) -> tuple[int, int, int, bytes | None]:
        """In the worker's thread: (at, stored, size, the frame if it is for the database)."""
        frame = self._compressor.compress(data)
        if not large and self.pack is None:
            return 0, len(frame), len(data), frame
        if self.pack is None:
            self.pack = PackWriter(self.folder)
        return self.pack.append(frame), len(frame), len(data), None

    def finished_blocks(self) -> list[tuple[int, int, int, bytes | None]]:
        self.end_block()
        return [block.result() for block in self.blocks]

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.shutdown(wait=True)
            self._worker = None

    def rows(self) -> int:
        return len(self.chunks) + len(self.directories)


class _Connection:
    """A thread's connection; closed with the thread."""

    def __init__(self, path: Path) -> None:
        self.db = schema.connect(path)

    def __del__(self) -> None:
        db = getattr(self, "db", None)
        if db is not None:
            db.close()


class _State(threading.local):
    """What each thread has of its own."""

    connection: _Connection | None = None
    batch: _Batch | None = None
    depth = 0
    asked = 0  # how often this transaction asked for a chunk
    known: set[bytes] | None = None


class LocalCastore:
    """A castore in ``folder`` (made when it is not there)."""

    def __init__(self, folder: str | os.PathLike[str], store_dir: str = STORE_DIR) -> None:
        self.folder = Path(folder)
        self.store_dir = store_dir
        self.path = self.folder / "store.db"
        self.pack_folder = self.folder / "packs"
        try:
            self.pack_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise packs.as_store_error(error, self.folder) from error
        self.reserve = self.folder / "reserve"
        self.keep_reserve()
        self._state = _State()
        self._connections: WeakSet[_Connection] = WeakSet()
        self.packs = PackReader(self.pack_folder)
        self.blobs = LocalBlobs(self)
        self.directories = LocalDirectories(self)
        self.path_infos = LocalPathInfos(self)

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection = self._state.connection
        if connection is None:
            connection = _Connection(self.path)
            self._state.connection = connection
            self._connections.add(connection)
        return connection.db

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

    def batch(self) -> _Batch | None:
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
            state.batch = _Batch(self.pack_folder)
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
    def lock(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the lock that keeps writers and the collector of garbage apart."""
        try:
            descriptor = os.open(self.folder / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise packs.as_store_error(error, self.folder) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
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
            self._state.batch = _Batch(self.pack_folder)

    def _commit(self, batch: _Batch) -> None:
        blocks = batch.finished_blocks()
        if not blocks and not batch.directories and not batch.infos:
            return
        if batch.pack is not None:
            batch.pack.sync()
        db = self.db
        try:
            db.execute("begin immediate")
            try:
                pack = None
                if batch.pack is not None:
                    row = ("insert into packs (name, size) values (?, ?)", (batch.pack.name, batch.pack.size))
                    pack = db.execute(*row).lastrowid
                numbers = []
                for at, stored, size, data in blocks:
                    values = (None if data is not None else pack, at, stored, size, data)
                    inserted = db.execute(
                        "insert into blocks (pack, at, stored, size, data) values (?, ?, ?, ?, ?)", values
                    )
                    numbers.append(inserted.lastrowid)
                db.executemany(
                    "insert or ignore into chunks values (?, ?, ?, ?)",
                    ((digest, numbers[block], at, size) for digest, (block, at, size) in sorted(batch.chunks.items())),
                )
                db.executemany(
                    "insert or ignore into blobs values (?, ?, ?)",
                    ((digest, size, parts) for digest, (size, parts) in batch.blobs.items()),
                )
                db.executemany("insert or ignore into directories values (?, ?)", sorted(batch.directories.items()))
                now = int(time.time())
                db.executemany(
                    "insert or replace into paths values (?, ?, ?, ?)",
                    ((key, *sealed(key, info), now) for key, info in batch.infos.items()),
                )
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self.path) from error
        if batch.pack is not None:
            batch.pack.close()
            batch.pack = None

    def close(self) -> None:
        for connection in list(self._connections):
            connection.db.close()
        self._state = _State()
        self.packs.forget()


def sealed(key: str, info: PathInfo) -> tuple[bytes, bytes]:
    """A path info as its row has it: encoded, and the digest that vouches for the row."""
    encoded = path_info.encode(info)
    return encoded, nodes.blake3(key.encode() + encoded)[:16]


class LocalBlobs:
    """Blobs of a local castore."""

    def __init__(self, store: LocalCastore) -> None:
        self._store = store

    def has(self, digest: bytes) -> bool:
        batch = self._store.batch()
        if batch is not None and (digest in batch.chunks or digest in batch.blobs):
            return True
        row = self._store.row
        return (
            row("select 1 from chunks where digest = ?", digest) is not None
            or row("select 1 from blobs where digest = ?", digest) is not None
        )

    def size(self, digest: bytes) -> int | None:
        batch = self._store.batch()
        if batch is not None and digest in batch.blobs:
            return batch.blobs[digest][0]
        if batch is not None and digest in batch.chunks:
            return batch.chunks[digest][2]
        found = self._store.row("select size from chunks where digest = ?", digest)
        if found is None:
            found = self._store.row("select size from blobs where digest = ?", digest)
        return None if found is None else a_number(found[0], self._store.path)

    def chunks(self, digest: bytes) -> list[tuple[bytes, int]]:
        batch = self._store.batch()
        if batch is not None and (digest in batch.blobs or digest in batch.chunks):
            self._store.flush()
        row = self._store.row
        found = row("select size from chunks where digest = ?", digest)
        if found is not None:
            return [(digest, a_number(found[0], self._store.path))]
        found = row("select chunks from blobs where digest = ?", digest)
        if found is None:
            raise Missing(f"blob {digest.hex()} is missing in {self._store.folder}")
        parts = some_bytes(found[0], self._store.path)
        sizes = []
        for at in range(0, len(parts), nodes.DIGEST_SIZE):
            chunk = parts[at : at + nodes.DIGEST_SIZE]
            found = row("select size from chunks where digest = ?", chunk)
            if found is None:
                raise Missing(f"blob {digest.hex()}: its chunk {chunk.hex()} is missing in {self._store.folder}")
            sizes.append((chunk, a_number(found[0], self._store.path)))
        return sizes

    def read(self, digest: bytes) -> Iterator[bytes]:
        data = self._chunk(digest)
        if data is not None:
            yield data
            return
        whole = blake3()
        for chunk, _ in self.chunks(digest):
            data = self._chunk(chunk)
            if data is None:
                raise Missing(f"blob {digest.hex()}: its chunk {chunk.hex()} is missing in {self._store.folder}")
            whole.update(data)
            yield data
        if whole.digest() != digest:
            raise Corrupt(f"{self._store.path}: the chunks of blob {digest.hex()} are not its contents")

    def read_whole(self, digest: bytes) -> bytes:
        data = self._chunk(digest)
        return data if data is not None else b"".join(self.read(digest))

    def put(self, pieces: Iterable[bytes]) -> tuple[bytes, int]:
        with self._store.transaction():
            whole = blake3()
            digests = []
            total = 0
            for chunk in chunks(pieces):
                whole.update(chunk)
                total += len(chunk)
                digests.append(self._put_chunk(chunk))
            digest = whole.digest()
            if len(digests) > 1 and not self.has(digest):
                batch = self._store.batch()
                assert batch is not None
                batch.blobs[digest] = (total, b"".join(digests))
            return digest, total

    def put_whole(self, data: bytes) -> bytes:
        if len(data) > WHOLE:
            return self.put([data])[0]
        if self._store.batch() is not None:
            return self._put_chunk(data)
        with self._store.transaction():
            return self._put_chunk(data)

    def _put_chunk(self, data: bytes) -> bytes:
        store = self._store
        digest = blake3(data).digest()
        batch = store.batch()
        assert batch is not None
        if digest in batch.chunks:
            return digest
        if not store.has_chunk(digest):
            batch.add(digest, data)
            store.room()
        return digest

    def _chunk(self, digest: bytes) -> bytes | None:
        """The contents of a chunk, verified; None when there is none."""
        store = self._store
        for last in (False, True):
            try:
                found = store.db.execute("select block, at, size from chunks where digest = ?", (digest,)).fetchone()
            except sqlite3.Error as error:
                raise schema.as_store_error(error, store.path) from error
            if found is None:
                batch = store.batch()
                if batch is None or digest not in batch.chunks:
                    return None
                store.flush()
                continue
            number, at, size = (a_number(value, store.path) for value in found)
            block = store.packs.cached(number)
            if block is None:
                try:
                    block = self.block(number)
                except FileNotFoundError as error:
                    if last:  # not just moved by the collector of garbage
                        raise Corrupt(f"blob {digest.hex()}: {error.filename} is missing") from None
                    continue
                except Corrupt as error:
                    raise Corrupt(f"blob {digest.hex()}: {error}") from None
            data = block[at : at + size]
            if blake3(data).digest() == digest:
                return data
            if last:
                raise Corrupt(f"blob {digest.hex()} is damaged: {self.place(digest)}")
            store.packs.forget()
        return None

    def block(self, number: int) -> bytes:
        """The contents of a block, decompressed. :class:`Corrupt`, and ``FileNotFoundError`` when its pack is gone."""
        found = self._store.row(
            "select packs.name, blocks.at, stored, blocks.size, data from blocks left join packs on packs.id = pack"
            " where blocks.id = ?",
            number,
        )
        if found is None:
            raise Corrupt(f"{self._store.path}: there is no block {number}")
        name, at, stored, size, data = found
        path = self._store.path
        if data is not None:
            return self._store.packs.inline(number, some_bytes(data, path), a_number(size, path))
        where = a_number(at, path), a_number(stored, path)
        return self._store.packs.block(number, a_text(name, path), *where, a_number(size, path))

    def place(self, digest: bytes) -> str:
        """Where the contents of a chunk are, for people."""
        found = self._store.row(
            "select packs.name, blocks.at from chunks join blocks on blocks.id = block"
            " left join packs on packs.id = pack where digest = ?",
            digest,
        )
        if found is None or found[0] is None:
            return str(self._store.path)
        return f"{self._store.pack_folder / str(found[0])}.pack, block at byte {found[1]}"


class LocalDirectories:
    """Directories of a local castore."""

    def __init__(self, store: LocalCastore) -> None:
        self._store = store

    def get(self, digest: bytes) -> Directory | None:
        batch = self._store.batch()
        if batch is not None and digest in batch.directories:
            return nodes.decode_directory(batch.directories[digest])
        found = self._store.row("select data from directories where digest = ?", digest)
        if found is None:
            return None
        data = some_bytes(found[0], self._store.path)
        if nodes.blake3(data) != digest:
            raise Corrupt(f"directory {digest.hex()} is damaged: {self._store.path}")
        try:
            return nodes.decode_directory(data)
        except DirectoryError as error:
            raise Corrupt(f"directory {digest.hex()}: {error}") from None

    def put(self, directory: Directory) -> DirectoryNode:
        data = directory.encode()
        digest = nodes.blake3(data)
        batch = self._store.batch()
        if batch is None:
            with self._store.transaction():
                return self.put(directory)
        batch.directories[digest] = data
        self._store.room()
        return DirectoryNode(digest, directory.size())


class LocalPathInfos:
    """Path infos of a local castore."""

    def __init__(self, store: LocalCastore) -> None:
        self._store = store

    def get(self, path: str) -> PathInfo | None:
        info = self.by_digest(digest_of(path))
        return info if info is not None and info.path == path else None

    def by_digest(self, digest: str) -> PathInfo | None:
        batch = self._store.batch()
        if batch is not None and digest in batch.infos:
            return batch.infos[digest]
        found = self._store.row("select info, seal from paths where digest = ?", digest)
        return None if found is None else self._decoded(digest, found[0], found[1])

    def put(self, info: PathInfo) -> None:
        path_info.encode(info)  # what cannot be written is refused here, not at the end
        with self._store.transaction():
            batch = self._store.batch()
            assert batch is not None
            batch.infos[digest_of(info.path)] = info

    def list(self) -> Iterator[PathInfo]:
        try:
            digests = [
                a_text(row[0], self._store.path)
                for row in self._store.db.execute("select digest from paths order by digest")
            ]
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self._store.path) from error
        for digest in digests:
            info = self.by_digest(digest)
            if info is not None:  # else collected meanwhile
                yield info

    def _decoded(self, digest: str, data: object, seal: object) -> PathInfo:
        if not isinstance(data, bytes) or nodes.blake3(digest.encode() + data)[:16] != seal:
            raise Corrupt(f"what is known of {digest}-… is damaged: {self._store.path}")
        try:
            return path_info.decode(data, self._store.store_dir)
        except PathInfoError as error:
            raise Corrupt(f"{self._store.path}: {error}") from None
