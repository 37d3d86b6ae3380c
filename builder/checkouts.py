"""Store paths as real files on disk, for mounting into builds and for reading the outputs of builds.

    FOLDER/DIGEST-NAME   the store object, read-only: modes 0444 and 0555, times 1
    FOLDER/tmp/…         what is being laid out; swept when its process is gone

An object appears whole or not at all (it is renamed to its place), so that any number of processes may share the
folder, and none of them waits. Whether an object is valid is the store's to say; a checkout saves unpacking it again.
"""

from __future__ import annotations

import os
from pathlib import Path

from builder.canonical import canonicalise, remove_tree
from builder.scratch import ScratchFolders
from store.castore.services import Missing
from store.castore.trees import checkout
from store.composition.castore_store import CastoreStore
from store.store_path import base_name, check_store_path


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
            with self._scratch.folder() as scratch:
                made = str(scratch.path / base_name(store_path))
                checkout(info.node, self.store.castore, made)
                _put_in_place(made, place)
        return place

    def adopt(self, made: str, store_path: str) -> None:
        """Take the tree at ``made`` (on the same disk, owned by this user) as the checkout of ``store_path``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _put_in_place(made, str(self.folder / base_name(store_path)))

    def sweep(self) -> list[str]:
        """Remove what the store does not have any more; answer the paths."""
        gone: list[str] = []
        if self.folder.is_dir():
            for name in sorted(os.listdir(self.folder)):
                path = f"{self.store.store_dir}/{name}"
                if name != "tmp" and self.store.query(path) is None:
                    remove_tree(str(self.folder / name))
                    gone.append(path)
        self._scratch.sweep()
        return gone


def _put_in_place(made: str, place: str) -> None:
    canonicalise(made)
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
