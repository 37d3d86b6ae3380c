"""One worker process and its pipes: frames in and out, without ever blocking the event loop.

The process is started before asyncio is (and before lsprotocol is imported, which takes longer
than the worker's own start); :meth:`Process.attach` begins to deliver its messages. Reading and writing
have a thread each: a worker that does not read its stdin must not hold the server up. What the protocol needs is
imported when the first message is sent, so that starting a worker waits for nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

if TYPE_CHECKING:
    from evaluator.service.protocol import FromWorker, ToWorker

log = logging.getLogger(__name__)

_END: Final = b""


def worker_command() -> list[str]:
    """The command that starts the evaluation worker with the very interpreter that runs the server."""
    return [sys.executable, "-P", "-m", "evaluator.service"]


def _environment() -> dict[str, str]:
    """The worker's environment: it must find the same packages, wherever the server was started."""
    root = str(Path(__file__).resolve().parent.parent)
    env = dict(os.environ)
    inherited = env.get("PYTHONPATH")
    env["PYTHONPATH"] = f"{root}{os.pathsep}{inherited}" if inherited else root
    return env


class Process:
    """A started worker. Raises OSError when the command cannot be started."""

    def __init__(self, command: Sequence[str]) -> None:
        self._popen: Final = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment(), close_fds=True
        )
        self._stdin: Final = cast(BinaryIO, self._popen.stdin)
        self._stdout: Final = cast(BinaryIO, self._popen.stdout)
        self._outbox: Final[queue.SimpleQueue[bytes]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="worker-stdin", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def attach(self, on_message: Callable[[FromWorker], None], on_exit: Callable[[str], None]) -> None:
        """Delivers messages and, once, the end (with the reason in words). Both are called on a thread of their own."""
        threading.Thread(target=self._read, args=(on_message, on_exit), name="worker-stdout", daemon=True).start()

    def send(self, message: ToWorker) -> None:
        """Queues a message; never blocks, never raises (a dead worker is told through ``on_exit``)."""
        import msgspec

        self._outbox.put(msgspec.msgpack.encode(message))

    def close(self) -> None:
        """Lets the worker go: its stdin ends, which asks it to leave. Returns at once."""
        self._outbox.put(_END)

    def kill(self) -> None:
        """Ends the worker now; ``on_exit`` follows. A worker that has ended already is left alone."""
        self._popen.kill()

    def wait(self, seconds: float) -> bool:
        """Whether the worker has ended within that time."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self) -> None:
        from evaluator.service.protocol import write_frame

        try:
            while (payload := self._outbox.get()) != _END:
                write_frame(self._stdin, payload)
        except OSError:
            pass  # the worker is gone; the reading thread says so
        with contextlib.suppress(OSError):
            self._stdin.close()

    def _read(self, on_message: Callable[[FromWorker], None], on_exit: Callable[[str], None]) -> None:
        import msgspec

        from evaluator.service.protocol import FromWorker, read_frame

        decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
        reason = ""
        try:
            while (payload := read_frame(self._stdout)) is not None:
                on_message(decoder.decode(payload))
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            reason = f"its answers cannot be read: {error}"
            self._popen.kill()
        self._outbox.put(_END)
        self._stdout.close()
        code = self._popen.wait()
        if not reason:
            reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        on_exit(reason)
