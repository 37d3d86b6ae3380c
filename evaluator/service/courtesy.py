"""Builds give way to the editor, also where niceness alone does not count.

Specification: sched(7), "The autogroup feature". Where ``kernel.sched_autogroup_enabled`` is 1, the processor is shared
between sessions first, and niceness says only who comes first within one. What a container runs is a session of its
own, so two builds would take as much of the processor as the server and all else in its session. But each session's
share has a niceness, too, which whoever owns its processes may raise.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from builder.descendants import PROC, descendants

LEAST: Final = 19
_SECONDS: Final = 0.2


class Courtesy:
    """Makes the sessions of all that this process has started the least important, as long as ``watch`` is held."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc: Final = proc
        # Empty, and not to be lowered either, where nothing between here and the first process began a session.
        self._own: Final = _autogroup(proc, os.getpid())
        self._mutex: Final = threading.Lock()
        self._holders = 0
        self._wake: Final = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        with self._mutex:
            self._holders += 1
            if self._thread is None and (self._proc / str(os.getpid()) / "autogroup").exists():
                self._thread = threading.Thread(target=self._watch, name="courtesy", daemon=True)
                self._thread.start()
            self._wake.set()

    def __exit__(self, *_: object) -> None:
        with self._mutex:
            self._holders -= 1

    def _watch(self) -> None:
        while True:
            self._wake.wait()
            lower(os.getpid(), self._own, self._proc)
            with self._mutex:
                if not self._holders:
                    self._wake.clear()
            threading.Event().wait(_SECONDS)


def lower(pid: int, spared: str = "", proc: Path = PROC) -> None:
    """Gives all sessions of what a process has started the least share, but for the autogroup ``spared``.

    ``proc`` is where the kernel shows its processes.
    """
    seen = {spared}
    for child in descendants(pid, proc):
        group = _autogroup(proc, child)
        if group and group not in seen:
            seen.add(group)
            # Too soon after the last one, or gone: the next round comes soon.
            with suppress(OSError):
                place = proc / str(child) / "autogroup"
                if not place.read_text().rstrip().endswith(f"nice {LEAST}"):
                    place.write_text(str(LEAST))


def _autogroup(proc: Path, pid: int) -> str:
    """The name of the autogroup that a process belongs to; empty for that of the first process, and without any."""
    with suppress(OSError):
        return (proc / str(pid) / "autogroup").read_text().partition(" ")[0]
    return ""
