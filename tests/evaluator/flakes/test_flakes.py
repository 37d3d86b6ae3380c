"""Flakes evaluated: their outputs, what `self` and inputs are, where they are looked for, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builder.fetch.repositories import Repository
from tests.evaluator.flakes.conftest import World

SYSTEM = "x86_64-linux"

FLAKE = """{
  description = "a flake";
  inputs.leaf.url = "git+file://@/leaf";
  inputs.plain = { url = "path:@/plain"; flake = false; };
  outputs = { self, leaf, plain, ... }: {
    packages.x86_64-linux.default = derivation { name = "p"; system = "x86_64-linux"; builder = "x"; };
    packages.x86_64-linux.twice = derivation { name = "q"; system = "x86_64-linux"; builder = "x"; };
    legacyPackages.x86_64-linux.deep.er = 7;
    lib.answer = 42;
    me = builtins.removeAttrs self
      ["outputs" "inputs" "sourceInfo" "packages" "legacyPackages" "me" "outPath" "read" "inputs'"];
    at = [ "${self}" self.outPath self.sourceInfo.outPath "${leaf}" "${plain}" ];
    inputs' = builtins.mapAttrs (n: v: builtins.attrNames v) self.inputs;
    leaf = [ leaf.value leaf.rev leaf.lastModifiedDate leaf.narHash ];
    read = builtins.readFile "${plain}/file" + builtins.readFile ./data;
  };
}
"""


@pytest.fixture
def flake(world: World) -> Repository:
    world.repository("leaf", "{ outputs = { self }: { value = 1; }; }")
    world.folder("plain", file="plain\n")
    found = world.repository("top", FLAKE, data="data\n", **{"sub__flake.nix": "{ outputs = { self }: { s = 5; }; }"})
    world.tvix("flake", "lock", cwd=found.path)
    found.commit()
    return found


def evaluated(world: World, given: str, cwd: Path | None = None) -> object:
    return json.loads(world.tvix("--flake", given, "--json", "--strict", cwd=cwd).out)


OUTPUTS = ["lib.answer", "me", "at", "inputs'", "leaf", "read", "packages.x86_64-linux.default.drvPath"]


@pytest.mark.parametrize("state", ["clean", "dirty"])
def test_outputs_are_those_of_nix(world: World, reference: World, flake: Repository, state: str) -> None:
    if state == "dirty":
        flake.write(data="changed\n")
    for name in OUTPUTS:
        theirs = json.loads(reference.nix("eval", "--json", f".#{name}", cwd=flake.path).out)
        ours = evaluated(world, f".#{name}", flake.path)
        if name == "me" and isinstance(ours, dict):
            for added in ("_type", "dirtyRev", "dirtyShortRev"):
                ours.pop(added, None)
        elif name == "inputs'" and isinstance(ours, dict):
            ours = {key: sorted(set(names) - {"_type", "outPath"}) for key, names in ours.items()}
            theirs = {key: sorted(set(names) - {"outPath"}) for key, names in theirs.items()}
            assert ours["plain"] == sorted([*theirs["plain"], "sourceInfo"])
            ours.pop("plain"), theirs.pop("plain")
        assert ours == theirs, name


def test_the_metadata_is_that_of_nix(world: World, reference: World, flake: Repository) -> None:
    theirs = json.loads(reference.nix("flake", "metadata", "--json", cwd=flake.path).out)
    assert json.loads(world.tvix("flake", "metadata", "--json", cwd=flake.path).out) == theirs
    text = re.sub("\x1b\\[[0-9;]*m", "", reference.nix("flake", "metadata", cwd=flake.path).out)
    # Nix spells some signs in addresses by their numbers, and some it spells differently from version to version.
    ours = world.tvix("flake", "metadata", cwd=flake.path).out
    assert ours.splitlines()[:5] == text.splitlines()[:5]
    assert ours.splitlines()[-2].startswith("├───leaf: git+file://")


def test_the_flake_of_this_folder_is_found_upwards(world: World, flake: Repository) -> None:
    (flake.path / "deeper" / "down").mkdir(parents=True)
    for folder, given in (
        (flake.path, ".#lib.answer"),
        (flake.path / "deeper" / "down", "#lib.answer"),
        (flake.path, f"{flake.path}#lib.answer"),
        (world.root, "./top#lib.answer"),
        (world.root, f"git+file://{flake.path}#lib.answer"),
        (world.root, f"path:{flake.path}#lib.answer"),
        (world.root, f"git+{flake.url}?ref=master#lib.answer"),
    ):
        assert evaluated(world, given, folder) == 42
    assert evaluated(world, "./sub#s", flake.path) == 5
    assert evaluated(world, f"git+file://{flake.path}?dir=sub#s") == 5


def test_what_follows_the_sign_is_looked_for_in_packages_first(world: World, flake: Repository) -> None:
    assert evaluated(world, ".#twice.name", flake.path) == "q"
    assert evaluated(world, ".#deep.er", flake.path) == 7
    assert evaluated(world, ".#.lib.answer", flake.path) == 42
    assert world.tvix("--flake", "--raw", ".#packages.x86_64-linux.twice.name", cwd=flake.path).out == "q"
    assert world.tvix("--instantiate", "--flake", cwd=flake.path).out.endswith("-p.drv\n")
    done = world.tvix("--flake", ".#none", cwd=flake.path, ok=False)
    assert "does not provide attribute 'packages.x86_64-linux.none', 'legacyPackages.x86_64-linux.none' or" in done.err


def test_outputs_of_flakes_are_built(world: World, flake: Repository) -> None:
    done = world.build("--flake", ".#twice", "--dry-run", cwd=flake.path)
    assert re.search(r"/nix/store/[0-9a-z]{32}-q\.drv", done.err)


def test_the_outline_shows_what_there_is(world: World, flake: Repository) -> None:
    text = world.tvix("flake", "show", cwd=flake.path).out
    assert "├───packages\n│   └───x86_64-linux\n│       ├───default: package 'p'\n" in text
    shape = json.loads(world.tvix("flake", "show", "--json", cwd=flake.path).out)
    assert shape["packages"][SYSTEM]["twice"]["type"] == "derivation"
    assert shape["lib"] == {"type": "unknown"}


EVERYTHING = """{
  description = "d";
  outputs = { self }: let d = n: derivation { name = n; system = "x86_64-linux"; builder = "x"; }; in {
    packages.x86_64-linux = { default = d "p"; q = d "q-1.0" // { meta.description = "says"; }; };
    legacyPackages.x86_64-linux = { l = d "l"; s.t = d "t"; u = { recurseForDerivations = true; v = d "v"; }; };
    checks.x86_64-linux.c = d "c";
    devShells.x86_64-linux.default = d "sh"; devShell.x86_64-linux = d "sh2";
    defaultPackage.x86_64-linux = d "dp"; formatter.x86_64-linux = d "f";
    apps.x86_64-linux.a = { type = "app"; program = "/x"; };
    defaultApp.x86_64-linux = { type = "app"; program = "/y"; };
    hydraJobs = { x.y = d "h"; k = d "k"; };
    overlay = final: prev: { }; overlays.o = final: prev: { };
    nixosModule = { ... }: { }; nixosModules.m = { ... }: { }; nixosConfigurations.n = { };
    templates.t = { path = ./.; description = "tt"; }; defaultTemplate = { path = ./.; description = "dt"; };
    lib.x = 1; other = 2; nested.a.b = d "no";
  };
}
"""


@pytest.mark.parametrize("words", [[], ["--json"], ["--legacy"], ["--json", "--legacy"]])
def test_the_outline_is_that_of_nix(world: World, reference: World, words: list[str]) -> None:
    place = world.repository("top", EVERYTHING).path
    ours = world.tvix("flake", "show", *words, cwd=place).out
    theirs = re.sub("\x1b\\[[0-9;]*m", "", reference.nix("flake", "show", *words, cwd=place).out)
    if "--json" in words:
        assert json.loads(ours) == json.loads(theirs)
    elif words:
        assert ours == theirs
    else:
        # That something is left out is said by later versions of Nix.
        assert ours.replace("│   └───x86_64-linux omitted (use '--legacy' to show)\n", "") == theirs


def test_info_is_metadata(world: World, flake: Repository) -> None:
    words = ["--json", str(flake.path)]
    assert world.tvix("flake", "info", *words).out == world.tvix("flake", "metadata", *words).out


def test_a_lock_file_may_be_committed(world: World, reference: World) -> None:
    world.repository("leaf", "{ outputs = { self }: { value = 1; }; }")
    world.environment |= {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A"}
    world.environment["GIT_COMMITTER_EMAIL"] = "a@b"
    logs: list[str] = []
    for name, run in (("ours", world.tvix), ("theirs", reference.nix)):
        found = world.repository(name, '{ inputs.leaf.url = "git+file://@/leaf"; outputs = { self, leaf }: { }; }')
        run("flake", "lock", "--commit-lock-file", cwd=found.path)
        assert found.git("status", "--short") == ""
        logs.append(found.git("log", "-1", "--format=%B"))
    assert logs[0] == logs[1]


@pytest.mark.parametrize("words", [["lock"], ["lock", "--commit-lock-file"], ["metadata"]])
def test_locking_runs_nothing_that_the_repository_names(world: World, words: list[str]) -> None:
    world.repository("leaf", "{ outputs = { self }: { value = 1; }; }")
    text = '{ inputs.leaf.url = "git+file://@/leaf"; outputs = { self, leaf }: { }; }'
    found = world.repository("top", text, **{".gitattributes": "* filter=odd\n", "a": "1\n"})
    world.environment |= {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "A"}
    world.environment["GIT_COMMITTER_EMAIL"] = "a@b"
    program = world.root / "program"
    program.write_text(f"#!/bin/sh\necho >> {world.root}/ran\ncat\n")
    program.chmod(0o755)
    for hook in ("pre-commit", "post-commit", "post-index-change"):
        (found.path / ".git" / "hooks" / hook).write_bytes(program.read_bytes())
        (found.path / ".git" / "hooks" / hook).chmod(0o755)
    found.git("config", "filter.odd.clean", str(program))
    found.write(a="2\n")
    found.git("status")
    assert (world.root / "ran").exists(), "the trap is none"
    (world.root / "ran").unlink()
    found.write(a="3\n")
    world.tvix("flake", *words, cwd=found.path)
    assert not (world.root / "ran").exists()


def test_get_flake(world: World, flake: Repository) -> None:
    text = f'(builtins.getFlake "git+file://{flake.path}").lib.answer'
    assert world.tvix("--eval", "-E", text).out == "42\n"
    text = f'builtins.attrNames (builtins.getFlake "path:{flake.path}").inputs'
    assert world.tvix("--eval", "--strict", "-E", text).out == '[ "leaf" "plain" ]\n'
    text = f'(builtins.getFlake "git+file://{flake.path}?dir=sub").s'
    assert world.tvix("--eval", "-E", text).out == "5\n"


def test_no_answer_about_a_flake_is_stale(world: World, flake: Repository) -> None:
    assert evaluated(world, ".#read", flake.path) == "plain\ndata\n"
    flake.write(data="newer\n")
    assert evaluated(world, ".#read", flake.path) == "plain\nnewer\n"


def test_a_name_may_mean_something_else_the_next_time(world: World) -> None:
    for name in ("one", "two"):
        repository = world.repository(name, f'{{ outputs = i: {{ x = "{name}"; }}; }}')
        row = {"type": "git", "url": repository.url, "rev": repository.git("rev-parse", "HEAD")}
        entry = {"from": {"type": "indirect", "id": "named"}, "to": row}
        world.registry.write_text(json.dumps({"version": 2, "flakes": [entry]}))
        assert evaluated(world, "named#x") == name
        assert world.tvix("--eval", "-E", '(builtins.getFlake "named").x').out == f'"{name}"\n'


def test_inputs_that_are_locked_are_not_looked_at(world: World, flake: Repository) -> None:
    before = evaluated(world, ".#leaf", flake.path)
    leaf = object.__new__(Repository)
    leaf.path, leaf.commits = world.root / "leaf", 3
    leaf.commit(**{"flake.nix": "{ outputs = { self }: { value = 2; }; }"})
    assert evaluated(world, ".#leaf", flake.path) == before
    world.tvix("flake", "update", "leaf", cwd=flake.path)
    after = evaluated(world, ".#leaf", flake.path)
    assert isinstance(after, list) and after[0] == 2


def test_without_a_lock_file_inputs_are_as_they_are_now_and_none_is_written(world: World) -> None:
    world.repository("leaf", "{ outputs = { self }: { value = 1; }; }")
    top = world.repository("top", '{ inputs.leaf.url = "git+file://@/leaf"; outputs = i: { x = i.leaf.value; }; }')
    done = world.tvix("--flake", ".#x", cwd=top.path)
    assert done.out == "1\n"
    assert "not writing modified lock file" in done.err and "Added input 'leaf'" in done.err
    assert not (top.path / "flake.lock").exists()


def test_a_path_inside_of_the_flake_is_part_of_its_tree(world: World) -> None:
    top = world.repository(
        "top",
        '{ inputs.sub.url = "path:./sub"; inputs.beside.url = "./beside"; '
        'outputs = i: { x = [ i.sub.s i.sub.deeper i.beside.b ]; at = i.sub.outPath == i.self.outPath + "/sub"; }; }',
        **{
            "sub__flake.nix": '{ inputs.deeper.url = "path:../beside"; outputs = i: { s = 1; deeper = i.deeper.b; }; }',
            "beside__flake.nix": "{ outputs = i: { b = 2; }; }",
        },
    )
    world.tvix("flake", "lock", cwd=top.path)
    top.commit()
    assert evaluated(world, ".#x", top.path) == [1, 2, 2]
    assert evaluated(world, ".#at", top.path) is True
    (top.path / "sub" / "untracked").write_text("x")
    done = world.tvix("flake", "lock", "--recreate-lock-file", "--no-update-lock-file", cwd=top.path)
    assert done.code == 0  # what Git does not track is not locked


def test_a_path_out_of_the_tree_is_refused(world: World) -> None:
    top = world.repository("top", '{ inputs.out.url = "path:../elsewhere"; outputs = i: { }; }')
    world.folder("elsewhere", **{"flake.nix": "{ outputs = i: { }; }"})
    done = world.tvix("flake", "lock", cwd=top.path, ok=False)
    assert "leads out of the source tree" in done.err


@pytest.mark.parametrize("version", [5, 6, 7])
def test_lock_files_of_all_versions_are_read(world: World, version: int) -> None:
    leaf = world.repository("leaf", "{ outputs = { self }: { value = 1; }; }")
    top = world.repository("top", '{ inputs.leaf.url = "git+file://@/leaf"; outputs = i: { x = i.leaf.value; }; }')
    world.tvix("flake", "lock", cwd=top.path)
    lock = json.loads((top.path / "flake.lock").read_text())
    lock["version"] = version
    if version == 5:
        node = lock["nodes"]["leaf"]
        node["info"] = {name: node["locked"].pop(name) for name in ("lastModified", "narHash")}
    top.commit(**{"flake.lock": json.dumps(lock)})
    leaf.commit(**{"flake.nix": "{ outputs = { self }: { value = 2; }; }"})
    assert evaluated(world, ".#x", top.path) == 1


def test_a_lock_file_of_a_later_nix_is_read(world: World) -> None:
    """It says whose relative path an input is, and nothing of its contents."""
    lock = {
        "nodes": {
            "root": {"inputs": {"sub": "sub"}},
            "sub": {
                "locked": {"path": "./sub", "type": "path"},
                "original": {"path": "./sub", "type": "path"},
                "parent": [],
            },
        },
        "root": "root",
        "version": 7,
    }
    top = world.repository(
        "top",
        '{ inputs.sub.url = "path:./sub"; outputs = i: { x = i.sub.s; }; }',
        **{"sub__flake.nix": "{ outputs = i: { s = 1; }; }", "flake.lock": json.dumps(lock)},
    )
    assert evaluated(world, ".#x", top.path) == 1


BROKEN = {
    "untracked flake": ("", {}, "is not tracked by Git; to make it visible here, run: git -C"),
    "no outputs": ("{ }", {}, "lacks attribute 'outputs'"),
    "no function": ("{ outputs = 1; }", {}, "flake attribute 'outputs' is an integer while a function is expected"),
    "no set": ("let x = 1; in { outputs = i: { }; }", {}, "must be an attribute set"),
    "unknown attribute": ("{ outputs = i: { }; other = 1; }", {}, "has an unsupported attribute 'other'"),
    "bad input": ("{ inputs = 1; outputs = i: { }; }", {}, "flake attribute 'inputs' is an integer"),
    "bad address": (
        "{ inputs.x.url = 1; outputs = i: { }; }",
        {},
        "flake attribute 'url' is an integer while a string is expected",
    ),
    "address and more": (
        '{ inputs.x = { url = "path:/x"; rev = "y"; }; outputs = i: { }; }',
        {},
        "unexpected flake input",
    ),
    "unknown name": ("{ outputs = { self, nobody }: { }; }", {}, "cannot find flake 'flake:nobody'"),
    "follows nothing": ('{ inputs.x.follows = "y/z"; outputs = i: { }; }', {}, "follows a non-existent input 'y/z'"),
    "broken lock file": ("{ outputs = i: { }; }", {"flake.lock": "{"}, "is broken"),
    "later lock file": ("{ outputs = i: { }; }", {"flake.lock": '{"version": 8}'}, "unsupported version 8"),
    "lock file without nodes": ("{ outputs = i: { }; }", {"flake.lock": '{"version": 7}'}, "is broken"),
    "circle": ('{ inputs.me.url = "git+file://@/top"; outputs = i: { }; }', {}, "found circular import of flake"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named(world: World, name: str) -> None:
    text, files, said = BROKEN[name]
    top = world.repository("top", text, **files, readme="x")
    if not text:
        top.write(**{"flake.nix": "{ outputs = i: { }; }"})
    done = world.tvix("flake", "lock", "--option", "flake-registry", "", cwd=top.path, ok=False)
    assert done.code == 1
    assert said in done.err


WRITTEN = {
    "plain": ('inputs.x = { url = "path:@/x"; flake = false; };', True),
    "indented": ("inputs.x = { url = ''path:@/x''; flake = (false); };", True),
    "a set": ('inputs = rec { x = { url = "path:@/x"; flake = false; }; };', True),
    "a quoted name": ('inputs."x".url = "path:@/x"; inputs.x.flake = false;', True),
    "joined": ('inputs.x = { url = "path:" + "@/x"; flake = false; };', False),
    "interpolated": ('inputs.x = { url = "path:${"@"}/x"; flake = false; };', False),
    "a condition": ('inputs.x = { url = "path:@/x"; flake = !true; };', False),
    "an import": ("inputs = import ./inputs.nix;", False),
    "inherited": ("inputs = { inherit (builtins) x; };", False),
    "a name in brackets": ('inputs.${"x"} = { url = "path:@/x"; flake = false; };', True),
    "a computed name": ('inputs.${"x" + ""} = { url = "path:@/x"; flake = false; };', False),
    "a computed description": ('description = "a" + "b";', False),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_inputs_are_written_out(reference: World, name: str) -> None:
    text, good = WRITTEN[name]
    reference.folder("x", file="x")
    top = reference.repository("top", "{ " + text + " outputs = i: { }; }", **{"inputs.nix": "{ }"})
    ours = reference.tvix("flake", "lock", "--no-write-lock-file", cwd=top.path, ok=False)
    assert (ours.code == 0) == good, ours.err
    assert ("is computed; Nix wants it written out" in ours.err) != good
    assert (reference.nix("flake", "lock", cwd=top.path, ok=False).code == 0) == good


def test_untracked_files_are_not_seen(world: World) -> None:
    top = world.repository(
        "top", "{ outputs = i: { x = import ./x.nix; l = builtins.attrNames (builtins.readDir ./.); }; }"
    )
    top.write(**{"x.nix": "1"})
    done = world.tvix("--flake", ".#x", cwd=top.path, ok=False)
    assert f"path 'x.nix' in the repository '{top.path}' is not tracked by Git" in done.err
    assert f"git -C '{top.path}' add 'x.nix'" in done.err
    assert evaluated(world, ".#l", top.path) == ["flake.nix"]
    top.git("add", "x.nix")
    assert evaluated(world, ".#x", top.path) == 1


def test_a_lock_file_is_not_changed_when_that_is_not_wanted(world: World) -> None:
    world.repository("leaf", "{ outputs = { self }: { }; }")
    top = world.repository("top", '{ inputs.leaf.url = "git+file://@/leaf"; outputs = i: { }; }')
    done = world.tvix("flake", "lock", "--no-update-lock-file", cwd=top.path, ok=False)
    assert "requires lock file changes" in done.err and "Added input 'leaf'" in done.err
    world.tvix("flake", "lock", "--no-write-lock-file", cwd=top.path)
    assert not (top.path / "flake.lock").exists()
    bare = top.bare(world.root / "top.git")
    done = world.tvix("flake", "lock", f"git+file://{bare}", ok=False)
    assert "cannot write modified lock file" in done.err


def test_flags_about_no_input_are_said_so(world: World) -> None:
    top = world.repository("top", "{ outputs = i: { }; }")
    done = world.tvix("flake", "lock", "--update-input", "a/b", "--override-input", "c", "path:/x", cwd=top.path)
    assert "'--update-input a/b' does not match any input" in done.err
    assert "'--override-input c' does not match any input" in done.err


def test_a_command_that_makes_no_sense_says_what_would(world: World) -> None:
    assert "metadata" in world.tvix("flake", ok=False).err
    assert "there is no 'flake dance'" in world.tvix("flake", "dance", ok=False).err
    assert "usage:" in world.tvix("flake", "lock", "--help").out
    assert "takes one flake" in world.tvix("flake", "show", "a", "b", ok=False).err
    done = world.tvix("flake", "metadata", str(world.root), ok=False)
    assert "is not part of a flake" in done.err
