"""People of this machine, and builds that root runs: nobody reaches one, whatever number they have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder.events import BuildEvent, LogLine
from builder.oci import host_ids
from builder.oci.runtimes import Runtime
from tests.builder.sandbox.building import Sandbox
from tests.processes import running, sleep_of_ones_own

#: Becomes the user 1000, whom builders believe to be, and says what it can do to a process: ``PID FOLDER GROUP``.
PERSON = """
import ctypes, os, resource, signal, sys
pid, folder, group = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([])
os.setgid(group)
os.setuid(1000)

def traced():
    if libc.ptrace(16, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    libc.ptrace(17, pid, 0, 0)

tried = {
    "signal": lambda: os.kill(pid, 0),
    "continue": lambda: os.kill(pid, signal.SIGCONT),
    "trace": traced,
    "environment": lambda: open(f"/proc/{pid}/environ", "rb").read(),
    "root": lambda: os.listdir(f"/proc/{pid}/root"),
    "folder": lambda: os.readlink(f"/proc/{pid}/cwd"),
    "files": lambda: os.listdir(f"/proc/{pid}/fd"),
    "memory": lambda: open(f"/proc/{pid}/mem", "rb").close(),
    "limits": lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, 64)),
    "niceness": lambda: os.setpriority(os.PRIO_PROCESS, pid, 5),
    "processors": lambda: os.sched_setaffinity(pid, {0}),
    "listing": lambda: os.listdir(f"{folder}/build"),
    "writing": lambda: open(f"{folder}/build/evil", "w").close(),
}
for name, act in tried.items():
    try:
        act()
    except OSError:
        continue
    print(name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="what root builds")
@pytest.mark.parametrize("group", [100, 1000])
def test_a_person_with_the_number_of_builders(sandbox: Sandbox, runtime: Runtime, group: int) -> None:
    if not runtime.maps and runtime.owner[0] != 0:
        pytest.skip(f"in {runtime.name} builders are a user of this machine, which the doctor says")
    sleep = sleep_of_ones_own()
    cancel = threading.Event()
    owners: list[int] = []
    reached: list[str] = []

    def look(event: BuildEvent) -> None:
        if event != LogLine(b"ready"):
            return
        builders: list[Path] = []
        while not builders:
            builders = [each for each in running(sleep) if each.joinpath("cmdline").read_bytes().startswith(b"sleep")]
        (scratch,) = (sandbox.folder / "builder/builds").glob("*/")
        owners.append(builders[0].stat().st_uid)
        command = [sys.executable, "-c", PERSON, builders[0].name, str(scratch), str(group)]
        reached.extend(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        cancel.set()

    sandbox.build(sandbox.derivation(f"echo ready; {sleep}; :"), on_event=look, cancel=cancel)
    assert reached == []
    assert owners and all(owner == 0 or owner >= host_ids.START for owner in owners)


def test_no_two_builds_have_the_same_number(tmp_path: Path) -> None:
    with host_ids.held(True, tmp_path) as first, host_ids.held(True, tmp_path) as second:
        assert first != second
        assert {path.name for path in tmp_path.iterdir()} == {str(first), str(second)}
    assert not list(tmp_path.iterdir())


def test_a_number_that_is_held_is_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([b"\1\0\0\0", b"\1\0\0\0", b"\2\0\0\0"])
    monkeypatch.setattr(os, "urandom", lambda size: next(chances))
    with host_ids.held(True, tmp_path) as first, host_ids.held(True, tmp_path) as second:
        assert (first, second) == (host_ids.START + 1, host_ids.START + 2)


def test_where_they_cannot_be_held(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not host_ids.available(tmp_path / "file")
