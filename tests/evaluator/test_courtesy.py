"""Builds give way to the editor: the kernel is asked what share their sessions have."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import evaluator
from evaluator.service import courtesy

PACKAGES = str(Path(evaluator.__file__).resolve().parent.parent)

#: Starts a session of its own with a process in it, lowers it, and prints its niceness and that of its own.
PROGRAM = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from evaluator.service import courtesy
if sys.argv[2] == "user":
    os.setgid(65534)
    os.setuid(65534)
own = open("/proc/self/autogroup").read()
child = subprocess.Popen(["setsid", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE)
child.stdout.readline()
while True:  # an ordinary user may do it ten times a second, and other tests do, too
    courtesy.lower(os.getpid(), own.partition(" ")[0])
    share = open(f"/proc/{child.pid}/autogroup").read()
    if share.endswith("nice 19\\n"):
        break
    import time
    time.sleep(0.05)
child.kill()
print(share.rpartition(" ")[2].strip(), open("/proc/self/autogroup").read() == own)
"""


@pytest.mark.parametrize("who", ["root", "user"])
def test_other_sessions_get_the_least_share(who: str) -> None:
    if not os.path.exists("/proc/self/autogroup"):
        pytest.skip("this kernel has no autogroups")
    if os.geteuid() != 0 and who == "root":
        pytest.skip("needs root")
    command = [sys.executable, "-c", PROGRAM, PACKAGES, who if os.geteuid() == 0 else "root"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env={**os.environ})
    assert done.stdout.split() == ["19", "True"]


def test_nothing_was_started() -> None:
    before = Path("/proc/self/autogroup")
    if not before.exists():
        pytest.skip("this kernel has no autogroups")
    share = before.read_text()
    courtesy.lower(os.getpid(), share.partition(" ")[0])
    assert before.read_text() == share


def test_a_server_without_a_session_of_its_own(tmp_path: Path) -> None:
    """Where no shell and no desktop began a session, the kernel shows an empty autogroup, and builds have theirs."""
    own = tmp_path / str(os.getpid())
    build = tmp_path / "77"
    for folder, children in ((own, "77 "), (build, "")):
        (folder / "task" / folder.name).mkdir(parents=True)
        (folder / "task" / folder.name / "children").write_text(children)
    (own / "autogroup").write_text("")
    (build / "autogroup").write_text("/autogroup-9 nice 0\n")
    end = time.monotonic() + 30
    with courtesy.Courtesy(tmp_path):
        while (build / "autogroup").read_text() != "19" and time.monotonic() < end:
            time.sleep(0.005)
    assert (build / "autogroup").read_text() == "19"
    assert (own / "autogroup").read_text() == ""
