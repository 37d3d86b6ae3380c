"""Derivations out of any store: the local one, what Nix keeps, a cache."""

from __future__ import annotations

from store import drv_file
from store.aterm import ATermError
from store.castore.services import Corrupt, Missing
from store.derivation import Derivation
from store.paths.protocol import Store
from store.store_path import derivation_name, is_derivation


def read_derivation(store: Store, path: str) -> Derivation:
    """The derivation at the store path ``path``, as ``DerivationHashes`` wants it loaded.

    Raises ``Missing`` when it is not there, ``Corrupt`` when it is no derivation, and what the store raises.
    """
    info = store.query(path)
    if info is None:
        raise Missing(f"path '{path}' is not in {store.uri}")
    tree = store.tree(info)
    entry = tree.entry([])
    if not is_derivation(path) or entry is None or entry.kind != "regular":
        raise Corrupt(f"'{path}' is not a derivation")
    try:
        return drv_file.parse(b"".join(tree.read([])), derivation_name(path))
    except ATermError as error:
        raise Corrupt(f"'{path}': {error}") from None
