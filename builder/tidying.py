"""What was made for store paths that are gone since goes too: their checkouts, and the logs of their derivations.

Collecting garbage is the store's, which knows of neither. It leaves word when it was last done, and whoever builds next
removes what has become of no use; as does ``tvix-build gc-roots``. Nobody may build meanwhile: if somebody does, it is
left to the next one. (Nix never removes logs.)
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from builder.logs import Logs
from builder.places import checkouts, state_folder
from store.backends.local.castore import LocalCastore
from store.castore.services import Corrupt
from store.composition.castore_store import CastoreStore
from store.records import dataclass
from store.store_path import base_name


@dataclass(frozen=True)
class Tidied:
    """What was removed."""

    checkouts: tuple[str, ...] = ()  #: store paths
    logs: int = 0


def tidy(store: CastoreStore) -> Tidied | None:
    """Remove checkouts of paths that are gone, and logs of derivations that are gone with all that they made.

    None when nothing could be done, because something is being built. Raises ``StoreError``.
    """
    castore = store.castore
    if not isinstance(castore, LocalCastore):
        return Tidied()
    try:
        with castore.lock(exclusive=True, wait=False):
            kept: set[str] = set()
            for info in castore.path_infos.list():
                kept.add(base_name(info.path))
                if info.deriver is not None:
                    kept.add(base_name(info.deriver))
            logs = Logs(os.path.join(state_folder(store), "logs")).sweep(kept.__contains__)
            done = Tidied(tuple(checkouts(store).sweep()), logs)
            _marker(castore).touch()
            return done
    except BlockingIOError:
        return None


def tidy_if_due(store: CastoreStore) -> None:
    """:meth:`tidy` if garbage was collected since that was last done. What stands in its way is left for the next."""
    castore = store.castore
    if not isinstance(castore, LocalCastore):
        return
    with suppress(OSError, Corrupt):
        collected = os.stat(castore.collected).st_mtime_ns
        with suppress(FileNotFoundError):
            if os.stat(_marker(castore)).st_mtime_ns >= collected:
                return
        tidy(store)


def _marker(castore: LocalCastore) -> Path:
    return castore.folder / "tidied"
