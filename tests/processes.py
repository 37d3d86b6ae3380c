"""The processes of this machine, for tests that say that something runs, or that nothing of theirs is left.

Other tests run at the same time, the same test in another container runtime among them: what a test looks for has to
be its own.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def sleep_of_ones_own() -> str:
    """A command that sleeps for days, for as long as no other test does."""
    return f"sleep {10**6 + secrets.randbelow(10**8)}"


@contextmanager
def bystander() -> Iterator[int]:
    """A process outside of all containers, with a number that none of the few processes in one has.

    Where the tests themselves run in a container, numbers are small.
    """
    while True:
        with subprocess.Popen(["/bin/sleep", "1000"]) as process:
            try:
                if process.pid > 1000:
                    yield process.pid
                    assert process.poll() is None, "it was killed"
                    return
            finally:
                process.kill()


def running(command: str) -> list[Path]:
    """The folders in ``/proc`` of the processes that are this command, or a shell with a script that has it."""
    found: list[Path] = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if command.encode() in (process / "cmdline").read_bytes().replace(b"\0", b" "):
                found.append(process)
    return found


def of_environment(value: str, processes: list[Path]) -> list[Path]:
    """Those of them in whose environment this stands."""
    found: list[Path] = []
    for process in processes:
        with suppress(OSError):  # it has just ended, or is another user's
            if value.encode() in (process / "environ").read_bytes():
                found.append(process)
    return found
