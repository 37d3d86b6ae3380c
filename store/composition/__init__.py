"""Stores as one uses them: opened by a URL, read, written, combined, copied between.

For the evaluator and everybody else::

    from store.composition import local_store, open_store

    with local_store() as store:                        # the user's own; local_store("/some/folder")
        info = store.add_path("/home/me/src", "source") # a tree on disk -> PathInfo; info.path is its store path
        info = store.add_path(path, name, keep=filter)  # with builtins.path's filter
        text = store.add_text("builder.sh", b"…", refs) # builtins.toFile
        drv_path = store.add_derivation(drv)            # a Derivation with its paths filled in
        drv = store.read_derivation(drv_path)           # parsed from the store
        with store.transaction():                       # many additions as one: much faster, all or nothing
            ...
        info = store.query("/nix/store/…")              # PathInfo or None
        tree = store.tree(info)                         # tree.read([b"bin", b"hello"]), .names([]), .entry([…])
    with open_store("https://cache.nixos.org") as cache:  # any other one, by URL
        info = cache.query("/nix/store/…")
        drv = read_derivation(cache, "/nix/store/….drv")  # of store.paths.derivations: out of any store

``add_text`` and ``add_derivation`` want what they refer to to be there already. :class:`Store` is what every store
can do; adding paths, texts and derivations belongs to those that a castore keeps: the local one and memory
(:class:`store.composition.castore_store.CastoreStore`). URLs are described in :mod:`store.composition.urls`, files
that put stores together in :mod:`store.composition.files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store.paths.protocol import Entry, Store, Tree

if TYPE_CHECKING:
    from store.composition.castore_store import CastoreStore

__all__ = ["Entry", "Store", "Tree", "local_store", "open_store"]


@contextmanager
def open_store(url: str = "local:") -> Iterator[Store]:
    """The store that ``url`` means, closed at the end. Raises ``StoreError``."""
    from store.composition.urls import open_url

    store = open_url(url)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def local_store(folder: str | None = None, store_dir: str = "/nix/store") -> Iterator[CastoreStore]:
    """The local store in ``folder`` (the user's own if None), closed at the end. Raises ``StoreError``."""
    from store.backends.local.castore import LocalCastore, default_folder
    from store.composition.castore_store import CastoreStore

    place = folder or str(default_folder())
    store = CastoreStore(LocalCastore(place, store_dir), store_dir, f"local:{place}")
    try:
        yield store
    finally:
        store.close()
