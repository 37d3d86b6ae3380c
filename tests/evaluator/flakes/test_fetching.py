"""Fetching during evaluation: the values that Nix gives, what is fetched when, and that no answer is stale."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.hashes import Hash, hash_bytes
from store.nar import nar_sha256
from tests.builder.fetch.loopback import Page, Site, serving
from tests.builder.fetch.mercurial_changes import Changes
from tests.builder.fetch.repositories import Repository
from tests.evaluator.flakes.conftest import World

NEW = frozenset(["dirtyRev", "dirtyShortRev"])
"""Attributes that Nix 2.8 does not have."""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture
def furnished(world: World) -> World:
    """Repositories, archives and files to fetch."""
    repository = world.repository("repo", "", a="1\n", d__b="b\n")
    repository.git("branch", "old")
    repository.git("tag", "v1")
    repository.commit(a="2\n")
    repository.bare(world.root / "repo.git")
    dirty = world.repository("dirty", "", a="1\n")
    dirty.write(a="2\n", untracked="u\n")
    empty = Repository(world.root / "empty")
    empty.write(a="a\n")
    empty.git("add", "a")
    inner = world.repository("inner", "", i="i\n")
    outer = world.repository("outer", "", o="o\n")
    outer.git("submodule", "--quiet", "add", inner.url, "sub")
    outer.commit()
    world.folder("tree", a="a\n", sub__run="x\n")
    (world.root / "tree" / "sub" / "run").chmod(0o755)
    for form in ("gztar", "xztar", "bztar", "tar", "zip"):
        shutil.make_archive(str(world.root / "tree"), form, world.root, "tree")
    (world.root / "file").write_text("contents\n")
    return world


WRONG = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
SHA = hash_bytes("sha256", b"contents\n").sri()

#: Expressions; `@` is the world's folder, REV the older revision of its repository.
VALUES = {
    "git": "builtins.fetchGit @/repo",
    "git, text": 'builtins.fetchGit "file://@/repo"',
    "git, path": "builtins.fetchGit { url = @/repo; }",
    "git, bare": 'builtins.fetchGit "file://@/repo.git"',
    "git, branch": 'builtins.fetchGit { url = "file://@/repo"; ref = "old"; }',
    "git, tag": 'builtins.fetchGit { url = "file://@/repo"; ref = "refs/tags/v1"; }',
    "git, bare branch": 'builtins.fetchGit { url = "file://@/repo.git"; ref = "old"; }',
    "git, revision": 'builtins.fetchGit { url = "file://@/repo"; rev = "REV"; }',
    "git, all refs": 'builtins.fetchGit { url = "file://@/repo.git"; rev = "REV"; allRefs = true; }',
    "git, name": 'builtins.fetchGit { url = "file://@/repo"; name = "other"; }',
    "git, shallow": 'builtins.fetchGit { url = "file://@/repo.git"; shallow = true; }',
    "git, dirty": "builtins.fetchGit @/dirty",
    "git, no commits": "builtins.fetchGit @/empty",
    "git, without submodules": "builtins.fetchGit @/outer",
    "git, context": "builtins.getContext (builtins.fetchGit @/repo).outPath",
    "git, read": 'builtins.readFile "${builtins.fetchGit @/repo}/a"',
    "git, read branch": 'builtins.readFile "${builtins.fetchGit { url = "file://@/repo"; ref = "old"; }}/a"',
    "git, read dirty": 'builtins.readDir "${builtins.fetchGit @/dirty}"',
    "tree, git": 'builtins.fetchTree { type = "git"; url = "file://@/repo"; }',
    "tree, git branch": 'builtins.fetchTree { type = "git"; url = "file://@/repo"; ref = "old"; }',
    "tree, dirty": 'builtins.fetchTree { type = "git"; url = "file://@/dirty"; }',
    "tree, path": 'builtins.fetchTree { type = "path"; path = "@/tree"; }',
    "tree, archive": '(builtins.fetchTree { type = "tarball"; url = "file://@/tree.tar.gz"; }).outPath',
    **{
        f"archive {suffix}": f'builtins.fetchTarball "file://@/tree.{suffix}"'
        for suffix in ("tar.gz", "tar.xz", "tar.bz2", "tar", "zip")
    },
    "archive, name": 'builtins.fetchTarball { url = "file://@/tree.tar.gz"; name = "other"; }',
    "archive, pinned": 'builtins.fetchTarball { url = "file://@/tree.tar.gz"; sha256 = "TREE"; }',
    "archive, read": 'builtins.readFile "${builtins.fetchTarball "file://@/tree.tar.gz"}/sub/run"',
    "archive, pinned and read": (
        'builtins.readDir "${builtins.fetchTarball { url = "file://@/tree.tar.gz"; sha256 = "TREE"; }}/sub"'
    ),
    "file": 'builtins.fetchurl "file://@/file"',
    "file, name": 'builtins.fetchurl { url = "file://@/file"; name = "other"; }',
    "file, pinned": f'builtins.fetchurl {{ url = "file://@/file"; sha256 = "{SHA}"; }}',
    "file, read": 'builtins.readFile (builtins.fetchurl "file://@/file")',
    "file, pinned and read": f'builtins.readFile (builtins.fetchurl {{ url = "file://@/file"; sha256 = "{SHA}"; }})',
    "file, in a derivation": (
        'builtins.unsafeDiscardStringContext (derivation { name = "x"; system = "x"; builder = "x"; '
        'src = builtins.fetchurl "file://@/file"; }).drvPath'
    ),
}


def filled(world: World, text: str) -> str:
    text = text.replace("TREE", f"sha256:{nar_sha256(str(world.root / 'tree')).hex()}")
    if "REV" in text:
        repository = object.__new__(Repository)
        repository.path, repository.commits = world.root / "repo", 0
        text = text.replace("REV", repository.git("rev-parse", "old"))
    return text.replace("@", str(world.root))


def test_values_are_those_of_nix(furnished: World, reference: World) -> None:
    """All in one evaluation each: starting takes longer than the rest."""
    texts = "\n".join(f'"{name}" = {filled(furnished, text)};' for name, text in VALUES.items())
    # In JSON sets with an outPath are only that.
    keep = (
        'builtins.mapAttrs (n: v: if v ? outPath then builtins.removeAttrs v ["outPath"] // { at = v.outPath; } else v)'
    )
    (furnished.root / "values.nix").write_text(f"{keep} {{\n{texts}\n}}\n")
    words = ["--eval", "--strict", "--json", str(furnished.root / "values.nix")]
    theirs = furnished.nix_instantiate(*words)
    assert theirs.code == 0, theirs.err
    ours = json.loads(furnished.tvix(*words).out)
    expected = json.loads(theirs.out)
    for name, value in ours.items():
        if isinstance(value, dict):
            value = {key: found for key, found in value.items() if key not in NEW}
        assert value == expected[name], name
    assert ours.keys() == expected.keys() == VALUES.keys()
    assert "is dirty" in theirs.err


@pytest.mark.skipif(shutil.which("hg") is None, reason="no Mercurial here (Debian: apt-get install mercurial)")
def test_mercurial_is_that_of_nix(reference: World) -> None:
    changes = Changes(reference.root / "changes")
    changes.commit(a="1\n")
    changes.hg("branch", "--quiet", "side")
    changes.commit(a="2\n", b="b\n")
    url = f"file://{changes.path}"
    texts = [
        f'builtins.fetchMercurial "{url}"',
        f'builtins.fetchMercurial {{ url = "{url}"; rev = "side"; name = "other"; }}',
        f'builtins.readDir (builtins.fetchMercurial {{ url = "{url}"; rev = "side"; }}).outPath',
    ]
    text = f"map (v: if v ? outPath then v // {{ outPath = null; at = v.outPath; }} else v) [ ({') ('.join(texts)}) ]"
    theirs = reference.nix_instantiate("--eval", "--strict", "-E", text)
    assert theirs.code == 0, theirs.err
    assert reference.tvix("--eval", "--strict", "-E", text).out == theirs.out


#: Expressions and a part of what is said of them.
ERRORS = {
    "no such file": ('builtins.fetchurl "file://@/none"', "cannot fetch 'file://@/none': No such file"),
    "no archive": ('builtins.fetchTarball "file://@/file"', "cannot unpack 'file://@/file'"),
    "wrong hash": (
        f'builtins.readFile (builtins.fetchurl {{ url = "file://@/file"; sha256 = "{WRONG}"; }})',
        f"specified: {WRONG}\n         got:       {SHA}",
    ),
    "wrong tree": (
        f'builtins.readDir (builtins.fetchTree {{ type = "path"; path = "@/tree"; narHash = "{WRONG}"; }}).outPath',
        "NAR hash mismatch in input 'path:@/tree'",
    ),
    "no repository": ("builtins.fetchGit @/tree", "@/tree"),
    "no branch": ('builtins.fetchGit { url = "file://@/repo"; ref = "none"; }', "no branch or tag 'none'"),
    "no revision": (
        'builtins.fetchGit { url = "file://@/repo"; rev = "1111111111111111111111111111111111111111"; }',
        "it has no revision '1111111111111111111111111111111111111111'",
    ),
    "bad branch": ('builtins.fetchGit { url = "file://@/repo"; ref = "--upload-pack=x"; }', "no possible name"),
    "untracked": (
        'builtins.readFile "${builtins.fetchGit @/dirty}/untracked"',
        "not tracked by Git; to make it visible here, run: git -C '@/dirty' add 'untracked'",
    ),
    "not allowed to be dirty": ("builtins.fetchGit @/dirty", "Git tree '@/dirty' is dirty"),
    "mercurial": (
        'builtins.fetchMercurial "file://@/repo"',
        "cannot fetch the Mercurial repository 'file://@/repo': ",
    ),
    "unknown in the registry": ('builtins.fetchTree { type = "indirect"; id = "nobody"; }', "cannot find flake"),
    "another machine": ('builtins.fetchurl "https://example.invalid/x"', "cannot fetch 'https://example.invalid/x'"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_address_and_the_remedy(furnished: World, name: str) -> None:
    text, said = ERRORS[name]
    flags = ["--option", "allow-dirty", "false"] if name == "not allowed to be dirty" else []
    if name in ("another machine", "unknown in the registry"):
        flags = ["--option", "download-attempts", "1", "--option", "flake-registry", ""]
    done = furnished.tvix("--eval", "--strict", "-E", filled(furnished, text), *flags, ok=False)
    assert done.code == (102 if name in ("wrong hash", "wrong tree") else 1)
    assert said.replace("@", str(furnished.root)) in done.err


# --- what is fetched when ----------------------------------------------------------------------------


def test_what_is_pinned_is_fetched_when_it_is_read(world: World, site: Site) -> None:
    site.pages["/f"] = Page(b"contents\n")
    pinned = f'builtins.fetchurl {{ url = "{site.url}/f"; sha256 = "{SHA}"; }}'
    path = world.tvix("--eval", "-E", pinned).out
    assert re.fullmatch(r'"/nix/store/[0-9a-z]{32}-f"\n', path)
    assert not site.asked
    for _ in range(2):
        assert world.tvix("--eval", "-E", f"builtins.readFile ({pinned})").out == '"contents\\n"\n'
    assert len(site.asked) == 1


def test_what_is_not_pinned_is_fetched_once_for_a_while(world: World, site: Site) -> None:
    page = site.pages["/f"] = Page(b"one", etag='"1"')
    text = f'builtins.readFile (builtins.fetchurl "{site.url}/f")'
    assert world.tvix("--eval", "-E", f"[ ({text}) ({text}) ]", "--strict").out == '[ "one" "one" ]\n'
    assert len(site.asked) == 1
    page.body, page.etag = b"two", '"2"'
    assert world.tvix("--eval", "-E", text).out == '"one"\n'
    assert world.tvix("--eval", "-E", text, "--option", "tarball-ttl", "0").out == '"two"\n'
    assert world.tvix("--eval", "-E", text).out == '"two"\n'


def test_no_answer_about_what_may_change_is_used_again(world: World, site: Site) -> None:
    """Only the memory of fetches may be old, and that only as old as the user allows."""
    repository = world.repository("r", "", a="1")
    (world.root / "f").write_text("1")
    expressions = {
        "file": f'builtins.readFile (builtins.fetchurl "file://{world.root}/f")',
        "git": f'builtins.readFile "${{builtins.fetchGit {world.root}/r}}/a"',
        "branch": f'builtins.readFile "${{builtins.fetchGit {{ url = "file://{world.root}/r"; ref = "master"; }}}}/a"',
        "revision": f'(builtins.fetchGit {world.root}/r).rev == "x"',
        "tree": f'(builtins.fetchTree {{ type = "git"; url = "file://{world.root}/r"; }}).revCount',
    }
    before = {name: world.tvix("--eval", "-E", text).out for name, text in expressions.items()}
    assert before == {"file": '"1"\n', "git": '"1"\n', "branch": '"1"\n', "revision": "false\n", "tree": "1\n"}
    (world.root / "f").write_text("2")
    repository.commit(a="2")
    after = {name: world.tvix("--eval", "-E", text).out for name, text in expressions.items()}
    assert after == {"file": '"2"\n', "git": '"2"\n', "branch": '"2"\n', "revision": "false\n", "tree": "2\n"}


def test_what_is_pinned_is_an_answer_for_good(world: World) -> None:
    """It is the same answer even when what it was fetched from is gone."""
    (world.root / "f").write_text("contents\n")
    text = f'builtins.readFile (builtins.fetchurl {{ url = "file://{world.root}/f"; sha256 = "{SHA}"; }})'
    for _ in range(2):
        assert world.tvix("--eval", "-E", text).out == '"contents\\n"\n'
        (world.root / "f").unlink(missing_ok=True)
    with sqlite3.connect(next((world.root / "answers").rglob("*.sqlite3"))) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)


def test_asking_what_only_the_tree_knows_fetches_it(world: World) -> None:
    repository = world.repository("r", "", a="1")
    (world.root / "copy").mkdir()
    shutil.copy(repository.path / "a", world.root / "copy")
    nar_hash = Hash("sha256", nar_sha256(str(world.root / "copy"))).sri()
    tree = f'builtins.fetchTree {{ type = "git"; url = "{repository.url}"; narHash = "{nar_hash}"; }}'
    (repository.path / "a").write_text("changed")
    assert world.tvix("--eval", "-E", f"({tree}).narHash").out == f'"{nar_hash}"\n'
    done = world.tvix("--eval", "-E", f"({tree}).rev", ok=False)
    assert "NAR hash mismatch" in done.err
    repository.git("checkout", "a")
    assert world.tvix("--eval", "-E", f"({tree}).rev").out == f'"{repository.git("rev-parse", "HEAD")}"\n'


def test_nothing_is_written_for_a_folder_or_working_tree(world: World) -> None:
    world.repository("r", "", a="1")
    world.folder("tree", a="a\n")
    world.tvix("--eval", "-E", f'builtins.readFile "${{builtins.fetchGit {world.root}/r}}/a"')
    world.tvix("--eval", "-E", f'(builtins.fetchTree {{ type = "path"; path = "{world.root}/tree"; }}).narHash')
    assert not (world.root / "store").exists()


def test_submodules_are_there_when_wanted(furnished: World) -> None:
    for where in ("outer", "outer.git"):
        if where == "outer.git":
            repository = object.__new__(Repository)
            repository.path, repository.commits = furnished.root / "outer", 0
            repository.bare(furnished.root / where)
        text = f'builtins.fetchGit {{ url = "file://{furnished.root}/{where}"; submodules = true; }}'
        assert furnished.tvix("--eval", "-E", f'builtins.readFile "${{{text}}}/sub/i"').out == '"i\\n"\n'


def test_search_path_and_files_may_be_addresses(furnished: World) -> None:
    url = f"file://{furnished.root}/nixexprs.tar.gz"
    furnished.folder("exprs", **{"default.nix": "{ a = 1; }"})
    with tarfile.open(furnished.root / "nixexprs.tar.gz", "w:gz") as archive:
        archive.add(furnished.root / "exprs", "exprs")
    assert furnished.tvix("--eval", url, "-A", "a").out == "1\n"
    for path in (url, f"x={url}"):
        name = "<x>" if "=" in path else "<default.nix>"
        assert furnished.tvix("--eval", "-I", path, "-E", f"(import {name}).a").out == "1\n"
    furnished.register(named=f"file://{furnished.root}/repo")
    assert furnished.tvix("--eval", "-I", "x=flake:named", "-E", "builtins.readFile <x/a>").out == '"2\\n"\n'
    done = furnished.tvix("--eval", "-I", "x=file:///none.tar.gz", "-E", "<x>", ok=False)
    assert "Nix search path entry 'file:///none.tar.gz' cannot be downloaded, ignoring" in done.err


def test_a_closure_comes_from_another_store(world: World, site: Site, tmp_path: Path) -> None:
    from store.backends.memory import MemoryCastore
    from store.composition.castore_store import CastoreStore
    from store.composition.urls import open_url
    from store.paths.closure import copy

    source = CastoreStore(MemoryCastore())
    (tmp_path / "x").write_text("contents\n")
    info = source.add_path(str(tmp_path / "x"), "x")
    cache = open_url(f"file://{tmp_path}/binary-cache")
    copy(source, cache, [info.path])
    for place in (tmp_path / "binary-cache").rglob("*"):
        if place.is_file():
            site.pages["/" + str(place.relative_to(tmp_path / "binary-cache"))] = Page(place.read_bytes())
    text = f'builtins.fetchClosure {{ fromStore = "{site.url}"; fromPath = {info.path}; }}'
    assert world.tvix("--eval", "-E", text).out == f'"{info.path}"\n'
    assert not site.asked
    assert world.tvix("--eval", "-E", f"builtins.readFile ({text})").out == '"contents\\n"\n'
