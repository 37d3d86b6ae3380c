"""NAR, the archive whose hash addresses sources: written as a stream.

Specification: the Nix manual, "Nix Archive (NAR) format". Every token is its length in 64 bits, little-endian,
its bytes, and zeros up to a multiple of 8; a directory's entries stand in the order of their names' bytes. Of
metadata there is only whether the owner may execute a file.

A *sink* is any function that takes bytes: ``hashlib.sha256().update``, ``file.write``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from store.store_path import to_bytes, to_text

Sink = Callable[[bytes], object]
#: (absolute path, ``"regular"``, ``"directory"``, ``"symlink"`` or ``"unknown"``) -> does the entry go in?
Filter = Callable[[str, str], bool]

_BUFFER: Final = 1 << 16
_CHUNK: Final = 1 << 18
PADDING: Final = [b"\0" * ((8 - size) % 8) for size in range(8)]


class NarError(ValueError):
    """Something that a NAR cannot hold."""


def _token(data: bytes) -> bytes:
    size = len(data)
    return size.to_bytes(8, "little") + data + PADDING[size & 7]


def _tokens(words: str) -> bytes:
    return b"".join([_token(word.encode()) for word in words.split()])


MAGIC: Final = _tokens("nix-archive-1")
OPEN: Final = _tokens("(")
CLOSE: Final = _tokens(")")
REGULAR: Final = _tokens("( type regular contents")
EXECUTABLE: Final = _tokens("( type regular executable") + _token(b"") + _tokens("contents")
SYMLINK: Final = _tokens("( type symlink target")
DIRECTORY: Final = _tokens("( type directory")
ENTRY: Final = _tokens("entry ( name")
NODE: Final = _tokens("node")


class NarWriter:
    """Writes an archive piece by piece: one node, which may be a directory with entries.

    The caller asks for nodes in the archive's order: ``directory``, then for each entry ``entry`` and its node,
    then ``end_directory``; at last ``finish``. Entries must come sorted by their names' bytes. What does not
    make an archive raises :class:`NarError`.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink: Final = sink
        self._parts: list[bytes] = [MAGIC]
        self._pending = len(MAGIC)
        self._size = len(MAGIC)
        # The last name in each open directory, innermost last; empty before the first entry.
        self._names: list[bytes] = []
        self._node_due = True

    def regular(self, contents: bytes, executable: bool = False) -> None:
        """A file with these contents."""
        self.begin_regular(len(contents), executable)
        self._put(contents)
        self.end_regular(len(contents))

    def begin_regular(self, size: int, executable: bool = False) -> None:
        """A file of ``size`` bytes, which come through :meth:`contents`; then :meth:`end_regular`."""
        self._start_node()
        self._put(EXECUTABLE if executable else REGULAR)
        self._put(size.to_bytes(8, "little"))

    def contents(self, data: bytes) -> None:
        """A part of the contents of the file that was begun."""
        self._put(data)

    def end_regular(self, size: int) -> None:
        """The end of a file of ``size`` bytes."""
        self._put(PADDING[size & 7] + CLOSE)
        self._end_node()

    def symlink(self, target: bytes) -> None:
        """A symbolic link."""
        if not target or b"\0" in target:
            raise NarError(f"a symbolic link cannot point to '{to_text(target)}'")
        self._start_node()
        self._put(SYMLINK)
        self._put(_token(target))
        self._put(CLOSE)
        self._end_node()

    def directory(self) -> None:
        """The beginning of a directory."""
        self._start_node()
        self._put(DIRECTORY)
        self._names.append(b"")

    def entry(self, name: bytes) -> None:
        """The name of the next entry of the innermost open directory; its node follows."""
        if not self._names or self._node_due:
            raise NarError("an entry outside a directory")
        if not name or name == b"." or name == b".." or b"/" in name or b"\0" in name:
            raise NarError(f"invalid file name '{to_text(name)}'")
        if name <= self._names[-1]:
            raise NarError(f"file name '{to_text(name)}' is not sorted")
        self._names[-1] = name
        self._put(ENTRY)
        self._put(_token(name))
        self._put(NODE)
        self._node_due = True

    def end_directory(self) -> None:
        """The end of the innermost open directory."""
        if not self._names or self._node_due:
            raise NarError("no directory to end")
        self._names.pop()
        self._put(CLOSE)
        self._end_node()

    def finish(self) -> int:
        """Hand the rest to the sink; answer how many bytes the archive has."""
        if self._names or self._node_due:
            raise NarError("unfinished archive")
        self._flush()
        return self._size

    def _start_node(self) -> None:
        if not self._node_due:
            raise NarError("a node without an entry")
        self._node_due = False

    def _end_node(self) -> None:
        if self._names:
            self._put(CLOSE)

    def _put(self, data: bytes) -> None:
        size = len(data)
        self._size += size
        if size >= _BUFFER:
            self._flush()
            self._sink(data)
            return
        self._parts.append(data)
        self._pending += size
        if self._pending >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._parts:
            self._sink(b"".join(self._parts))
            self._parts = []
            self._pending = 0


