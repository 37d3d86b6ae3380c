"""From disk or from an archive into a castore, and out of it as an archive.

One pass does it all: contents go to the blobs and, on their way, through the archive's writer, whose hash is what a
store path is computed from.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from store.castore.background import Sum
from store.castore.nodes import Directory, DirectoryNode, FileNode, Node, SymlinkNode
from store.castore.services import Castore, Corrupt, Missing
from store.chunking import WHOLE
from store.nar import READING, Filter, NarWriter, Sink, became_shorter, kind_of_entry, kind_of_mode, unsupported
from store.nar_reader import END, ENTER, FILE, LEAVE, NarReader
from store.sha256 import Sha256
from store.store_path import to_bytes, to_text

_PIECE: Final = 1 << 18
# How far `nar_of` walks ahead: small files, nodes.
_FILES: Final = 256
_STEPS: Final = 2048


class Ingested:
    """What was taken in: its root, and its archive's SHA-256 and size."""

    def __init__(self, node: Node, nar_sha256: bytes, nar_size: int) -> None:
        self.node: Final = node
        self.nar_sha256: Final = nar_sha256
        self.nar_size: Final = nar_size


class _Open:
    """A directory being taken in."""

    def __init__(self, path: bytes, names: list[tuple[bytes, str]]) -> None:
        self.path = path
        self.names = names
        self.next = 0
        self.entries: dict[bytes, Node] = {}


def ingest_path(path: str, castore: Castore, keep: Filter | None = None, *, also: Sink | None = None) -> Ingested:
    """Take in the file, link or tree at ``path``; ``keep`` as in :func:`store.nar.write_nar`.

    ``also`` is shown the archive. Raises ``OSError`` and :class:`NarError` as that does, and what the castore raises.
    """
    with Sum(Sha256()) as hasher:
        return _ingest_path(path, castore, keep, hasher, NarWriter(_both(hasher.update, also)))


def _ingest_path(path: str, castore: Castore, keep: Filter | None, hasher: Sum, writer: NarWriter) -> Ingested:
    directories = castore.directories
    root = to_bytes(path)
    stack: list[_Open] = []
    name = b""
    place = root
    kind = kind_of_mode(os.lstat(root).st_mode)
    while True:
        node: Node | None
        if kind == "regular":
            node = _ingest_file(place, writer, castore)
        elif kind == "symlink":
            target = os.readlink(place)
            writer.symlink(target)
            node = SymlinkNode(target)
        elif kind == "directory":
            writer.directory()
            stack.append(_Open(place, _entries(place)))
            node = None
        else:
            raise unsupported(place)
        while stack:
            folder = stack[-1]
            if node is not None:
                folder.entries[name] = node
                node = None
            # The next entry that is wanted, if there is one.
            while folder.next < len(folder.names):
                name, kind = folder.names[folder.next]
                folder.next += 1
                place = folder.path + b"/" + name
                if keep is None or keep(to_text(place), kind):
                    break
            else:
                writer.end_directory()
                stack.pop()
                node = directories.put(Directory(folder.entries))
                name = folder.path[folder.path.rfind(b"/") + 1 :]
                continue
            writer.entry(name)
            break
        else:
            assert node is not None
            size = writer.finish()
            return Ingested(node, hasher.digest(), size)


def ingest_nar(reader: NarReader, castore: Castore) -> Node:
    """Take in an archive. Raises :class:`NarError` and what the castore raises."""
    stack: list[tuple[bytes, dict[bytes, Node]]] = []
    root: Node | None = None
    blobs = castore.blobs
    while True:
        event = reader.next()
        if event == FILE:
            executable = reader.executable
            size = reader.size
            if size <= WHOLE:
                digest = blobs.put_whole(reader.whole_file())
            else:
                digest, size = blobs.put(iter(reader.contents, b""))
            node: Node = FileNode(digest, size, executable)
        elif event == ENTER:
            stack.append((reader.name, {}))
            continue
        elif event == LEAVE:
            name, entries = stack.pop()
            node = castore.directories.put(Directory(entries))
            if stack:
                stack[-1][1][name] = node
            else:
                root = node
            continue
        elif event == END:
            assert root is not None
            return root
        else:
            node = SymlinkNode(reader.target)
        if stack:
            stack[-1][1][reader.name] = node
        else:
            root = node


