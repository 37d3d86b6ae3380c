"""The database of a local castore: its tables, and how it is opened."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from store.castore.services import Corrupt, Full, ReadOnly, StoreError
from store.sqlite import sqlite3

VERSION = 2
_UPGRADED = (0, 1)  # what is made into it by making the tables that are missing; 1 had no realisations

# A blob of one chunk has no row in `blobs`. `paths.info` is a PathInfo message, `paths.seal` a digest of the row,
# `paths.added` the second since 1970 when it was last put. `realisations.digest` is that of the path that `id` became.
_TABLES = """
create table if not exists packs (id integer primary key, name text not null unique, size integer not null) strict;
create table if not exists blocks (
    id integer primary key, pack integer references packs, at integer not null, stored integer not null,
    size integer not null, data blob) strict;
create index if not exists blocks_by_pack on blocks (pack);
create table if not exists chunks (
    digest blob primary key, block integer not null, at integer not null, size integer not null) strict, without rowid;
create table if not exists blobs (digest blob primary key, size integer not null, chunks blob not null)
    strict, without rowid;
create table if not exists directories (digest blob primary key, data blob not null) strict, without rowid;
create table if not exists paths (
    digest text primary key, info blob not null, seal blob not null, added integer not null) strict, without rowid;
create table if not exists realisations (
    id text primary key, digest text not null, info blob not null, seal blob not null) strict, without rowid;
create index if not exists realisations_by_path on realisations (digest);
create table if not exists roots (name text primary key, path text not null) strict, without rowid;
"""


class _Connection(sqlite3.Connection):
    """One that is closed when nobody refers to it any more, and so when nobody uses it.

    Closing it before, while another thread is within one of its methods, ends the process (CPython 3.11 and others).
    """

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):  # it could not be opened
            self.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the database at ``path``, made where it was not; many processes and threads may have one each.

    It is not to be closed but let go of, where another thread may use it.
    """
    try:
        connection: sqlite3.Connection = sqlite3.connect(
            path, timeout=120, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        _use_wal(connection)
        connection.execute("pragma synchronous = full")
        connection.execute("pragma cache_size = -32000")
        version = connection.execute("pragma user_version").fetchone()[0]
        if version in _UPGRADED:
            connection.execute("begin immediate")
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"pragma user_version = {VERSION}")
            connection.execute("commit")
        elif version != VERSION:
            raise StoreError(f"{path} was written by another version of tvix-lsp (format {version}, not {VERSION})")
    except sqlite3.Error as error:
        raise as_store_error(error, path) from error
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    # Two processes that open a new database at once: this statement does not wait for the other's lock by itself.
    for _ in range(600):
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY":
                raise
            time.sleep(0.02)
    connection.execute("pragma journal_mode = wal")


def a_number(value: object, path: Path) -> int:
    """A column that must be a number; :class:`Corrupt` when damage has made something else of it."""
    if not isinstance(value, int):
        raise Corrupt(f"{path}: a row is damaged")
    return value


def some_bytes(value: object, path: Path) -> bytes:
    """:func:`a_number` for bytes."""
    if not isinstance(value, bytes):
        raise Corrupt(f"{path}: a row is damaged")
    return value


def a_text(value: object, path: Path) -> str:
    """:func:`a_number` for text."""
    if not isinstance(value, str):
        raise Corrupt(f"{path}: a row is damaged")
    return value


def as_store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """What the database said, as the store's error."""
    text = str(error)
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_FULL") or name == "SQLITE_IOERR_WRITE":
        return Full(f"no room left for {path}: {text}; nothing that was stored before is lost")
    if name.startswith("SQLITE_CORRUPT") or name == "SQLITE_NOTADB":
        return Corrupt(f"{path}: {text}")
    if name.startswith("SQLITE_CANTOPEN") or name.startswith("SQLITE_READONLY"):
        return ReadOnly(
            f"{path} cannot be written to, which even reading a store takes: {text}; let this user write there, or "
            "name another store"
        )
    return StoreError(f"{path}: {text}")
