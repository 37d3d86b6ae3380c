"""The programs that run a job in a container: crun, crun in a mount namespace of its own, runc, bubblewrap.

Each is told to a shell that enters the job's control group first and then becomes it. Ordinary users run them in a
user namespace in which they are root.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from builder.oci import seccomp
from builder.oci.bundle import READ_ONLY, Job, config, limits
from builder.oci.root import GID, UID

_CGROUPS = "/sys/fs/cgroup"
_ULIMITS = {"NOFILE": "n", "CORE": "c", "FSIZE": "f", "AS": "v", "NPROC": "p"}
_UNITS = {"FSIZE": 512, "AS": 1024}


class Runtime(Protocol):
    """One way to run jobs."""

    @property
    def name(self) -> str:
        """What it is called: ``crun``, ``crun in a mount namespace of its own``, ``runc``, ``bwrap``."""

    @property
    def groups_itself(self) -> bool:
        """Whether it makes control groups itself, so that none is made for it."""

    @property
    def dies_with_us(self) -> bool:
        """Whether its end is the container's end at once, and this process's end its own."""

    def program(self) -> str | None:
        """Where it is; None when this machine does not have it."""

    def command(self, job: Job, system: str) -> list[str]:
        """Write what it needs into the job's folder; the command that runs it."""

    def init(self, job: Job) -> int | None:
        """The process whose end ends the whole container; None when there is none (yet)."""

    @property
    def owner(self) -> tuple[int, int]:
        """The user and group of this machine that the builder's are."""

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        """Why it could not run the job, if it says so; ``log`` has the last lines."""

    def delete(self, folder: Path, name: str) -> None:
        """Remove what a runtime that was killed left of the job of that name in ``folder``, processes too."""


class OciRuntime:
    """crun or runc. ``private``: in a mount namespace without the part of ``/sys/fs/cgroup`` that crun refuses."""

    def __init__(self, program: str, *, private: bool = False) -> None:
        self._program = program
        self._private = private
        self._rootless = os.geteuid() != 0
        self.name = program + (" in a mount namespace of its own" if private else "")
        self.groups_itself = program == "runc"
        self.dies_with_us = program == "crun"  # runc has threads, and the kernel means the thread that started it
        self.owner = (os.geteuid(), os.getegid()) if self._rootless else (UID, GID)

    def program(self) -> str | None:
        found = _which(self._program)
        return found if found and (_which("unshare") or not (self._private or self._rootless)) else None

    def command(self, job: Job, system: str) -> list[str]:
        described = config(job, user_namespace=self._rootless, resources=self.groups_itself and not self._rootless)
        if self._program == "crun" and "seccomp" in described["linux"]:
            # Its library may not know the newest calls; the kernel does.
            program = base64.b64encode(seccomp.program()).decode()
            described["annotations"] = {"run.oci.seccomp_bpf_data": program}
        (job.folder / "config.json").write_bytes(json.dumps(described).encode("utf-8", "surrogateescape"))
        arguments = [*self._base(job.folder), "--log", str(job.folder / "runtime.log"), "--log-format", "json", "run"]
        arguments += ["--bundle", str(job.folder), "--pid-file", str(job.folder / "pid"), job.name]
        return self._inside([*self._leash(), *_personality(system), *arguments], job.groups)

    def init(self, job: Job) -> int | None:
        with suppress(OSError, ValueError):
            return int((job.folder / "pid").read_text())
        return None

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        return _last_complaint(job.folder / "runtime.log")

    def delete(self, folder: Path, name: str) -> None:
        if (folder / "state" / name).exists():
            command = self._inside([*self._base(folder), "delete", "--force", name])
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)

    def _leash(self) -> list[str]:
        program = _which("setpriv")
        return [program, "--pdeathsig", "KILL"] if program and self.dies_with_us else []

    def _base(self, folder: Path) -> list[str]:
        manager = ["--cgroup-manager=disabled"] if self._program == "crun" else []
        return [self.program() or self._program, *manager, "--root", str(folder / "state")]

    def _inside(self, arguments: list[str], groups: Sequence[str] = ()) -> list[str]:
        steps = _enter(groups)
        if self._rootless:
            steps.append(f"mount -t tmpfs none {_CGROUPS}")
            return ["unshare", "--user", "--map-root-user", "--mount", *_shell(steps, arguments)]
        if self._private:
            steps.append(f"umount {_CGROUPS}/unified")
            return ["unshare", "--mount", "--propagation", "private", *_shell(steps, arguments)]
        return _shell(steps, arguments)


