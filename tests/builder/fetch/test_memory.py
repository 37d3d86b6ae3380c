"""What was fetched before is remembered, by many processes at once, and forgotten without harm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.fetch.memory import Memory

WRITER = """
import sys
from pathlib import Path
from builder.fetch.memory import Memory
memory = Memory(Path(sys.argv[1]))
for number in range(40):
    memory.remember({"path": f"{sys.argv[2]}-{number}"}, url=f"{sys.argv[2]}/{number}")
"""


def test_what_is_remembered_is_recalled_with_its_age(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "new")
    assert memory.recall(kind="file", url="u") is None
    memory.remember({"path": "/p"}, kind="file", url="u")
    found = Memory(tmp_path / "new").recall(url="u", kind="file")
    assert found is not None and found[0] == {"path": "/p"} and 0 <= found[1] < 60
    assert memory.recall(kind="tarball", url="u") is None


def test_many_processes_write_at_once(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "memory"), name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    memory = Memory(tmp_path / "memory")
    for name in "abc":
        for number in range(40):
            found = memory.recall(url=f"{name}/{number}")
            assert found is not None and found[0] == {"path": f"{name}-{number}"}


def test_a_clock_that_was_set_back_makes_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(tmp_path)
    memory.remember({"path": "/p"}, url="u")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 100_000)
    found = memory.recall(url="u")
    assert found is not None and found[1] == float("inf")


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self").exists(), reason="needs a place nobody can write to")
def test_without_a_place_to_write_nothing_is_remembered() -> None:
    memory = Memory(Path("/proc/self/nowhere"))
    memory.remember({"path": "/p"}, url="u")
    assert memory.recall(url="u") is None
