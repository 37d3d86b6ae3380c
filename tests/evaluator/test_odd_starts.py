"""Commands started without standard streams, with an output that is full, in a folder that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVALUATE = ["evaluator.cli", "--no-eval-cache", "-E", "40 + 2"]
COMMANDS = [EVALUATE, ["evaluator.building.cli", "--version"], ["store.command.cli", "ls", "--store", "memory:", "/x"]]


def started(script: str, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as a shell starts it by ``script``, which names it ``"$@"``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TVIX_STORE": f"local:{folder}/store", "HOME": str(folder)}
    words = ["sh", "-c", script, "sh", sys.executable, "-P", "-m", *command]
    return subprocess.run(words, capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command[0]))
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(command: list[str], closed: str, tmp_path: Path) -> None:
    usual = started('exec "$@"', command, tmp_path)
    assert "Traceback" not in usual.stderr
    ended = started(f'exec "$@" {closed}', command, tmp_path)
    assert ended.returncode == usual.returncode
    assert ended.stdout in ("", usual.stdout)
    assert ended.stderr in ("", usual.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", COMMANDS[:2], ids=lambda command: str(command[0]))
def test_an_output_that_is_full_is_said(command: list[str], tmp_path: Path) -> None:
    ended = started('exec "$@" > /dev/full', command, tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: cannot print the result: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("command", [EVALUATE, ["evaluator.building.cli"]], ids=lambda command: str(command[0]))
def test_a_folder_that_is_gone_is_said(command: list[str], tmp_path: Path) -> None:
    ended = started('mkdir gone && cd gone && rmdir ../gone && exec "$@"', command, tmp_path)
    assert ended.returncode == 1
    assert "error: the folder that this was started in does not exist any more\n" in ended.stderr
    assert "Traceback" not in ended.stderr
