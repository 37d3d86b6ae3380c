"""Outputs of flakes on a command line: what names one, where it is looked for, with which inputs; as ``nix`` has it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.builder.fetch.repositories import Repository
from tests.evaluator.flakes.conftest import World

FLAKE = """{
  inputs.leaf.url = "git+file://@/leaf";
  outputs = { self, leaf }: let
    made = name: derivation {
      inherit name; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
    };
  in {
    packages.x86_64-linux = { default = made "default"; one = made "one"; both = made "package"; };
    legacyPackages.x86_64-linux = { both = made "legacy"; two = made "two"; set.three = made "three"; };
    four = made "four"; one = made "wrong"; two = made "wrong";
    checks.x86_64-linux.five = made leaf.value;
    a."b.c" = made "dotted";
    text = "x";
  };
}
"""


@pytest.fixture
def flake(world: World) -> Repository:
    world.repository("leaf", '{ outputs = { self }: { value = "leaf"; }; }')
    world.repository("other", '{ outputs = { self }: { value = "other"; }; }')
    found = world.repository("top", FLAKE)
    world.tvix("flake", "lock", cwd=found.path)
    found.commit()
    return found


#: What is asked for, and the derivation that it is.
NAMES = {
    ".#": "default",
    ".#default": "default",
    ".#one": "one",
    ".#both": "package",
    ".#two": "two",
    ".#set.three": "three",
    ".#four": "four",
    ".#packages.x86_64-linux.one": "one",
    ".#checks.x86_64-linux.five": "leaf",
    '.#a."b.c"': "dotted",
    "path:@/top#one": "one",
    "git+file://@/top#one": "one",
    "git+file://@/top": "default",
    "@/top#one": "one",
}


@pytest.mark.parametrize("given", NAMES)
def test_what_is_asked_for_is_what_nix_takes_it_for(world: World, flake: Repository, given: str) -> None:
    words = given.replace("@", str(world.root))
    done = world.build("--dry-run", words, cwd=flake.path)
    found = re.findall(r"/nix/store/[0-9a-z]{32}-(.*)\.drv", done.err)
    assert found == [NAMES[given]]


def test_paths_are_those_of_nix(world: World, reference: World, flake: Repository) -> None:
    given = [each.replace("@", str(world.root)) for each in NAMES if each != ".#"]
    ours = [world.tvix("--instantiate", each, cwd=flake.path).out.strip() for each in given]
    theirs = reference.nix("path-info", "--derivation", *given, cwd=flake.path).out.split()
    assert sorted(set(ours)) == sorted(set(theirs))


def test_several_at_once(world: World, flake: Repository) -> None:
    done = world.build("--dry-run", ".#one", ".#two", f"path:{flake.path}#four", cwd=flake.path)
    assert sorted(re.findall(r"[0-9a-z]{32}-(.*)\.drv", done.err)) == ["four", "one", "two"]
    assert world.tvix(".#text", ".#text", cwd=flake.path).out == '"x"\n"x"\n'


def test_values_are_evaluated(world: World, flake: Repository) -> None:
    assert world.tvix("--raw", ".#text", cwd=flake.path).out == "x"
    assert world.tvix(".#one.name", cwd=flake.path).out == '"one"\n'
    assert world.tvix(".#one", "-A", "name", cwd=flake.path).out == '"one"\n'


def test_inputs_may_be_others_for_once(world: World, flake: Repository) -> None:
    before = (flake.path / "flake.lock").read_text()
    words = ["--override-input", "leaf", f"git+file://{world.root}/other"]
    assert world.tvix("--raw", ".#checks.x86_64-linux.five.name", *words, cwd=flake.path).out == "other"
    done = world.build("--dry-run", ".#checks.x86_64-linux.five", *words, cwd=flake.path)
    assert "-other.drv" in done.err
    assert (flake.path / "flake.lock").read_text() == before
    done = world.tvix(".#text", "--no-update-lock-file", *words, cwd=flake.path, ok=False)
    assert done.code == 1 and "requires lock file changes" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([".#none"], "does not provide attribute 'packages.x86_64-linux.none', 'legacyPackages.x86_64-linux.none' or"),
        (["./leaf#"], "does not provide attribute 'packages.x86_64-linux.default' or 'defaultPackage.x86_64-linux'"),
        ([".#one", "./file.nix"], "'.#one' is an output of a flake; ask for files in a command of their own"),
        (["./nowhere#x"], "is not a flake (because it does not exist)"),
        (["--override-input", "", "path:/x", ".#one"], "'--override-input' takes the name of an input"),
    ],
)
def test_what_cannot_be_is_said(world: World, flake: Repository, words: list[str], said: str) -> None:
    place = world.root if words[0].startswith("./leaf") else flake.path
    (flake.path / "file.nix").write_text("1\n")
    done = world.build("--dry-run", *words, cwd=place, ok=False)
    assert done.code == 1 and said in done.err


def test_a_file_may_have_such_a_name(world: World, tmp_path: Path) -> None:
    (tmp_path / "a#b").write_text("7\n")
    assert world.tvix("a#b", cwd=tmp_path).out == "7\n"


# --- settings that a flake brings along ---------------------------------------------------------------

BRINGING = """{
  nixConfig = { SETTINGS };
  outputs = { self }: { x = import (derivation { name = "x"; system = "x"; builder = "x"; }); y = 1; };
}
"""
REFUSING = "allow-import-from-derivation = false;"
REFUSED = "'allow-import-from-derivation' is disabled"


def bringing(world: World, settings: str) -> Path:
    return world.repository("bringing", BRINGING.replace("SETTINGS", settings)).path


def test_settings_of_a_flake_hold_where_it_is_trusted(world: World) -> None:
    place = bringing(world, REFUSING)
    done = world.tvix("--read-write-mode", ".#x", "--accept-flake-config", cwd=place, ok=False)
    assert REFUSED in done.err
    done = world.tvix("--read-write-mode", ".#x", cwd=place, ok=False)
    assert REFUSED not in done.err
    assert "ignoring untrusted flake configuration setting 'allow-import-from-derivation'" in done.err
    done = world.build("--dry-run", ".#x", "--accept-flake-config", cwd=place, ok=False)
    assert REFUSED in done.err


def test_what_was_trusted_once_is_trusted(world: World) -> None:
    place = bringing(world, REFUSING)
    file = world.root / "home" / ".local" / "share" / "nix" / "trusted-settings.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"allow-import-from-derivation": {"false": true, "true": false}}')
    done = world.tvix("--read-write-mode", ".#x", cwd=place, ok=False)
    assert REFUSED in done.err and "Using saved setting for 'allow-import-from-derivation = false'" in done.err


def test_what_is_harmless_needs_no_trust(world: World) -> None:
    done = world.tvix(".#y", cwd=bringing(world, 'bash-prompt = "> "; flake-registry = "/nonexistent";'))
    assert (done.out, done.err) == ("1\n", "")


def test_settings_may_be_lists_numbers_and_truths(world: World, reference: World) -> None:
    text = 'extra-substituters = [ "file:///a" "file:///b" ]; cores = 3; fallback = true;'
    place = bringing(world, text)
    ours = world.tvix(".#y", cwd=place).err
    theirs = reference.nix("eval", ".#y", cwd=place).err
    ignored = "ignoring untrusted flake configuration setting '(.*)'"
    assert sorted(re.findall(ignored, ours)) == sorted(re.findall(ignored, re.sub("\x1b\\[[0-9;]*m", "", theirs)))
    assert world.tvix(".#y", "--accept-flake-config", cwd=place).err == ""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("cores = { };", "flake configuration setting 'cores' is a set"),
        ("substituters = [ 1 ];", "list element in flake configuration setting 'substituters' is an integer"),
    ],
)
def test_settings_that_make_no_sense(world: World, settings: str, said: str) -> None:
    assert said in world.tvix(".#y", cwd=bringing(world, settings), ok=False).err


# --- names of flakes ----------------------------------------------------------------------------------


def test_names_are_given_listed_and_taken_away_as_in_nix(world: World, reference: World) -> None:
    leaf = world.repository("leaf", '{ outputs = { self }: { value = "leaf"; }; }')
    everybodys = world.root / "everybodys.json"
    row = {"from": {"type": "indirect", "id": "known"}, "to": {"type": "git", "url": leaf.url}}
    everybodys.write_text(json.dumps({"version": 2, "flakes": [row]}))
    world.environment["NIX_CONFIG"] += f"flake-registry = {everybodys}\n"
    found: dict[str, list[str]] = {}
    commands = [
        ["add", "foo", "github:a/b"],
        ["add", "bar/r", "path:/x"],
        ["add", "leaf", f"git+{leaf.url}"],
        ["add", "foo", "github:a/c?dir=d"],
        ["pin", "known"],
        ["pin", "exactly", f"git+{leaf.url}"],
        ["remove", "bar/r"],
        ["remove", "nothing"],
    ]
    for name, run in (("ours", world.tvix), ("theirs", reference.nix)):
        world.registry.unlink(missing_ok=True)
        texts: list[str] = []
        for words in commands:
            run("registry", *words)
            texts += [world.registry.read_text(), run("registry", "list").out]
        found[name] = texts
    for ours, theirs in zip(found["ours"], found["theirs"], strict=True):
        if ours.startswith("{"):
            assert json.loads(ours) == json.loads(theirs)
        else:
            assert unquote(ours) == unquote(theirs)
    assert evaluated_name(world, "exactly#value") == evaluated_name(world, "leaf#value") == '"leaf"\n'


def evaluated_name(world: World, given: str) -> str:
    return world.tvix(given).out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "'registry' needs to know what to do"),
        (["forget"], "there is no 'registry forget'"),
        (["add", "x"], "'registry add' takes 2 arguments, not 1"),
        (["add", "x", "no:such"], "no:such"),
        (["pin", "unknown"], "cannot find flake 'flake:unknown' in the flake registries"),
    ],
)
def test_what_cannot_be_done_with_names(world: World, words: list[str], said: str) -> None:
    done = world.tvix("registry", *words, ok=False)
    assert done.code == 1 and said in done.err
