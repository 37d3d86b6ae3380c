"""The benchmarks run and tell failures from answers; their figures are nobody's business here."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(
    not (Path(sys.executable).parent / "tvix-lsp").exists(), reason="tvix-lsp is not installed in this environment"
)


def run(module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments), "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "TVIX_PURE"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_hello(pkgset: Path) -> None:
    done = run("hello", "--nixpkgs", pkgset, "--rounds", "1")
    assert done.returncode == 0, done.stderr
    names = [result["name"] for result in json.loads(done.stdout)["results"]]
    assert names[-1] == "tvix-eval, plain Python"


def test_evaluator() -> None:
    done = run("evaluator", "--rounds", "1", "--only", "overlays")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["name"] == "overlays"
    assert result["tvix-eval"]["megabytes"] > 1


def test_evaluator_knows_its_programs() -> None:
    done = run("evaluator", "--only", "underlays")
    assert done.returncode == 2
    assert "underlays" in done.stderr and "overlays" in done.stderr


def test_hello_says_when_there_is_no_such_thing(pkgset: Path) -> None:
    done = run("hello", "--nixpkgs", pkgset, "--rounds", "1", "--attr", "hullo.drvPath")
    assert done.returncode == 1
    assert "hullo" in done.stderr


def test_syntax(pkgset: Path) -> None:
    done = run("syntax", "--nixpkgs", pkgset, "--rounds", "1", "--files", "3")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["results"]
    assert set(results) == {"large", "keys", "all", "memory"}
    assert all("plain Python" in part for part in results.values())
    assert results["all"]["plain Python"]["rejected"] == 0
    assert results["keys"]["plain Python"]["keystrokes"] > 100


@pytest.mark.skipif(importlib.util.find_spec("lsp.server") is None, reason="there is no server yet")
def test_editor(pkgset: Path) -> None:
    """All the warm questions get evaluated answers in the package set's hello, too."""
    done = run("editor", "--nixpkgs", pkgset, "--rounds", "1", "--requests", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["missed"] == []
    assert set(result["warm_milliseconds"]) == {"hover", "definition", "completion"}


@pytest.mark.skipif(shutil.which("busybox") is None, reason="the sandbox needs busybox-static as /bin/sh")
def test_builder() -> None:
    done = run("builder", "--runs", "1", "--only", "empty build")
    if "no container runtime works here" in done.stderr:
        pytest.skip("no container runtime works here")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["ours"]["median"] > 0
