"""A thread on which deep evaluation is safe."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Final, final

from evaluator.remains import REMAINS
from evaluator.runtime.values import COUNTERS
from evaluator.turns import TURNS

STACK_BYTES: Final = 1 << 30
"""Address space for the C stack; the kernel commits pages only as they are touched."""

_LEAST_STACK: Final = 1 << 26

_IMPATIENCE: Final = 0.001  # seconds

BYTES_PER_STEP: Final = 10_737
"""What a step of depth may take of the stack. Measured: mostly 600 bytes, at most
3,100 (a function that is called to sort), and up to 16 levels of nested expressions between two steps."""

MAX_DEPTH: Final = STACK_BYTES // BYTES_PER_STEP
"""Nested calls and forces that are allowed: 100,000."""


def stop_collector() -> None:
    """Switches the cycle collector off.

    A process that evaluates once and ends keeps what it makes; one that lives long collects when it is idle. Under
    any thresholds the collector doubles the time of a NixOS system and frees a fifteenth of its memory.
    """
    gc.disable()


@final
class _Evaluation:
    """What an evaluation thread runs: the work, in its turn, with counts of its own."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work: Final = work
        self.max_depth = MAX_DEPTH
        self.poll: Final = COUNTERS.poll if TURNS.free() else None
        self.room: Final = COUNTERS.room if TURNS.free() else None
        self.deadline: Final = COUNTERS.deadline if TURNS.free() else 0.0

    def run(self) -> None:
        TURNS.take()
        counters = COUNTERS
        counters.depth = 0
        counters.max_depth = self.max_depth
        counters.poll = self.poll
        counters.room = self.room
        counters.deadline = self.deadline
        try:
            self.work()
        finally:
            counters.depth = 0
            counters.poll = None
            counters.room = None
            counters.deadline = 0.0
            REMAINS.drain()
            TURNS.leave()


def evaluation_thread(work: Callable[[], None], name: str = "evaluation") -> threading.Thread:
    """A started thread with a stack that holds as many nested calls as the evaluator allows.

    Several of them take turns. What asks whether to go on (``COUNTERS.poll``) is set by ``work``, or before.
    """
    # Compiled code recurses on the C stack and counts its own depth; Python's limit is for plain Python.
    sys.setrecursionlimit(10_000_000)
    # How long a thread waits before it asks for the interpreter; what runs then goes on until it pauses next.
    sys.setswitchinterval(_IMPATIENCE)
    evaluation = _Evaluation(work)
    size = STACK_BYTES
    before = threading.stack_size()
    while True:
        evaluation.max_depth = size // BYTES_PER_STEP
        thread = threading.Thread(target=evaluation.run, name=name, daemon=True)
        try:
            threading.stack_size(size)
            thread.start()
            return thread
        except RuntimeError:  # address space is limited here: a smaller stack holds fewer calls
            size //= 2
            if size < _LEAST_STACK:
                raise
        finally:
            threading.stack_size(before)
