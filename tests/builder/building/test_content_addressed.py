"""Outputs that are addressed by their contents: `tvix-build` and `tvix-eval` beside Nix, on the same derivations."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from builder.oci.probing import trials
from store.backends.local.castore import LocalCastore
from store.backends.local.collect import collect
from store.composition import local_store, open_store
from store.derivation import DerivationHashes
from store.paths.derivations import read_derivation
from store.paths.protocol import KnowsRealisations
from tests.builder.building.place import Place
from tests.builder.sandbox.nix import Nix

CASES = Path(__file__).parent / "content-addressed.nix"


@pytest.fixture(scope="session", autouse=True)
def _works(tmp_path_factory: pytest.TempPathFactory) -> None:
    tried = list(trials(tmp_path_factory.mktemp("probing")))
    if not any(trial.works for trial in tried):
        pytest.skip(f"no container runtime works here: {[trial.why_not for trial in tried]}")


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """All of it built once, in one go."""
    place = Place(tmp_path_factory.mktemp("everything"), CASES.read_text())
    assert len(place.built("--no-out-link", "-j", "2")) == 15
    return place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, CASES.read_text())


def one(name: str, text: str, more: str = "") -> str:
    """An expression for a derivation that runs ``text``."""
    return (
        f'with import ./default.nix; derivation {{ name = "{name}"; system = "x86_64-linux"; builder = "/bin/sh"; '
        f'args = [ "-c" "{text}" ]; {more} }}'
    )


def evaluated(place: Place, text: str) -> object:
    command = [sys.executable, "-m", "evaluator.cli", "--eval", "--strict", "--json", "--read-write-mode", "-E", text]
    done = subprocess.run(command, cwd=place.folder, env=place.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_all_is_as_under_nix(
    everything: Place, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("nix-build") is None:
        pytest.skip("no Nix to compare with (Debian: apt-get install nix-bin)")
    monkeypatch.setenv("NIX_CONFIG", "experimental-features = ca-derivations")
    nix = Nix(tmp_path_factory.mktemp("nix"))
    theirs = nix.run("nix-build", str(CASES), "--no-out-link").split()
    assert everything.built("--no-out-link") == theirs
    with open_store(f"nix:?root={nix.root}") as other, local_store(str(everything.store)) as ours:
        assert isinstance(other, KnowsRealisations)
        hashes = DerivationHashes(load=ours.read_derivation)
        noted = 0
        for path in [path for path in other.paths() if path.endswith(".drv")]:
            for id in hashes.realisation_ids(read_derivation(other, path)).values():
                known, here = other.realisation(id), ours.realisation(id)
                assert known is not None
                if here is not None:  # Nix also notes what stands in derivations anyway
                    noted += 1
                    assert (here.path, here.dependencies) == (known.path, known.dependencies)
                info, there = ours.query(known.path), other.query(known.path)
                assert info is not None and there is not None
                assert (info.nar_sha256, sorted(info.references), info.ca) == (
                    there.nar_sha256,
                    sorted(there.references),
                    there.ca,
                )
        assert noted >= 20


def test_what_comes_to_the_same_is_built_once(place: Place) -> None:
    first = place.run("--no-out-link", "-A", "deferred")
    again = place.run("--no-out-link", "-A", "same-deferred")
    assert again.stdout == first.stdout
    assert again.stderr.count("building '") == 1  # the root, which is said in another way
    assert again.stderr.count("resolved derivation: '") == 2
    assert place.run("--no-out-link", "-A", "same-deferred").stderr == ""


def test_links_logs_and_paths_of_derivations(place: Place) -> None:
    (path,) = place.built("-A", "deferred")
    assert place.read("result").split() == [
        *place.built("-A", "uses-root", "--no-out-link"),
        *place.built("-A", "itself", "--no-out-link"),
    ]
    with local_store(str(place.store)) as store:
        drv_paths = [each for each in store.paths() if each.endswith("-itself.drv")]
    outputs = place.built(f"{drv_paths[0]}!*", "-o", "both")
    assert sorted(path.partition("-")[2] for path in outputs) == ["itself", "itself-dev"]
    assert place.read("both-dev") == "text\n"
    assert path.endswith("-deferred")


def test_import_from_derivation(everything: Place) -> None:
    assert evaluated(everything, "(import (import ./default.nix).generated).answer") == 42
    found = evaluated(
        everything,
        """with import ./default.nix; {
          read = builtins.readFile root;
          listed = builtins.readDir "${itself}";
          exists = builtins.pathExists "${itself}/me" && !builtins.pathExists "${itself}/you";
          late = builtins.readFile deferred;
          stands = "${root}" == root.outPath;
        }""",
    )
    assert isinstance(found, dict)
    assert (found["read"], found["exists"], found["stands"]) == ("hi\n", True, True)
    assert found["listed"] == {"me": "regular", "dev": "regular"}
    assert found["late"].split() == [
        *everything.built("-A", "uses-root", "--no-out-link"),
        *everything.built("-A", "itself", "--no-out-link"),
    ]


def test_import_builds_what_is_not_there(place: Place) -> None:
    assert evaluated(place, "(import (import ./default.nix).generated).answer") == 42
    assert place.run("-A", "root", "--no-out-link").stderr == ""


def test_check_compares(place: Place) -> None:
    (path,) = place.built("-A", "uses-root", "--no-out-link")
    assert place.built("-A", "uses-root", "--no-out-link", "--check") == [path]
    varies = one("varies", "echo ${root}; cat /proc/sys/kernel/random/uuid > $out", "__contentAddressed = true;")
    place.run("-E", varies, "--no-out-link")
    assert "may not be deterministic" in place.run("-E", varies, "--no-out-link", "--check", code=104).stderr


def test_what_was_collected_is_built_again(place: Place) -> None:
    first = place.run("-A", "deferred", "--no-out-link")
    with local_store(str(place.store)) as store:
        assert isinstance(store.castore, LocalCastore)
        collect(store.castore)
    again = place.run("-A", "deferred", "--no-out-link")
    assert again.stdout == first.stdout
    assert again.stderr.count("building '") == first.stderr.count("building '") == 4


def test_a_failure_names_what_is_asked_for_and_what_was_built(place: Place) -> None:
    done = place.run("-E", one("fails", "echo it goes; : ${root}; exit 3"), "--no-out-link", code=100)
    assert "exit code 3" in done.stderr
    found = re.search("resolved derivation: '(.*)' -> '(.*)'", done.stderr)
    assert found is not None
    assert f"error: building '{found[2]}' failed" in done.stderr
    assert f"needed by '{found[1]}'" in done.stderr
    assert place.built("log", found[2]) == ["it goes"]


def test_logs_of_what_was_built_in_the_place_of_another(place: Place) -> None:
    done = place.run("-E", one("says", "echo it goes; echo ${root} > $out"), "--no-out-link")
    found = re.search("resolved derivation: '(.*)' -> '(.*)'", done.stderr)
    assert found is not None
    for path in (*found.groups(), done.stdout.strip()):
        assert place.built("log", path) == ["it goes"]


def test_impure_ones_are_refused(place: Place) -> None:
    assert "it is impure" in place.run("-E", one("impure", "", "__impure = true;"), code=1).stderr


def test_they_are_substituted_from_a_cache(everything: Place, place: Place, tmp_path: Path) -> None:
    store = [sys.executable, "-m", "store.command.cli"]
    key = tmp_path / "key"
    key.write_text(subprocess.run([*store, "key", "test"], capture_output=True, text=True, check=True).stdout)
    public = subprocess.run([*store, "key", "--public", str(key)], capture_output=True, text=True, check=True).stdout
    cache = f"file://{tmp_path}/cache"
    (path,) = everything.built("-A", "deferred", "--no-out-link")
    copy = [*store, "copy", "--store", f"local:{everything.store}", "--to", f"{cache}?secret-key={key}", path]
    subprocess.run(copy, check=True, capture_output=True)
    options = ["--option", "substituters", cache, "--option", "trusted-public-keys", public.strip()]
    asked = place.run("-A", "deferred", "--dry-run", *options)
    assert "will be built" not in asked.stderr and "would be built" not in asked.stderr
    assert path in asked.stderr
    done = place.run("-A", "deferred", "--no-out-link", *options)
    assert done.stdout.split() == [path]
    assert "building" not in done.stderr
    assert place.run("-A", "uses-root", "--no-out-link").stderr == ""  # what it depends on is noted, too
