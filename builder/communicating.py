"""Talks to a program that may take long, as long as somebody wants to hear it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from threading import Event, Thread

_PATIENCE = 0.1  # seconds until it is noticed that nobody does any more


def communicate(
    process: subprocess.Popen[bytes], cancel: Event, end: Callable[[], object], feed: bytes = b""
) -> tuple[bytes, bytes]:
    """What ``process`` printed and what it said, when it has ended. ``feed`` is what it is told.

    From when ``cancel`` is set ``end`` is called, again and again until it ends.
    """
    heard: list[tuple[bytes, bytes]] = []
    # With a limit of time, subprocess would look now and then whether it has ended, half a millisecond late.
    talking = Thread(target=lambda: heard.append(process.communicate(feed)), name="talking", daemon=True)
    talking.start()
    while talking.is_alive():
        talking.join(_PATIENCE)
        if talking.is_alive() and cancel.is_set():
            end()
    (found,) = heard
    return found
