"""Where the builder keeps what belongs to a store: in its folder if it has one, else among the user's data.

    FOLDER/building/*.lock   one for each derivation that is being built (builder.locks)
    FOLDER/logs/…            what builds said (builder.logs)
    FOLDER/builder/…         builds under way (builder.oci.service)
    FOLDER/checkouts/…       store objects laid out on disk (builder.checkouts)

Of the user's own store the last two lie beside it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from store.composition.castore_store import CastoreStore


def state_folder(store: CastoreStore) -> str:
    """The folder for all of it. All processes that use the same store get the same one."""
    from store.backends.local import LocalCastore

    if isinstance(store.castore, LocalCastore):
        return str(store.castore.folder)
    import platformdirs

    name = hashlib.sha256(store.uri.encode()).hexdigest()[:16]
    return str(platformdirs.user_data_path("tvix-lsp") / "builder" / name)


def own_folder(store: CastoreStore, name: str) -> Path | None:
    """The folder called ``name`` for a store that is not the user's own; None for that one, which has its defaults."""
    from store.backends.local import LocalCastore, default_folder

    castore = store.castore
    if isinstance(castore, LocalCastore) and castore.folder == default_folder():
        return None
    return Path(state_folder(store), name)
