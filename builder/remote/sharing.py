"""Clients that want the very same thing at the same time get one build: who comes later hears what was said so far.

A request says everything, so two that are equal byte for byte ask for the same. The build goes on as long as somebody
hears it, and is forgotten when it has ended: the next one who asks has it built again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator

from builder.events import BuildEvent, LogLine

_REMEMBERED = 20_000  # events; who lags behind further misses some of the log


class Shared:
    """One build that several hear. ``work`` runs it, on a thread of its own, until the flag that it is given is set."""

    def __init__(self, work: Callable[[threading.Event], Iterator[BuildEvent]], ended: Callable[[], None]) -> None:
        self._work = work
        self._ended = ended
        self._cancel = threading.Event()
        self._changed = threading.Condition()
        self._events: deque[BuildEvent] = deque(maxlen=_REMEMBERED)
        self._count = 0  # of all events so far
        self._over = False
        self._error: Exception | None = None
        self._listeners = 0

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name="build", daemon=True).start()

    def join(self) -> bool:
        """Count another listener, who has to call :meth:`hear`; false when it is too late for that."""
        with self._changed:
            if self._over or self._cancel.is_set():
                return False
            self._listeners += 1
            return True

    def hear(self, cancel: threading.Event, look: float) -> Iterator[BuildEvent]:
        """The events from the first on; ends soon after ``cancel`` is set. Raises what the build raised."""
        try:
            at = 0
            while True:
                with self._changed:
                    while at == self._count and not self._over and not cancel.is_set():
                        self._changed.wait(look)
                    if cancel.is_set():
                        return
                    if at == self._count:
                        if self._error is not None:
                            raise self._error
                        return
                    missed = self._count - len(self._events) - at
                    if missed > 0:
                        at += missed
                        event: BuildEvent = LogLine(b"(%d lines are left out)" % missed)
                    else:
                        event = self._events[at - self._count + len(self._events)]
                        at += 1
                yield event
        finally:
            with self._changed:
                self._listeners -= 1
                if not self._listeners:
                    self._cancel.set()

    def _run(self) -> None:
        try:
            for event in self._work(self._cancel):
                with self._changed:
                    self._events.append(event)
                    self._count += 1
                    self._changed.notify_all()
        except Exception as error:  # whatever it is: all who hear are told
            self._error = error
        finally:
            self._ended()
            with self._changed:
                self._over = True
                self._changed.notify_all()
