"""Several evaluations in one process take turns; other threads get the interpreter in between.

The depth of the stack, the fuel and the question whether to go on are counted in one place (``COUNTERS``), for all
that is hot reads them there. So one thread evaluates at a time, and hands over only here, where what it counted is put
aside. Nothing is lost: with one interpreter lock they could not run side by side anyway.

Never compiled: compiled code keeps the interpreter lock until some plain Python code is called, such as this.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from evaluator.remains import REMAINS
from evaluator.runtime.values import COUNTERS, refuel
from evaluator.syntax.interlude import INTERLUDE


class Turns:
    """Who evaluates, and who waits for it, first come first served."""

    def __init__(self) -> None:
        self._mutex: Final = threading.Lock()
        self._waiting: Final[deque[threading.Lock]] = deque()
        self._taken = False
        self._owner = 0

    def free(self) -> bool:
        """Whether nobody evaluates now (on a thread that takes turns)."""
        return not self._taken

    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def take(self) -> None:
        """Waits for a turn."""
        with self._mutex:
            if not self._taken:
                self._taken = True
                self._owner = threading.get_ident()
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()
        self._owner = threading.get_ident()

    def leave(self) -> None:
        """The turn goes to whoever waits longest."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

    def pause(self) -> None:
        """Lets the others go first; called by the evaluator every few thousand steps."""
        REMAINS.sweep()
        if not self._waiting or self._owner != threading.get_ident():
            return
        counters = COUNTERS
        depth, most, fuel = counters.depth, counters.max_depth, counters.fuel
        poll, room, deadline = counters.poll, counters.room, counters.deadline
        self.leave()
        self.take()
        counters.depth, counters.max_depth, counters.fuel = depth, most, fuel
        counters.poll, counters.room, counters.deadline = poll, room, deadline


TURNS: Final = Turns()
COUNTERS.pause = TURNS.pause
INTERLUDE.pause = refuel
