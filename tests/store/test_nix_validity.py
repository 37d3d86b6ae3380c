"""Which paths Nix has finished, by its database: whoever may read it, and whoever writes to it meanwhile."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.backends.nix_valid import NixValidity

THERE = "/nix/store/ffffffffffffffffffffffffffffffff-there"
LATER = "/nix/store/ffffffffffffffffffffffffffffffff-later"
NEVER = "/nix/store/ffffffffffffffffffffffffffffffff-never"
SCHEMA = """
create table ValidPaths (id integer primary key autoincrement not null, path text unique not null, hash text not null,
    registrationTime integer not null, deriver text, narSize integer, ultimate integer, sigs text, ca text)
"""


def put(database: sqlite3.Connection, path: str) -> None:
    database.execute("insert into ValidPaths (path, hash, registrationTime) values (?, 'sha256:00', 1)", (path,))
    database.commit()


@pytest.fixture(params=["wal", "truncate"])
def state(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A state folder of Nix, with a database that has THERE and that nobody has open."""
    (tmp_path / "db").mkdir()
    with closing(sqlite3.connect(tmp_path / "db" / "db.sqlite")) as database:
        database.execute(f"pragma journal_mode = {request.param}")
        database.execute(SCHEMA)
        put(database, THERE)
    return tmp_path


@pytest.fixture
def validity(state: Path) -> Iterator[NixValidity]:
    asked = NixValidity(str(state))
    yield asked
    asked.close()


def test_what_nix_has_finished_is_valid_and_nothing_else(validity: NixValidity) -> None:
    assert validity.is_valid(THERE) is True
    assert validity.is_valid(NEVER) is False
    assert validity.is_valid(THERE[:-1]) is False


def test_asking_leaves_no_files_behind(state: Path, validity: NixValidity) -> None:
    before = sorted(os.listdir(state / "db"))
    assert validity.is_valid(THERE) is True
    assert sorted(os.listdir(state / "db")) == before
    validity.close()
    assert sorted(os.listdir(state / "db")) == before


def test_what_nix_finishes_meanwhile_is_seen(state: Path, validity: NixValidity) -> None:
    assert validity.is_valid(LATER) is False
    with closing(sqlite3.connect(state / "db" / "db.sqlite")) as database:
        put(database, LATER)
        assert validity.is_valid(LATER) is True  # Nix has it open still
        database.execute("delete from ValidPaths where path = ?", (THERE,))
        database.commit()
        assert validity.is_valid(THERE) is False
    assert validity.is_valid(THERE) is False
    assert validity.is_valid(LATER) is True


def test_nobody_can_tell_while_somebody_keeps_all_others_out(
    state: Path, validity: NixValidity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.backends.nix_valid._PATIENCE", 0.01)
    with closing(sqlite3.connect(state / "db" / "db.sqlite", isolation_level=None)) as database:
        database.execute("pragma locking_mode = exclusive")
        for end in ("commit", ""):
            database.execute("begin exclusive")
            database.execute("update ValidPaths set hash = 'sha256:01'")
            database.execute(end)
        assert validity.is_valid(NEVER) is None
        database.execute("rollback")
    assert validity.is_valid(NEVER) is False


def test_a_journal_that_a_killed_nix_left_counts_where_it_may_be_read(tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    (tmp_path / "db").mkdir()
    with closing(sqlite3.connect(live / "db.sqlite")) as database:
        database.execute("pragma journal_mode = wal")
        database.execute(SCHEMA)
        put(database, THERE)
        database.execute("pragma wal_checkpoint(truncate)")
        put(database, LATER)
        for name in ("db.sqlite", "db.sqlite-wal"):
            shutil.copy(live / name, tmp_path / "db" / name)
    with closing(NixValidity(str(tmp_path))) as validity:
        assert validity.is_valid(THERE) is True
        assert validity.is_valid(LATER) is True
        assert validity.is_valid(NEVER) is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_journal_that_may_not_be_read_leaves_open_what_is_missing(tmp_path: Path) -> None:
    test_a_journal_that_a_killed_nix_left_counts_where_it_may_be_read(tmp_path)
    (tmp_path / "db" / "db.sqlite-shm").unlink(missing_ok=True)
    (tmp_path / "db").chmod(0o555)
    try:
        with closing(NixValidity(str(tmp_path))) as validity:
            assert validity.is_valid(THERE) is True
            assert validity.is_valid(NEVER) is None
    finally:
        (tmp_path / "db").chmod(0o755)


@pytest.mark.parametrize("content", [None, b"", b"this is no database", b"SQLite format 3\0" + bytes(200)])
def test_nobody_can_tell_without_a_database_of_nix(tmp_path: Path, content: bytes | None) -> None:
    (tmp_path / "db").mkdir()
    if content is not None:
        (tmp_path / "db" / "db.sqlite").write_bytes(content)
    with closing(NixValidity(str(tmp_path))) as validity:
        assert validity.is_valid(THERE) is None
        assert validity.is_valid(NEVER) is None


def test_nobody_can_tell_from_another_schema(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    with closing(sqlite3.connect(tmp_path / "db" / "db.sqlite")) as database:
        database.execute("create table Paths (path text)")
        database.commit()
    with closing(NixValidity(str(tmp_path))) as validity:
        assert validity.is_valid(THERE) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_nobody_can_tell_where_the_folder_may_not_be_entered(state: Path, validity: NixValidity) -> None:
    (state / "db").chmod(0)
    try:
        assert validity.is_valid(THERE) is None
    finally:
        (state / "db").chmod(0o755)
    assert validity.is_valid(THERE) is True
