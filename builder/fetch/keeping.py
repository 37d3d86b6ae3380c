"""What was fetched becomes a store path."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.fetch.failure import FetchError, HashMismatch
from builder.fetch.limits import Limits
from store.castore.nodes import FileNode, Node
from store.castore.path_info import PathInfo
from store.castore.trees import nar_of
from store.chunking import WHOLE
from store.composition.castore_store import CastoreStore
from store.hashes import Hash, Hasher
from store.store_path import BadStorePath, fixed_output_path

_PIECE = 1 << 18


@dataclass(frozen=True)
class Fetched:
    """A store path, and what is known of where it came from (None, or empty: nothing)."""

    info: PathInfo
    last_modified: int | None = None
    immutable: str = ""


def output_path(store: CastoreStore, url: str, name: str, recursive: bool, wanted: Hash) -> str:
    """The store path of what hashes so. Raises FetchError for an impossible name."""
    try:
        return fixed_output_path(name, recursive, wanted, store.store_dir)
    except BadStorePath as error:
        raise FetchError(f"cannot fetch '{url}': {error}; give it another 'name'") from None


def keep_file(store: CastoreStore, path: Path, limits: Limits, executable: bool = False) -> FileNode:
    """Takes a file on disk into the castore; its own mode does not count."""
    with open(path, "rb", buffering=0) as file:
        pieces = iter(lambda: file.read(_PIECE), b"")
        first = next(pieces, b"")
        if len(first) < _PIECE <= WHOLE:
            rest = b"".join(pieces)
            return FileNode(store.castore.blobs.put_whole(first + rest), len(first) + len(rest), executable)

        def checked() -> Iterator[bytes]:
            yield first
            for piece in pieces:
                limits.check()
                yield piece

        digest, size = store.castore.blobs.put(checked())
        return FileNode(digest, size, executable)


def keep(store: CastoreStore, url: str, name: str, node: Node, wanted: Hash | None, recursive: bool = True) -> PathInfo:
    """Registers ``node`` as the fixed output ``name``. Raises :class:`HashMismatch` if it is not what was wanted.

    ``recursive``: the hash is that of the archive, in ``wanted``'s algorithm (SHA-256 without one), else that of the
    file's contents.
    """
    algo = wanted.algo if wanted is not None else "sha256"
    sha256 = hashlib.sha256()
    other = Hasher(algo) if recursive and algo != "sha256" else None
    size = 0
    for piece in nar_of(node, store.castore):
        sha256.update(piece)
        size += len(piece)
        if other is not None:
            other.update(piece)
    if other is not None:
        got = other.finish()
    elif recursive:
        got = Hash("sha256", sha256.digest())
    else:
        got = _flat_hash(store, url, node, algo)
    if wanted is not None and wanted != got:
        raise HashMismatch(
            f"what was fetched from '{url}'",
            wanted,
            got,
            "if the change is meant, put the hash that was got in the place of the one specified",
        )
    ca = f"fixed:{'r:' if recursive else ''}{algo}:{got.nix32()}"
    info = PathInfo(output_path(store, url, name, recursive, got), sha256.digest(), size, ca=ca, node=node)
    known = store.query(info.path)
    if known is not None:
        return known
    store.put_info(info)
    return info


def _flat_hash(store: CastoreStore, url: str, node: Node, algo: str) -> Hash:
    if not isinstance(node, FileNode):
        raise FetchError(f"what was fetched from '{url}' is no file, so it has no flat hash; use a recursive one")
    hasher = Hasher(algo)
    for piece in store.castore.blobs.read(node.digest):
        hasher.update(piece)
    return hasher.finish()
