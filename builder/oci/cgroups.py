"""A control group for each build where this process may make one: limits of memory and processes, and what was used.

Specification: the kernel's ``Documentation/admin-guide/cgroup-v2.rst`` and ``cgroup-v1/``. The group is made here and
the runtime is started in it, so that all runtimes are limited alike, also those that know nothing of control groups.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from store.records import dataclass

FILESYSTEM = Path("/sys/fs/cgroup")
_PARENT = "tvix-lsp"
_CONTROLLERS = ("memory", "pids")
_CPU = "cpu"
_PERIOD = 100_000  # microseconds


@dataclass(frozen=True)
class Hierarchy:
    """Where groups are made: one folder under version 2, one for each controller under version 1."""

    version: int
    folders: dict[str, Path]  # controller -> the folder that groups are made in
    processors: Path | None = None  # the same for the controller of processor time, where it may be used


def find_hierarchy(filesystem: Path = FILESYSTEM, own: Path = Path("/proc/self/cgroup")) -> Hierarchy | None:
    """The hierarchy with memory and processes in which this process may make groups; None without one."""
    places: dict[str, str] = {}
    try:
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            places.update(dict.fromkeys(controllers.split(","), path))
    except OSError:
        return None
    if (filesystem / "cgroup.controllers").exists():
        return _second_version(filesystem, places.get("", "/"))
    folders = {name: filesystem / name / places.get(name, "/").lstrip("/") / _PARENT for name in _CONTROLLERS}
    if all((folder.parent / "cgroup.procs").exists() for folder in folders.values()):
        processors = filesystem / _CPU / places.get(_CPU, "/").lstrip("/") / _PARENT
        has_them = (processors.parent / "cpu.cfs_quota_us").exists() or (processors.parent / "cpu.shares").exists()
        return _usable(
            Hierarchy(1, folders, processors if has_them and os.access(processors.parent, os.W_OK) else None)
        )
    return None


def _second_version(filesystem: Path, path: str) -> Hierarchy | None:
    """The uppermost group, of those that this process is in, below which it may make others and enter them.

    That is the top for root, and for an ordinary user what systemd delegates to them: all that a desktop starts is
    in there, a login at a terminal is not.
    """
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        return None  # of another name space
    for depth in range(len(parts) + 1):
        group = filesystem.joinpath(*parts[:depth])
        if not os.access(group / "cgroup.procs", os.W_OK):
            continue
        if not depth:
            _enable(group)
        with suppress(OSError):
            there = set((group / "cgroup.subtree_control").read_text().split())
            place = group / (f"{_PARENT}-{_niceness()}" if _niceness() else _PARENT)
            hierarchy = Hierarchy(2, dict.fromkeys(_CONTROLLERS, place), place if _CPU in there else None)
            if set(_CONTROLLERS) <= there and _usable(hierarchy) is not None:
                return hierarchy
    return None


def _niceness() -> int:
    """That of this process. Where groups share the processors' time it counts only inside of each: so the groups of
    builds that are niced have a parent of their own, with the share that a process as nice would have."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def _enable(group: Path) -> None:
    """Let a group's groups have the controllers, where no systemd has done so."""
    with suppress(OSError):  # its own processes are in the way: it is the top of a container only
        there = (group / "cgroup.controllers").read_text().split()
        enabled = (group / "cgroup.subtree_control").read_text().split()
        wanted = [f"+{name}" for name in (*_CONTROLLERS, _CPU) if name in there and name not in enabled]
        if wanted:
            (group / "cgroup.subtree_control").write_text(" ".join(wanted))


def _usable(hierarchy: Hierarchy) -> Hierarchy | None:
    trial = Group(hierarchy, f"trial-{os.getpid()}")
    try:
        trial.make(0, 0)
        return hierarchy if all(os.access(path, os.W_OK) for path in trial.files()) else None
    except OSError:
        return None
    finally:
        trial.remove()


