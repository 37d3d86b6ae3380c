"""NAR read as a stream: every archive that is not exactly as :mod:`store.nar` would write it is refused.

Specification: the Nix manual, "Nix Archive (NAR) format". The reader is asked for one event after the other and
holds no more than a chunk of the archive. Refused are, with the byte offset: a wrong magic, unknown or missing
tokens, padding that is not zeros, names that are empty, ``.``, ``..``, too long, hold ``/`` or NUL, stand twice or
out of order, targets that are empty or hold NUL, and an archive that ends early. Because names are checked,
unpacking cannot leave the folder that is unpacked to, and cannot follow a link that the archive itself made.

A *source* is any function that takes a number of bytes and answers at most so many, none at the end: ``file.read``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from store.nar import (
    CLOSE,
    DIRECTORY,
    ENTRY,
    EXECUTABLE,
    MAGIC,
    NODE,
    OPEN,
    PADDING,
    REGULAR,
    SYMLINK,
    NarError,
    Sink,
    is_name,
)
from store.store_path import to_bytes, to_text

Source = Callable[[int], bytes]

#: Events. What they leave on the reader: END nothing, FILE ``size`` and ``executable``, LINK ``target``, ENTER and
#: LEAVE nothing; ``name`` is that of the node in its directory, empty for the root.
END: Final = 0
FILE: Final = 1
LINK: Final = 2
ENTER: Final = 3
LEAVE: Final = 4

MAX_NAME: Final = 255
MAX_TARGET: Final = 4095
CHUNK: Final = 1 << 20


class NarReader:
    """Reads one archive from ``source``.

    After FILE the contents are taken with :meth:`contents` (or left: the next event skips them). After END the
    archive is complete; :meth:`expect_end_of_source` refuses what follows.
    """

    def __init__(self, source: Source) -> None:
        self._source: Final = source
        self._buffer = b""
        self._at = 0
        self._base = 0  # the offset in the archive of the buffer's first byte
        # The last name in each open directory, innermost last; empty before the first entry.
        self._names: list[bytes] = []
        self._started = False
        self._done = False
        self._left = -1  # bytes of the present file not yet taken; -1 when there is no file
        self.name = b""
        self.size = 0
        self.executable = False
        self.target = b""

    def offset(self) -> int:
        """How many bytes of the archive have been read."""
        return self._base + self._at

    def depth(self) -> int:
        """How many directories are open."""
        return len(self._names)

    def error(self, message: str) -> NarError:
        """A refusal at the present place, to be raised."""
        return NarError(f"bad archive: {message} (at byte {self.offset()})")

    def next(self) -> int:
        """The next event; see the constants. Raises :class:`NarError`."""
        if self._left >= 0:
            self._finish_file()
        if self._done:
            return END
        if not self._started:
            self._started = True
            self._expect(MAGIC, "'nix-archive-1'")
            self.name = b""
            return self._node()
        if not self._names:
            self._done = True
            return END
        if self._took(ENTRY):
            name = self._string(MAX_NAME, "a file name")
            if not is_name(name):
                raise self.error(f"invalid file name '{to_text(name)}'")
            last = self._names[-1]
            if name <= last:
                raise self.error(f"file name '{to_text(name)}' stands {'twice' if name == last else 'out of order'}")
            self._names[-1] = name
            self.name = name
            self._expect(NODE, "'node'")
            return self._node()
        if self._is_cut_short(ENTRY):
            raise self.error("unexpected end")
        self._expect(CLOSE, "an entry or the end of a directory")
        self._names.pop()
        self.name = self._names[-1] if self._names else b""
        self._end_node()
        return LEAVE

    def contents(self, limit: int = CHUNK) -> bytes:
        """At most ``limit`` more bytes of the present file; none when it has no more."""
        left = self._left
        if left <= 0:
            return b""
        buffer = self._buffer
        at = self._at
        ready = len(buffer) - at
        if ready == 0:
            data = self._source(left if left < limit else limit)
            if not data:
                raise self.error("unexpected end")
            size = len(data)
            if size > left or size > limit:
                raise self.error("the source answered more than it was asked for")
            self._base += at + size
            self._buffer = b""
            self._at = 0
            self._left = left - size
            return data
        size = left if left < limit else limit
        if ready < size:
            size = ready
        self._at = at + size
        self._left = left - size
        return buffer[at : at + size]

    def whole_file(self) -> bytes:
        """The rest of the present file in one piece: for files that :attr:`size` says are small."""
        left = self._left
        if left <= 0:
            return b""
        self._need(left)
        at = self._at
        self._at = at + left
        self._left = 0
        return self._buffer[at : at + left]

    def expect_end_of_source(self) -> None:
        """Refuse anything after the archive."""
        if self._at < len(self._buffer) or self._source(1):
            raise self.error("more bytes after the end")

    def _finish_file(self) -> None:
        while self._left > 0:
            self.contents()
        self._left = -1
        padding = PADDING[self.size & 7]
        self._expect(padding + CLOSE, "zeros and the end of a file")
        self._end_node()

    def _node(self) -> int:
        if self._took(REGULAR):
            self.executable = False
        elif self._took(EXECUTABLE):
            self.executable = True
        elif self._took(DIRECTORY):
            self._names.append(b"")
            return ENTER
        elif self._took(SYMLINK):
            target = self._string(MAX_TARGET, "a link's target")
            if not target or target.find(b"\0") >= 0:
                raise self.error(f"invalid target '{to_text(target)}' of a link")
            self._expect(CLOSE, "the end of a link")
            self.target = target
            self._end_node()
            return LINK
        else:
            self._expect(OPEN, "a node")
            if self._is_cut_short(EXECUTABLE[len(OPEN) :]) or self._is_cut_short(SYMLINK[len(OPEN) :]):
                raise self.error("unexpected end")
            if self._is_cut_short(REGULAR[len(OPEN) :]) or self._is_cut_short(DIRECTORY[len(OPEN) :]):
                raise self.error("unexpected end")
            raise self.error("a node is neither a file, a link nor a directory")
        self.size = self._number()
        self._left = self.size
        return FILE

    def _end_node(self) -> None:
        """What stands after a node in a directory; ``_names`` must already be that of its parent."""
        if self._names:
            self._expect(CLOSE, "the end of an entry")

    def _fill(self, size: int) -> bool:
        """Have ``size`` bytes in the buffer; false when the source has no more."""
        buffer = self._buffer
        at = self._at
        ready = len(buffer) - at
        if ready >= size:
            return True
        parts = [buffer[at:]]
        self._base += at
        self._at = 0
        while ready < size:
            data = self._source(CHUNK if size - ready < CHUNK else size - ready)
            if not data:
                break
            parts.append(data)
            ready += len(data)
        self._buffer = b"".join(parts)
        return ready >= size

    def _need(self, size: int) -> None:
        if len(self._buffer) - self._at < size and not self._fill(size):
            raise self.error("unexpected end")

    def _took(self, token: bytes) -> bool:
        """Step over ``token`` if it stands here."""
        size = len(token)
        if len(self._buffer) - self._at < size:
            self._fill(size)
        if self._buffer.startswith(token, self._at):
            self._at += size
            return True
        return False

    def _expect(self, token: bytes, what: str) -> None:
        if not self._took(token):
            if self._is_cut_short(token):
                raise self.error("unexpected end")
            raise self.error(f"expected {what}")

    def _is_cut_short(self, token: bytes) -> bool:
        """Whether the source ended in the middle of ``token``."""
        return not self._fill(len(token)) and token.startswith(self._buffer[self._at :])

    def _number(self) -> int:
        self._need(8)
        at = self._at
        self._at = at + 8
        size = int.from_bytes(self._buffer[at : at + 8], "little")
        if size >> 63:
            raise self.error(f"a length of {size}")
        return size

    def _string(self, limit: int, what: str) -> bytes:
        size = self._number()
        if size > limit:
            raise self.error(f"{what} of {size} bytes is longer than {limit}")
        padding = PADDING[size & 7]
        self._need(size + len(padding))
        at = self._at
        end = at + size
        text = self._buffer[at:end]
        if padding and not self._buffer.startswith(padding, end):
            raise self.error("padding that is not zeros")
        self._at = end + len(padding)
        return text


class TeeSource:
    """A source that hands on what another one answers, and shows it to a sink (a hash, a file) on its way."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self._source: Final = source
        self._sink: Final = sink
        self.size = 0

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes."""
        data = self._source(limit)
        self.size += len(data)
        self._sink(data)
        return data


class BytesSource:
    """Bytes as a source."""

    def __init__(self, data: bytes) -> None:
        self._data: Final = data
        self._at = 0

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes."""
        at = self._at
        self._at = at + limit
        return self._data[at : at + limit]


def check(source: Source) -> int:
    """Read an archive to its end, which must be the source's too; answer its size. Raises :class:`NarError`."""
    reader = NarReader(source)
    while reader.next() != END:
        pass
    reader.expect_end_of_source()
    return reader.offset()


def unpack(reader: NarReader, path: str) -> None:
    """Lay out on disk, at ``path`` (where nothing may be yet), what an archive holds.

    Files are readable by all and executable by all or by none; times are now. Raises :class:`NarError` and
    ``OSError``; what was written until then is left to the caller to remove.
    """
    here = to_bytes(path)
    folders: list[bytes] = []
    while True:
        event = reader.next()
        if event == END:
            return
        if event == LEAVE:
            folders.pop()
            continue
        place = folders[-1] + b"/" + reader.name if folders else here
        if event == ENTER:
            os.mkdir(place)
            folders.append(place)
        elif event == LINK:
            os.symlink(reader.target, place)
        else:
            _unpack_file(reader, place)


def _unpack_file(reader: NarReader, place: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(place, flags, 0o777 if reader.executable else 0o666)
    try:
        while True:
            data = reader.contents()
            if not data:
                return
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:] if written else data)
    finally:
        os.close(descriptor)
