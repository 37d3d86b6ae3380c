"""Work on large contents beside the thread that handles them: hashing, and fetching what is read next.

hashlib and blake3 let other threads run while they hash, so do decompressing, reading and asking the database: two
processors are put to use. Nothing here is begun for little, nor where there is only one processor.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Protocol

# So many bytes come before a thread is begun for the rest.
_LITTLE = 1 << 21
# So many pieces wait at most.
_WAITING = 8


class Hash(Protocol):
    """hashlib's objects, and blake3's."""

    def update(self, data: bytes, /) -> object:
        """Take more bytes."""

    def digest(self) -> bytes:
        """The digest of all of them."""


class Sum:
    """A hash; of much, it is computed in a thread of its own. To be closed, as a context manager."""

    def __init__(self, hasher: Hash) -> None:
        self._hasher = hasher
        self._direct = _LITTLE if _processors() > 1 else 1 << 63
        self._thread: Thread | None = None
        self._work: SimpleQueue[bytes | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()

    def __enter__(self) -> Sum:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update(self, data: bytes) -> None:
        """Take more bytes."""
        if self._thread is None:
            self._direct -= len(data)
            if self._direct >= 0:
                self._hasher.update(data)
                return
            for _ in range(_WAITING):
                self._room.put(None)
            self._thread = Thread(target=self._run, name="sum", daemon=True)
            self._thread.start()
        self._room.get()
        self._work.put(data)

    def digest(self) -> bytes:
        """The digest of all that came; no more may come."""
        self.close()
        return self._hasher.digest()

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
            self._thread = None
            self._direct = 1 << 63

    def _run(self) -> None:
        hasher, work, room = self._hasher, self._work, self._room
        while (data := work.get()) is not None:
            hasher.update(data)
            room.put(None)


def ahead(pieces: Generator[bytes, None, None] | Iterator[bytes]) -> Generator[bytes, None, None]:
    """``pieces``, of which some are fetched before they are asked for, in a thread of its own if they are many.

    What fetching raises is raised here, after the pieces that came before it. Closing it closes ``pieces``.
    """
    try:
        size = 0
        for piece in pieces:
            yield piece
            size += len(piece)
            if size > _LITTLE and _processors() > 1:
                yield from _fetched(pieces)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def _fetched(pieces: Iterator[bytes]) -> Iterator[bytes]:
    found: SimpleQueue[bytes | BaseException | None] = SimpleQueue()
    room: SimpleQueue[bool] = SimpleQueue()

    def fetch() -> None:
        try:
            for piece in pieces:
                found.put(piece)
                if not room.get():
                    break
            found.put(None)
        except BaseException as error:
            found.put(error)

    for _ in range(_WAITING):
        room.put(True)
    thread = Thread(target=fetch, name="ahead", daemon=True)
    thread.start()
    try:
        while (got := found.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            yield got
            room.put(True)
    finally:
        room.put(False)  # after what it was promised, which is not much
        thread.join()


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
