"""What was fetched before: a small database in the user's cache folder, shared by any number of processes.

A row says which store path an address led to and when that was last seen to be so. Losing the file loses nothing but
time; whether the store still has the path is for the store to say.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from store.sqlite import sqlite3

_FILE = "fetched-1.sqlite3"
_SCHEMA = "CREATE TABLE IF NOT EXISTS fetched (key TEXT PRIMARY KEY, value TEXT NOT NULL, checked REAL NOT NULL)"
_PATIENCE = 10.0  # seconds that another process may write


class Memory:
    """The database in ``folder``. What goes wrong with it is as if nothing were known."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def recall(self, **key: object) -> tuple[dict[str, Any], float] | None:
        """What is known of a fetch, and how many seconds ago it was seen to be so."""
        try:
            with self._open() as connection:
                row = connection.execute("SELECT value, checked FROM fetched WHERE key = ?", (_text(key),)).fetchone()
            if row is None:
                return None
            value = json.loads(row[0])
        except (sqlite3.Error, OSError, ValueError):
            return None
        # A clock that was set back makes nothing younger than it is.
        return value, max(0.0, time.time() - row[1]) if row[1] <= time.time() + 1 else float("inf")

    def remember(self, value: dict[str, Any], **key: object) -> None:
        """Notes what a fetch gave just now."""
        row = (_text(key), json.dumps(value), time.time())
        try:
            with self._open() as connection:
                connection.execute("INSERT OR REPLACE INTO fetched VALUES (?, ?, ?)", row)
        except (sqlite3.Error, OSError):
            pass

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = self._ready()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # busy, or a disk that is full: not the file's fault
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            connection = self._ready()
        with closing(connection), connection:
            yield connection

    def _ready(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_PATIENCE)
        try:
            # Nothing waits for the disk: after a power cut a file that is damaged is as good as none. And no
            # write-ahead log: two processes that begin one at the same time are told "busy" without any patience.
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_SCHEMA)
        except BaseException:
            connection.close()
            raise
        return connection


def _text(key: dict[str, object]) -> str:
    return json.dumps(key, sort_keys=True)
