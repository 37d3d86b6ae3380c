"""A castore in a local folder: SQLite for what is where, pack files for contents. The default.

    FOLDER/store.db      the database (WAL mode); see :mod:`store.backends.local.schema`
    FOLDER/packs/*.pack  contents; see :mod:`store.backends.local.packs`
    FOLDER/gc.lock       held shared by writers, exclusively while garbage is collected
    FOLDER/collected     as old as it is since something was last collected
    FOLDER/reserve       room that only collecting garbage may use, so that it works on a full disk

**Many processes** may read and write at once. A writer collects into a pack of its own, has that on the disk, and
then enters it in one transaction of the database, with which everything written becomes visible; small transactions
go into the database whole. **Killed** at any moment, a writer leaves at most a pack that nothing mentions.
**Verified** is everything that is read: chunks and directories against their digests, path infos against a seal.
"""

from __future__ import annotations

import os
from pathlib import Path

from store.backends.local.database import LocalDatabase
from store.backends.local.services import LocalBlobs, LocalDirectories, LocalPathInfos, LocalRealisations
from store.store_path import STORE_DIR


def default_folder() -> Path:
    """Where the user's store is: the platform's folder for a user's data."""
    import platformdirs

    return platformdirs.user_data_path("tvix-lsp") / "store"


class LocalCastore(LocalDatabase):
    """A castore in ``folder`` (made when it is not there)."""

    def __init__(self, folder: str | os.PathLike[str], store_dir: str = STORE_DIR) -> None:
        super().__init__(folder, store_dir)
        self.blobs = LocalBlobs(self)
        self.directories = LocalDirectories(self)
        self.path_infos = LocalPathInfos(self)
        self.realisations = LocalRealisations(self)
