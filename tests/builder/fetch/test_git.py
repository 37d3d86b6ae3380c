"""Git repositories: which revision is meant, what is in its tree, working trees, caches, and what is refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from builder.fetch import FetchError, HashMismatch, Limits, Offline
from builder.fetch.failure import Cancelled
from builder.fetch.git import GitFetched, GitSource, fetch_git, resolved
from builder.fetch.worktree import worktree
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.hashes import hash_bytes
from store.nar import nar_sha256
from tests.builder.fetch.loopback import Page, Site
from tests.builder.fetch.repositories import DAY, FIRST, Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here (Debian: apt-get install git)")


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own settings of git count."""
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "repository")
    found.commit(a="1\n", d__b="b\n")
    found.commit(a="2\n")
    return found


def files(store: CastoreStore, info: PathInfo, *below: bytes) -> dict[str, str]:
    """Everything in a tree: path -> contents, ``x`` before those of executable files, ``->`` before a target."""
    tree = store.tree(info)
    found: dict[str, str] = {}
    pending = [list(below)]
    while pending:
        parts = pending.pop()
        entry = tree.entry(parts)
        assert entry is not None
        name = b"/".join(parts).decode()
        if entry.kind == "directory":
            names = tree.names(parts)
            pending += [[*parts, child] for child in names]
            if not names:
                found[name + "/"] = ""
        elif entry.kind == "symlink":
            found[name] = "->" + entry.target.decode()
        else:
            found[name] = ("x" if entry.executable else "") + b"".join(tree.read(parts)).decode()
    return found


def test_the_newest_revision_of_the_branch_that_is_checked_out(
    store: CastoreStore, limits: Limits, repository: Repository
) -> None:
    found = fetch_git(store, GitSource(repository.url), None, limits)
    assert (found.rev, found.ref) == (repository.git("rev-parse", "HEAD"), "master")
    assert (found.rev_count, found.last_modified) == (2, FIRST + DAY)
    assert files(store, found.info) == {"a": "2\n", "d/b": "b\n"}


@pytest.mark.parametrize(
    ("ref", "contents"),
    [("", "2\n"), ("HEAD", "2\n"), ("old", "1\n"), ("refs/heads/old", "1\n"), ("v1", "1\n"), ("refs/tags/v1", "1\n")],
)
@pytest.mark.parametrize("where", ["worktree", "bare", "http"])
def test_branches_and_tags(
    store: CastoreStore,
    limits: Limits,
    repository: Repository,
    site: Site,
    tmp_path: Path,
    where: str,
    ref: str,
    contents: str,
) -> None:
    repository.git("branch", "old", "HEAD^")
    repository.git("tag", "-a", "-m", "one", "v1", "HEAD^")
    url = repository.url
    if where != "worktree":
        bare = repository.bare(tmp_path / "bare.git")
        url = f"file://{bare}"
        if where == "http":
            url = show(bare, site)
    found = fetch_git(store, GitSource(url, ref=ref), None, limits)
    assert files(store, found.info)["a"] == contents
    assert found.rev_count == int(contents)


def show(bare: Path, site: Site) -> str:
    """Serves a bare repository as files."""
    for folder, _, names in os.walk(bare):
        for name in names:
            place = os.path.join(folder, name)
            path = f"/{bare.name}/{os.path.relpath(place, bare)}"
            site.pages[path] = Page(Path(place).read_bytes())
            if name == "refs":
                site.pages[path + "?service=git-upload-pack"] = site.pages[path]
    return f"{site.url}/{bare.name}"


