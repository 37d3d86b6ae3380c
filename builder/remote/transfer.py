"""Contents from one castore to another: what the other has already, with all that is below it, is passed over.

One of the two is far away: several small blobs are asked for, or sent, at once. This thread alone reads and writes the
near one, whose transactions belong to a thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from store.castore.nodes import Directory, DirectoryNode, FileNode, Node
from store.castore.services import Castore, Corrupt, Missing
from store.remote.client import RemoteCastore

_AT_ONCE = 16
_SMALL = 1 << 20  # bytes; larger ones go one by one, in pieces

T = TypeVar("T")
Item = TypeVar("Item")


def transfer(roots: Iterable[Node], source: Castore, target: Castore) -> None:
    """Make ``target`` have ``roots`` and all that is below them. Raises ``StoreError``."""
    wanted = _Wanted(source, target)
    with target.transaction():
        for root in roots:
            wanted.add(root)
        if wanted.blobs:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="transfer") as pool:
                _copy_blobs(list(wanted.blobs.values()), source, target, pool)
        for directory in wanted.directories:  # last, for where one is, all below it is taken to be
            target.directories.put(directory)


class _Wanted:
    """What ``target`` lacks: blobs (those that it may lack), and directories after those that are in them."""

    def __init__(self, source: Castore, target: Castore) -> None:
        self.blobs: dict[bytes, FileNode] = {}
        self.directories: list[Directory] = []
        self._source = source
        self._target = target
        self._seen: set[bytes] = set()

    def add(self, root: Node) -> None:
        pending: list[tuple[Node, Directory | None]] = [(root, None)]
        while pending:
            node, directory = pending.pop()
            if directory is not None:  # everything below it has been seen
                self.directories.append(directory)
            elif isinstance(node, FileNode):
                self.blobs.setdefault(node.digest, node)
            elif isinstance(node, DirectoryNode) and node.digest not in self._seen:
                self._seen.add(node.digest)
                if self._target.directories.get(node.digest) is None:
                    directory = self._source.directories.get(node.digest)
                    if directory is None:
                        raise Missing(f"directory {node.digest.hex()} is missing")
                    pending.append((node, directory))
                    pending += [(entry, None) for entry in directory.entries.values()]


def _copy_blobs(nodes: list[FileNode], source: Castore, target: Castore, pool: ThreadPoolExecutor) -> None:
    blobs = target.blobs
    if isinstance(target, RemoteCastore):
        missing = [node for node, there in _at_once(pool, lambda node: blobs.has(node.digest), nodes) if not there]
        small = ((node, source.blobs.read_whole(node.digest)) for node in missing if node.size <= _SMALL)
        for (node, _), digest in _at_once(pool, lambda item: blobs.put_whole(item[1]), small):
            _expect(node, digest)
    else:
        missing = [node for node in nodes if not blobs.has(node.digest)]
        small_ones = [node for node in missing if node.size <= _SMALL]
        for node, data in _at_once(pool, lambda node: source.blobs.read_whole(node.digest), small_ones):
            _expect(node, blobs.put_whole(data))
    for node in missing:
        if node.size > _SMALL:
            _expect(node, blobs.put(source.blobs.read(node.digest))[0])


def _at_once(pool: ThreadPoolExecutor, action: Callable[[Item], T], items: Iterable[Item]) -> Iterator[tuple[Item, T]]:
    """The items with what ``action`` answers, in their order; no more than a few are under way or wait."""
    waiting: deque[tuple[Item, Future[T]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(action, item)))
        if len(waiting) > _AT_ONCE:
            first, future = waiting.popleft()
            yield first, future.result()
    for item, future in waiting:
        yield item, future.result()


def _expect(node: FileNode, digest: bytes) -> None:
    if digest != node.digest:
        raise Corrupt(f"blob {node.digest.hex()} became {digest.hex()} on its way")