def nar_of(node: Node, castore: Castore) -> Iterator[bytes]:
    """The archive of ``node`` in pieces. Raises :class:`Missing` and :class:`Corrupt`, maybe after some of them.

    It walks ahead of what it writes, so that small files can be asked for by the hundred.
    """
    ready: list[bytes] = []
    writer = NarWriter(ready.append)
    walk = Ahead(node, castore)
    depth = 0
    while walk.gather():
        contents = iter(castore.blobs.read_many(walk.digests))
        for name, here in walk.steps:
            if here is None:
                depth -= 1
                writer.end_directory()
                continue
            if depth:
                writer.entry(name)
            if isinstance(here, DirectoryNode):
                depth += 1
                writer.directory()
            elif isinstance(here, SymlinkNode):
                writer.symlink(here.target)
            elif here.size <= WHOLE:
                data = next(contents)
                if len(data) != here.size:
                    raise _other_size(here, len(data))
                writer.regular(data, here.executable)
            else:
                writer.begin_regular(here.size, here.executable)
                left = here.size
                for piece in castore.blobs.read(here.digest):
                    left -= len(piece)
                    writer.contents(piece)
                    yield from ready
                    ready.clear()
                if left:
                    raise _other_size(here, here.size - left)
                writer.end_regular(here.size)
            if ready:
                yield from ready
                ready.clear()
    writer.finish()
    yield from ready


class Ahead:
    """A tree in a castore in the archive's order, some hundred nodes at a time.

    ``steps`` are names with their nodes, or None for the end of a directory; ``digests`` those of the small files;
    ``left`` the directories that end.
    """

    def __init__(self, node: Node, castore: Castore) -> None:
        self._castore: Final = castore
        self._first: Node | None = node
        self._open: list[_Entries] = []
        self.steps: list[tuple[bytes, Node | None]] = []
        self.digests: list[bytes] = []
        self.left: list[Directory] = []

    def gather(self) -> bool:
        """Have the next steps; whether there are any."""
        self.steps = []
        self.digests = []
        self.left = []
        first = self._first
        if first is not None:
            self._first = None
            self._add(b"", first)
            if isinstance(first, DirectoryNode):
                self._open.append(_Entries(directory_of(first, self._castore), self._castore))
        size = 0
        while self._open and size < WHOLE and len(self.digests) < _FILES and len(self.steps) < _STEPS:
            entries = self._open[-1]
            name = entries.next_name()
            if name is None:
                self._open.pop()
                self.steps.append((b"", None))
                self.left.append(entries.directory)
                continue
            node = entries.directory.entries[name]
            self._add(name, node)
            if isinstance(node, DirectoryNode):
                self._open.append(_Entries(entries.child(node), self._castore))
            elif isinstance(node, FileNode):
                size += node.size
        return len(self.steps) > 0

    def _add(self, name: bytes, node: Node) -> None:
        self.steps.append((name, node))
        if isinstance(node, FileNode) and node.size <= WHOLE:
            self.digests.append(node.digest)


class _Entries:
    """A directory that is being walked. Its own directories are asked for together."""

    def __init__(self, directory: Directory, castore: Castore) -> None:
        self.directory: Final = directory
        self._names: Final = list(directory.entries)
        self._next = 0
        self._castore: Final = castore
        self._coming: list[DirectoryNode] = [
            node for node in directory.entries.values() if isinstance(node, DirectoryNode)
        ]
        self._found: list[Directory] = []
        self._at = 0

    def next_name(self) -> bytes | None:
        if self._next >= len(self._names):
            return None
        self._next += 1
        return self._names[self._next - 1]

    def child(self, node: DirectoryNode) -> Directory:
        """The directory of ``node``, which must be asked for in the order of the entries."""
        if self._at % _FILES == 0:
            some = self._coming[self._at : self._at + _FILES]
            self._found = self._castore.directories.get_many([each.digest for each in some])
        self._at += 1
        return self._found[(self._at - 1) % _FILES]


