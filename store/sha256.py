"""SHA-256 that loads OpenSSL only for much: loading it takes 2.5 ms, which is a third of what a container takes.

Python has an implementation of its own besides, four times slower. Specification: FIPS 180-4.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hashlib import _Hash

#: So many bytes at most are left to Python's own implementation, in one hash and in all of a process.
LITTLE: Final = 1 << 18
_MODULES: Final = ("_sha2", "_sha256")  # where it is: from Python 3.12 on, before; a distribution may leave it out
_left: Final[list[int]] = [LITTLE]


class Sha256:
    """A hash being computed, as hashlib's are."""

    def __init__(self, data: bytes = b"") -> None:
        self._pieces: Final[list[bytes]] = []
        self._size = 0
        self._state: _Hash | None = _openssl() if _is_much() else None
        self.update(data)

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""
        if self._state is not None:
            self._state.update(data)
            return
        self._size += len(data)
        self._pieces.append(bytes(data))  # a copy of what its owner may change
        if self._size > LITTLE:
            self._begin(_openssl())

    def digest(self) -> bytes:
        """The digest of all that came."""
        return self._all().digest()

    def hexdigest(self) -> str:
        """The same in hexadecimal."""
        return self._all().hexdigest()

    def _all(self) -> _Hash:
        if self._state is None:
            _left[0] -= self._size
            self._begin(_own())
        state = self._state
        assert state is not None
        return state

    def _begin(self, state: _Hash) -> None:
        for piece in self._pieces:
            state.update(piece)
        self._pieces.clear()
        self._state = state


def sha256(data: bytes) -> bytes:
    """The digest of ``data``."""
    if not _is_much():
        return Sha256(data).digest()
    import hashlib

    return hashlib.sha256(data).digest()


def _is_much() -> bool:
    """Whether OpenSSL is there already, or worth its while."""
    return _left[0] < 0 or "hashlib" in sys.modules


def _own() -> _Hash:
    for name in _MODULES:
        try:
            made: _Hash = __import__(name).sha256()
        except ImportError:
            continue
        return made
    return _openssl()


def _openssl() -> _Hash:
    import hashlib

    return hashlib.sha256()
