"""Stores as one uses them: opened by a URL, read, written, combined, copied between.

For the evaluator and everybody else::

    from store.composition import open_store

    with open_store() as store:                         # the user's local store; or open_store("file:///cache?…")
        info = store.add_path("/home/me/src", "source") # a tree on disk -> PathInfo; info.path is its store path
        info = store.add_path(path, name, keep=filter)  # with builtins.path's filter
        text = store.add_text("builder.sh", b"…", refs) # builtins.toFile
        drv_path = store.add_derivation(drv)            # a Derivation with its paths filled in
        drv = store.read_derivation(drv_path)           # parsed from the store
        with store.transaction():                       # many additions as one: much faster, all or nothing
            ...
        info = store.query("/nix/store/…")              # PathInfo or None
        tree = store.tree(info)                         # tree.read([b"bin", b"hello"]), .names([]), .entry([…])

``add_text`` and ``add_derivation`` want what they refer to to be there already. :class:`Store` is what every store
can do; adding paths, texts and derivations belongs to those that a castore keeps (the local one, memory, gRPC):
:func:`local_store` answers one. URLs are described in :mod:`store.composition.urls`, files in
:mod:`store.composition.files`.
"""

from __future__ import annotations

from store.composition.protocol import Entry, Store, Tree

__all__ = ["Entry", "Store", "Tree"]
