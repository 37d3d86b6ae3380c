"""Store paths as real files on disk, for mounting into builds and for reading the outputs of builds.

    FOLDER/DIGEST-NAME   the store object, read-only: modes 0444 and 0555, times 1
    FOLDER/tmp/…         what is being laid out; swept when its process is gone
    FOLDER/made/…        what builds left, by the digests of its contents: to be laid out without being unpacked

An object appears whole or not at all (it is renamed to its place), so that any number of processes may share the
folder, and none of them waits. Whether an object is valid is the store's to say; a checkout saves unpacking it again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from builder.canonical import canonicalise, remove_tree
from builder.scratch import ScratchFolders
from store.castore import nodes
from store.castore.nodes import Node
from store.castore.services import Missing
from store.castore.trees import checkout
from store.composition.castore_store import CastoreStore
from store.store_path import base_name, check_store_path

_MADE = "made"


class Checkouts:
    """The store objects of ``store`` under ``folder``; those of a user: :func:`builder.places.checkouts`.

    Safe to use from many threads.
    """

    def __init__(self, store: CastoreStore, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self._scratch = ScratchFolders(self.folder / "tmp")

    def path_of(self, store_path: str) -> str:
        """Where ``store_path`` lies on disk, laid out if it was not yet.

        Raises ``StoreError`` when it is not in the store, ``BadStorePath`` when it is no store path.
        """
        check_store_path(store_path, self.store.store_dir)
        place = str(self.folder / base_name(store_path))
        if not os.path.lexists(place):
            info = self.store.query(store_path)
            if info is None or info.node is None:
                raise Missing(f"path '{store_path}' is not in {self.store.uri}")
            made = self._made(info.node)
            if os.path.lexists(made):
                with suppress(FileNotFoundError):  # another took it
                    _rename(made, place)
                    return place
            with self._scratch.folder() as scratch:
                made = str(scratch.path / base_name(store_path))
                checkout(info.node, self.store.castore, made)
                canonicalise(made)
                _rename(made, place)
        return place

    def adopt(self, made: str, node: Node) -> None:
        """Take the canonical tree at ``made`` (on the same disk, no longer written to by anybody), which ``node`` was
        read from: the path that will hold it is laid out from there. Where that cannot be it stays where it is."""
        with suppress(OSError):
            os.makedirs(self.folder / _MADE, mode=0o700, exist_ok=True)
            _rename(made, self._made(node))

    def forget_made(self) -> None:
        """Remove what builds left that nobody has wanted."""
        remove_tree(str(self.folder / _MADE))

    def _made(self, node: Node) -> str:
        return str(self.folder / _MADE / nodes.blake3(nodes.encode_node(b"made", node)).hex())

    def sweep(self) -> list[str]:
        """Remove what the store does not have any more; answer the paths."""
        gone: list[str] = []
        if self.folder.is_dir():
            for name in sorted(os.listdir(self.folder)):
                path = f"{self.store.store_dir}/{name}"
                if name not in ("tmp", _MADE) and self.store.query(path) is None:
                    remove_tree(str(self.folder / name))
                    gone.append(path)
        self.forget_made()
        self._scratch.sweep()
        return gone


def _rename(made: str, place: str) -> None:
    """Put a canonical tree in its place, unless its equal is there already."""
    folder = os.path.isdir(made) and not os.path.islink(made)
    if folder:
        os.chmod(made, 0o755)  # renaming a folder changes its `..`, which takes the right to write
    try:
        os.rename(made, place)  # a file takes the place of its equal; a folder with something in it is refused
    except OSError:
        if not os.path.lexists(place):
            raise
        remove_tree(made)
        return
    if folder:
        os.chmod(place, 0o555)
