"""Revisions of Mercurial repositories, through the ``hg`` command."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from builder.communicating import communicate
from builder.fetch.failure import FetchError
from builder.fetch.keeping import keep
from builder.fetch.limits import Limits
from builder.fetch.transfer import is_local, local_path
from store.castore.path_info import PathInfo
from store.castore.trees import ingest_path
from store.composition.castore_store import CastoreStore
from store.hashes import Hash


@dataclass(frozen=True)
class HgFetched:
    """A revision in the store; ``branch`` is the one that it is on, ``rev_count`` its number (the first is 0)."""

    info: PathInfo
    rev: str
    branch: str
    rev_count: int


def fetch_mercurial(
    store: CastoreStore,
    url: str,
    rev: str = "",
    name: str = "source",
    expected: Hash | None = None,
    limits: Limits | None = None,
) -> HgFetched:
    """The committed tree of ``rev`` (a hash, branch or tag; the branch ``default`` if empty). Raises FetchError."""
    bounds = limits or Limits()
    address = str(local_path(url)) if is_local(url) else url
    if not is_local(url):
        bounds.require_network(url)
    if rev.startswith("-") or address.startswith("-"):
        raise FetchError(f"cannot fetch the Mercurial repository '{url}': '{rev}' is no revision")
    with tempfile.TemporaryDirectory(prefix="tvix-hg-") as temporary:
        folder = Path(temporary)
        _hg(url, bounds, "clone", "--noupdate", "--", address, str(folder / "clone"))
        wanted = rev or "default"
        words = ["log", "-r", wanted, "--template", "{node} {rev} {branch}"]
        node, number, branch = _hg(url, bounds, "-R", str(folder / "clone"), *words).split(" ", 2)
        _hg(url, bounds, "-R", str(folder / "clone"), "archive", "-r", node, str(folder / "tree"))
        (folder / "tree" / ".hg_archival.txt").unlink(missing_ok=True)
        with store.transaction():
            found = ingest_path(str(folder / "tree"), store.castore)
            info = keep(store, url, name, found.node, expected)
    return HgFetched(info, node, branch, int(number))


def _hg(url: str, limits: Limits, *arguments: str) -> str:
    # What a repository configures, extensions and hooks above all, is not for whoever fetches it.
    environment = {**os.environ, "HGPLAIN": "1", "HGRCSKIPREPO": "1", "LC_ALL": "C.UTF-8"}
    try:
        with subprocess.Popen(
            ["hg", "--noninteractive", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        ) as process:
            out, err = communicate(process, limits.cancel, process.kill)
    except FileNotFoundError:
        raise FetchError(
            f"cannot fetch the Mercurial repository '{url}': there is no program 'hg'; install Mercurial"
        ) from None
    limits.check()
    if process.returncode != 0:
        why = err.decode("utf-8", "replace").strip().replace("\n", "; ")
        raise FetchError(f"cannot fetch the Mercurial repository '{url}': {why}")
    return out.decode("utf-8", "surrogateescape")
