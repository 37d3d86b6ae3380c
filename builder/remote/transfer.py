"""Contents from one castore to another: what the other has already, with all that is below it, is passed over."""

from __future__ import annotations

from collections.abc import Iterable

from store.castore.nodes import Directory, DirectoryNode, FileNode, Node
from store.castore.services import Castore, Corrupt, Missing


def transfer(roots: Iterable[Node], source: Castore, target: Castore) -> None:
    """Make ``target`` have ``roots`` and all that is below them. Raises ``StoreError``."""
    sent: set[bytes] = set()
    with target.transaction():
        for root in roots:
            _transfer(root, source, target, sent)


def _transfer(root: Node, source: Castore, target: Castore, sent: set[bytes]) -> None:
    if isinstance(root, FileNode):
        _blob(root, source, target, sent)
        return
    pending: list[tuple[DirectoryNode, Directory | None]] = []
    if isinstance(root, DirectoryNode):
        pending.append((root, None))
    while pending:
        node, directory = pending.pop()
        if directory is not None:  # everything below it has gone
            target.directories.put(directory)
            continue
        if node.digest in sent:
            continue
        sent.add(node.digest)
        if target.directories.get(node.digest) is not None:
            continue
        directory = source.directories.get(node.digest)
        if directory is None:
            raise Missing(f"directory {node.digest.hex()} is missing")
        pending.append((node, directory))
        for entry in directory.entries.values():
            if isinstance(entry, DirectoryNode):
                pending.append((entry, None))
            elif isinstance(entry, FileNode):
                _blob(entry, source, target, sent)


def _blob(node: FileNode, source: Castore, target: Castore, sent: set[bytes]) -> None:
    if node.digest in sent:
        return
    sent.add(node.digest)
    if not target.blobs.has(node.digest):
        digest, _ = target.blobs.put(source.blobs.read(node.digest))
        if digest != node.digest:
            raise Corrupt(f"blob {node.digest.hex()} became {digest.hex()} on its way")
