"""Store paths as real files on disk, for mounting into builds and for reading the outputs of builds.

    FOLDER/DIGEST-NAME   the store object, read-only: modes 0444 and 0555, times 1
    FOLDER/tmp/…         what is being laid out; swept when its process is gone

An object appears whole or not at all (it is renamed to its place), so that any number of processes may share the
folder, and none of them waits. Whether an object is valid is the store's to say; a checkout saves unpacking it again.
"""

from __future__ import annotations

from pathlib import Path

from store.composition.castore_store import CastoreStore


def default_folder() -> Path:
    """Where the user's checkouts are: beside the user's store, on the same disk."""
    import platformdirs

    return platformdirs.user_data_path("tvix-lsp") / "checkouts"


class Checkouts:
    """The store objects of ``store`` under ``folder`` (the user's own if None). Safe to use from many threads."""

    def __init__(self, store: CastoreStore, folder: Path | None = None) -> None:
        self.store = store
        self.folder = folder or default_folder()

    def path_of(self, store_path: str) -> str:
        """Where ``store_path`` lies on disk, laid out if it was not yet. Raises ``StoreError`` when it is not there."""
        raise NotImplementedError