def _other_size(node: FileNode, size: int) -> Corrupt:
    return Corrupt(f"blob {node.digest.hex()} has {size} bytes, its directory says {node.size}")


def directory_of(node: DirectoryNode, castore: Castore) -> Directory:
    """The directory that ``node`` stands for; :class:`Missing` when it is not there."""
    directory = castore.directories.get(node.digest)
    if directory is None:
        raise Missing(f"directory {node.digest.hex()} is missing")
    return directory


def lookup(node: Node, parts: list[bytes], castore: Castore) -> Node | None:
    """The node at a path (its names) below ``node``; None when there is none. Links are not followed."""
    for name in parts:
        if not isinstance(node, DirectoryNode):
            return None
        found = directory_of(node, castore).entries.get(name)
        if found is None:
            return None
        node = found
    return node


def walk(node: Node, castore: Castore) -> Iterator[tuple[bytes, Node, Directory | None]]:
    """Every node from ``node`` on, parents first and sorted: its path (``b""``, ``b"/a"``, …) and, if so, directory."""
    stack: list[tuple[bytes, Node]] = [(b"", node)]
    while stack:
        path, here = stack.pop()
        if isinstance(here, DirectoryNode):
            directory = directory_of(here, castore)
            yield path, here, directory
            stack += [(path + b"/" + name, child) for name, child in reversed(directory.entries.items())]
        else:
            yield path, here, None


def checkout(node: Node, castore: Castore, path: str) -> None:
    """Lay ``node`` out on disk at ``path``, where nothing may be yet."""
    root = to_bytes(path)
    for below, here, directory in walk(node, castore):
        place = root + below
        if directory is not None:
            os.mkdir(place)
        elif isinstance(here, SymlinkNode):
            os.symlink(here.target, place)
        elif isinstance(here, FileNode):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(place, flags, 0o777 if here.executable else 0o666), "wb") as file:
                for piece in castore.blobs.read(here.digest):
                    file.write(piece)


def _ingest_file(place: bytes, writer: NarWriter, castore: Castore) -> FileNode:
    descriptor = os.open(place, READING)
    try:
        status = os.fstat(descriptor)
        mode = status.st_mode
        if not stat.S_ISREG(mode):
            raise unsupported(place)
        size = status.st_size
        executable = mode & stat.S_IXUSR != 0
        if size <= WHOLE:
            data = os.read(descriptor, size) if size else b""
            while len(data) < size:
                more = os.read(descriptor, size - len(data))
                if not more:
                    raise became_shorter(place)
                data += more
            writer.regular(data, executable)
            return FileNode(castore.blobs.put_whole(data), size, executable)
        writer.begin_regular(size, executable)
        digest, _ = castore.blobs.put(_pieces(descriptor, size, writer.contents, place))
        writer.end_regular(size)
        return FileNode(digest, size, executable)
    finally:
        os.close(descriptor)


def _pieces(descriptor: int, size: int, also: Callable[[bytes], None], place: bytes) -> Iterator[bytes]:
    left = size
    while left:
        data = os.read(descriptor, min(left, _PIECE))
        if not data:
            raise became_shorter(place)
        left -= len(data)
        also(data)
        yield data


def _entries(place: bytes) -> list[tuple[bytes, str]]:
    with os.scandir(place) as entries:
        return sorted([(entry.name, kind_of_entry(entry)) for entry in entries])


def _both(first: Callable[[bytes], object], second: Sink | None) -> Sink:
    if second is None:
        return first

    def sink(data: bytes) -> None:
        first(data)
        second(data)

    return sink
