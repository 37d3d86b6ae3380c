"""Where the builder keeps what belongs to a store: in its folder if it has one, else among the user's data.

FOLDER/building/*.lock   one for each derivation that is being built (builder.locks)
FOLDER/logs/…            what builds said (builder.logs)
FOLDER/builder/…         builds under way (builder.oci.service)
FOLDER/checkouts/…       store objects laid out on disk (builder.checkouts)
FOLDER/tidied            as old as it is since what is left of gone paths was removed (builder.tidying)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.composition.castore_store import CastoreStore
from store.sha256 import Sha256

if TYPE_CHECKING:
    from pathlib import Path

    from builder.checkouts import Checkouts


def state_folder(store: CastoreStore) -> str:
    """The folder for all of it. All processes that use the same store get the same one."""
    from store.backends.local.castore import LocalCastore

    if isinstance(store.castore, LocalCastore):
        return str(store.castore.folder)
    import platformdirs

    name = Sha256(store.uri.encode()).hexdigest()[:16]
    return str(platformdirs.user_data_path("tvix-lsp") / "builder" / name)


def builds_folder(store: CastoreStore) -> Path:
    """The folder for builds under way."""
    from pathlib import Path

    return Path(state_folder(store), "builder")


def checkouts(store: CastoreStore) -> Checkouts:
    """The objects of ``store`` as they are laid out on disk, the same for all processes."""
    from pathlib import Path

    from builder.checkouts import Checkouts

    return Checkouts(store, Path(state_folder(store), "checkouts"))
