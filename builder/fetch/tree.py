"""A directory tree while it is put together: entries in any order, then into the castore at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from store.castore.nodes import Directory, DirectoryNode, Node
from store.castore.services import Castore


@dataclass
class Folder:
    """A directory that entries are still put into; ``modified``: seconds since 1970, None where nobody says so."""

    entries: dict[bytes, Folder | Node] = field(default_factory=dict)
    modified: int | None = None


def keep_folder(root: Folder, castore: Castore) -> DirectoryNode:
    """Puts a folder into the castore, what is in it first."""
    stack: list[tuple[Iterator[tuple[bytes, Folder | Node]], dict[bytes, Node]]] = [(iter(root.entries.items()), {})]
    names: list[bytes] = []
    while True:
        pending, done = stack[-1]
        for name, found in pending:
            if isinstance(found, Folder):
                names.append(name)
                stack.append((iter(found.entries.items()), {}))
                break
            done[name] = found
        else:
            node = castore.directories.put(Directory(done))
            stack.pop()
            if not stack:
                return node
            stack[-1][1][names.pop()] = node
