"""What comes over HTTP: values, store paths and lock files, as Nix 2.8 and the evaluator here have them.

``cases/http.json`` holds expressions (``@`` is the server's address, ``%`` the test's folder) with the value that they
have or a part of the error that they end with. ``nix`` says where Nix 2.8 does something else, and since when it is as
here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from store.hashes import hash_bytes
from tests.builder.fetch.git_over_http import serving_git
from tests.builder.fetch.loopback import Page, Site, serving
from tests.evaluator.flakes.conftest import World
from tests.evaluator.flakes.pages import nar_of_file, pages


@dataclass(frozen=True)
class Case:
    """One expression. ``value`` is JSON data; ``error`` what is said where there is none. ``nix``: see above."""

    name: str
    expression: str
    value: object = None
    error: str = ""
    code: int = 1
    nix: str = ""


CASES = [
    Case(name, **case) for name, case in json.loads((Path(__file__).parent / "cases" / "http.json").read_text()).items()
]


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        found.pages.update(pages())
        yield found


@pytest.fixture
def asking(world: World, site: Site) -> World:
    """A world that gives up after one attempt, with files of this machine beside what the server has."""
    world.environment["NIX_CONFIG"] += "download-attempts = 1\nsandbox-fallback = false\n"
    (world.root / "f").write_text("contents\n")
    (world.root / "a b").write_text("space\n")
    return world


def filled(text: str, world: World, site: Site) -> str:
    return text.replace("@", site.url).replace("%/", f"{world.root}/")


WORDS = ["--read-write-mode", "--eval", "--strict", "--json"]


def test_values_are_what_they_were(asking: World, site: Site) -> None:
    """All in one evaluation: starting takes longer than the rest."""
    good = [case for case in CASES if not case.error]
    text = "\n".join(f'"{case.name}" = {filled(case.expression, asking, site)};' for case in good)
    (asking.root / "values.nix").write_text(f"{{\n{text}\n}}\n")
    found = json.loads(asking.tvix(*WORDS, str(asking.root / "values.nix")).out)
    assert found == {case.name: case.value for case in good}


def test_values_are_those_of_nix(asking: World, reference: World, site: Site) -> None:
    same = [case for case in CASES if not case.error and not case.nix]
    text = "\n".join(f'"{case.name}" = {filled(case.expression, asking, site)};' for case in same)
    (asking.root / "values.nix").write_text(f"{{\n{text}\n}}\n")
    theirs = asking.nix_instantiate(*WORDS, str(asking.root / "values.nix"))
    assert theirs.code == 0, theirs.err
    assert json.loads(theirs.out) == {case.name: case.value for case in same}


@pytest.mark.parametrize("case", [case for case in CASES if case.error], ids=lambda case: case.name)
def test_what_cannot_be_had_is_an_error(asking: World, site: Site, case: Case) -> None:
    found = asking.tvix(*WORDS, "-E", filled(case.expression, asking, site), ok=False)
    assert (found.code, found.out) == (case.code, "")
    said = filled(case.error, asking, site)
    assert all(line in found.err for line in said.split("\n")), found.err


def test_what_cannot_be_had_nix_cannot_have_either(asking: World, reference: World, site: Site) -> None:
    for case in CASES:
        if case.error and not case.nix:
            found = asking.nix_instantiate(*WORDS, "-E", filled(case.expression, asking, site))
            assert found.code == case.code, (case.name, found.out, found.err)


# --- flakes ------------------------------------------------------------------------------------------

LEAF = "{ outputs = { self }: { x = 1; }; }"


@pytest.fixture
def repositories(world: World) -> Iterator[str]:
    """The address of a server of Git repositories."""
    leaf = world.repository("leaf", LEAF, file="contents\n", **{"sub__flake.nix": LEAF})
    leaf.git("branch", "side")
    leaf.git("tag", "v1")
    leaf.commit(file="newer\n")
    (world.root / "served").mkdir()
    leaf.bare(world.root / "served" / "leaf.git")
    with serving_git(world.root / "served") as url:
        yield url


#: Inputs of a flake; `@` is the web server, `^` that of repositories, REV an older revision.
INPUTS = {
    "archive": 'i.url = "@/one.tar.gz";',
    "archive, no flake": 'i.url = "@/top.zip"; i.flake = false;',
    "archive, moved": 'i.url = "@/moved.tar.gz";',
    "archive, attributes": 'i = { type = "tarball"; url = "@/one.tar.gz"; };',
    "git": 'i.url = "git+^/leaf.git";',
    "git, branch": 'i.url = "git+^/leaf.git?ref=side";',
    "git, tag": 'i.url = "git+^/leaf.git?ref=refs/tags/v1";',
    "git, revision": 'i.url = "git+^/leaf.git?rev=REV&ref=master";',
    "git, folder": 'i.url = "git+^/leaf.git?dir=sub";',
    "git, shallow": 'i.url = "git+^/leaf.git?shallow=1";',
    "git, no flake": 'i = { type = "git"; url = "^/leaf.git"; flake = false; };',
}


def revision_of(repository: Path, ref: str) -> str:
    return subprocess.run(
        ["git", "-C", str(repository), "rev-parse", ref], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.parametrize("name", INPUTS)
def test_the_lock_file_is_that_of_nix(reference: World, site: Site, repositories: str, name: str) -> None:
    world = reference
    rev = revision_of(world.root / "leaf", "side")
    text = INPUTS[name].replace("REV", rev).replace("@", site.url).replace("^", repositories)
    flake = f"{{ inputs = {{ {text} }}; outputs = {{ self, i }}: {{ at = (i.sourceInfo or i).outPath; }}; }}"
    locks: list[str] = []
    for which, run in (("ours", world.tvix), ("theirs", world.nix)):
        place = world.repository(which, flake).path
        run("flake", "lock", cwd=place)
        locks.append((place / "flake.lock").read_text())
    assert locks[0] == locks[1]
    place = world.root / "ours"
    ours = world.tvix("--raw", "--flake", ".#at", cwd=place).out
    assert ours == world.nix("eval", "--raw", ".#at", cwd=place).out


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("tarball+@/nosuffix", "tarball"),
        ("file+@/one.tar.gz", "file"),
        ("file+@/moved", "file"),
    ],
)
def test_addresses_that_later_versions_of_nix_know(world: World, site: Site, url: str, kind: str) -> None:
    """A tree is locked by what is in the archive, a file as it is; 2.8 knows neither of these addresses."""
    text = f'{{ inputs.i.url = "{url}"; inputs.i.flake = false; outputs = {{ self, i }}: {{ x = i.outPath; }}; }}'
    place = world.repository("f", text.replace("@", site.url)).path
    world.tvix("flake", "lock", cwd=place)
    node = json.loads((place / "flake.lock").read_text())["nodes"]["i"]
    path = url.partition("@")[2]
    page = site.pages[path]
    body = (site.pages[page.redirect] if page.redirect else page).body
    expected = {"type": kind, "url": site.url + path}
    assert node["original"] == expected
    if kind == "file":
        hashed = hash_bytes("sha256", nar_of_file(body)).sri()
        assert node["locked"] == {**expected, "narHash": hashed}
    else:
        found = world.tvix("--json", "--strict", "-E", f'(builtins.fetchTree "{site.url}{path}").narHash').out
        assert node["locked"]["narHash"] == json.loads(found)
    assert world.tvix("--json", "--flake", ".#x", cwd=place).code == 0


def test_an_immutable_address_is_what_is_locked(world: World, site: Site) -> None:
    """Later versions of Nix do so, 2.8 does not yet."""
    body = pages()["/one.tar.gz"].body
    site.pages["/fixed/1.tar.gz"] = Page(body)
    site.pages["/latest.tar.gz"] = Page(body, {"Link": f'<{site.url}/fixed/1.tar.gz?rev=1>; rel="immutable"'})
    place = world.repository("f", f'{{ inputs.i.url = "{site.url}/latest.tar.gz"; outputs = {{ self, i }}: i; }}').path
    world.tvix("flake", "lock", cwd=place)
    node = json.loads((place / "flake.lock").read_text())["nodes"]["i"]
    assert node["locked"]["url"] == f"{site.url}/fixed/1.tar.gz?rev=1"
    assert node["original"]["url"] == f"{site.url}/latest.tar.gz"
