"""Where the builder keeps what belongs to a store: beside it if it lies in a folder, else among the user's data."""

from __future__ import annotations

import hashlib

from store.composition.castore_store import CastoreStore


def state_folder(store: CastoreStore) -> str:
    """The folder for locks and logs. All processes that use the same store get the same one."""
    from store.backends.local import LocalCastore

    if isinstance(store.castore, LocalCastore):
        return str(store.castore.folder)
    import platformdirs

    name = hashlib.sha256(store.uri.encode()).hexdigest()[:16]
    return str(platformdirs.user_data_path("tvix-lsp") / "builder" / name)
