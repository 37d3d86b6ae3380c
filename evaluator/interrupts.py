"""What signals do to a command: the first that ends it is an interrupt, and what it is building ends before it."""

from __future__ import annotations

import signal
import threading
from typing import Final

_ENDING: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def take_ends_as_interrupts() -> None:
    """From now on being told to end (SIGTERM), or losing the terminal (SIGHUP), raises KeyboardInterrupt.

    What is ignored already, as ``nohup`` has it, stays so. Nothing changes when another thread than the main one calls.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.default_int_handler)


def leave_interrupts_to_others() -> None:
    """Signals go to another thread than this one: one that waits, and so can act at once."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def ignore_interrupts() -> None:
    """Called when the first has come: a terminal may send several, and what is being built has to be ended."""
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)
