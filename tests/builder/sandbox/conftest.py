"""Sandboxes in every runtime that works on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.oci.runtimes import Runtime
from tests.builder.sandbox.building import Sandbox, left_behind, opened, trial
from tests.builder.sandbox.nix import Nix

RUNTIMES = ["crun", "crun in a mount namespace of its own", "runc", "bwrap"]


@pytest.fixture(scope="session")
def probing_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("probing")


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest, probing_folder: Path) -> Runtime:
    found, runtime = trial(request.param, probing_folder)
    if not found.works:
        pytest.skip(f"{request.param} does not work here: {found.why_not}")
    return runtime


@pytest.fixture
def any_runtime(probing_folder: Path) -> Runtime:
    """The best one, for what does not depend on it."""
    tried = [trial(name, probing_folder) for name in RUNTIMES]
    for found, runtime in tried:
        if found.works:
            return runtime
    pytest.skip(f"no container runtime works here: {[found.why_not for found, _ in tried]}")


@pytest.fixture
def sandbox(runtime: Runtime, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox in each runtime. Nothing may be left when the test is done."""
    with opened(tmp_path, runtime) as opened_sandbox:
        yield opened_sandbox
    assert left_behind(tmp_path, opened_sandbox.names) == []


@pytest.fixture
def any_sandbox(any_runtime: Runtime, tmp_path: Path) -> Iterator[Sandbox]:
    with opened(tmp_path, any_runtime) as opened_sandbox:
        yield opened_sandbox
    assert left_behind(tmp_path, opened_sandbox.names) == []


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The attacks that are written in C, compiled to run anywhere."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to compile the attacks with (Debian: apt-get install gcc libc6-dev)")
    folder = tmp_path_factory.mktemp("programs")
    for source in (Path(__file__).parent / "attacks").glob("*.c"):
        command = ["gcc", "-static", "-O1", "-o", str(folder / source.stem), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def nix(tmp_path_factory: pytest.TempPathFactory) -> Nix:
    if shutil.which("nix-store") is None:
        pytest.skip("no Nix to compare with (Debian: apt-get install nix-bin)")
    return Nix(tmp_path_factory.mktemp("nix"))
