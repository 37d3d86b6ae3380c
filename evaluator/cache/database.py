"""The file that holds the answers: one SQLite database for all processes of a user.

It is a cache and nothing but: whatever goes wrong with it (locked, read-only, full disk, damaged) means that there is
no answer in it. Each row carries a seal over its contents, so that a damaged file gives no damaged answer; because of
it nothing waits for the disk either.
"""

from __future__ import annotations

import os
import time

from evaluator.io.observation import blake2b
from store.sqlite import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LIMIT_BYTES: Final = 256 << 20
"""How much the answers may take before those that were used longest ago go."""

_LARGEST_SHARE: Final = 8
"""An answer that takes more than this part of the limit is not kept."""

_KEPT_PART: Final = 0.8
"""What is kept of the limit when something has to go: not every new answer shall push out an old one."""

_ROW_BYTES: Final = 200
"""What a row takes besides its contents, about."""

_USE_SECONDS: Final = 600
"""Uses are noted no more often than this, for noting is writing."""

_WAIT_TO_READ: Final = 0.25
_WAIT_TO_WRITE: Final = 5.0

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS answers (
    key BLOB PRIMARY KEY, reads BLOB NOT NULL, said BLOB NOT NULL, text BLOB NOT NULL, seal BLOB NOT NULL,
    size INTEGER NOT NULL, used INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_by_use ON answers (used, size);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);
CREATE TRIGGER IF NOT EXISTS answer_came AFTER INSERT ON answers
    BEGIN UPDATE total SET bytes = bytes + new.size; END;
CREATE TRIGGER IF NOT EXISTS answer_went AFTER DELETE ON answers
    BEGIN UPDATE total SET bytes = bytes - old.size; END;
"""


class Row:
    """What is kept of an answer: packed observations, what was said on the way, the answer itself."""

    def __init__(self, reads: bytes, said: bytes, text: bytes) -> None:
        self.reads: Final = reads
        self.said: Final = said
        self.text: Final = text

    def size(self) -> int:
        """In bytes."""
        return len(self.reads) + len(self.said) + len(self.text)

    def seal(self, key: bytes) -> bytes:
        """What tells a damaged row, or one under another's key."""
        hasher = blake2b(key, digest_size=20)
        for part in (self.reads, self.said, self.text):
            hasher.update(b"%d:" % len(part))
            hasher.update(part)
        return hasher.digest()


class Database:
    """The answers in the database at ``path``; nothing is raised, and nothing is opened before it is needed."""

    def __init__(self, path: str, limit: int = LIMIT_BYTES) -> None:
        self._path: Final = path
        self._limit: Final = limit

    def find(self, key: bytes) -> Row | None:
        """The row of a key, None if there is none."""
        if not os.path.exists(self._path):
            return None
        try:
            return self._select(key)
        except sqlite3.Error as error:
            if _is_damaged(error):
                self._remove()
        except (TypeError, ValueError):  # what a damaged file makes of rows and of messages
            self._remove()
        return None

    def _select(self, key: bytes) -> Row | None:
        connection = sqlite3.connect(self._path, timeout=_WAIT_TO_READ, isolation_level=None)
        try:
            query = "SELECT reads, said, text, seal, used FROM answers WHERE key = ?"
            found = connection.execute(query, (key,)).fetchone()
            if found is None:
                return None
            reads, said, text, seal, used = found
            row = Row(reads, said, text)
            if row.seal(key) != seal:
                raise ValueError("a row that was written otherwise")
            now = int(time.time())
            if not 0 <= now - used < _USE_SECONDS:
                self._use(connection, key, now)
            return row
        finally:
            connection.close()

    def _use(self, connection: sqlite3.Connection, key: bytes, now: int) -> None:
        try:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("UPDATE answers SET used = ? WHERE key = ?", (now, key))
        except sqlite3.Error:
            return  # somebody is writing: this use goes unnoticed

    def keep(self, key: bytes, row: Row) -> None:
        """Keeps an answer, in place of an older one to the same request."""
        size = row.size() + _ROW_BYTES
        if size > self._limit // _LARGEST_SHARE:
            return
        try:
            self._insert(key, row, size)
        except sqlite3.Error as error:
            if _is_damaged(error) or _code(error) == sqlite3.SQLITE_ERROR:  # or has other tables than ours
                self._remove()
        except (TypeError, ValueError):
            self._remove()
        except (OSError, OverflowError):
            pass

    def _insert(self, key: bytes, row: Row, size: int) -> None:
        folder = os.path.dirname(self._path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        # Answers may be anything, a password in a configuration too: nobody else's business.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=_WAIT_TO_WRITE, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _statements(_SCHEMA):
                connection.execute(statement)
            now = int(time.time())
            connection.execute("DELETE FROM answers WHERE key = ?", (key,))
            self._make_room(connection, size)
            values = (key, row.reads, row.said, row.text, row.seal(key), size, now)
            connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _make_room(self, connection: sqlite3.Connection, size: int) -> None:
        (total,) = connection.execute("SELECT bytes FROM total").fetchone()
        if total + size <= self._limit:
            return
        excess = total + size - int(self._limit * _KEPT_PART)
        for rowid, freed in connection.execute("SELECT rowid, size FROM answers ORDER BY used, rowid").fetchall():
            connection.execute("DELETE FROM answers WHERE rowid = ?", (rowid,))
            excess -= freed
            if excess <= 0:
                break

    def _remove(self) -> None:
        # SQLite throws away a log that stands beside an empty or new database: the database goes first.
        for suffix in ("", "-wal", "-shm"):
            try:
                os.unlink(self._path + suffix)
            except OSError:
                continue


def _statements(script: str) -> list[str]:
    """The statements of the schema, one by one: ``executescript`` would commit before it."""
    found: list[str] = []
    pending = ""
    for part in script.split(";"):
        pending += part + ";"
        if sqlite3.complete_statement(pending):
            found.append(pending)
            pending = ""
    return found


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_BUSY) & 0xFF


def _is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file cannot be read: not one of locks, rights or space."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
