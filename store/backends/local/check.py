"""Whether all that a local castore keeps is what it was: every byte is read again. And repairing it from another store.

Damage is told in three ways: which file, which object in it, and which store paths suffer from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

from blake3 import blake3

from store.backends.local import packs, schema
from store.backends.local.castore import LocalCastore
from store.castore import nodes, trees
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Missing, Refused, StoreError
from store.nar import NarError
from store.nar_reader import NarReader
from store.paths.archives import CheckedSource, PiecesSource, checked
from store.paths.protocol import Store
from store.sqlite import sqlite3
from store.store_path import base_name


@dataclass
class Report:
    """What was found. ``problems`` are sentences for people that name files and objects."""

    blocks: int = 0
    chunks: int = 0
    directories: int = 0
    paths: int = 0
    problems: list[str] = field(default_factory=list)
    bad_chunks: list[bytes] = field(default_factory=list)
    bad_directories: list[bytes] = field(default_factory=list)
    bad_blobs: list[bytes] = field(default_factory=list)
    bad_realisations: list[str] = field(default_factory=list)
    bad_paths: list[str] = field(default_factory=list)  #: base names, of some only the digest
    repaired: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "blocks": self.blocks,
            "chunks": self.chunks,
            "directories": self.directories,
            "paths": self.paths,
            "problems": self.problems,
            "damagedPaths": self.bad_paths,
            "repaired": self.repaired,
        }


def verify(store: LocalCastore, on_path: Callable[[str], None] | None = None) -> Report:
    """Read everything. Raises ``StoreError`` only when the database cannot be read at all."""
    report = Report()
    store.packs.forget()
    try:
        _check_database(store, report)
        _check_packs(store, report)
        _check_blocks(store, report)
        _check_blobs(store, report)
        _check_directories(store, report)
        _check_paths(store, report, on_path)
        _check_realisations(store, report)
    except sqlite3.Error as error:
        raise schema.as_store_error(error, store.path) from error
    return report


def _rows(store: LocalCastore, report: Report, query: str, *types: type, values: tuple[object, ...] = ()) -> list[Any]:
    """The rows that a query answers, less those whose columns are not of ``types``: these are reported."""
    good = []
    for row in store.db.execute(query, values).fetchall():
        if all(isinstance(value, kind) for value, kind in zip(row, types, strict=True)):
            good.append(row)
        else:
            report.problems.append(f"{store.path}: a row is damaged ({query})")
    return good


def _check_database(store: LocalCastore, report: Report) -> None:
    for (line,) in store.db.execute("pragma integrity_check(20)"):
        if line != "ok":
            report.problems.append(f"{store.path}: {line}")


def _check_packs(store: LocalCastore, report: Report) -> None:
    for name, size in _rows(store, report, "select name, size from packs", str, int):
        path = store.pack_folder / f"{name}.pack"
        try:
            with open(path, "rb") as file:
                magic = file.read(len(packs.MAGIC))
                found = file.seek(0, 2)
        except OSError as error:
            report.problems.append(f"{path}: {error.strerror}")
            continue
        if magic != packs.MAGIC:
            report.problems.append(f"{path}: does not begin like a pack")
        if found != size:
            report.problems.append(f"{path}: has {found} bytes instead of {size}")


def _check_blocks(store: LocalCastore, report: Report) -> None:
    known = {number for (number,) in _rows(store, report, "select id from blocks", int)}
    rows = _rows(store, report, "select block, digest, at, size from chunks order by block, at", int, bytes, int, int)
    for number, group in groupby(rows, key=itemgetter(0)):
        chunks = [(digest, at, size) for _, digest, at, size in group]
        report.blocks += 1
        if number not in known:
            report.problems.append(f"{store.path}: {len(chunks)} blobs are said to be in a block that is not there")
            report.bad_chunks += [digest for digest, _, _ in chunks]
            continue
        try:
            block = store.blobs.block(number)
        except (Corrupt, OSError) as error:
            report.problems.append(f"{error}; {len(chunks)} blobs and chunks are lost")
            report.bad_chunks += [digest for digest, _, _ in chunks]
            continue
        for digest, at, size in chunks:
            report.chunks += 1
            if blake3(block[at : at + size]).digest() != digest:
                report.problems.append(f"blob {digest.hex()} is damaged: {store.blobs.place(digest)}")
                report.bad_chunks.append(digest)


def _check_blobs(store: LocalCastore, report: Report) -> None:
    for digest, size in _rows(store, report, "select digest, size from blobs", bytes, int):
        found = 0
        try:
            for piece in store.blobs.read(digest):
                found += len(piece)
            if found != size:
                raise Corrupt(f"{store.path}: blob {digest.hex()} has {found} bytes instead of {size}")
        except (StoreError, OSError) as error:
            report.problems.append(str(error))
            report.bad_blobs.append(digest)


def _check_directories(store: LocalCastore, report: Report) -> None:
    for digest, data in store.db.execute("select digest, data from directories"):
        report.directories += 1
        if not isinstance(digest, bytes) or not isinstance(data, bytes):
            report.problems.append(f"{store.path}: a directory's row is damaged")
            continue
        if nodes.blake3(data) != digest:
            report.problems.append(f"directory {digest.hex()} is damaged: {store.path}")
            report.bad_directories.append(digest)


def _check_paths(store: LocalCastore, report: Report, on_path: Callable[[str], None] | None) -> None:
    digests = [digest for (digest,) in _rows(store, report, "select digest from paths order by digest", str)]
    known = set(digests)
    for digest in digests:
        report.paths += 1
        try:
            info = store.path_infos.by_digest(digest)
        except Corrupt as error:
            report.problems.append(str(error))
            report.bad_paths.append(digest)
            continue
        if info is None or info.node is None:
            continue  # collected meanwhile
        if on_path is not None:
            on_path(info.path)
        for reference in info.references:
            if base_name(reference)[:32] not in known:
                report.problems.append(f"'{info.path}' refers to '{reference}', which is not there")
                report.bad_paths.append(base_name(info.path))
        try:
            for _ in checked(trees.nar_of(info.node, store), info, str(store.folder)):
                pass
        except (StoreError, NarError, OSError) as error:
            report.problems.append(f"'{info.path}': {error}")
            report.bad_paths.append(base_name(info.path))


def _check_realisations(store: LocalCastore, report: Report) -> None:
    for (id,) in _rows(store, report, "select id from realisations", str):
        try:
            store.realisations.get(id)
        except Corrupt as error:
            report.problems.append(f"{error}; what needs it is built again after its repair")
            report.bad_realisations.append(id)


def repair(store: LocalCastore, report: Report, other: Store) -> None:
    """Bring back from ``other`` what ``report`` says is damaged; what cannot be is added to the report's problems."""
    db = store.db
    with store.lock(exclusive=True):
        try:
            db.execute("begin immediate")
            _delete(db, "chunks", report.bad_chunks)
            _delete(db, "blobs", report.bad_blobs)
            _delete(db, "directories", report.bad_directories)
            db.executemany("delete from realisations where id = ?", [(id,) for id in report.bad_realisations])
            db.execute("commit")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("rollback")
            raise schema.as_store_error(error, store.path) from error
    store.packs.forget()
    pending = list(dict.fromkeys(report.bad_paths))
    seen = set(pending)
    while pending:
        name = pending.pop()
        try:
            info = other.by_digest(name[:32])
            if info is None:
                raise Missing(f"'{name}' is damaged, and not in {other.uri} either")
            _take_again(store, info, other)
        except (StoreError, NarError, OSError) as error:
            report.problems.append(str(error))
            continue
        report.repaired.append(info.path)
        for reference in info.references:
            base = base_name(reference)
            if base not in seen and store.path_infos.get(reference) is None:
                seen.add(base)
                pending.append(base)


def _take_again(store: LocalCastore, info: PathInfo, other: Store) -> None:
    with store.transaction(), CheckedSource(PiecesSource(other.nar(info)).read, info, other.uri) as checking:
        reader = NarReader(checking.read)
        try:
            node = trees.ingest_nar(reader, store)
            reader.expect_end_of_source()
        except NarError as error:
            raise Refused(f"'{info.path}': {error}") from error
        checking.expect()
        store.path_infos.put(info.with_node(node))


def _delete(db: sqlite3.Connection, table: str, digests: Iterable[bytes]) -> None:
    db.executemany(f"delete from {table} where digest = ?", [(digest,) for digest in digests])
