"""The package set and the workspace of examples/ evaluate to what C++ Nix says, bit for bit.

The answers are frozen in data/pkgset.json, so this needs no Nix; scripts/freeze-pkgset writes them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "data" / "pkgset.nix"
EXPECTED: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "pkgset.json").read_text())
ERRORS: list[dict[str, str]] = json.loads((ROOT / "tests" / "data" / "pkgset-errors.json").read_text())

pytestmark = pytest.mark.skipif(importlib.util.find_spec("evaluator.cli") is None, reason="there is no tvix-eval yet")


def tvix_eval(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tvix-eval as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "evaluator.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, **environment},
    )


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", EXPECTED)
def test_as_nix_says(case: str) -> None:
    assert answer(tvix_eval("--eval", "--strict", "--json", CASES, "-A", case)) == EXPECTED[case]


def test_nothing_was_left_unfrozen(nix_instantiate: str) -> None:
    """The frozen answers are those that Nix gives today."""
    live = subprocess.run(
        [nix_instantiate, "--eval", "--strict", "--json", "--readonly-mode", CASES],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(live.stdout) == EXPECTED, "examples/ has changed: run scripts/freeze-pkgset"


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["expr"][:40])
def test_errors_say_what_is_wrong(case: dict[str, str], pkgset: Path) -> None:
    expression = f'let pkgs = import <pkgset> {{ system = "x86_64-linux"; }}; in {case["expr"]}'
    done = tvix_eval("--strict", "-I", f"pkgset={pkgset}", "-E", expression)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.search(case["message"], done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case["expr"][:40])
def test_errors_are_those_of_nix(case: dict[str, str], pkgset: Path, nix_instantiate: str) -> None:
    expression = f'let pkgs = import <pkgset> {{ system = "x86_64-linux"; }}; in {case["expr"]}'
    command = [nix_instantiate, "--eval", "--strict", "--readonly-mode", "-I", f"pkgset={pkgset}", "-E", expression]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(case["message"], done.stderr)


@pytest.mark.parametrize("how", ["-I", "NIX_PATH"])
def test_the_workspace_through_the_search_path(workspace: Path, pkgset: Path, how: str) -> None:
    """A literal `<nixpkgs>` in a user's file."""
    entry = f"nixpkgs={pkgset}"
    expression = (
        f'(import {workspace} {{ pkgs = import <nixpkgs> {{ system = "x86_64-linux"; }}; }}).frobnicate.drvPath'
    )
    if how == "-I":
        done = tvix_eval("-I", entry, "--json", "-E", expression, NIX_PATH="")
    else:
        done = tvix_eval("--json", "-E", expression, NIX_PATH=entry)
    assert answer(done) == EXPECTED["workspace"]["packages"]["frobnicate"]


def test_the_workspace_as_it_stands(workspace: Path, pkgset: Path) -> None:
    """Its default argument, auto-called: `{ pkgs ? import <nixpkgs> { } }: …`, on whatever system this is."""
    done = tvix_eval("--json", "-I", f"nixpkgs={pkgset}", workspace, "-A", "frobnicate.name")
    assert answer(done) == "frobnicate-1.4.2"
