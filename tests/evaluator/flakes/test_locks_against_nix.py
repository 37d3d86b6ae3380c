"""Lock files, to the byte those that Nix writes: made, kept, changed and updated. Both work on copies of one flake."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.builder.fetch.repositories import Repository
from tests.evaluator.flakes.conftest import World

LEAF = "{ outputs = { self }: { }; }"


@dataclass
class Scenario:
    """The inputs of a flake, one stage after the other: its ``flake.nix`` and the flags to lock it with."""

    stages: list[tuple[str, list[str]]] = field(default_factory=list)
    between: Callable[[World], None] | None = None


def flake(inputs: str, arguments: str = "...") -> str:
    return f"{{\n  inputs = {{ {inputs} }};\n  outputs = {{ self, {arguments} }}: {{ }};\n}}\n"


def one(inputs: str, arguments: str = "...", *flags: str) -> Scenario:
    return Scenario([(flake(inputs, arguments), list(flags))])


def advance(world: World) -> None:
    """A new commit in the repositories that are inputs."""
    for name in ("leaf", "mid"):
        repository = object.__new__(Repository)
        repository.path = world.root / name
        repository.commits = 5
        repository.commit(news=name)


LEAF_INPUT = 'leaf.url = "git+file://@/leaf";'
FOLLOWING = 'mid.inputs.leaf.follows = "leaf";'
MID_INPUT = 'mid.url = "git+file://@/mid";'

SCENARIOS: dict[str, Scenario] = {
    "no inputs": one(""),
    "git": one(LEAF_INPUT),
    "git, bare": one('leaf.url = "git+file://@/leaf.git";'),
    "git, branch": one('leaf.url = "git+file://@/leaf?ref=side";'),
    "git, revision": one('leaf.url = "git+file://@/leaf?rev=REV";'),
    "git, branch and revision": one('leaf.url = "git+file://@/leaf?ref=master&rev=REV";'),
    "git, shallow": one('leaf.url = "git+file://@/leaf.git?shallow=1";'),
    "git, submodules": one('leaf.url = "git+file://@/leaf?submodules=1";'),
    "git, folder": one('sub.url = "git+file://@/mid?dir=sub";'),
    "git, attributes": one('leaf = { type = "git"; url = "file://@/leaf"; ref = "side"; };'),
    "path": one('plain.url = "path:@/plain";'),
    "path, absolute": one('plain.url = "@/plain";'),
    "path, folder": one('plain = { type = "path"; path = "@/plain"; dir = "sub"; };'),
    "path, no flake": one('plain = { url = "path:@/plain"; flake = false; };'),
    "relative path": one('sub.url = "path:./sub";'),
    "tarball": one('tar.url = "file://@/tar.tar.gz";'),
    "tarball, no flake": one('tar = { type = "tarball"; url = "file://@/tar.tar.gz"; flake = false; };'),
    "tarball, folder": one('tar.url = "file://@/tar.tar.gz?dir=sub";'),
    "registry": one("", "known"),
    "registry, named otherwise": one('other.url = "known";'),
    "registry, branch": one('other.url = "known/side";'),
    "registry, long": one('other.url = "flake:known";'),
    "inputs of inputs": one(MID_INPUT),
    "inputs of inputs, twice": one(MID_INPUT + LEAF_INPUT),
    "follows": one(MID_INPUT + LEAF_INPUT + FOLLOWING),
    "follows an input of an input": one(MID_INPUT + 'leaf.follows = "mid/leaf";'),
    "follows nothing": one(MID_INPUT + 'mid.inputs.leaf.follows = "";'),
    "an input says that it follows": one('f.url = "git+file://@/follower";'),
    "override": one(MID_INPUT + 'mid.inputs.leaf.url = "path:@/plain";'),
    "a lock file of an input": one('locked.url = "git+file://@/locked";'),
    "override input by flag": one(MID_INPUT, "...", "--override-input", "mid/leaf", "path:@/plain"),
    "the same name twice": one('a.url = "git+file://@/mid"; leaf.url = "path:@/plain";'),
    "names are sorted": one('b.url = "git+file://@/leaf"; a.url = "git+file://@/leaf"; B.url = "git+file://@/leaf";'),
    "kept": Scenario([(flake(MID_INPUT), []), (flake(MID_INPUT), [])], advance),
    "updated": Scenario([(flake(MID_INPUT), []), (flake(MID_INPUT), ["--update-input", "mid"])], advance),
    "updated inside": Scenario([(flake(MID_INPUT), []), (flake(MID_INPUT), ["--update-input", "mid/leaf"])], advance),
    "recreated": Scenario([(flake(MID_INPUT), []), (flake(MID_INPUT), ["--recreate-lock-file"])], advance),
    "added": Scenario([(flake(LEAF_INPUT), []), (flake(LEAF_INPUT + MID_INPUT), [])], advance),
    "removed": Scenario([(flake(LEAF_INPUT + MID_INPUT), []), (flake(MID_INPUT), [])], advance),
    "changed": Scenario([(flake(LEAF_INPUT), []), (flake('leaf.url = "git+file://@/leaf?ref=side";'), [])], advance),
    "follows added": Scenario(
        [
            (flake(MID_INPUT + LEAF_INPUT), []),
            (flake(MID_INPUT + LEAF_INPUT + FOLLOWING), []),
        ],
        advance,
    ),
    "follows removed": Scenario(
        [
            (flake(MID_INPUT + LEAF_INPUT + FOLLOWING), []),
            (flake(MID_INPUT + LEAF_INPUT), []),
        ],
        advance,
    ),
}


@pytest.fixture
def inputs(reference: World) -> World:
    """The flakes that others have as inputs."""
    world = reference
    leaf = world.repository("leaf", LEAF, file="contents\n")
    leaf.git("branch", "side")
    leaf.bare(world.root / "leaf.git")
    mid = flake('leaf.url = "git+file://@/leaf";')
    world.repository("mid", mid, **{"sub__flake.nix": LEAF})
    world.repository("top", flake('mid.url = "git+file://@/mid";'))
    world.repository("follower", flake(LEAF_INPUT + 'mid.url = "git+file://@/mid"; mid.inputs.leaf.follows = "leaf";'))
    world.folder("plain", **{"flake.nix": LEAF, "sub__flake.nix": LEAF})
    world.folder("tar", **{"flake.nix": LEAF, "sub__flake.nix": LEAF})
    with tarfile.open(world.root / "tar.tar.gz", "w:gz") as archive:
        archive.add(world.root / "tar", "tar")
    world.register(known=leaf.url)
    locked = world.repository("locked", flake(LEAF_INPUT))
    world.nix("flake", "lock", cwd=locked.path)
    locked.commit()
    leaf.commit(file="newer\n")
    return world


def neutral(text: str) -> str:
    """A lock file without the name of the flake that it belongs to."""
    return re.sub(r"/(ours|theirs)\b", "/FLAKE", text)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_lock_file_is_that_of_nix(inputs: World, name: str) -> None:
    scenario = SCENARIOS[name]
    rev = Repository.git(_at(inputs.root / "leaf"), "rev-parse", "HEAD^")
    for which in ("ours", "theirs"):
        inputs.repository(which, LEAF, **{"sub__flake.nix": LEAF})
    found: list[str] = []
    for number, (text, flags) in enumerate(scenario.stages):
        if number and scenario.between is not None:
            scenario.between(inputs)
            shutil.rmtree(inputs.root / "home" / ".cache", ignore_errors=True)
        words = [word.replace("@", str(inputs.root)) for word in flags]
        for which in ("ours", "theirs"):
            place = inputs.root / which
            (place / "flake.nix").write_text(text.replace("@", str(inputs.root)).replace("REV", rev))
            if which == "ours":
                inputs.tvix("flake", "lock", *words, cwd=place)
            else:
                inputs.nix("flake", "lock", *words, cwd=place)
        ours, theirs = (inputs.root / which / "flake.lock" for which in ("ours", "theirs"))
        assert theirs.exists() == ours.exists()
        if theirs.exists():
            assert neutral(ours.read_text()) == neutral(theirs.read_text())
            found.append(ours.read_text())
            # Theirs is ours, too: there is nothing to change, and neither has Nix with ours.
            (inputs.root / "theirs" / "flake.lock").write_text(found[-1])
            assert "lock file" not in inputs.nix("flake", "lock", cwd=inputs.root / "theirs").err
            assert "lock file" not in inputs.tvix("flake", "lock", cwd=place).err
    if scenario.between is not None and name != "kept":
        assert found[0] != found[-1]


def test_what_inputs_of_inputs_want_of_theirs_may_be_said(inputs: World) -> None:
    """Nix 2.8 does not heed it; later ones do."""
    text = flake('top.url = "git+file://@/top";' + LEAF_INPUT + 'top.inputs.mid.inputs.leaf.follows = "leaf";')
    ours = inputs.repository("ours", text)
    inputs.tvix("flake", "lock", cwd=ours.path)
    lock = json.loads((ours.path / "flake.lock").read_text())
    assert lock["nodes"]["mid"]["inputs"] == {"leaf": ["leaf"]}


def _at(path: Path) -> Repository:
    found = object.__new__(Repository)
    found.path = path
    found.commits = 0
    return found
