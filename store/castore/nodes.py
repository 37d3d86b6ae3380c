"""Files, symbolic links and directories as castore has them, and a directory's canonical encoding.

Specification: Tvix's ``castore.proto``. A directory holds three lists (directories, files, links), each sorted by
name; a name is in one of them only. Its digest is the BLAKE3 of that message in canonical encoding; its size is the
number of all that is below it. A file's digest is the BLAKE3 of its contents.

Decoding accepts nothing but what encoding writes: one directory, one spelling, one digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from blake3 import blake3 as _blake3

from store.castore import wire
from store.castore.wire import WireError
from store.nar import is_name
from store.store_path import to_text

DIGEST_SIZE: Final = 32


class DirectoryError(ValueError):
    """Not a directory as castore has them."""


class FileNode:
    """A regular file."""

    def __init__(self, digest: bytes, size: int, executable: bool = False) -> None:
        self.digest: Final = digest
        self.size: Final = size
        self.executable: Final = executable

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FileNode):
            return NotImplemented
        return self.digest == other.digest and self.size == other.size and self.executable == other.executable

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"FileNode({self.digest!r}, {self.size!r}, {self.executable!r})"


class SymlinkNode:
    """A symbolic link."""

    def __init__(self, target: bytes) -> None:
        self.target: Final = target

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SymlinkNode):
            return NotImplemented
        return self.target == other.target

    def __hash__(self) -> int:
        return hash(self.target)

    def __repr__(self) -> str:
        return f"SymlinkNode({self.target!r})"


class DirectoryNode:
    """A directory by its digest; ``size`` counts all that is below it."""

    def __init__(self, digest: bytes, size: int) -> None:
        self.digest: Final = digest
        self.size: Final = size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DirectoryNode):
            return NotImplemented
        return self.digest == other.digest and self.size == other.size

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"DirectoryNode({self.digest!r}, {self.size!r})"


Node = FileNode | SymlinkNode | DirectoryNode


def blake3(data: bytes) -> bytes:
    """The BLAKE3 digest of ``data``."""
    digest: bytes = _blake3(data).digest()
    return digest


class Directory:
    """The entries of a directory by name, sorted by their bytes."""

    def __init__(self, entries: dict[bytes, Node]) -> None:
        self.entries: Final[dict[bytes, Node]] = {name: entries[name] for name in sorted(entries)}

    def size(self) -> int:
        """How many files, links and directories are below this one."""
        count = len(self.entries)
        for node in self.entries.values():
            if isinstance(node, DirectoryNode):
                count += node.size
        return count

    def encode(self) -> bytes:
        """The canonical encoding. Raises :class:`DirectoryError` for names that cannot be."""
        directories: list[bytes] = []
        files: list[bytes] = []
        links: list[bytes] = []
        for name, node in self.entries.items():
            check_name(name)
            if isinstance(node, FileNode):
                files.append(_nested(2, _name(name) + _file(node)))
            elif isinstance(node, DirectoryNode):
                directories.append(_nested(1, _name(name) + _directory(node)))
            else:
                links.append(_nested(3, _name(name) + _link(node)))
        return b"".join(directories + files + links)

    def digest(self) -> bytes:
        """The BLAKE3 digest of the encoding."""
        return blake3(self.encode())

    def node(self) -> DirectoryNode:
        """What stands for this directory in the one above."""
        return DirectoryNode(self.digest(), self.size())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Directory):
            return NotImplemented
        return self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.encode())

    def __repr__(self) -> str:
        return f"Directory({self.entries!r})"


def decode_directory(data: bytes) -> Directory:
    """The directory whose canonical encoding is ``data``; raises :class:`DirectoryError` for anything else."""
    entries: dict[bytes, Node] = {}
    count = 0
    try:
        for field, value in wire.fields(data):
            name, node = _decode_entry(field, wire.as_bytes(value))
            entries[name] = node
            count += 1
    except WireError as error:
        raise DirectoryError(f"not a directory: {error}") from None
    if len(entries) != count:
        raise DirectoryError("not a directory: a name stands twice")
    directory = Directory(entries)
    if directory.encode() != data:
        raise DirectoryError("not a directory in its canonical encoding")
    return directory


def encode_node(name: bytes, node: Node) -> bytes:
    """A ``Node`` message: a node with a name of its own (a store path's base name)."""
    if isinstance(node, DirectoryNode):
        return wire.bytes_field(1, _name(name) + _directory(node))
    if isinstance(node, FileNode):
        return wire.bytes_field(2, _name(name) + _file(node))
    return wire.bytes_field(3, _name(name) + _link(node))


def decode_node(data: bytes) -> tuple[bytes, Node]:
    """The name and the node of a ``Node`` message; raises :class:`DirectoryError`."""
    try:
        found = list(wire.fields(data))
        if len(found) != 1:
            raise DirectoryError("not a node")
        return _decode_entry(found[0][0], wire.as_bytes(found[0][1]))
    except WireError as error:
        raise DirectoryError(f"not a node: {error}") from None


def check_name(name: bytes) -> None:
    """Refuse what cannot be a name in a directory."""
    if not is_name(name) or len(name) > 255:
        raise DirectoryError(f"invalid file name '{to_text(name)}'")


def check_node(node: Node) -> None:
    """Refuse digests of the wrong size and targets that cannot be."""
    if isinstance(node, SymlinkNode):
        if not node.target or node.target.find(b"\0") >= 0:
            raise DirectoryError(f"invalid target '{to_text(node.target)}' of a link")
    elif len(node.digest) != DIGEST_SIZE:
        raise DirectoryError(f"a digest of {len(node.digest)} bytes")


def children(directory: Directory) -> Iterator[DirectoryNode]:
    """The directories in a directory."""
    for node in directory.entries.values():
        if isinstance(node, DirectoryNode):
            yield node


def files(directories: Iterable[Directory]) -> Iterator[FileNode]:
    """The files in directories, not in those below."""
    for directory in directories:
        for node in directory.entries.values():
            if isinstance(node, FileNode):
                yield node


def _nested(field: int, message: bytes) -> bytes:
    size = len(message)
    if size < 128:
        return bytes((field << 3 | 2, size)) + message
    return wire.bytes_field(field, message)


def _name(name: bytes) -> bytes:
    return wire.optional_bytes(1, name)


def _file(node: FileNode) -> bytes:
    encoded = b"\x12\x20" + node.digest if len(node.digest) == DIGEST_SIZE else wire.optional_bytes(2, node.digest)
    if node.size:
        encoded += b"\x18" + wire.varint(node.size)
    return encoded + b"\x20\x01" if node.executable else encoded


def _directory(node: DirectoryNode) -> bytes:
    return wire.optional_bytes(2, node.digest) + wire.number_field(3, node.size)


def _link(node: SymlinkNode) -> bytes:
    return wire.optional_bytes(2, node.target)


def _decode_entry(kind: int, data: bytes) -> tuple[bytes, Node]:
    name = value = b""
    size = 0
    executable = False
    for field, content in wire.fields(data):
        if field == 1:
            name = wire.as_bytes(content)
        elif field == 2:
            value = wire.as_bytes(content)
        elif field == 3 and kind != 3:
            size = wire.as_number(content)
        elif field == 4 and kind == 2:
            executable = wire.as_number(content) != 0
        else:
            raise WireError(f"unknown field {field}")
    node: Node
    if kind == 1:
        node = DirectoryNode(value, size)
    elif kind == 2:
        node = FileNode(value, size, executable)
    elif kind == 3:
        node = SymlinkNode(value)
    else:
        raise WireError(f"unknown kind {kind} of node")
    check_node(node)
    return name, node
