"""Which runtime builds here: each is tried with a real container until one works; the finding is kept.

A finding holds until the machine is started anew or one of the programs, the shell or this user is another one. It is
kept in the user's cache: it is the same for all folders.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from builder.oci import host_ids
from builder.oci.bundle import Job
from builder.oci.cgroups import Group, Hierarchy, find_hierarchy
from builder.oci.root import find_shell, root_folder
from builder.oci.running import Run
from builder.oci.runtimes import Runtime, candidates, owner
from builder.request import Constraints
from builder.scratch import ScratchFolders
from store.records import asdict, dataclass
from store.sha256 import Sha256

_VERSION = 4  # of what is tried


@dataclass(frozen=True)
class Trial:
    """What came of trying one runtime."""

    runtime: str
    program: str | None
    version: str
    works: bool
    grouped: bool  #: whether memory and processes are limited by a control group, not by limits of each process
    why_not: str


class NoRuntime(Exception):
    """Nothing here can run a container; the text says what was tried and what to install."""


def choose(folder: Path, kept: Path | None = None) -> Runtime:
    """The runtime to use: as remembered in the file ``kept``, else tried in ``folder``. Raises :class:`NoRuntime`."""
    kept = kept or _findings()
    known = _remembered(kept)
    if known is not None:
        return known
    shell = find_shell()
    trials: list[Trial] = []
    for runtime in candidates():
        trial = try_out(runtime, folder, shell)
        trials.append(trial)
        if trial.works:
            _remember(kept, trial)
            return runtime
    raise NoRuntime(
        "no container runtime works here:\n"
        + "\n".join(f"  {trial.runtime}: {trial.why_not}" for trial in trials)
        + "\ninstall crun, runc or bubblewrap, and busybox-static for /bin/sh"
    )


def trials(folder: Path) -> Iterator[Trial]:
    """All of them tried anew."""
    shell = find_shell()
    for runtime in candidates():
        yield try_out(runtime, folder, shell)


def try_out(runtime: Runtime, folder: Path, shell: str | None) -> Trial:
    """Run a container that does nothing."""
    program = runtime.program()
    hierarchy = None if runtime.groups_itself else find_hierarchy()
    grouped = hierarchy is not None or (runtime.groups_itself and os.geteuid() == 0)
    if program is None or shell is None:
        why = "it is not installed" if program is None else "there is no static busybox to try it with"
        return Trial(runtime.name, program, "", False, grouped, why)
    with ScratchFolders(folder / "builds").folder() as scratch:
        why = _fault(runtime, scratch.path, root_folder(folder, shell, False, "/nix/store"), hierarchy)
    return Trial(runtime.name, program, _version(program), not why, grouped, why)


def _fault(runtime: Runtime, folder: Path, root: Path, hierarchy: Hierarchy | None) -> str:
    try:
        with host_ids.held(runtime.maps) as host_id:
            return _tried(runtime, folder, root, hierarchy, host_id)
    except OSError as error:
        return str(error)


def _tried(runtime: Runtime, folder: Path, root: Path, hierarchy: Hierarchy | None, host_id: int | None) -> str:
    group = None if hierarchy is None else Group(hierarchy, folder.name)
    said = os.urandom(4).hex()
    job = Job(
        name=folder.name,
        folder=folder,
        root=root,
        command=(b"/bin/sh", b"-c", f"test $(id -u) != 0 && echo {said}".encode()),
        environment=((b"HOME", b"/"), (b"PATH", b"/bin")),
        working_dir="tmp",
        mounts=(),
        network=False,
        grouped=group is not None,
        groups=tuple(group.files()) if group else (),
        host_id=host_id,
    )
    try:
        if group:
            group.make(0, 64)
        run = Run(
            runtime.command(job, os.uname().machine + "-linux"),
            Constraints(seconds=20),
            threading.Event(),
            lambda: runtime.init(job),
            owner(runtime, host_id),
        )
        try:
            for _ in run.events():
                pass
        finally:
            run.close()
    except OSError as error:
        return str(error)
    finally:
        runtime.delete(folder, folder.name)
        if group:
            group.remove()
    if run.ending.status == 0 and said.encode() in run.tail:
        return ""
    log = b" ".join(run.tail).decode(errors="replace")
    return runtime.complaint(job, run.tail) or log or f"it ended with status {run.ending.status}"


def _version(program: str) -> str:
    import subprocess

    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.partition("\n")[0].strip()
    return ""


def _circumstances() -> str:
    """What a finding depends on."""
    parts: list[object] = [_VERSION, os.geteuid(), os.uname().release]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
    for program in [*[runtime.program() for runtime in candidates()], find_shell()]:
        if program is not None:
            status = os.stat(program)
            parts += [program, status.st_size, status.st_mtime_ns]
    return Sha256(repr(parts).encode()).hexdigest()


def _findings() -> Path:
    """In the user's cache folder. There are containers on Linux only, so :mod:`platformdirs` need not be asked."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tvix-lsp", "runtime.json")


def _remembered(file: Path) -> Runtime | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(file.read_text())
        if kept["circumstances"] == _circumstances():
            return next((runtime for runtime in candidates() if runtime.name == kept["trial"]["runtime"]), None)
    return None


def _remember(file: Path, trial: Trial) -> None:
    with suppress(OSError):  # then it is tried again
        file.parent.mkdir(parents=True, exist_ok=True)
        written = file.with_name(f"{file.name}.{os.getpid()}")
        written.write_text(json.dumps({"circumstances": _circumstances(), "trial": asdict(trial)}))
        os.replace(written, file)
