"""What all tests share: where nixpkgs, the package set of our own and the reference implementation are."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from store import compiled

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"


def find_nixpkgs() -> Path | None:
    """A real nixpkgs checkout: $NIXPKGS, else the `nixpkgs=` entry of $NIX_PATH."""
    entries = [entry.partition("=") for entry in os.environ.get("NIX_PATH", "").split(":")]
    named = [value for name, _, value in entries if name == "nixpkgs"]
    for candidate in [os.environ.get("NIXPKGS", ""), *named]:
        path = Path(candidate)
        if candidate and (path / "pkgs" / "applications").is_dir() and (path / "lib").is_dir():
            return path.resolve()
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Let this process and all that it starts run one and the same tvix-lsp: the installed one where there is one.

    The checkout comes last, for `benchmarks` (and for everything, where nothing is installed); without PYTHONSAFEPATH
    a `python -m evaluator.cli` started here would run the checkout's plain sources.
    """
    sys.path.append(str(ROOT))
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    installed = str(Path(compiled.__file__).parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [installed, str(ROOT), *inherited]))
    os.environ["PYTHONSAFEPATH"] = "1"
    # A shell that puts us into the background, or nohup, has us ignore signals that tests send to what they start.
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(ignored) is signal.SIG_IGN:
            signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else signal.SIG_DFL)
    # No test writes to the user's own store.
    folder = tempfile.mkdtemp(prefix="tvix-test-store-")
    os.environ["TVIX_STORE"] = f"local:{folder}"
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_report_header(config: pytest.Config) -> list[str]:
    found = find_nixpkgs()
    nix = shutil.which("nix-instantiate")
    version = ""
    if nix:
        version = subprocess.run([nix, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return [
        f"tvix-lsp: {compiled.mode()}",
        f"nixpkgs: {found}"
        if found
        else "nixpkgs: NONE, the tests that need it are SKIPPED (set NIXPKGS to a checkout)",
        f"reference: {version or 'NO nix-instantiate, the tests that compare with it live are SKIPPED'}",
    ]


@pytest.fixture(scope="session")
def nixpkgs() -> Path:
    """A real nixpkgs; the test is skipped where there is none."""
    found = find_nixpkgs()
    if found is None:
        pytest.skip("no nixpkgs: set NIXPKGS to a checkout")
    return found


@pytest.fixture(scope="session")
def nix_instantiate() -> str:
    """The reference implementation's command; the test is skipped where there is none."""
    found = shutil.which("nix-instantiate")
    if found is None:
        pytest.skip("no nix-instantiate (Debian: apt-get install nix-bin)")
    return found


@pytest.fixture(scope="session")
def nixpkgs_reference() -> list[dict[str, Any]]:
    """300 rows of nixpkgs 26.11pre as C++ Nix evaluates them: attr, attrPath, name, drvPath, outPath, outputs."""
    lines = (DATA / "nixpkgs-2607.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def pkgset() -> Path:
    """The package set of our own, shaped like nixpkgs. Not to be written to."""
    return ROOT / "examples" / "pkgset"


@pytest.fixture
def workspace(tmp_path: Path, pkgset: Path) -> Path:
    """A user's project beside the package set: a copy of its own, free to be edited."""
    shutil.copytree(pkgset, tmp_path / "pkgset")
    return shutil.copytree(ROOT / "examples" / "workspace", tmp_path / "workspace")
