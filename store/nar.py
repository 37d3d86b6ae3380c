"""NAR, the archive whose hash addresses sources: written as a stream.

Specification: the Nix manual, "Nix Archive (NAR) format". Every token is its length in 64 bits, little-endian,
its bytes, and zeros up to a multiple of 8; a directory's entries stand in the order of their names' bytes. Of
metadata there is only whether the owner may execute a file.

A *sink* is any function that takes bytes: ``Sha256().update``, ``file.write``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from store.sha256 import Sha256
from store.store_path import to_bytes, to_text

Sink = Callable[[bytes], object]
#: (absolute path, ``"regular"``, ``"directory"``, ``"symlink"`` or ``"unknown"``) -> does the entry go in?
Filter = Callable[[str, str], bool]

_BUFFER: Final = 1 << 16
_CHUNK: Final = 1 << 18
#: How files are opened that their directory said are regular: should one have been swapped since, do not follow it
#: and do not wait for it.
READING: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
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


def is_name(name: bytes) -> bool:
    """Whether an entry of a directory can be called so."""
    # `b"/" in name` would first fail to take b"/" for a number, which costs more than all the rest.
    return len(name) > 0 and name != b"." and name != b".." and name.find(b"/") < 0 and name.find(b"\0") < 0


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
        if not target or target.find(b"\0") >= 0:
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
        if not is_name(name):
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
    walk = _Walk(path, NarWriter(sink), keep)
    try:
        while walk.step():
            pass
    finally:
        walk.close()
    return walk.writer.finish()


def nar_pieces(path: str) -> Iterator[bytes]:
    """:func:`write_nar`'s archive in pieces, for who asks for them instead of being handed them."""
    ready: list[bytes] = []
    walk = _Walk(path, NarWriter(ready.append), None)
    try:
        more = True
        while more:
            more = walk.step()
            if not more:
                walk.writer.finish()
            yield from ready
            ready.clear()
    finally:
        walk.close()


def nar_sha256(path: str, keep: Filter | None = None) -> bytes:
    """The SHA-256 digest of :func:`write_nar`'s archive."""
    hasher = Sha256()
    write_nar(path, hasher.update, keep)
    return hasher.digest()


class _Folder:
    """A directory being walked: its entries in order, with their kinds."""

    def __init__(self, path: bytes) -> None:
        self.path: Final = path
        self.kinds: Final[dict[bytes, str]] = {}
        with os.scandir(path) as entries:
            for entry in entries:
                self.kinds[entry.name] = kind_of_entry(entry)
        self._names: Final = sorted(self.kinds)
        self._next = 0

    def next_name(self) -> bytes | None:
        if self._next >= len(self._names):
            return None
        self._next += 1
        return self._names[self._next - 1]


class _Walk:
    """A tree on disk on its way into an archive, one step after the other: a node, or a part of a large file."""

    def __init__(self, path: str, writer: NarWriter, keep: Filter | None) -> None:
        self.writer: Final = writer
        self._keep: Final = keep
        self._pending: list[_Folder] = []
        self._path = to_bytes(path)
        self._kind = kind_of_mode(os.lstat(self._path).st_mode)
        # The file being read: its descriptor (-1 when there is none), its size, and how much of it is still to come.
        self._descriptor = -1
        self._size = 0
        self._left = 0

    def step(self) -> bool:
        """Write the next part; whether there is more."""
        if self._descriptor < 0:
            self._begin()
        if self._descriptor >= 0:
            self._read()
            if self._descriptor >= 0:
                return True
        return self._next()

    def close(self) -> None:
        """Let go of the file being read."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _begin(self) -> None:
        """Begin the present node; a small file is written whole, a directory is entered."""
        path = self._path
        kind = self._kind
        if kind == "regular":
            self._open(path)
        elif kind == "directory":
            folder = _Folder(path)
            self.writer.directory()
            self._pending.append(folder)
        elif kind == "symlink":
            self.writer.symlink(os.readlink(path))
        else:
            raise unsupported(path)

    def _open(self, path: bytes) -> None:
        descriptor = os.open(path, READING)
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        mode = status.st_mode
        if not stat.S_ISREG(mode):
            raise unsupported(path)
        self._size = self._left = status.st_size
        self.writer.begin_regular(status.st_size, mode & stat.S_IXUSR != 0)

    def _read(self) -> None:
        """Write the next part of the open file, and its end after the last."""
        left = self._left
        if left > 0:
            data = os.read(self._descriptor, left if left < _CHUNK else _CHUNK)
            if not data:
                raise became_shorter(self._path)
            self.writer.contents(data)
            self._left = left = left - len(data)
        if left <= 0:
            self.close()
            self.writer.end_regular(self._size)

    def _next(self) -> bool:
        """Go on to the next node that is wanted; whether there is one."""
        while self._pending:
            folder = self._pending[-1]
            name = folder.next_name()
            if name is None:
                self._pending.pop()
                self.writer.end_directory()
                continue
            kind = folder.kinds[name]
            path = folder.path + b"/" + name
            if self._keep is None or self._keep(to_text(path), kind):
                self.writer.entry(name)
                self._path = path
                self._kind = kind
                return True
        return False


def became_shorter(path: bytes) -> NarError:
    """A file lost bytes while it was read."""
    return NarError(f"unexpected end-of-file: '{to_text(path)}' became shorter while it was read")


def unsupported(path: bytes) -> NarError:
    """A socket, a device or the like."""
    return NarError(f"file '{to_text(path)}' has an unsupported type")


def kind_of_mode(mode: int) -> str:
    """``"regular"``, ``"directory"``, ``"symlink"`` or ``"unknown"``: what :data:`Filter` is told of a file."""
    if stat.S_ISREG(mode):
        return "regular"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    return "unknown"


def kind_of_entry(entry: os.DirEntry[bytes]) -> str:
    """:func:`kind_of_mode` of an entry that ``os.scandir`` found, mostly without asking the system."""
    if entry.is_symlink():
        return "symlink"
    # It is no link, so nothing is followed; a call without arguments is cheaper.
    if entry.is_file():
        return "regular"
    if entry.is_dir():
        return "directory"
    return "unknown"
