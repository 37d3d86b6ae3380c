"""The programs that run a job in a container: crun, crun in a mount namespace of its own, runc, bubblewrap.

Each is started on a leash (:mod:`builder.oci.leash`), in the job's control group. Ordinary users run them in a user
namespace in which they are root.
"""

from __future__ import annotations

import json
import os
from binascii import b2a_base64
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from builder.oci import host_ids, seccomp
from builder.oci.bundle import READ_ONLY, Job, config, limits
from builder.oci.leash import FIRST, SHOWN, Leash
from builder.oci.programs import which
from builder.oci.root import GID, UID

_CGROUPS = "/sys/fs/cgroup"
_UNIFIED = f"{_CGROUPS}/unified"


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
    def maps(self) -> bool:
        """Whether the builder's user is mapped to one of :mod:`builder.oci.host_ids`, another one for each build."""

    @property
    def owner(self) -> tuple[int, int]:
        """The user and group of this machine that the builder's are, where they are not mapped (:func:`owner`)."""

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        """Why it could not run the job, if it says so; ``log`` has the last lines."""

    def delete(self, folder: Path, name: str) -> None:
        """Remove what a runtime that was killed left of the job of that name in ``folder``, processes too."""


class OciRuntime:
    """crun or runc. ``private``: in a mount namespace without the part of ``/sys/fs/cgroup`` that crun refuses.

    crun as root maps the builder's user, where that works; ``private`` is the way without.
    """

    def __init__(self, program: str, *, private: bool = False) -> None:
        self._program = program
        self._private = private
        self._rootless = os.geteuid() != 0
        self.name = program + (" in a mount namespace of its own" if private else "")
        self.groups_itself = program == "runc"
        self.dies_with_us = program == "crun"  # runc has threads, and the kernel means the thread that started it
        self.owner = (os.geteuid(), os.getegid()) if self._rootless else (UID, GID)
        self.maps = program == "crun" and not private and not self._rootless and host_ids.available()

    def program(self) -> str | None:
        return which(self._program)

    def command(self, job: Job, system: str) -> list[str]:
        root = str(job.root) if job.host_id is None else f"{_CGROUPS}/{SHOWN}"
        resources = self.groups_itself and not self._rootless
        described = config(job, root, user_namespace=self._rootless, resources=resources)
        if self._program == "crun" and "seccomp" in described["linux"]:
            # Its library may not know the newest calls; the kernel does.
            program = b2a_base64(seccomp.program(), newline=False).decode()
            described["annotations"] = {"run.oci.seccomp_bpf_data": program}
        (job.folder / "config.json").write_bytes(json.dumps(described).encode("utf-8", "surrogateescape"))
        # crun takes what stands before a colon for the kind of the log, runc knows no kinds.
        log = ("file:" if self._program == "crun" else "") + str(job.folder / "runtime.log")
        arguments = [*self._base(job.folder), "--log", log, "--log-format", "json", "run"]
        arguments += ["--bundle", str(job.folder), "--pid-file", str(job.folder / "pid"), job.name]
        return self._leash(system, job.groups, job).hold(arguments, job.folder)

    def init(self, job: Job) -> int | None:
        with suppress(OSError, ValueError):
            return int((job.folder / "pid").read_text())
        return None

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        return _last_complaint(job.folder / "runtime.log")

    def delete(self, folder: Path, name: str) -> None:
        if (folder / "state" / name).exists():
            import subprocess

            command = self._leash("").hold([*self._base(folder), "delete", "--force", name], folder)
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)

    def _base(self, folder: Path) -> list[str]:
        manager = ["--cgroup-manager=disabled"] if self._program == "crun" else []
        return [self.program() or self._program, *manager, "--root", str(folder / "state")]

    def _leash(self, system: str, groups: Sequence[str] = (), job: Job | None = None) -> Leash:
        mapped = job is not None and job.host_id is not None
        crun = self._program == "crun"
        return Leash(
            system,
            groups=groups,
            own_users=self._rootless,
            own_mounts=self._rootless or crun,
            unmounted=_UNIFIED if self._private and not self._rootless and os.path.isdir(_UNIFIED) else "",
            covered=_CGROUPS if self._rootless or mapped else "",
            # Folders on the way to the root of the container may be closed to whom it is mapped to.
            shown=str(job.root) if job is not None and mapped else "",
            # Nobody in the container may write to the runtime's program: a crun that could be written to makes a copy
            # of itself in memory and starts that, which takes as long as all else that it does.
            read_only=os.path.realpath(self.program() or "") if crun else "",
            dies_with_us=self.dies_with_us,
        )


class Bubblewrap:
    """bubblewrap, which reads no bundle: the same said with its own options."""

    name = "bwrap"
    groups_itself = False
    dies_with_us = True
    maps = False

    def __init__(self) -> None:
        self.owner = os.geteuid(), os.getegid()

    def program(self) -> str | None:
        return which("bwrap")

    def command(self, job: Job, system: str) -> list[str]:
        arguments = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
        arguments += ["--unshare-cgroup-try", "--uid", str(UID), "--gid", str(GID), "--hostname", "localhost"]
        if not job.network:
            arguments.append("--unshare-net")
        arguments += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"]
        arguments += ["--ro-bind", str(job.root), "/", "--proc", "/proc", "--dev", "/dev"]
        arguments += ["--perms", "1777", "--tmpfs", "/dev/shm"]
        for device in job.devices:
            arguments += ["--dev-bind", device, device]
        arguments += ["--remount-ro", "/dev"]
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
        opened: list[str] = []
        if seccomp.supported():
            arguments += ["--seccomp", str(FIRST)]
            opened.append(self._written(job.folder / "seccomp", seccomp.program()))
        # An environment may be larger than a command line.
        opened.append(self._written(job.folder / "arguments", os.fsencode("\0".join(arguments))))
        words = [self.program() or "bwrap", "--args", str(FIRST + len(opened) - 1), "--"]
        held = Leash(system, groups=job.groups, opened=opened, limits=limits(job))
        return held.hold([*words, *[os.fsdecode(argument) for argument in job.command]], job.folder)

    @staticmethod
    def _written(file: Path, content: bytes) -> str:
        file.write_bytes(content)
        return str(file)

    def init(self, job: Job) -> int | None:
        return None

    def complaint(self, job: Job, log: Sequence[bytes]) -> str:
        last = log[-1] if log else b""
        return last.removeprefix(b"bwrap: ").decode(errors="replace") if last.startswith(b"bwrap: ") else ""

    def delete(self, folder: Path, name: str) -> None:
        pass


def owner(runtime: Runtime, host_id: int | None) -> tuple[int, int]:
    """The user and group of this machine that a builder's are; ``host_id`` is what they are mapped to, if they are."""
    return runtime.owner if host_id is None else (host_id, host_id)


def candidates() -> list[Runtime]:
    """All of them, the best first."""
    return [OciRuntime("crun"), OciRuntime("crun", private=True), OciRuntime("runc"), Bubblewrap()]


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
