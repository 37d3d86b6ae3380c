"""From one local castore into another: chunk by chunk, neither cut nor summed up again as an archive.

Both are the user's own. Every chunk and directory is verified against its digest when it is read, and what is known of
the path, its archive's hash among it, against its seal.
"""

from __future__ import annotations

from store.backends.local.castore import LocalCastore
from store.castore.nodes import FileNode, Node
from store.castore.trees import Ahead
from store.chunking import WHOLE


def transfer(node: Node, source: LocalCastore, target: LocalCastore) -> None:
    """Have all that ``node`` reaches in ``target`` too, in the open transaction. ``Missing``, ``Corrupt``."""
    walk = Ahead(node, source)
    while walk.gather():
        for data in source.blobs.read_many(walk.digests):
            target.blobs.put_whole(data)
        for _, here in walk.steps:
            if isinstance(here, FileNode) and here.size > WHOLE:
                target.blobs.take(here.digest, source.blobs)
        for directory in walk.left:
            target.directories.put(directory)
