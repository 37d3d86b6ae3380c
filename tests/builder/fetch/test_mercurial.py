"""Mercurial repositories: which revision is meant, what is in its tree, and what is said where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.fetch import FetchError, HashMismatch, Limits
from builder.fetch.mercurial import fetch_mercurial
from store.composition.castore_store import CastoreStore
from store.hashes import hash_bytes
from tests.builder.fetch.mercurial_changes import Changes

with_hg = pytest.mark.skipif(shutil.which("hg") is None, reason="no Mercurial here (Debian: apt-get install mercurial)")


@pytest.fixture
def changes(tmp_path: Path) -> Changes:
    return Changes(tmp_path / "repository")


@with_hg
def test_revisions_branches_and_tags(changes: Changes, store: CastoreStore, limits: Limits) -> None:
    first = changes.commit(a="1")
    changes.hg("tag", "--local", "v1")
    changes.hg("branch", "--quiet", "side")
    second = changes.commit(a="2", b="b")
    changes.hg("update", "--quiet", "default")
    third = changes.commit(a="3")
    url = f"file://{changes.path}"
    # Local tags are not cloned, which is what makes them local.
    for rev, node, branch, count in [
        ("", third, "default", 2),
        ("side", second, "side", 1),
        (first, first, "default", 0),
    ]:
        found = fetch_mercurial(store, url, rev, limits=limits)
        assert (found.rev, found.branch, found.rev_count) == (node, branch, count)
        tree = store.tree(found.info)
        assert tree.names([]) == ([b"a", b"b"] if rev == "side" else [b"a"])
        assert b"".join(tree.read([b"a"])) == str([first, second, third].index(node) + 1).encode()
    with pytest.raises(FetchError, match="v1"):
        fetch_mercurial(store, url, "v1", limits=limits)


@with_hg
def test_what_was_expected_is_compared(changes: Changes, store: CastoreStore, limits: Limits) -> None:
    changes.commit(a="1")
    url = f"file://{changes.path}"
    found = fetch_mercurial(store, url, limits=limits)
    assert found.info.nar_sha256
    with pytest.raises(HashMismatch, match="specified"):
        fetch_mercurial(store, url, expected=hash_bytes("sha256", b"other"), limits=limits)


@with_hg
def test_no_repository_and_no_revision(changes: Changes, tmp_path: Path, store: CastoreStore, limits: Limits) -> None:
    with pytest.raises(FetchError, match=f"'file://{tmp_path}/none': abort: repository .* not found"):
        fetch_mercurial(store, f"file://{tmp_path}/none", limits=limits)
    changes.commit(a="1")
    with pytest.raises(FetchError, match="unknown revision 'nobody'"):
        fetch_mercurial(store, f"file://{changes.path}", "nobody", limits=limits)
    with pytest.raises(FetchError, match="is no revision"):
        fetch_mercurial(store, f"file://{changes.path}", "--config=x", limits=limits)


def test_without_mercurial_it_is_said_so(
    store: CastoreStore, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FetchError, match="install Mercurial"):
        fetch_mercurial(store, "file:///x", limits=limits)