class Group:
    """The control group of one build; with ``cores`` it gets no more of the processors' time than so many have."""

    def __init__(self, hierarchy: Hierarchy, name: str, cores: int = 0) -> None:
        self._version = hierarchy.version
        self._alarm = -1  # a descriptor that counts how often the limit of memory was met, where groups inside are
        self._folders = {controller: folder / name for controller, folder in hierarchy.folders.items()}
        self._cores = cores
        if cores and hierarchy.processors is not None:
            self._folders[_CPU] = hierarchy.processors / name

    def make(self, memory: int, processes: int) -> None:
        """Make it, with limits in bytes and processes (0: none)."""
        for folder in set(self._folders.values()):
            self._make(folder)
        pids = self._folders["pids"]
        pool = self._folders["memory"]
        if processes:
            (pids / "pids.max").write_text(str(processes))
        if memory:
            if self._version == 2:
                (pool / "memory.max").write_text(str(memory))
                with suppress(OSError):
                    (pool / "memory.swap.max").write_text("0")
            else:
                (pool / "memory.limit_in_bytes").write_text(str(memory))
                with suppress(OSError):  # where swap is not accounted for
                    (pool / "memory.memsw.limit_in_bytes").write_text(str(memory))

        if _CPU in self._folders:
            quota = self._cores * _PERIOD
            if self._version == 2:
                (self._folders[_CPU] / "cpu.max").write_text(f"{quota} {_PERIOD}")
            else:
                (self._folders[_CPU] / "cpu.cfs_period_us").write_text(str(_PERIOD))
                (self._folders[_CPU] / "cpu.cfs_quota_us").write_text(str(quota))

    def watch(self) -> None:
        """Notice also when the kernel kills something in groups inside this one, which version 1 counts only there."""
        if self._version == 1:
            pool = self._folders["memory"]
            control = os.open(pool / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                (pool / "cgroup.event_control").write_text(f"{self._alarm} {control}")
            finally:
                os.close(control)

    def _make(self, folder: Path) -> None:
        for _ in range(10):
            # Another build's end may remove the parent at any moment, even while one looks whether it is there.
            with suppress(FileNotFoundError, FileExistsError):
                folder.parent.mkdir(exist_ok=True)
                if self._version == 2:
                    (folder.parent / "cgroup.subtree_control").write_text(
                        " ".join(f"+{name}" for name in self._folders)
                    )
                    share = folder.parent / "cpu.weight.nice"
                    if _niceness() and share.exists():
                        share.write_text(str(_niceness()))
                folder.mkdir()
                return
        folder.mkdir()

    def files(self) -> list[str]:
        """The files that a process with one thread writes 0 into to be in the group.

        Under version 1 there is a file for threads, too: the kernel moves one that moves itself at once, and makes a
        process wait until all processors have noticed, which is several milliseconds.
        """
        name = "cgroup.procs" if self._version == 2 else "tasks"
        return sorted({str(folder / name) for folder in self._folders.values()})

    def peak(self) -> int:
        """Bytes of memory that it used at the most; 0 if the kernel does not say."""
        name = "memory.peak" if self._version == 2 else "memory.max_usage_in_bytes"
        with suppress(OSError, ValueError):
            return int((self._folders["memory"] / name).read_text())
        return 0

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel killed a process for the limit's sake."""
        if self._alarm >= 0:
            with suppress(BlockingIOError):
                return os.eventfd_read(self._alarm) > 0
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        with suppress(OSError):
            for line in (self._folders["memory"] / name).read_text().splitlines():
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value) > 0
        return False

    def remove(self) -> None:
        """Kill what is in it, and remove it. Nothing if it is not there."""
        if self._alarm >= 0:
            os.close(self._alarm)
            self._alarm = -1
        for folder in set(self._folders.values()):
            for attempt in range(100):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    self._kill(folder)
                    time.sleep(0.002 * (attempt + 1))  # a killed process leaves when the kernel gets to it
                else:
                    break
            with suppress(OSError):  # the last one takes the parent with it
                folder.parent.rmdir()

    def _kill(self, folder: Path) -> None:
        with suppress(OSError):
            for inner in [*folder.glob("*/"), folder]:
                for line in (inner / "cgroup.procs").read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(line), signal.SIGKILL)
                if inner != folder:
                    with suppress(OSError):
                        inner.rmdir()


def remove_orphan(name: str, filesystem: Path = FILESYSTEM) -> None:
    """Remove the groups of the build ``name`` whose process was killed, wherever they are.

    Under version 1 they lie in the group of the process, and whoever sweeps may be in another one.
    """
    for place in list(filesystem.glob(f"**/{_PARENT}*/{name}")):
        Group(Hierarchy(1, dict.fromkeys(_CONTROLLERS, place.parent)), name).remove()
