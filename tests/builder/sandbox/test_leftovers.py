"""Nothing stays on the machine: not after the builder is killed in the middle, not when its user is an ordinary one."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.oci.cgroups import remove_orphan
from builder.oci.runtimes import Runtime
from builder.oci.service import sweep
from builder.scratch import ScratchFolders
from tests.builder.sandbox.building import left_behind, opened
from tests.builder.sandbox.conftest import RUNTIMES
from tests.processes import running, sleep_of_ones_own

PACKAGE = "tests.builder.sandbox"


def test_builder_killed_in_the_middle(runtime: Runtime, tmp_path: Path) -> None:
    """What the kill left is gone when the next service is made in the same folder."""
    sleep = sleep_of_ones_own()
    command = [sys.executable, "-m", f"{PACKAGE}.killed", str(tmp_path), runtime.name, sleep.split()[1]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        names = [path.name for path in (tmp_path / "builder/builds").glob("*/")]
        assert len(names) == 1
        watched = [os.pidfd_open(int(found.name)) for found in running(sleep)] if runtime.dies_with_us else []
        assert watched or not runtime.dies_with_us
        process.kill()
        assert process.wait() == -signal.SIGKILL
        for descriptor in watched:
            assert select.select([descriptor], [], [], 30)[0], "the container outlives its builder"
            os.close(descriptor)
    with opened(tmp_path, runtime) as sandbox:
        assert left_behind(tmp_path, names) == []
        assert running(sleep) == []
        assert sandbox.run("echo and on >$out").made
    assert left_behind(tmp_path, names) == []


def test_sweeping_leaves_builds_that_run(any_runtime: Runtime, tmp_path: Path) -> None:
    folders = ScratchFolders(tmp_path / "builds")
    with folders.folder() as running:
        (running.path / "file").touch()
        assert sweep(tmp_path) == []
        assert (running.path / "file").exists()
    assert list((tmp_path / "builds").iterdir()) == []


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="tvix-user-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", RUNTIMES)
def test_attacks_as_an_ordinary_user(name: str, open_folder: Path, programs: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    sleep = sleep_of_ones_own()
    arguments = [str(open_folder), name, str(programs), sleep.split()[1]]
    command = [sys.executable, "-m", f"{PACKAGE}.ordinary_user", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    if done.returncode == 77:
        pytest.skip(f"{name} does not work for ordinary users here: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    results = {value["case"]: value for value in map(json.loads, done.stdout.splitlines())}
    assert results.pop("left")["left"] == []
    endings = {
        "fork bomb": "exit",
        "memory bomb": "exit",
        "endless": "time",
        "set-id output": "output",
    }
    for case, why in endings.items():
        assert results.pop(case)["why"] == why
    assert len(results) >= 9
    assert {case: result for case, result in results.items() if result["made"] != "refused\n"} == {}
    assert running(sleep) == []


def test_groups_of_other_sessions_are_swept(tmp_path: Path) -> None:
    orphans = [tmp_path / place / "tvix-lsp" / "orphan" for place in ("memory/session/1", "pids", "cpu/session")]
    others = [tmp_path / "memory/session/1/tvix-lsp/other", tmp_path / "pids/orphan"]
    for place in (*orphans, *others):
        place.mkdir(parents=True)
    remove_orphan("orphan", tmp_path)
    assert [place for place in (*orphans, *others) if place.exists()] == others
    assert not (tmp_path / "pids/tvix-lsp").exists()
