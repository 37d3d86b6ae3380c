"""Finding nixpkgs: the order of places, and that nothing but what is on this machine counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsp.nixpkgs import Found, Machine, enclosing, find, is_nixpkgs, search_path, split_search_path
from store import hashes, store_path

HASH = "sha256-DV9gFUOC/uELEUocNOeF2LH0kgc64tOm97FHaHs2aqA="


def checkout(path: Path) -> Path:
    """A folder shaped like nixpkgs."""
    for name in ("default.nix", "lib/default.nix", "pkgs/top-level/default.nix"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("{ }")
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine({}, str(tmp_path / "home"), str(tmp_path / "store"), str(tmp_path / "profiles"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def in_store(machine: Machine, name: str) -> Path:
    return checkout(Path(store_path.fixed_output_path(name, True, hashes.parse(HASH), machine.store)))


def with_env(machine: Machine, **env: str) -> Machine:
    return Machine(env, machine.home, machine.store, machine.profiles)


def test_nothing_there(machine: Machine, project: Path) -> None:
    assert find([str(project)], machine) is None
    assert find([], machine) is None
    assert not is_nixpkgs(str(project / "nowhere"))
    assert not is_nixpkgs("bad\0path")


def test_the_workspace_itself_from_any_depth(machine: Machine, tmp_path: Path) -> None:
    root = checkout(tmp_path / "checkout")
    package = root / "pkgs" / "by-name" / "he" / "hello"
    package.mkdir(parents=True)
    assert find([str(package)], machine) == Found(str(root), "the workspace itself")
    assert enclosing(str(package / "package.nix")) == str(root)


def flake_lock(project: Path, **locked: str) -> None:
    lock = {
        "nodes": {
            "nixpkgs_2": {"locked": locked},
            "other": {"locked": {"type": "path", "path": "/elsewhere"}},
            "root": {"inputs": {"nixpkgs": "nixpkgs_2", "other": "other"}},
        },
        "root": "root",
        "version": 7,
    }
    (project / "flake.lock").write_text(json.dumps(lock))


def test_flake_lock_with_a_path_input(machine: Machine, tmp_path: Path, project: Path) -> None:
    root = checkout(tmp_path / "mine")
    flake_lock(project, type="path", path="../mine")
    assert find([str(project)], machine) == Found(str(root), str(project / "flake.lock"))


def test_flake_lock_counts_when_the_store_has_it(machine: Machine, project: Path) -> None:
    flake_lock(project, type="github", owner="NixOS", repo="nixpkgs", narHash=HASH)
    assert find([str(project)], machine) is None
    root = in_store(machine, "source")
    (project / "sub").mkdir()
    assert find([str(project / "sub")], machine) == Found(str(root), str(project / "flake.lock"))


def test_npins(machine: Machine, project: Path) -> None:
    (project / "npins").mkdir()
    pins = {"pins": {"nixpkgs": {"type": "Channel", "hash": HASH}}, "version": 5}
    (project / "npins" / "sources.json").write_text(json.dumps(pins))
    root = in_store(machine, "source")
    assert find([str(project)], machine) == Found(str(root), str(project / "npins" / "sources.json"))


def test_niv(machine: Machine, project: Path) -> None:
    (project / "nix").mkdir()
    sources = {"nixpkgs": {"sha256": hashes.parse(HASH).nix32(), "owner": "NixOS"}}
    (project / "nix" / "sources.json").write_text(json.dumps(sources))
    root = in_store(machine, "nixpkgs-src")
    assert find([str(project)], machine) == Found(str(root), str(project / "nix" / "sources.json"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        '{"nodes": 3}',
        '{"nodes": {"root": []}}',
        '{"nodes": {"nixpkgs": {"locked": {"narHash": "x"}}}}',
    ],
)
def test_lock_files_that_are_none(machine: Machine, project: Path, text: str) -> None:
    for name in ("flake.lock", "npins/sources.json", "nix/sources.json"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
    assert find([str(project)], machine) is None


def test_nix_path_then_channels(machine: Machine, tmp_path: Path, project: Path) -> None:
    channel = checkout(tmp_path / "profiles" / "per-user" / "root" / "channels" / "nixos")
    assert find([str(project)], machine) == Found(str(channel), f"the channel {channel}")
    mine = checkout(tmp_path / "home" / ".nix-defexpr" / "channels" / "nixpkgs")
    assert find([str(project)], machine) == Found(str(mine), f"the channel {mine}")
    named = checkout(tmp_path / "named")
    assert find([str(project)], with_env(machine, NIX_PATH=f"nixpkgs={named}")) == Found(str(named), "NIX_PATH")
    checkout(tmp_path / "folder" / "nixpkgs")
    found = find([str(project)], with_env(machine, NIX_PATH=f"https://x.org/a.tar.gz:{tmp_path / 'folder'}"))
    assert found == Found(str(tmp_path / "folder" / "nixpkgs"), "NIX_PATH")


def test_search_path_of_nix(machine: Machine, tmp_path: Path) -> None:
    assert search_path(machine) == []
    root = checkout(tmp_path / "profiles" / "per-user" / "root" / "channels" / "nixpkgs")
    assert search_path(machine) == [f"nixpkgs={root}", str(root.parent)]
    assert search_path(with_env(machine, NIX_PATH="a=/b:/c")) == ["a=/b", "/c"]
    assert search_path(with_env(machine, NIX_PATH="")) == []


def test_colons_in_a_search_path() -> None:
    text = "nixpkgs=https://x.org/n.tar.gz:/a:b=flake:nixpkgs:c=/d:channel:nixos-unstable:/e"
    expected = ["nixpkgs=https://x.org/n.tar.gz", "/a", "b=flake:nixpkgs", "c=/d", "channel:nixos-unstable", "/e"]
    assert split_search_path(text) == expected
