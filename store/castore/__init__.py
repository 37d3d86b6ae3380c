"""Content-addressed storage: blobs and directories by their BLAKE3 digests, path infos on top.

Specification: Tvix's castore and store protocols (``tvix.castore.v1``, ``tvix.store.v1``), whose messages these are
byte for byte.

* :mod:`store.castore.wire`       the part of protobuf's encoding that is used
* :mod:`store.castore.nodes`      files, links and directories; a directory's canonical encoding
* :mod:`store.castore.path_info`  what is known of a store path
* :mod:`store.castore.realisation`  what outputs became whose paths follow from their contents
* :mod:`store.castore.services`   the protocols that backends fulfil, and what can go wrong
* :mod:`store.castore.trees`      from disk or NAR into a castore, and out again
"""
