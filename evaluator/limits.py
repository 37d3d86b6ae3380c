"""What one evaluation may take: time, memory, and somebody's patience.

The evaluator asks :meth:`Limits.poll` every few thousand steps. Where it stops, every thunk is as it was before, so
that what was asked can be asked again. Never compiled: plain Python code that is called is what makes compiled code
hand over the interpreter lock, so that other threads (a signal's handler, a progress line) get their turn.
"""

from __future__ import annotations

import os
import time
from typing import Final

from evaluator.runtime.errors import Interrupted
from evaluator.runtime.values import COUNTERS

INTERRUPTED: Final = "interrupted by the user"

_MEMORY_EVERY: Final = 8  # polls; one of them reads a file of /proc
_PAGE: Final = 4096 if not hasattr(os, "sysconf") else os.sysconf("SC_PAGE_SIZE")


class Limits:
    """Bounds for one evaluation, from now on. Zero means none.

    :meth:`cancel` may be called from any thread; the evaluation's own then sees :class:`Interrupted`, whose
    ``reason`` is a sentence for the user. A subclass may override :meth:`stopped` to do something else.
    """

    def __init__(self, seconds: float = 0.0, megabytes: int = 0) -> None:
        self.seconds: Final = seconds
        self.megabytes: Final = megabytes
        self._deadline: Final = time.monotonic() + seconds if seconds else 0.0
        self._reason = ""
        self._polls = 0

    def start(self) -> None:
        """Makes this what the evaluator asks, until the next ``start`` or ``stop``."""
        COUNTERS.poll = self.poll
        COUNTERS.room = self.room
        COUNTERS.deadline = self._deadline

    def stop(self) -> None:
        """The evaluator asks nobody any more."""
        COUNTERS.poll = None
        COUNTERS.room = None
        COUNTERS.deadline = 0.0

    def cancel(self, reason: str = INTERRUPTED) -> None:
        """Asks the evaluation to stop at its next step."""
        self._reason = reason

    def stopped(self, reason: str) -> None:
        """Ends the evaluation; called on its thread."""
        raise Interrupted(reason)

    def poll(self) -> None:
        """Raises Interrupted when the evaluation must stop."""
        if self._reason:
            self.stopped(self._reason)
        if self._deadline and time.monotonic() > self._deadline:
            self.stopped(f"evaluation took longer than {self.seconds:g} seconds")
        if self.megabytes:
            self._polls += 1
            if self._polls % _MEMORY_EVERY == 0:
                self.room(0)

    def room(self, size: int) -> None:
        """Raises Interrupted when ``size`` bytes more would be too much. Asked before much is taken at once."""
        if self.megabytes and resident_megabytes() + size / (1 << 20) > self.megabytes:
            self.stopped(f"evaluation took more than {self.megabytes} MB of memory")


def resident_megabytes() -> float:
    """The memory that this process has now (where the system does not tell: the most it ever had)."""
    try:
        with open("/proc/self/statm", "rb") as status:
            return int(status.read().split()[1]) * _PAGE / (1 << 20)
    except OSError:
        import resource
        import sys

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1 << 20 if sys.platform == "darwin" else 1 << 10)
