"""Names in registries, and flakes at GitHub, GitLab and SourceHut: which addresses are asked, and what for."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from builder.fetch import FetchError, Limits
from builder.fetch.transfer import downloaded
from builder.settings import load
from evaluator.flakes import forges
from evaluator.flakes.fetcher import Fetcher
from evaluator.flakes.means import Means
from evaluator.flakes.registry import Registries
from evaluator.io.files import Files
from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.session import Session
from store.backends.memory import MemoryCastore
from store.composition.castore_store import CastoreStore
from store.hashes import hash_bytes
from store.store_path import fixed_output_path
from tests.builder.fetch.loopback import Page, Site, serving

REV = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limits:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("NIX_CONF_DIR", str(tmp_path / "system"))
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    return Limits(folder=tmp_path / "cache", pause=0.0, attempts=2)


def registry(path: Path, *rows: tuple[dict[str, object], dict[str, object]], exact: bool = False) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    flakes = [{"from": before, "to": after, "exact": exact} for before, after in rows]
    path.write_text(json.dumps({"version": 2, "flakes": flakes}))
    return str(path)


def registries(settings: dict[str, str], limits: Limits) -> Registries:
    return Registries(load(settings, {"HOME": "/nonexistent"}), limits)


def named(name: str, **more: object) -> dict[str, object]:
    return {"type": "indirect", "id": name, **more}


GITHUB: dict[str, object] = {"type": "github", "owner": "O", "repo": "R"}


def test_the_first_registry_that_knows_a_name_counts(limits: Limits, tmp_path: Path) -> None:
    everybodys = registry(tmp_path / "all.json", (named("a"), {"type": "path", "path": "/all"}), (named("b"), GITHUB))
    registry(tmp_path / "system" / "registry.json", (named("a"), {"type": "path", "path": "/system"}))
    found = registries({"flake-registry": everybodys}, limits)
    assert found.lookup(named("a")) == {"type": "path", "path": "/system"}
    assert found.lookup(named("b")) == GITHUB
    registry(tmp_path / "config" / "nix" / "registry.json", (named("a"), named("b")))
    assert found.lookup(named("a")) == GITHUB
    assert found.lookup({"type": "path", "path": "/x"}) == {"type": "path", "path": "/x"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (named("n"), {**GITHUB, "ref": "stable"}),
        (named("n", ref="other"), {**GITHUB, "ref": "other"}),
        (named("n", rev=REV), {**GITHUB, "rev": REV}),
        (named("n", dir="sub"), {**GITHUB, "ref": "stable", "dir": "sub"}),
        (named("special", ref="x"), {"type": "path", "path": "/special"}),
    ],
)
def test_a_branch_may_be_named_with_the_name(
    limits: Limits, tmp_path: Path, asked: dict[str, object], expected: dict[str, object]
) -> None:
    path = registry(
        tmp_path / "r.json",
        (named("n"), {**GITHUB, "ref": "stable"}),
        (named("special", ref="x"), {"type": "path", "path": "/special"}),
    )
    assert registries({"flake-registry": path}, limits).lookup(asked) == expected


def test_an_exact_entry_is_about_nothing_else(limits: Limits, tmp_path: Path) -> None:
    found = registries({"flake-registry": registry(tmp_path / "r.json", (named("n"), GITHUB), exact=True)}, limits)
    assert found.lookup(named("n")) == GITHUB
    with pytest.raises(FetchError, match="cannot find flake"):
        found.lookup(named("n", ref="x"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is broken"),
        ('{"version": 1, "flakes": []}', "has version 1"),
        ('{"version": 2, "flakes": [{"from": 1}]}', "is broken"),
        ('{"version": 2, "flakes": []}', r"cannot find flake 'flake:n'.*registry\.json"),
    ],
)
def test_what_is_wrong_with_a_registry(limits: Limits, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(FetchError, match=said):
        registries({"flake-registry": str(tmp_path / "r.json")}, limits).lookup(named("n"))


def test_a_circle_of_names_ends(limits: Limits, tmp_path: Path) -> None:
    path = registry(tmp_path / "r.json", (named("a"), named("b")), (named("b"), named("a")))
    with pytest.raises(FetchError, match="cycle detected"):
        registries({"flake-registry": path}, limits).lookup(named("a"))


def test_the_registry_in_the_network_is_asked_last_and_remembered(limits: Limits, site: Site, tmp_path: Path) -> None:
    registry(tmp_path / "config" / "nix" / "registry.json", (named("own"), {"type": "path", "path": "/own"}))
    site.pages["/r.json"] = Page(Path(registry(tmp_path / "r.json", (named("n"), GITHUB))).read_bytes())
    settings = {"flake-registry": f"{site.url}/r.json"}
    assert registries(settings, limits).lookup(named("own"))["path"] == "/own"
    assert not site.asked
    for _ in range(2):
        assert registries(settings, limits).lookup(named("n")) == GITHUB
    assert site.count("/r.json") == 1
    with pytest.raises(FetchError, match="registries are not to be used"):
        registries({**settings, "use-registries": "false"}, limits).lookup(named("n"))


# --- forges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("github", {}, f"https://github.com/O/R/archive/{REV}.tar.gz"),
        ("github", {"host": "git.example.org"}, f"https://git.example.org/api/v3/repos/O/R/tarball/{REV}"),
        ("gitlab", {}, f"https://gitlab.com/api/v4/projects/O%2FR/repository/archive.tar.gz?sha={REV}"),
        (
            "gitlab",
            {"owner": "group/inner", "host": "g.example.org"},
            f"https://g.example.org/api/v4/projects/group%2Finner%2FR/repository/archive.tar.gz?sha={REV}",
        ),
        ("sourcehut", {"owner": "~O"}, f"https://git.sr.ht/~O/R/archive/{REV}.tar.gz"),
    ],
)
def test_addresses_of_archives(kind: str, more: dict[str, str], expected: str) -> None:
    assert forges.archive(kind, {"owner": "O", "repo": "R", "rev": REV, **more}) == expected


def test_tokens_go_to_the_host_that_they_are_for(limits: Limits, site: Site) -> None:
    found = forges.authorizations(["github.com=one", "gitlab.com=PAT:two", "g.example.org=OAuth2:three"])
    assert found == {
        "github.com": "token one",
        "api.github.com": "token one",
        "gitlab.com": "Bearer two",
        "g.example.org": "Bearer three",
    }
    items = {"owner": "O", "repo": "R", "rev": REV}
    assert forges.archive("github", items, found) == f"https://api.github.com/repos/O/R/tarball/{REV}"
    host = site.url.removeprefix("http://")
    site.pages |= {"/a": Page(redirect=f"http://localhost:{host.partition(':')[2]}/b"), "/b": Page(b"x")}
    with downloaded(f"{site.url}/a", replace(limits, tokens={host: "token one"})) as download:
        assert download.path is not None
    assert [headers.get("authorization") for _, headers in site.asked] == ["token one", None]


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as found:
        info = tarfile.TarInfo(f"R-{REV}/file")
        info.size, info.mtime = 2, 1_600_000_000
        found.addfile(info, io.BytesIO(b"x\n"))
    return out.getvalue()


PAGES: dict[str, dict[str, Page]] = {
    "github": {
        "/api/v3/repos/O/R/commits/BRANCH": Page(json.dumps({"sha": REV}).encode()),
        f"/api/v3/repos/O/R/tarball/{REV}": Page(archive()),
    },
    "gitlab": {
        "/api/v4/projects/O%2FR/repository/commits?ref_name=BRANCH": Page(json.dumps([{"id": REV}]).encode()),
        f"/api/v4/projects/O%2FR/repository/archive.tar.gz?sha={REV}": Page(archive()),
    },
    "sourcehut": {
        "/O/R/HEAD": Page(b"ref: refs/heads/main\n"),
        "/O/R/info/refs": Page(f"{'1' * 40}\trefs/heads/other\n{REV}\trefs/heads/main\n{REV}\trefs/tags/v1\n".encode()),
        f"/O/R/archive/{REV}.tar.gz": Page(archive()),
    },
}


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("ref", ["", "main"])
def test_a_branch_is_locked_to_its_revision(
    limits: Limits, site: Site, monkeypatch: pytest.MonkeyPatch, kind: str, ref: str
) -> None:
    monkeypatch.setattr(forges, "SCHEME", "http")
    site.pages |= {path.replace("BRANCH", ref or "HEAD"): page for path, page in PAGES[kind].items()}
    store = CastoreStore(MemoryCastore())
    host = site.url.removeprefix("http://")
    items: dict[str, object] = {"type": kind, "owner": "O", "repo": "R", "host": host, **({"ref": ref} if ref else {})}
    asked = 0
    for _ in range(2):
        fetcher = Fetcher(Means(lambda: store, network=True, limits=limits))
        tree = fetcher.tree(Session(Files()), items)
        assert tree.items == {
            "type": kind,
            "owner": "O",
            "repo": "R",
            "host": host,
            "rev": REV,
            "lastModified": 1_600_000_000,
            "narHash": tree.nar_hash,
        }
        # The second time everything is known, the branch too, for a while.
        assert asked in (0, len(site.asked))
        asked = len(site.asked)


@pytest.mark.parametrize("kind", PAGES)
def test_what_a_forge_does_not_know(limits: Limits, site: Site, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(forges, "SCHEME", "http")
    items = {"owner": "O", "repo": "R", "host": site.url.removeprefix("http://"), "ref": "none"}
    with pytest.raises(FetchError, match="404"):
        forges.newest(kind, items, limits)
    site.pages["/api/v3/repos/O/R/commits/none"] = Page(b"<html>")
    site.pages["/api/v4/projects/O%2FR/repository/commits?ref_name=none"] = Page(b"[]")
    site.pages["/O/R/info/refs"] = PAGES["sourcehut"]["/O/R/info/refs"]
    with pytest.raises(FetchError, match=f"'?none'? of '{kind}:O/R'|'{kind}:O/R': it has no branch or tag 'none'"):
        forges.newest(kind, items, limits)


def test_without_leave_nobody_is_asked(limits: Limits, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forges, "SCHEME", "http")
    offline = replace(limits, network=False, offline_remedy="ask first")
    fetcher = Fetcher(Means(lambda: CastoreStore(MemoryCastore()), remedy="ask first", limits=offline))
    session = Session(Files())
    host = site.url.removeprefix("http://")
    wanted: list[dict[str, object]] = [
        {**GITHUB, "host": host},
        {"type": "tarball", "url": f"{site.url}/x.tar.gz"},
        {"type": "file", "url": f"{site.url}/x"},
        {"type": "git", "url": f"{site.url}/x.git"},
        {"type": "git", "url": "ssh://git@127.0.0.1:9/x", "rev": REV},
        {"type": "hg", "url": f"{site.url}/x"},
    ]
    for items in wanted:
        with pytest.raises(EvalError, match="is on another machine, and none may be asked here; ask first"):
            fetcher.tree(session, items)
    with pytest.raises(EvalError, match="ask first"):
        fetcher.download(session, f"{site.url}/x", "x", False, "")
    with pytest.raises(EvalError, match="ask first"):
        fetcher.substitute(session, site.url, "/nix/store/00000000000000000000000000000000-x")
    assert not site.asked


def test_what_is_pinned_comes_with_leave(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    site.pages["/f"] = Page(b"x\n")
    store = CastoreStore(MemoryCastore())
    session = Session(Files())
    fetcher = Fetcher(Means(lambda: store))
    path = fixed_output_path("f", False, hash_bytes("sha256", b"x\n"))
    items: dict[str, object] = {
        "type": "download",
        "url": f"{site.url}/f",
        "name": "f",
        "hash": hash_bytes("sha256", b"x\n").sri(),
    }
    fetcher.declare(session, path, items)
    with pytest.raises(Unrealised) as caught:
        session.fetches[path].run(store)
    assert caught.value.path == path
    assert f"'{site.url}/f' is on another machine" in caught.value.message
    assert not site.asked
    session.fetches[path].permit()
    session.fetches[path].run(store)
    assert store.query(path) is not None


def test_what_is_pure_is_pinned() -> None:
    fetcher = Fetcher(Means(lambda: CastoreStore(MemoryCastore()), network=True), pure=True)
    session = Session(Files())
    unpinned: list[dict[str, object]] = [
        {"type": "git", "url": "file:///x"},
        {"type": "path", "path": "/x"},
        {**GITHUB, "ref": "main"},
    ]
    for items in unpinned:
        with pytest.raises(EvalError, match="must be locked"):
            fetcher.tree(session, items)
    with pytest.raises(EvalError, match="requires a 'sha256' argument"):
        fetcher.download(session, "file:///x", "x", True, "")
    with pytest.raises(EvalError, match="cannot be looked up"):
        fetcher.tree(session, named("x"))
