"""The bundle of a build: what runs, in which namespaces, with which mounts.

Specification: https://github.com/opencontainers/runtime-spec, version 1.0.2.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.oci import seccomp
from builder.oci.root import GID, UID
from store.records import dataclass

VERSION = "1.0.2"
#: Processes at once where a request says nothing: enough for real builds, too few for a fork bomb to hurt.
PROCESSES = 4096
_FILES_OPEN = 1024
_RUNTIMES_OWN = 1 << 20  # bytes that a runtime may write itself, under the limits that it has set for the builder
_MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of this machine in the build's root."""

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A build made ready: all of its files are on disk."""

    name: str
    folder: Path  #: the job's own; runtimes keep their state here
    root: Path
    command: tuple[bytes, ...]
    environment: tuple[tuple[bytes, bytes], ...]
    working_dir: str
    mounts: tuple[Mount, ...]
    network: bool
    devices: tuple[str, ...] = ()  #: of this machine, in the build's /dev too
    processes: int = 0
    memory: int = 0
    file_size: int = 0
    grouped: bool = False  #: a control group limits memory and processes already
    groups: tuple[str, ...] = ()  #: its files
    host_id: int | None = None  #: the user and group of this machine that the builder's are mapped to
    nodes: tuple[Mount, ...] = ()  #: the devices, made for it: inside of a user namespace none can be made


def limits(job: Job) -> dict[str, tuple[int, int]]:
    """The resource limits of the builder's processes: soft and hard, by their names without ``RLIMIT_``."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    found = {"NOFILE": (_least(_FILES_OPEN, most), most), "CORE": (0, resource.getrlimit(resource.RLIMIT_CORE)[1])}
    if job.file_size:
        size = max(job.file_size, _RUNTIMES_OWN)
        found["FSIZE"] = (size, size)
    if not job.grouped:
        if job.memory:
            found["AS"] = (job.memory, job.memory)
        processes = _least(job.processes or PROCESSES, resource.getrlimit(resource.RLIMIT_NPROC)[1])
        found["NPROC"] = (processes, processes)
    return found


def config(job: Job, root: str, *, user_namespace: bool, resources: bool) -> dict[str, Any]:
    """``config.json``, for a container whose root is the folder ``root``.

    ``user_namespace``: the builder's user is this process's one. ``resources``: the runtime makes the control group.
    """
    namespaces = ["pid", "ipc", "uts", "mount"]
    if not job.network:
        namespaces.append("network")
    linux: dict[str, Any] = {"maskedPaths": list(_MASKED), "readonlyPaths": list(READ_ONLY)}
    mapped = 0 if user_namespace and job.host_id is None else job.host_id
    if mapped is not None:
        namespaces.append("user")
        linux["uidMappings"] = [{"containerID": UID, "hostID": mapped, "size": 1}]
        linux["gidMappings"] = [{"containerID": GID, "hostID": mapped, "size": 1}]
    if resources:
        namespaces.append("cgroup")
        # Without the first slash it is inside the groups that the runtime is started in, which have the limits.
        linux["cgroupsPath"] = f"tvix-lsp-{job.name}" if job.groups else f"/tvix-lsp-{job.name}"
        wanted: dict[str, Any] = {"pids": {"limit": job.processes or PROCESSES}}
        if job.memory and not job.groups:
            wanted["memory"] = {"limit": job.memory, "swap": job.memory}
        if job.devices:
            wanted["devices"] = [{"allow": True, **_numbers(path), "access": "rw"} for path in job.devices]
        linux["resources"] = wanted
    if job.devices and job.host_id is None:
        linux["devices"] = [{"path": path, **_numbers(path), "fileMode": 0o666} for path in job.devices]
    linux["namespaces"] = [{"type": kind} for kind in namespaces]
    if seccomp.supported():
        linux["seccomp"] = seccomp.oci()
    return {
        "ociVersion": VERSION,
        "process": {
            "terminal": False,
            "user": {"uid": UID, "gid": GID, "umask": 0o022},
            "args": [_text(argument) for argument in job.command],
            "env": [f"{_text(name)}={_text(value)}" for name, value in job.environment],
            "cwd": "/" + job.working_dir,
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "rlimits": [
                {"type": f"RLIMIT_{name}", "soft": _unsigned(soft), "hard": _unsigned(hard)}
                for name, (soft, hard) in limits(job).items()
            ],
        },
        "root": {"path": root, "readonly": True},
        "hostname": "localhost",
        "mounts": [*_system_mounts(job.host_id is not None), *map(_bind, job.mounts), *map(_node, job.nodes)],
        "linux": linux,
    }


def _system_mounts(mapped: bool) -> Sequence[dict[str, Any]]:
    # Who is mapped owns what is mounted for the container, and could make files in /dev.
    hardened = ["nosuid", "noexec", "nodev"]
    return (
        {"destination": "/proc", "type": "proc", "source": "proc", "options": hardened},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k", *(["ro"] if mapped else [])],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        {
            "destination": "/dev/shm",
            "type": "tmpfs",
            "source": "shm",
            "options": ["nosuid", "nodev", "mode=1777", "size=50%"],
        },
    )


def _bind(mount: Mount) -> dict[str, Any]:
    return _bound(mount, "bind", "nosuid", "nodev", "rprivate", "rw" if mount.writable else "ro")


def _node(mount: Mount) -> dict[str, Any]:
    return _bound(mount, "bind", "nosuid", "noexec")


def _bound(mount: Mount, *options: str) -> dict[str, Any]:
    return {"destination": mount.target, "type": "bind", "source": mount.source, "options": list(options)}


def _numbers(device: str) -> dict[str, Any]:
    number = os.stat(device).st_rdev
    return {"type": "c", "major": os.major(number), "minor": os.minor(number)}


def _least(wanted: int, most: int) -> int:
    return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


def _unsigned(value: int) -> int:
    return value % (1 << 64)  # -1 is "without limit"


def _text(value: bytes) -> str:
    return os.fsdecode(value)
