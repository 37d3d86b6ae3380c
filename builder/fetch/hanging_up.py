"""Hangs up on servers that say nothing when nobody wants their answer any more.

What waits for a server hears of nothing else meanwhile, so a thread beside it closes the connection.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PATIENCE = 0.1  # seconds until it is noticed

Trace = Callable[[str, dict[str, Any]], None]


@contextmanager
def hanging_up(cancel: threading.Event) -> Iterator[Trace]:
    """What httpcore is to tell of its connections, which all end when ``cancel`` is set.

    Specification: the request extension ``trace`` of httpcore and httpx.
    """
    lines: list[socket.socket] = []
    over = threading.Event()

    def heard(event: str, info: dict[str, Any]) -> None:
        stream = info.get("return_value")
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")) and stream is not None:
            lines.append(stream.get_extra_info("socket"))

    def watch() -> None:
        while not over.wait(_PATIENCE):
            if cancel.is_set():
                for line in lines:
                    with suppress(OSError):  # it has ended by itself
                        line.shutdown(socket.SHUT_RDWR)

    watcher = threading.Thread(target=watch, name="hanging up", daemon=True)
    watcher.start()
    try:
        yield heard
    finally:
        over.set()
        watcher.join()
