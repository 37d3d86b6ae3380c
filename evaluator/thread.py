"""A thread on which deep evaluation is safe."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Final

from evaluator.runtime.values import COUNTERS

STACK_BYTES: Final = 1 << 30
"""Address space for the C stack; the kernel commits pages only as they are touched."""


def stop_collector() -> None:
    """Switches the cycle collector off.

    A process that evaluates once and ends keeps what it makes; one that lives long collects when it is idle. Under
    any thresholds the collector doubles the time of a NixOS system and frees a fifteenth of its memory.
    """
    gc.disable()


def evaluation_thread(work: Callable[[], None], name: str = "evaluation") -> threading.Thread:
    """A started thread with a stack that holds as many nested calls as the evaluator allows."""
    # Compiled code recurses on the C stack and counts its own depth; Python's limit is for plain Python.
    sys.setrecursionlimit(10_000_000)
    COUNTERS.depth = 0
    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
    finally:
        threading.stack_size(before)
    return thread
