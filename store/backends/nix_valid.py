"""Which paths a Nix installation has finished, asked of its database without its help.

What merely lies in its store folder may be half of something, or nobody's: Nix builds it anew. Specification: the table
``ValidPaths`` of schema 10.
"""

from __future__ import annotations

import os

from store.sqlite import sqlite3

_PATIENCE = 2.0  # seconds, where somebody holds a lock
_ATTEMPTS = 4


class NixValidity:
    """The answer of one Nix installation. One connection, opened when the first question is put."""

    def __init__(self, state_dir: str = "/nix/var/nix") -> None:
        self._database = os.path.join(state_dir, "db", "db.sqlite")
        self._db: sqlite3.Connection | None = None
        self._stamp: tuple[tuple[int, ...], ...] = ()
        self._is_partial = False

    def is_valid(self, path: str) -> bool | None:
        """Whether Nix has finished the store path ``path``; None where nobody can tell.

        That is so where there is no database, or one that may not be read, is locked, damaged, or of another schema,
        and where what it lacks may stand in a journal that only Nix may read.
        """
        try:
            for _ in range(_ATTEMPTS):
                stamp = self._look()
                if self._db is None or stamp != self._stamp:
                    self._open(stamp)
                found = self._ask(path)
                # What is read as unchanging is read without locks: then it must not have changed meanwhile.
                if self._look() == stamp:
                    return None if self._is_partial and not found else found
        except (OSError, sqlite3.Error):
            self.close()
        return None

    def close(self) -> None:
        """Lets go of the database's files; the next question opens them anew."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _ask(self, path: str) -> bool:
        assert self._db is not None
        return self._db.execute("select 1 from ValidPaths where path = ?", (path,)).fetchone() is not None

    def _look(self) -> tuple[tuple[int, ...], ...]:
        """What tells one state of the database from another. Raises OSError where there is none."""
        return (_stamp_of(self._database), *(_journal_stamp(self._database + end) for end in ("-wal", "-journal")))

    def _open(self, stamp: tuple[tuple[int, ...], ...]) -> None:
        """Connects. Raises sqlite3.Error."""
        self.close()
        self._is_partial = False
        self._stamp = stamp
        if any(stamp[1:]):  # somebody writes, or was killed when writing
            try:
                self._db = self._connect("mode=ro")
                self._ask("")
                return
            except sqlite3.Error as error:
                self.close()
                # Without the right to write its -shm file, a database in WAL mode is only readable as it was before.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CANTOPEN:
                    raise
                self._is_partial = True
        # Nobody writes: opened in any other mode, a database in WAL mode would get files beside it that stay.
        self._db = self._connect("mode=ro&immutable=1")

    def _connect(self, mode: str) -> sqlite3.Connection:
        from urllib.parse import quote

        address = f"file:{quote(self._database)}?{mode}"
        return sqlite3.connect(address, uri=True, timeout=_PATIENCE, check_same_thread=False)


def _stamp_of(file: str) -> tuple[int, ...]:
    status = os.stat(file)
    return status.st_ino, status.st_size, status.st_mtime_ns


def _journal_stamp(file: str) -> tuple[int, ...]:
    """Empty for a journal in which nothing is."""
    try:
        stamp = _stamp_of(file)
    except FileNotFoundError:
        return ()
    return stamp if stamp[1] else ()