def test_a_revision_needs_no_network_the_second_time(
    store: CastoreStore, limits: Limits, repository: Repository, site: Site, tmp_path: Path
) -> None:
    url = show(repository.bare(tmp_path / "bare.git"), site)
    rev = repository.git("rev-parse", "HEAD^")
    offline = replace(limits, network=False)
    with pytest.raises(Offline):
        fetch_git(store, GitSource(url, rev=rev), None, offline)
    first = fetch_git(store, GitSource(url, rev=rev, ref="master"), None, limits)
    asked = len(site.asked)
    assert fetch_git(store, GitSource(url, rev=rev), None, offline).info.path == first.info.path
    other = CastoreStore(store.castore.__class__(), uri="memory:other")
    assert fetch_git(other, GitSource(url, rev=rev), None, offline).info.path == first.info.path
    assert len(site.asked) == asked


def test_a_branch_is_asked_for_again_after_its_time_only(
    store: CastoreStore, limits: Limits, repository: Repository, site: Site, tmp_path: Path
) -> None:
    url = show(repository.bare(tmp_path / "bare.git"), site)
    before = fetch_git(store, GitSource(url, ref="master"), None, limits)
    newer = repository.commit(a="3\n")
    shutil.rmtree(tmp_path / "bare.git")
    show(repository.bare(tmp_path / "bare.git"), site)
    assert fetch_git(store, GitSource(url, ref="master"), None, limits).rev == before.rev
    assert fetch_git(store, GitSource(url, ref="master"), None, replace(limits, ttl=0)).rev == newer


