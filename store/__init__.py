"""The store room: Nix's formats bit for bit, and the stores that keep what they describe.

This package knows nothing of the language or of building, and imports nothing of the rest of the project. What keeps
things stands in rooms of its own:

* :mod:`store.castore`      contents by their digests: nodes, trees, the protocols that backends fulfil
* :mod:`store.backends`     where things are kept: memory, a local folder, other people's stores and caches
* :mod:`store.remote`       a castore over gRPC
* :mod:`store.combinators`  stores made of stores
* :mod:`store.composition`  stores as one uses them, opened by a URL
* :mod:`store.command`      ``tvix-store``

The formats are pure functions and small classes on text and bytes; each names the specification it follows:

* :mod:`store.nix32`       the base-32 spelling of hashes and store paths
* :mod:`store.hashes`      hash values in every spelling Nix knows
* :mod:`store.store_path`  how store paths and placeholders are computed, checked and taken apart
* :mod:`store.derivation`  derivations: ATerm, output paths, ``hashDerivationModulo``
* :mod:`store.drv_file`    reading the files they are written to
* :mod:`store.aterm`       the strings and lists a derivation is written with
* :mod:`store.nar`         the archive format whose hash addresses sources, written
* :mod:`store.nar_reader`  the same, read and unpacked, malformed archives refused
* :mod:`store.listing`     what an archive holds, as ``.ls`` files say it
* :mod:`store.references`  which store paths a stream of bytes mentions
* :mod:`store.narinfo`     what a binary cache says about a path, and what is signed of it
* :mod:`store.signatures`  Ed25519 keys and signatures in Nix's spelling
* :mod:`store.drv_json`    derivations as JSON

**Text** is ``str`` decoded from UTF-8 with ``surrogateescape``, so that any byte sequence survives; what is
hashed or written is the bytes it came from (:func:`store.store_path.to_bytes`).
"""

from __future__ import annotations

from store import compiled

compiled.mode()  # decided here, before any module that may be compiled is imported
