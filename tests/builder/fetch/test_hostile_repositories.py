"""Repositories that name programs to run: plain Git runs them, reading such a repository through the fetchers does not.

Each attack is tried with plain Git first, so that a test which finds nothing has looked at something.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.fetch import FetchError, Limits
from builder.fetch.git import GitSource, fetch_git
from builder.fetch.mercurial import fetch_mercurial
from builder.fetch.worktree import worktree
from store.composition.castore_store import CastoreStore
from tests.builder.fetch.loopback import Page, Site
from tests.builder.fetch.mercurial_changes import Changes
from tests.builder.fetch.repositories import Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git here (Debian: apt-get install git)")


@dataclass
class Trap:
    """A repository with one commit (and a submodule, ``sub``), and a program that leaves a trace when it runs."""

    repository: Repository
    sub: Repository
    program: str
    trace: Path

    def config(self, *words: str) -> None:
        self.repository.git("config", *words)

    def attributes(self, text: str) -> None:
        self.repository.commit(**{".gitattributes": text})

    def lose(self, name: str) -> None:
        """Takes an object away, as in a clone that has only a part of its history."""
        found = self.repository.git("rev-parse", name)
        (self.repository.path / ".git" / "objects" / found[:2] / found[2:]).unlink()


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    trace = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    sub = Repository(tmp_path / "inner")
    sub.commit(i="1\n", **{".gitattributes": "* filter=odd\n"})
    repository = Repository(tmp_path / "repository")
    repository.commit(a="1\n", b="1\n")
    repository.git("submodule", "--quiet", "add", str(sub.path), "sub")
    repository.commit()
    inside = object.__new__(Repository)
    inside.path, inside.commits = repository.path / "sub", 1
    return Trap(repository, inside, str(program), trace)


@dataclass(frozen=True)
class Attack:
    """``prepare`` sets the trap; ``plain`` are the words with which plain Git falls into it."""

    prepare: Callable[[Trap], object]
    plain: tuple[str, ...] = ("diff", "HEAD")


def _filter(variable: str, name: str = "odd", *where: str) -> Callable[[Trap], object]:
    def prepare(trap: Trap) -> None:
        trap.attributes(f"* filter={name}\na filter={name} export-ignore\n")
        trap.config(*where, f"filter.{name}.{variable}", trap.program)

    return prepare


def _included(trap: Trap) -> None:
    trap.attributes("* filter=odd\n")
    (trap.repository.path / ".git" / "more").write_text(f'[filter "odd"]\n\tclean = {trap.program}\n')
    trap.config("include.path", "more")


def _of_worktree(trap: Trap) -> None:
    trap.config("extensions.worktreeConfig", "true")
    _filter("clean", "odd", "--worktree")(trap)


def _of_submodule(trap: Trap) -> None:
    trap.sub.git("config", "filter.odd.clean", trap.program)


def _textconv(trap: Trap) -> None:
    trap.attributes("a diff=odd\n")
    trap.config("diff.odd.textconv", trap.program)


def _driver(trap: Trap) -> None:
    trap.attributes("a diff=odd\n")
    trap.config("diff.odd.command", trap.program)


def _hook(folder: str) -> Callable[[Trap], object]:
    def prepare(trap: Trap) -> None:
        hooks = trap.repository.path / folder
        hooks.mkdir(parents=True, exist_ok=True)
        shutil.copy(trap.program, hooks / "post-index-change")
        if folder != ".git/hooks":
            trap.config("core.hooksPath", str(hooks))

    return prepare


def _signed(trap: Trap) -> None:
    text = trap.repository.git("cat-file", "commit", "HEAD")
    head, _, message = text.partition("\n\n")
    signature = "-----BEGIN PGP SIGNATURE-----\n \n aaaa\n -----END PGP SIGNATURE-----"
    (trap.repository.path / ".git" / "text").write_text(f"{head}\ngpgsig {signature}\n\n{message}\n")
    made = trap.repository.git("hash-object", "-t", "commit", "-w", ".git/text")
    trap.repository.git("update-ref", "HEAD", made)
    trap.config("log.showSignature", "true")
    trap.config("gpg.program", trap.program)


def _partial(url: str, *settings: tuple[str, str]) -> Callable[[Trap], object]:
    """A clone that lacks objects, and says where they are to be had, and how."""

    def prepare(trap: Trap) -> None:
        trap.config("core.repositoryFormatVersion", "1")
        trap.config("extensions.partialClone", "origin")
        trap.config("remote.origin.promisor", "true")
        trap.config("remote.origin.url", url.replace("@", trap.program))
        for name, value in settings:
            trap.config(name, value.replace("@", trap.program))
        trap.lose("HEAD:a")

    return prepare


_LOST = ("cat-file", "-p", "HEAD:a")

ATTACKS = {
    "clean filter": Attack(_filter("clean")),
    "filter process": Attack(_filter("process")),
    "smudge filter": Attack(_filter("smudge"), ("archive", "--output=/dev/null", "--format=tar", "HEAD")),
    "filter with an odd name": Attack(_filter("clean", "a=b")),
    "filter with dots in its name": Attack(_filter("clean", "a.B.c")),
    "filter of the working tree": Attack(_of_worktree),
    "filter in a file included": Attack(_included),
    "filter of a submodule": Attack(_of_submodule),
    "external diff": Attack(lambda trap: trap.config("diff.external", trap.program)),
    "diff driver": Attack(_driver),
    "text conversion": Attack(_textconv),
    "file system monitor": Attack(lambda trap: trap.config("core.fsmonitor", trap.program), ("status",)),
    "file system monitor of a submodule": Attack(
        lambda trap: trap.sub.git("config", "core.fsmonitor", trap.program), ("status",)
    ),
    "hook": Attack(_hook(".git/hooks"), ("update-index", "--refresh", "--force-write-index")),
    "hook elsewhere": Attack(_hook("hooks"), ("update-index", "--refresh", "--force-write-index")),
    "signature": Attack(_signed, ("log", "-1")),
    "lost object, upload-pack": Attack(_partial("file:///nonexistent", ("remote.origin.uploadpack", "@")), _LOST),
    "lost object, ssh": Attack(_partial("ssh://nobody@127.0.0.1:9/x", ("core.sshCommand", "@")), _LOST),
    "lost object, proxy": Attack(_partial("git://127.0.0.1:9/x", ("core.gitProxy", "@")), _LOST),
    "lost object, command": Attack(_partial("ext::@", ("protocol.ext.allow", "always")), _LOST),
}


def plain_git(trap: Trap, words: tuple[str, ...]) -> None:
    # Without the settings of the tests' own repositories, which forbid some protocols.
    subprocess.run(
        ["git", *words],
        cwd=trap.repository.path,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_that_a_repository_names_is_run(
    trap: Trap, store: CastoreStore, limits: Limits, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    attack = ATTACKS[name]
    attack.prepare(trap)

    def set_off() -> None:
        (trap.repository.path / "a").write_text("2\n")
        (trap.sub.path / "i").write_text("2\n")
        trap.trace.unlink(missing_ok=True)

    set_off()
    plain_git(trap, attack.plain)
    assert trap.trace.exists(), "the trap is none"
    set_off()
    for submodules in (False, True):
        for export_ignore in (False, True):
            with suppress(FetchError):
                found = worktree(str(trap.repository.path), limits, submodules=submodules, export_ignore=export_ignore)
                assert found is not None and found.dirty
            source = GitSource(trap.repository.url, submodules=submodules, export_ignore=export_ignore)
            with suppress(FetchError):
                fetch_git(store, source, None, limits)
    assert not trap.trace.exists()


def test_a_filter_that_is_switched_off_hides_no_change(trap: Trap, limits: Limits) -> None:
    ATTACKS["clean filter"].prepare(trap)
    found = worktree(str(trap.repository.path), limits)
    assert found is not None and not found.dirty
    (trap.repository.path / "a").write_text("2\n")
    found = worktree(str(trap.repository.path), limits)
    assert found is not None and found.dirty


def test_filters_of_the_user_are_run(
    trap: Trap, limits: Limits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Git LFS has it: what is checked out is not what is committed, and yet nothing was changed."""
    (tmp_path / "settings").write_text('[filter "upper"]\n\tclean = tr A-Z a-z\n\tsmudge = tr a-z A-Z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    trap.repository.commit(**{".gitattributes": "w filter=upper\n", "w": "word\n"})
    trap.config("filter.upper.clean", trap.program)
    (trap.repository.path / "w").write_text("WORD\n")
    found = worktree(str(trap.repository.path), limits)
    assert found is not None and not found.dirty
    assert not trap.trace.exists()


@pytest.mark.parametrize("changed", [False, True])
def test_changes_in_submodules_count_where_submodules_do(trap: Trap, limits: Limits, changed: bool) -> None:
    if changed:
        (trap.sub.path / "i").write_text("2\n")
    for submodules in (False, True):
        found = worktree(str(trap.repository.path), limits, submodules=submodules)
        assert found is not None and found.dirty == (changed and submodules)


@pytest.mark.parametrize(
    "url", ["ext::sh -c 'touch @'", "--upload-pack=touch @", "ssh://-oProxyCommand=touch%20@/x", "fd::17", "ftp://h/x"]
)
def test_addresses_of_submodules_that_are_commands(trap: Trap, store: CastoreStore, limits: Limits, url: str) -> None:
    trap.repository.write(**{".gitmodules": f'[submodule "sub"]\n\tpath = sub\n\turl = "{url}"\n'})
    trap.repository.write(**{".gitmodules": (trap.repository.path / ".gitmodules").read_text().replace("@", "/x")})
    trap.repository.commit()
    with pytest.raises(FetchError, match="the submodule 'sub'"):
        fetch_git(store, GitSource(trap.repository.url, submodules=True), None, limits)
    assert not trap.trace.exists()


def test_a_repository_from_elsewhere_names_no_submodule_of_this_machine(
    trap: Trap, store: CastoreStore, limits: Limits, site: Site, tmp_path: Path
) -> None:
    bare = trap.repository.bare(tmp_path / "bare.git")
    for place in bare.rglob("*"):
        if place.is_file():
            site.pages[f"/bare.git/{place.relative_to(bare)}"] = Page(place.read_bytes())
    site.pages["/bare.git/info/refs?service=git-upload-pack"] = site.pages["/bare.git/info/refs"]
    source = GitSource(f"{site.url}/bare.git", submodules=True)
    with pytest.raises(FetchError, match="on this machine; a repository from elsewhere may not name it"):
        fetch_git(store, source, None, limits)


@pytest.mark.skipif(shutil.which("hg") is None, reason="no Mercurial here (Debian: apt-get install mercurial)")
@pytest.mark.parametrize("section", ["extensions", "hooks"])
def test_nothing_that_a_mercurial_repository_names_is_run(
    trap: Trap, store: CastoreStore, limits: Limits, tmp_path: Path, section: str
) -> None:
    changes = Changes(tmp_path / "changes")
    changes.commit(a="1\n")
    (tmp_path / "odd.py").write_text(f"open({str(trap.trace)!r}, 'w').close()\n")
    line = f"odd = {tmp_path}/odd.py" if section == "extensions" else f"pre-log = {trap.program}"
    (changes.path / ".hg" / "hgrc").write_text(f"[{section}]\n{line}\n")
    changes.hg("log")
    assert trap.trace.exists(), "the trap is none"
    trap.trace.unlink()
    fetch_mercurial(store, f"file://{changes.path}", "", "source", None, limits)
    assert not trap.trace.exists()