def test_a_local_branch_is_never_old(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    source = GitSource(repository.url, ref="master")
    fetch_git(store, source, None, limits)
    newer = repository.commit(a="3\n")
    assert fetch_git(store, source, None, limits).rev == newer


def test_the_default_branch_of_a_server(store: CastoreStore, limits: Limits, site: Site, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "main", "trunk")
    repository.commit(a="1\n")
    found = fetch_git(store, GitSource(show(repository.bare(tmp_path / "b.git"), site)), None, limits)
    assert files(store, found.info) == {"a": "1\n"}


def test_modes_links_and_odd_names(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    repository.write(run="#!/bin/sh\n", **{"sp ace": "s"})
    (repository.path / "run").chmod(0o755)
    (repository.path / "link").symlink_to("../out")
    (repository.path / "ü\n").write_text("u")
    repository.commit()
    found = fetch_git(store, GitSource(repository.url), None, limits)
    assert files(store, found.info) == {
        "a": "2\n",
        "d/b": "b\n",
        "run": "x#!/bin/sh\n",
        "link": "->../out",
        "sp ace": "s",
        "ü\n": "u",
    }


def test_contents_are_not_changed_as_a_checkout_would(
    store: CastoreStore, limits: Limits, repository: Repository
) -> None:
    repository.commit(**{".gitattributes": "* text eol=crlf\na export-subst\n", "a": "$Format:%H$\n"})
    found = fetch_git(store, GitSource(repository.url), None, limits)
    assert files(store, found.info)["a"] == "$Format:%H$\n"


def test_large_files(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    large = "0123456789" * 300_000
    repository.commit(large=large, large2=large)
    found = fetch_git(store, GitSource(repository.url), None, limits)
    assert files(store, found.info)["large2"] == large


def test_what_is_not_to_be_exported_stays_out(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    repository.commit(
        **{".gitattributes": "secret export-ignore\n/d export-ignore\n", "secret": "s", "e__secret": "t", "e__f": "f"}
    )
    source = GitSource(repository.url)
    kept = fetch_git(store, source, None, limits)
    assert sorted(files(store, kept.info)) == [".gitattributes", "a", "e/f"]
    everything = fetch_git(store, replace(source, export_ignore=False), None, limits)
    assert sorted(files(store, everything.info)) == [".gitattributes", "a", "d/b", "e/f", "e/secret", "secret"]
    found = worktree(str(repository.path), limits, export_ignore=True)
    assert found is not None and found.files == {".gitattributes", "a", "e/f"}


@pytest.fixture
def parent(tmp_path: Path, repository: Repository) -> Repository:
    """A repository with ``repository`` as a submodule, which has one itself."""
    inner = Repository(tmp_path / "inner")
    inner.commit(i="i\n")
    repository.git("submodule", "--quiet", "add", "../inner", "deep")
    repository.commit()
    outer = Repository(tmp_path / "outer")
    outer.git("submodule", "--quiet", "add", "../repository", "libs/sub")
    outer.commit(o="o\n")
    return outer


def test_submodules(store: CastoreStore, limits: Limits, parent: Repository) -> None:
    without = files(store, fetch_git(store, GitSource(parent.url), None, limits).info)
    assert (without["o"], without["libs/sub/"]) == ("o\n", "")
    found = files(store, fetch_git(store, GitSource(parent.url, submodules=True), None, limits).info)
    assert (found["o"], found["libs/sub/a"], found["libs/sub/deep/i"]) == ("o\n", "2\n", "i\n")


def test_a_submodule_that_is_gone_is_named(
    store: CastoreStore, limits: Limits, parent: Repository, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "inner")
    with pytest.raises(FetchError, match="the submodule 'deep'"):
        fetch_git(store, GitSource(parent.url, submodules=True), None, limits)


@pytest.mark.parametrize(
    ("base", "url", "expected"),
    [
        ("https://h/a/b.git", "../c.git", "https://h/a/c.git"),
        ("https://h/a/b.git/", "./c", "https://h/a/b.git/c"),
        ("https://h/a/b?x=1", "../../c", "https://h/c"),
        ("git@h:a/b", "../c", "git@h:a/c"),
        ("file:///a/b", "ssh://h/c", "ssh://h/c"),
    ],
)
def test_relative_addresses_of_submodules(base: str, url: str, expected: str) -> None:
    assert resolved(base, url) == expected


def test_a_revision_on_another_branch(store: CastoreStore, limits: Limits, site: Site, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "r")
    repository.commit(a="1\n")
    repository.git("checkout", "-q", "-b", "side")
    rev = repository.commit(a="side\n")
    repository.git("checkout", "-q", "master")
    url = show(repository.bare(tmp_path / "b.git"), site)
    for all_refs in (False, True):
        fresh = replace(limits, folder=tmp_path / f"cache {all_refs}")
        found = fetch_git(store, GitSource(url, rev=rev, all_refs=all_refs), None, fresh)
        assert files(store, found.info) == {"a": "side\n"}
    with pytest.raises(FetchError, match="'allRefs = true'"):
        fetch_git(store, GitSource(url, rev="1" * 40, all_refs=True), None, limits)


def test_without_history(store: CastoreStore, limits: Limits, repository: Repository, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    repository.git("clone", "-q", "--depth=1", repository.url, str(shallow))
    with pytest.raises(FetchError, match="shallow = true"):
        fetch_git(store, GitSource(f"file://{shallow}"), None, limits)
    found = fetch_git(store, GitSource(f"file://{shallow}", shallow=True), None, limits)
    assert found.rev_count is None
    assert files(store, found.info)["a"] == "2\n"


def test_a_pinned_hash(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    source = GitSource(repository.url, rev=repository.git("rev-parse", "HEAD"))
    good = fetch_git(store, source, None, limits)
    assert fetch_git(store, source, good.info.nar_hash(), limits).info.path == good.info.path
    with pytest.raises(HashMismatch) as caught:
        fetch_git(store, source, hash_bytes("sha256", b""), limits)
    assert good.info.nar_hash().sri() in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (GitSource("file:///nonexistent"), "cannot change to '/nonexistent'|no branch"),
        (GitSource("ext::sh -c 'touch /tmp/x'"), "begins with none of"),
        (GitSource("--upload-pack=touch"), "begins with none of"),
        (GitSource("ssh://-oProxyCommand=touch/x", rev="1" * 40), "strange hostname|blocked"),
        (GitSource("file:///x", ref="--output=/tmp/x"), "no possible name"),
        (GitSource("file:///x", ref="a..b"), "no possible name"),
        (GitSource("file:///x", rev="HEAD"), "no Git revision"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused(store: CastoreStore, limits: Limits, source: GitSource, said: str) -> None:
    with pytest.raises(FetchError, match=said):
        fetch_git(store, source, None, limits)


def test_what_is_not_there_is_named(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    with pytest.raises(FetchError, match="no branch or tag 'none'"):
        fetch_git(store, GitSource(repository.url, ref="none"), None, limits)
    with pytest.raises(FetchError, match="no revision '1111"):
        fetch_git(store, GitSource(repository.url, rev="1" * 40), None, limits)


def test_git_is_not_misled_by_the_environment(
    store: CastoreStore, limits: Limits, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    assert fetch_git(store, GitSource(repository.url), None, limits).rev_count == 2


def test_without_git_it_is_said_so(
    store: CastoreStore, limits: Limits, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(FetchError, match="no program 'git'"):
        fetch_git(store, GitSource(repository.url), None, limits)


def test_whoever_does_not_wait_stops_git(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    limits.cancel.set()
    with pytest.raises(Cancelled):
        fetch_git(store, GitSource(repository.url), None, limits)


# --- working trees -----------------------------------------------------------------------------------


def kept(repository: Repository, limits: Limits) -> str:
    found = worktree(str(repository.path), limits)
    assert found is not None
    return nar_sha256(str(repository.path), found.keeps).hex()


def test_a_clean_working_tree_is_its_revision(store: CastoreStore, limits: Limits, repository: Repository) -> None:
    found = worktree(str(repository.path), limits)
    assert found is not None
    assert (found.dirty, found.head, found.ref) == (False, repository.git("rev-parse", "HEAD"), "master")
    assert (found.rev_count(limits), found.last_modified) == (2, FIRST + DAY)
    fetched: GitFetched = fetch_git(store, GitSource(repository.url), None, limits)
    assert kept(repository, limits) == fetched.info.nar_sha256.hex()


def test_untracked_files_are_not_there(limits: Limits, repository: Repository) -> None:
    before = kept(repository, limits)
    repository.write(new="n", d__new="n", e__new="n")
    found = worktree(str(repository.path), limits)
    assert found is not None and not found.dirty and kept(repository, limits) == before
    assert not found.keeps(f"{repository.path}/new", "file") and not found.keeps(f"{repository.path}/e", "directory")
    assert found.keeps(f"{repository.path}/d", "directory")


@pytest.mark.parametrize("change", ["edited", "added", "intended", "deleted", "mode"])
def test_changes_to_tracked_files_count(limits: Limits, repository: Repository, change: str) -> None:
    before = kept(repository, limits)
    repository.write(new="n")
    if change == "edited":
        repository.write(a="changed\n")
    elif change == "added":
        repository.git("add", "new")
    elif change == "intended":
        repository.git("add", "--intent-to-add", "new")
    elif change == "deleted":
        (repository.path / "a").unlink()
    else:
        (repository.path / "a").chmod(0o755)
    found = worktree(str(repository.path), limits)
    assert found is not None and found.dirty and kept(repository, limits) != before


def test_a_repository_without_commits(limits: Limits, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new")
    repository.write(a="a", b="b")
    repository.git("add", "a")
    found = worktree(str(repository.path), limits)
    assert found is not None
    assert (found.head, found.dirty, found.last_modified, found.files) == ("", True, 0, frozenset({"a"}))


def test_a_folder_without_a_repository_is_none(limits: Limits, tmp_path: Path, repository: Repository) -> None:
    assert worktree(str(tmp_path), limits) is None
    assert worktree(str(repository.bare(tmp_path / "bare.git")), limits) is None


def test_submodules_of_a_working_tree(limits: Limits, parent: Repository) -> None:
    found = worktree(str(parent.path), limits)
    assert found is not None
    assert found.keeps(f"{parent.path}/libs/sub", "directory") and not found.keeps(f"{parent.path}/libs/sub/a", "file")
    found = worktree(str(parent.path), limits, submodules=True)
    assert found is not None and found.keeps(f"{parent.path}/libs/sub/a", "file")
