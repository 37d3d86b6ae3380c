"""Commands that are measured, and where what they need is found."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Used:
    """What a process took: seconds by the clock and of the processor, MiB of memory at the most; what it printed."""

    seconds: float
    processor: float
    megabytes: float
    output: str = ""


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    name: str = "",
    *,
    folder: str | None = "/",
    heard: bool = True,
) -> Used:
    """Runs a command to its end, in a folder (None: the present one), ``heard`` or with its output thrown away.

    RuntimeError if it fails, with the end of what it complained.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output if heard else subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            complaint = errors.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{name or ' '.join(command)} failed:\n{complaint}")
        return Used(
            seconds,
            usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
            output.read().decode().strip(),
        )


@dataclass
class Contender:
    """A command that is run several times."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def forget(self) -> None:
        """Drop what was measured so far."""
        self.seconds.clear()
        self.processor.clear()
        self.megabytes.clear()

    def run(self) -> str:
        """Run it once, remember what it took; what it printed. RuntimeError if it fails."""
        used = run(self.command, self.environment, self.name)
        self.seconds.append(used.seconds)
        self.processor.append(used.processor)
        self.megabytes.append(used.megabytes)
        return used.output


def tvix_command(name: str) -> list[str]:
    """The command as it is installed beside this interpreter."""
    script = Path(sys.executable).parent / name
    if not script.exists():
        sys.exit(f"{script} is not there: run this with the Python of an environment that tvix-lsp is installed in")
    return [str(script)]


def find_nixpkgs(given: str) -> Path:
    """The nixpkgs named on the command line or in $NIXPKGS; ends the program where there is none."""
    path = Path(given or os.environ.get("NIXPKGS", ""))
    if not (path / "pkgs" / "top-level" / "all-packages.nix").is_file():
        sys.exit("no nixpkgs: give --nixpkgs PATH or set NIXPKGS")
    return path.resolve()
