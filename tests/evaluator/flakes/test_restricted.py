"""Restricted evaluation: what strangers' expressions may read and ask for, as Nix has it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.builder.fetch.loopback import Page, Site, serving
from tests.evaluator.flakes.conftest import World


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        found.pages["/a/x"] = Page(b"contents\n")
        found.pages["/abc"] = Page(b"contents\n")
        yield found


@pytest.fixture
def confined(world: World, site: Site) -> World:
    """A world with a folder ``in`` on the search path, and one, ``out``, beside it."""
    world.folder("in", a="text\n", **{"b.nix": "import ./c.nix", "c.nix": "3", "d.nix": "import ../out/e.nix"})
    world.folder("out", a="text\n", **{"e.nix": "4"})
    (world.root / "in" / "link").symlink_to(world.root / "out" / "a")
    (world.root / "in" / "near").symlink_to("a")
    world.repository("r", a="1\n")
    world.environment["NIX_PATH"] = f"in={world.root}/in"
    world.environment["NIX_CONFIG"] += f"allowed-uris = {site.url}/a/ {world.root}/allowed\nsandbox-fallback = false\n"
    return world


#: Expressions with their values, or what is said of them. `@` is the test's folder, `^` the server.
CASES = {
    "a file": ("builtins.readFile <in/a>", "text\n"),
    "a file by its path": ("builtins.readFile @/in/a", "text\n"),
    "a file elsewhere": ("builtins.readFile @/out/a", "access to absolute path '@/out/a' is forbidden in restricted"),
    "upwards": ('builtins.readFile (<in> + "/../out/a")', "access to absolute path '@/out/a' is forbidden"),
    "a folder elsewhere": ("builtins.readDir @/out", "access to absolute path '@/out' is forbidden in restricted mode"),
    "a link inside": ("builtins.readFile <in/near>", "text\n"),
    "a link that leads out": ("builtins.readFile <in/link>", "access to canonical path '@/out/a' is forbidden in"),
    "an import": ("import <in/b.nix>", 3),
    "an import of an import": ("import <in/d.nix>", "access to absolute path '@/out/e.nix' is forbidden in restricted"),
    "whether it is there": ("builtins.pathExists @/out/a", False),
    "whether a link is there": ("builtins.pathExists @/in/link", False),
    "a link on the search path": ("<in/link>", "access to canonical path '@/out/a' is forbidden in restricted mode"),
    "whether it is there, inside": ("builtins.pathExists <in/a>", True),
    "a copy": ('"${@/out/a}"', "access to absolute path '@/out/a' is forbidden in restricted mode"),
    "a path": ("builtins.typeOf @/out/a", "path"),
    "a variable": ('builtins.getEnv "HOME"', ""),
    "the system": ("builtins.isString builtins.currentSystem", True),
    "a text": ('builtins.stringLength (builtins.toFile "a" "b") > 10', True),
    "an address": ('builtins.readFile (builtins.fetchurl "^/a/x")', "contents\n"),
    "an address elsewhere": ('builtins.fetchurl "^/abc"', "access to URI '^/abc' is forbidden in restricted mode"),
    "a pinned address elsewhere": (
        'builtins.fetchurl { url = "^/abc"; sha256 = "0000000000000000000000000000000000000000000000000000"; }',
        "access to URI '^/abc' is forbidden in restricted mode",
    ),
    "an archive elsewhere": ('builtins.fetchTarball "^/b.tar"', "access to URI '^/b.tar' is forbidden in restricted"),
    "a local address": ('builtins.readFile (builtins.fetchurl "file://@/in/a")', "text\n"),
    "a local address elsewhere": (
        'builtins.fetchurl "file://@/out/a"',
        "access to absolute path '@/out/a' is forbidden in restricted mode",
    ),
    "a repository elsewhere": (
        "builtins.fetchGit @/r",
        "access to absolute path '@/r' is forbidden in restricted mode",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_may_be_read(confined: World, site: Site, name: str) -> None:
    text, expected = CASES[name]
    words = ["--eval", "--strict", "--read-write-mode", "--option", "restrict-eval", "true", "--json", "-E"]
    words.append(text.replace("@", str(confined.root)).replace("^", site.url))
    done = confined.tvix(*words, ok=False)
    said = str(expected).replace("@", str(confined.root)).replace("^", site.url)
    failed = "is forbidden" in said
    if failed:
        assert done.code == 1 and said in done.err
    else:
        assert done.code == 0, done.err
        assert json.loads(done.out) == expected


def test_it_is_as_in_nix(confined: World, reference: World, site: Site) -> None:
    for name, (text, expected) in CASES.items():
        words = ["--eval", "--strict", "--read-write-mode", "--option", "restrict-eval", "true", "--json", "-E"]
        words.append(text.replace("@", str(confined.root)).replace("^", site.url))
        done = reference.nix_instantiate(*words)
        said = str(expected).replace("@", str(confined.root)).replace("^", site.url)
        if "is forbidden" in said:
            assert done.code == 1 and said in done.err, (name, done.err)
        else:
            assert done.code == 0 and json.loads(done.out) == expected, (name, done.err)


def test_a_file_is_to_be_on_the_search_path(confined: World) -> None:
    flags = ["--restrict-eval"]
    assert confined.tvix(*flags, "in/b.nix").out == "3\n"
    assert "is forbidden in restricted mode" in confined.tvix(*flags, "out/e.nix", ok=False).err
    assert confined.tvix(*flags, "-I", "out", "out/e.nix").out == "4\n"


def test_configuration_files_say_so_too(confined: World) -> None:
    text = f"builtins.readFile {confined.root}/out/a"
    assert confined.tvix("-E", text).code == 0
    folder = confined.root / "settings"
    folder.mkdir()
    (folder / "nix.conf").write_text("include more.conf\n")
    (folder / "more.conf").write_text("restrict-eval = true\n")
    confined.environment["NIX_CONF_DIR"] = str(folder)
    assert "is forbidden in restricted mode" in confined.tvix("-E", text, ok=False).err
    (folder / "nix.conf").write_text("pure-eval = true\n")
    assert "is forbidden in pure eval mode" in confined.tvix("-E", text, ok=False).err
    assert confined.tvix("-E", text, "--no-pure-eval").code == 0


def test_what_was_answered_before_is_not_when_it_is_restricted_since(confined: World) -> None:
    text = f"builtins.readFile {confined.root}/out/a"
    folder = confined.root / "settings"
    folder.mkdir()
    confined.environment["NIX_CONF_DIR"] = str(folder)
    confined.environment["TVIX_EVAL_CACHE"] = str(confined.root / "cache")
    for _ in range(2):  # the second is remembered
        assert confined.tvix("-E", text).code == 0
    (folder / "nix.conf").write_text("restrict-eval = true\n")
    assert "is forbidden in restricted mode" in confined.tvix("-E", text, ok=False).err


@pytest.mark.parametrize(
    ("allowed", "url", "yes"),
    [
        ("http://h/a", "http://h/a", True),
        ("http://h/a", "http://h/a/b", True),
        ("http://h/a", "http://h/ab", False),
        ("http://h/a/", "http://h/a/b", True),
        ("http://h/a/", "http://h/a", False),
        ("github:", "github:a/b", True),
        ("github:a", "github:a/b", True),
        ("github:a", "github:ab/c", False),
        ("https:", "http://h", False),
    ],
)
def test_which_addresses_a_prefix_allows(allowed: str, url: str, yes: bool) -> None:
    from evaluator.flakes.fetcher import is_below

    assert is_below(url, allowed) == yes