class Bubblewrap:
    """bubblewrap, which reads no bundle: the same said with its own options."""

    name = "bwrap"
    groups_itself = False
    dies_with_us = True

    def __init__(self) -> None:
        self.owner = os.geteuid(), os.getegid()

    def program(self) -> str | None:
        return _which("bwrap")

    def command(self, job: Job, system: str) -> list[str]:
        arguments = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        arguments += ["--unshare-cgroup-try", "--uid", str(UID), "--gid", str(GID), "--hostname", "localhost"]
        if not job.network:
            arguments.append("--unshare-net")
        arguments += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"]
        arguments += ["--ro-bind", str(job.root), "/", "--proc", "/proc", "--dev", "/dev"]
        arguments += ["--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
        if os.geteuid() == 0:
            # The kernel lets root write to these whatever capabilities it has dropped.
            for path in READ_ONLY:
                if os.path.exists(path):
                    arguments += ["--ro-bind", path, path]
            arguments.append("--disable-userns")
        for mount in job.mounts:
            arguments += ["--bind" if mount.writable else "--ro-bind", mount.source, mount.target]
        arguments += ["--remount-ro", "/", "--chdir", "/" + job.working_dir]
        for name, value in job.environment:
            arguments += ["--setenv", os.fsdecode(name), os.fsdecode(value)]
        steps = _enter(job.groups)
        if seccomp.supported():
            steps.append(self._descriptor(9, job.folder / "seccomp", seccomp.program()))
            arguments += ["--seccomp", "9"]
        # An environment may be larger than a command line.
        steps.append(self._descriptor(8, job.folder / "arguments", os.fsencode("\0".join(arguments))))
        for limit, (soft, hard) in limits(job).items():
            steps += _ulimit(limit, soft, hard)
        command = [os.fsdecode(argument) for argument in job.command]
        return _shell(steps, [*_personality(system), self.program() or "bwrap", "--args", "8", "--", *command])

    @staticmethod
    def _descriptor(number: int, file: Path, content: bytes) -> str:
        file.write_bytes(content)
        return f"exec {number}<{shlex.quote(str(file))}"

    def init(self, job: Job) -> int | None:
        return None

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        last = log[-1] if log else b""
        return last.removeprefix(b"bwrap: ").decode(errors="replace") if last.startswith(b"bwrap: ") else ""

    def delete(self, folder: Path, name: str) -> None:
        pass


def candidates() -> list[Runtime]:
    """All of them, the best first."""
    return [OciRuntime("crun"), OciRuntime("crun", private=True), OciRuntime("runc"), Bubblewrap()]


def _shell(steps: list[str], arguments: list[str]) -> list[str]:
    if not steps:
        return arguments
    return ["/bin/sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh", *arguments]


def _enter(groups: Sequence[str]) -> list[str]:
    return [f"echo 0 >{shlex.quote(path)}" for path in groups]


def _ulimit(name: str, soft: int, hard: int) -> list[str]:
    unit = _UNITS.get(name, 1)
    letter = _ULIMITS[name]
    steps: list[str] = []
    for kind, value in (("S", soft), ("H", hard)):  # the hard limit may not fall below the soft one
        steps.append(f"ulimit -{kind}{letter} {'unlimited' if value < 0 else (value + unit - 1) // unit}")
    return steps


def _personality(system: str) -> list[str]:
    """Without random addresses, as in Nix; as a 32-bit machine for 32-bit systems."""
    program = _which("setarch")
    if program is None:
        return []
    small = system in ("i686-linux", "armv7l-linux", "armv6l-linux") and os.uname().machine in ("x86_64", "aarch64")
    return [program, "linux32" if small else os.uname().machine, "-R"]


def _which(program: str) -> str | None:
    return _found(program, os.environ.get("PATH"))


@lru_cache(maxsize=64)
def _found(program: str, search: str | None) -> str | None:
    """Looked for once: four programs for each build."""
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


def _last_complaint(log: Path) -> str:
    with suppress(OSError):
        for line in reversed(log.read_text(errors="replace").splitlines()):
            try:
                entry = json.loads(line)
            except ValueError:
                return line
            if isinstance(entry, dict) and entry.get("level", "error") in ("error", "fatal"):
                return str(entry.get("msg", ""))
    return ""
