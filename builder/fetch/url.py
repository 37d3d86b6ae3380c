"""Files, archives and NARs from an address."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from builder.fetch.archives import unpack
from builder.fetch.failure import FetchError
from builder.fetch.keeping import Fetched, keep, keep_file, output_path
from builder.fetch.limits import Limits
from builder.fetch.memory import Memory
from builder.fetch.transfer import Download, downloaded, is_local, local_path
from store.castore.nodes import Node
from store.castore.trees import ingest_nar
from store.composition.castore_store import CastoreStore
from store.hashes import Hash
from store.nar import NarError
from store.nar_reader import NarReader

#: Makes a node out of a file that was downloaded; answers when its contents were changed, too, where that is known.
_Make = Callable[[Path], tuple[Node, int | None]]


def fetch_file(
    store: CastoreStore,
    url: str,
    name: str,
    expected: Hash | None = None,
    limits: Limits | None = None,
    *,
    executable: bool = False,
) -> Fetched:
    """The file at ``url``. ``expected`` is the hash of its contents (of its archive if it is to be executable)."""
    bounds = limits or Limits()

    def make(path: Path) -> tuple[Node, int | None]:
        return keep_file(store, path, bounds, executable), None

    return _fetched(store, "executable" if executable else "file", url, name, expected, bounds, make, False)


def fetch_tarball(
    store: CastoreStore,
    url: str,
    name: str = "source",
    expected: Hash | None = None,
    limits: Limits | None = None,
    *,
    dated: bool = False,
) -> Fetched:
    """The tree in the archive at ``url`` without the one folder at its top; ``expected`` is its NAR's hash.

    ``dated``: also find out when it was last changed, even if that takes fetching what the store has already.
    """
    bounds = limits or Limits()

    def make(path: Path) -> tuple[Node, int | None]:
        found = unpack(path, store.castore, bounds, url)
        return found.node, found.last_modified

    return _fetched(store, "tarball", url, name, expected, bounds, make, dated)


def fetch_nar(
    store: CastoreStore, url: str, name: str, expected: Hash | None = None, limits: Limits | None = None
) -> Fetched:
    """The tree in the NAR at ``url`` (compressed with xz if it ends so): ``unpack`` of ``builtin:fetchurl``."""
    import lzma

    bounds = limits or Limits()

    def make(path: Path) -> tuple[Node, int | None]:
        try:
            with open(path, "rb") as plain, lzma.open(path) as packed:
                reader = NarReader(packed.read if url.endswith(".xz") else plain.read)
                node = ingest_nar(reader, store.castore)
                reader.expect_end_of_source()
                return node, None
        except (NarError, lzma.LZMAError, EOFError) as error:
            raise FetchError(f"cannot unpack '{url}': it is no NAR: {error}") from None

    return _fetched(store, "nar", url, name, expected, bounds, make, False)


def _fetched(
    store: CastoreStore,
    kind: str,
    url: str,
    name: str,
    expected: Hash | None,
    limits: Limits,
    make: _Make,
    dated: bool,
) -> Fetched:
    recursive = kind != "file"
    memory = Memory(limits.folder)
    algo = expected.algo if expected is not None else ""
    key = {"kind": kind, "url": url, "name": name, "store": store.uri, "algo": algo if algo != "sha256" else ""}
    known = memory.recall(**key)
    if expected is not None:
        there = store.query(output_path(store, url, name, recursive, expected))
        if there is not None:
            same = known is not None and known[0].get("path") == there.path
            modified = known[0].get("modified") if known is not None and same else None
            if modified is not None or not dated:
                return Fetched(there, modified, known[0].get("immutable", "") if known is not None and same else "")
    before: Fetched | None = None
    etag = ""
    if known is not None and expected is None:
        value, age = known
        info = store.query(value.get("path", ""))
        if info is not None:
            before = Fetched(info, value.get("modified"), value.get("immutable", ""))
            etag = value.get("etag", "")
            # A file of this machine can be looked at; what is far away may be a little old.
            if is_local(url):
                if etag == _stamp(url):
                    return before
            elif age < limits.ttl or not limits.network:
                return before
    with downloaded(url, limits, "" if is_local(url) else etag) as download:
        if download.path is None and before is not None and known is not None:
            memory.remember({**known[0], "immutable": download.immutable or before.immutable}, **key)
            return before
        stamp = _stamp(url) if is_local(url) else download.etag
        fetched = _kept(store, url, name, download, expected, recursive, make)
    value = {"path": fetched.info.path, "modified": fetched.last_modified, "immutable": fetched.immutable}
    memory.remember({**value, "etag": stamp}, **key)
    return fetched


def _kept(
    store: CastoreStore, url: str, name: str, download: Download, expected: Hash | None, recursive: bool, make: _Make
) -> Fetched:
    assert download.path is not None
    with store.transaction():
        try:
            node, modified = make(download.path)
        except OSError as error:
            raise FetchError(f"cannot keep what was fetched from '{url}': {error}") from None
        return Fetched(keep(store, url, name, node, expected, recursive), modified, download.immutable)


def _stamp(url: str) -> str:
    """What changes with a file of this machine."""
    try:
        status = os.stat(local_path(url))
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
