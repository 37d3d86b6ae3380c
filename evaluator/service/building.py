"""The process that builds for an editor: ``python -m evaluator.service.building STORE``.

Frames as in :mod:`evaluator.service.protocol`: :data:`ToBuilder` comes in on standard input, :data:`FromBuilder` goes
out on standard output, logs of its own to standard error. It ends when its input does, and leaves nothing running.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from evaluator.service.courtesy import Courtesy
from evaluator.service.protocol import read_frame, write_frame

if TYPE_CHECKING:
    from builder.progress import Event
    from builder.realise import Realiser
    from evaluator.stores.access import LocalAccess

_NICE: Final = 10
_PATIENCE: Final = 5.0
_OFTEN: Final = 0.1  # seconds between two things said


class Make(msgspec.Struct, frozen=True, tag=True):
    """Make what an element of a string context names."""

    element: str


class Stop(msgspec.Struct, frozen=True, tag=True):
    """It is not wanted any more."""

    element: str


ToBuilder = Make | Stop


class Made(msgspec.Struct, frozen=True, tag=True):
    """It is in the store."""

    element: str


class NotMade(msgspec.Struct, frozen=True, tag=True):
    """It cannot be had; the message ends with the last lines of the log."""

    element: str
    message: str
    drv_path: str
    log: tuple[str, ...]
    exit_code: int


class Said(msgspec.Struct, frozen=True, tag=True):
    """Something for people: what is being done, or a line of a log."""

    text: str


FromBuilder = Made | NotMade | Said


class _Builds:
    """All builds under way, each with a thread that waits for it."""

    def __init__(self, url: str) -> None:
        self._url: Final = url
        self._encoder: Final = msgspec.msgpack.Encoder()
        self._mutex: Final = threading.Lock()
        self._cancels: Final[dict[str, threading.Event]] = {}
        self._threads: Final[dict[str, threading.Thread]] = {}
        self._access: LocalAccess | None = None
        self._realiser: Realiser | None = None
        self._courtesy: Final = Courtesy()
        self._said = 0.0
        self._output: Final = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)  # whatever else is printed here is for the log

    def serve(self) -> None:
        """Does as it is told until the input ends."""
        decoder = msgspec.msgpack.Decoder(ToBuilder)
        while (payload := read_frame(sys.stdin.buffer)) is not None:
            message = decoder.decode(payload)
            if isinstance(message, Make):
                self._begin(message.element)
            else:
                cancel = self._cancels.get(message.element)
                if cancel is not None:
                    cancel.set()
        for cancel in list(self._cancels.values()):
            cancel.set()
        for thread in list(self._threads.values()):
            thread.join(_PATIENCE)

    def _begin(self, element: str) -> None:
        before = self._threads.get(element)
        cancel = threading.Event()
        self._cancels[element] = cancel
        thread = threading.Thread(target=self._make, args=(element, cancel, before), daemon=True)
        self._threads[element] = thread
        thread.start()

    def _make(self, element: str, cancel: threading.Event, before: threading.Thread | None) -> None:
        from builder.outcome import BuildFailed, Cancelled, Wish
        from evaluator.stores.building import failure_message

        if before is not None:
            before.join()  # one that was cancelled, on its way out
        drv_path = element[element.rfind("!") + 1 :]
        try:
            with self._courtesy:
                self._open().realise([Wish.of(element)], cancel)
            self._say(Made(element))
        except Cancelled:
            return
        except BuildFailed as failed:
            log = tuple(map(_sendable, failed.log))
            message = _sendable(failure_message(failed))
            self._say(NotMade(element, message, failed.drv_path, log, failed.exit_code))
        except Exception as error:  # whatever it is: who waits must hear of it
            self._say(NotMade(element, _sendable(f"'{drv_path}' cannot be built: {error}"), drv_path, (), 1))

    def _open(self) -> Realiser:
        with self._mutex:
            if self._realiser is None or self._access is None or self._access.is_lost():
                from builder.realise import Realiser
                from evaluator.stores.access import LocalAccess

                self._access = LocalAccess(self._url, writes=True)
                self._realiser = Realiser(self._access.castore, on_event=self._hear)
            return self._realiser

    def _hear(self, event: Event) -> None:
        from builder.events import LogLine
        from builder.progress import Fetching, OfBuild

        now = time.monotonic()
        if now - self._said < _OFTEN:
            return
        self._said = now
        if isinstance(event, OfBuild) and isinstance(event.event, LogLine):
            self._say(Said(_sendable(event.event.line.decode("utf-8", "replace"))))
        elif isinstance(event, Fetching):
            self._say(Said(f"fetching {event.path} from {event.source}"))

    def _say(self, message: FromBuilder) -> None:
        with self._mutex:
            write_frame(self._output, self._encoder.encode(message))


def _sendable(text: str) -> str:
    """A text without what is no UTF-8."""
    return text.encode("utf-8", "replace").decode()


def main() -> None:
    """Serves the worker that started this process."""
    os.nice(_NICE)
    _Builds(sys.argv[1]).serve()
    os._exit(0)


if __name__ == "__main__":
    main()