def write_nar(path: str, sink: Sink, keep: Filter | None = None) -> int:
    """Write the archive of the file, link or tree at ``path``; answer its size in bytes.

    ``keep`` is asked about each entry below ``path`` (not ``path`` itself), in the archive's order, with the
    entry's path as ``PATH/NAME``; a directory that it refuses is not entered. Raises ``OSError`` for what cannot
    be read and :class:`NarError` for sockets, devices and the like, and when a file changes its size meanwhile.
    """
    writer = NarWriter(sink)
    pending: list[_Folder] = []
    root = to_bytes(path)
    _write_node(writer, root, _kind_of_mode(os.lstat(root).st_mode), pending)
    while pending:
        folder = pending[-1]
        name = folder.next_name()
        if name is None:
            pending.pop()
            writer.end_directory()
            continue
        kind = folder.kinds[name]
        child = folder.path + b"/" + name
        if keep is None or keep(to_text(child), kind):
            writer.entry(name)
            _write_node(writer, child, kind, pending)
    return writer.finish()


def nar_pieces(path: str) -> Iterator[bytes]:
    """:func:`write_nar`'s archive in pieces, for who asks for them instead of being handed them."""
    ready: list[bytes] = []
    writer = NarWriter(ready.append)
    pending: list[_Folder] = []
    place = to_bytes(path)
    kind = _kind_of_mode(os.lstat(place).st_mode)
    while True:
        if kind == "regular":
            descriptor = _open_file(place)
            try:
                status = os.fstat(descriptor)
                size = status.st_size
                writer.begin_regular(size, status.st_mode & stat.S_IXUSR != 0)
                left = size
                while left > 0:
                    data = os.read(descriptor, min(left, _CHUNK))
                    if not data:
                        raise _became_shorter(place)
                    writer.contents(data)
                    left -= len(data)
                    for piece in ready:
                        yield piece
                    ready.clear()
                writer.end_regular(size)
            finally:
                os.close(descriptor)
        else:
            _write_node(writer, place, kind, pending)
        entered = False
        while pending:
            folder = pending[-1]
            name = folder.next_name()
            if name is None:
                pending.pop()
                writer.end_directory()
                continue
            writer.entry(name)
            kind = folder.kinds[name]
            place = folder.path + b"/" + name
            entered = True
            break
        if not entered:
            writer.finish()
        for piece in ready:
            yield piece
        ready.clear()
        if not entered:
            return


def nar_sha256(path: str, keep: Filter | None = None) -> bytes:
    """The SHA-256 digest of :func:`write_nar`'s archive."""
    import hashlib

    hasher = hashlib.sha256()
    write_nar(path, hasher.update, keep)
    return hasher.digest()


class _Folder:
    """A directory being walked: its entries in order, with their kinds."""

    def __init__(self, path: bytes) -> None:
        self.path: Final = path
        self.kinds: Final[dict[bytes, str]] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                self.kinds[entry.name] = _kind_of_entry(entry)
        self._names: Final = sorted(self.kinds)
        self._next = 0

    def next_name(self) -> bytes | None:
        if self._next >= len(self._names):
            return None
        self._next += 1
        return self._names[self._next - 1]


def _write_node(writer: NarWriter, path: bytes, kind: str, pending: list[_Folder]) -> None:
    """Write the node at ``path``; of a directory only its beginning, then it is the last of ``pending``."""
    if kind == "regular":
        _write_file(writer, path)
    elif kind == "directory":
        folder = _Folder(path)
        writer.directory()
        pending.append(folder)
    elif kind == "symlink":
        writer.symlink(os.readlink(path))
    else:
        raise NarError(f"file '{to_text(path)}' has an unsupported type")


def _open_file(path: bytes) -> int:
    """A descriptor of the regular file at ``path``."""
    # The directory said that it is a regular file; should it have been swapped since, do not follow or block.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NarError(f"file '{to_text(path)}' has an unsupported type")
    return descriptor


def _became_shorter(path: bytes) -> NarError:
    return NarError(f"unexpected end-of-file: '{to_text(path)}' became shorter while it was read")


def _write_file(writer: NarWriter, path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NarError(f"file '{to_text(path)}' has an unsupported type")
        size = status.st_size
        writer.begin_regular(size, status.st_mode & stat.S_IXUSR != 0)
        left = size
        while left > 0:
            data = os.read(descriptor, min(left, _CHUNK))
            if not data:
                raise _became_shorter(path)
            writer.contents(data)
            left -= len(data)
        writer.end_regular(size)
    finally:
        os.close(descriptor)


def _kind_of_mode(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "regular"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    return "unknown"


def _kind_of_entry(entry: os.DirEntry[bytes]) -> str:
    if entry.is_symlink():
        return "symlink"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    if entry.is_file(follow_symlinks=False):
        return "regular"
    return "unknown"
