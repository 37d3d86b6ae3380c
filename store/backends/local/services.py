"""The services of a local castore: blobs, directories, path infos and realisations out of its database and packs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from blake3 import blake3

from store.backends.local import schema
from store.backends.local.database import LocalDatabase
from store.backends.local.schema import a_number, a_text, some_bytes
from store.castore import nodes, path_info, realisation
from store.castore.background import Sum
from store.castore.nodes import Directory, DirectoryError, DirectoryNode
from store.castore.path_info import PathInfo, PathInfoError
from store.castore.realisation import Realisation, RealisationError
from store.castore.services import Corrupt, Missing, each
from store.chunking import WHOLE, chunks
from store.sqlite import sqlite3
from store.store_path import digest_of

# Fewer directories than this are asked for one by one.
_MANY = 3


class LocalBlobs:
    """Blobs of a local castore."""

    def __init__(self, store: LocalDatabase) -> None:
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

    def read_many(self, digests: Sequence[bytes]) -> list[bytes]:
        places: dict[bytes, tuple[int, int, int]] = {}
        for digest, block, at, size in self._store.rows("select digest, block, at, size from chunks", digests):
            path = self._store.path
            places[some_bytes(digest, path)] = a_number(block, path), a_number(at, path), a_number(size, path)
        found = []
        block_number, data = -1, b""
        for digest in digests:
            place = places.get(digest)
            if place is not None:
                number, at, size = place
                if number != block_number:
                    block_number, data = number, self._store.packs.cached(number) or b""
                contents = data[at : at + size]
                if blake3(contents).digest() == digest:
                    found.append(contents)
                    continue
            # Not at hand yet, or in this transaction, or large, or damaged.
            found.append(self.read_whole(digest))
            block_number = -1
        return found

    def put(self, pieces: Iterable[bytes]) -> tuple[bytes, int]:
        with self._store.transaction(), Sum(blake3()) as whole:
            digests = []
            total = 0
            for chunk in chunks(pieces):
                whole.update(chunk)
                total += len(chunk)
                digests.append(self._put_chunk(chunk))
            return self._cut(whole.digest(), digests, total), total

    def take(self, digest: bytes, source: LocalBlobs) -> None:
        """Have a large blob of another local castore here too: its chunks, compressed as they are there."""
        with self._store.transaction(), Sum(blake3()) as whole:
            digests = []
            total = 0
            for chunk, size in source.chunks(digest):
                data, frame = source._with_frame(chunk, size)
                whole.update(data)
                total += size
                digests.append(chunk)
                self._add_chunk(chunk, data, frame)
            if whole.digest() != digest:
                raise Corrupt(f"{source.folder}: the chunks of blob {digest.hex()} are not its contents")
            self._cut(digest, digests, total)

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return self._store.folder

    def _cut(self, digest: bytes, chunks: list[bytes], size: int) -> bytes:
        """Note which chunks a blob is made of, unless it is one itself; answer its digest."""
        if len(chunks) > 1 and not self.has(digest):
            batch = self._store.batch()
            assert batch is not None
            batch.blobs[digest] = (size, b"".join(chunks))
        return digest

    def _with_frame(self, digest: bytes, size: int) -> tuple[bytes, bytes | None]:
        """A chunk's contents, verified, and how it lies in a pack, if it is a block of its own there."""
        found = self._store.row(
            "select packs.name, blocks.at, stored from chunks join blocks on blocks.id = block"
            " join packs on packs.id = pack where digest = ? and chunks.at = 0 and blocks.size = ?",
            digest,
            size,
        )
        if found is not None:
            path = self._store.path
            place = a_text(found[0], path), a_number(found[1], path), a_number(found[2], path)
            import zstandard

            # Whatever is wrong with it, reading it as usual says so, or finds where it is now.
            with suppress(FileNotFoundError, Corrupt, zstandard.ZstdError):
                frame = self._store.packs.frame(*place)
                data = zstandard.ZstdDecompressor().decompress(frame, max_output_size=size)
                if blake3(data).digest() == digest:
                    return data, frame
        return self.read_whole(digest), None

    def put_whole(self, data: bytes) -> bytes:
        if len(data) > WHOLE:
            return self.put([data])[0]
        if self._store.batch() is not None:
            return self._put_chunk(data)
        with self._store.transaction():
            return self._put_chunk(data)

    def _put_chunk(self, data: bytes) -> bytes:
        digest = blake3(data).digest()
        self._add_chunk(digest, data)
        return digest

    def _add_chunk(self, digest: bytes, data: bytes, frame: bytes | None = None) -> None:
        """Add a chunk to the open transaction; ``frame`` is the same compressed."""
        store = self._store
        batch = store.batch()
        assert batch is not None
        if digest in batch.chunks or store.has_chunk(digest):
            return
        if frame is None:
            batch.add(digest, data)
        else:
            batch.add_frame(digest, frame, len(data))
        store.room()

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

    def __init__(self, store: LocalDatabase) -> None:
        self._store = store

    def get(self, digest: bytes) -> Directory | None:
        batch = self._store.batch()
        if batch is not None and digest in batch.directories:
            return nodes.decode_directory(batch.directories[digest])
        found = self._store.row("select data from directories where digest = ?", digest)
        return None if found is None else self._decoded(digest, found[0])

    def _decoded(self, digest: bytes, value: object) -> Directory:
        data = some_bytes(value, self._store.path)
        if nodes.blake3(data) != digest:
            raise Corrupt(f"directory {digest.hex()} is damaged: {self._store.path}")
        try:
            return nodes.decode_directory(data)
        except DirectoryError as error:
            raise Corrupt(f"directory {digest.hex()}: {error}") from None

    def get_many(self, digests: Sequence[bytes]) -> list[Directory]:
        if len(digests) < _MANY or self._store.batch() is not None:
            return each(self, digests)
        rows = dict(self._store.rows("select digest, data from directories", digests))
        found = []
        for digest in digests:
            data = rows.get(digest)
            if data is None:
                raise Missing(f"directory {digest.hex()} is missing in {self._store.folder}")
            found.append(self._decoded(digest, data))
        return found

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

    def __init__(self, store: LocalDatabase) -> None:
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


class LocalRealisations:
    """Realisations of a local castore."""

    def __init__(self, store: LocalDatabase) -> None:
        self._store = store

    def get(self, id: str) -> Realisation | None:
        batch = self._store.batch()
        if batch is not None and id in batch.realisations:
            return batch.realisations[id]
        found = self._store.row("select info, seal from realisations where id = ?", id)
        return None if found is None else self._decoded(id, found[0], found[1])

    def put(self, realisation: Realisation) -> None:
        with self._store.transaction():
            batch = self._store.batch()
            assert batch is not None
            batch.realisations[realisation.id] = realisation

    def list(self) -> Iterator[Realisation]:
        try:
            rows = self._store.db.execute("select id, info, seal from realisations order by id").fetchall()
        except sqlite3.Error as error:
            raise schema.as_store_error(error, self._store.path) from error
        return (self._decoded(a_text(id, self._store.path), info, seal) for id, info, seal in rows)

    def _decoded(self, id: str, data: object, seal: object) -> Realisation:
        if not isinstance(data, bytes) or nodes.blake3(id.encode() + data)[:16] != seal:
            raise Corrupt(f"what is known of the output {id} is damaged: {self._store.path}")
        try:
            return realisation.parse(data, self._store.store_dir)
        except RealisationError as error:
            raise Corrupt(f"{self._store.path}: {error}") from None
