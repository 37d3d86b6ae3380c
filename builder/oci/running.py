"""One program run under a pseudoterminal, as Nix runs builders: its log line by line, its end, what it used.

Limits of time, silence, log and disk are kept here; those of memory and processes are the container's.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from builder.events import LogLine, Phase, Resources, Why
from builder.request import Constraints
from store.records import dataclass, field

#: How many of the log's last lines a failure shows.
TAIL = 25
_LONGEST_LINE = 1 << 16  # longer ones come in pieces
_LOOK = 0.05  # seconds between looks at the cancel flag
_MEASURE = 0.5  # seconds between looks at what was written, at least
_PATIENCE = 10.0  # seconds that a killed program may take
_PIECE = 1 << 16


@dataclass
class Ending:
    """How it ended."""

    status: int = 0  #: exit status; 128 and the number if a signal ended it
    stopped: Why | None = None  #: why it was killed
    message: str = ""
    resources: Resources = field(default_factory=lambda: Resources(0.0))


class Run:
    """A program under way. :meth:`events` must be read to its end, or :meth:`close` called.

    ``pid`` is its process, the leader of a session.
    """

    def __init__(
        self,
        command: list[str],
        constraints: Constraints,
        cancel: threading.Event,
        init: Callable[[], int | None],
        owner: tuple[int, int],
        written: Callable[[], int] = lambda: 0,
    ) -> None:
        self.ending = Ending()
        self.tail: deque[bytes] = deque(maxlen=TAIL)
        self._constraints = constraints
        self._cancel = cancel
        self._init = init
        self._size = written
        self._measure = time.monotonic() + _MEASURE  # when to look again how much was written
        self._line = b""
        self._written = 0
        self._began = self._heard = time.monotonic()
        self._master, slave = os.openpty()
        try:
            tty.setraw(slave)
            if os.geteuid() == 0:
                os.fchown(slave, *owner)  # so that the builder may open /dev/stdout
            os.set_blocking(self._master, False)
            self.pid = os.posix_spawnp(  # a thread's fork would take the longer the more this process has in memory
                command[0],
                command,
                {"PATH": os.environ.get("PATH", os.defpath)},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, slave, 1),
                    (os.POSIX_SPAWN_DUP2, slave, 2),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
            )
        except BaseException:
            os.close(self._master)
            raise
        finally:
            os.close(slave)
        self._ended = os.pidfd_open(self.pid)
        self._reaped = False

    def events(self) -> Iterator[LogLine | Phase]:
        """The log as it comes, to the program's end; :attr:`ending` is known afterwards."""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(self._wait())}
            data = self._read() if self._master in ready else b""
            if data:
                yield from self._take(data)
            elif self._ended in ready:
                break
            elif self._master in ready:
                poll.unregister(self._master)  # all who could write have gone
            self._look()
        if self._line:
            yield from self._end_line(self._line)
        self._reap()

    def close(self) -> None:
        """Kill it if it still runs, and let go of everything."""
        if not self._reaped:
            self._kill()
            self._reap()
        os.close(self._ended)
        os.close(self._master)

    def stop(self, why: Why, message: str) -> None:
        """Kill it, for a reason."""
        if self.ending.stopped is None:
            self.ending.stopped = why
            self.ending.message = message
            self._kill()

    def _wait(self) -> float:
        """Milliseconds until something may have to be done."""
        return 1000 * _LOOK

    def _look(self) -> None:
        """End it if it must."""
        now = time.monotonic()
        constraints = self._constraints
        if self._cancel.is_set():
            self.stop(Why.CANCELLED, "the build was cancelled")
        elif constraints.seconds and now - self._began > constraints.seconds:
            self.stop(Why.TIME, f"timed out after {constraints.seconds} seconds")
        elif constraints.silence and now - self._heard > constraints.silence:
            self.stop(Why.SILENCE, f"timed out after {constraints.silence} seconds of silence")
        elif constraints.log_size and self._written > constraints.log_size:
            self.stop(Why.LOG, f"killed after writing more than {constraints.log_size} bytes of log output")
        elif constraints.output_size and now > self._measure:
            if self._size() > constraints.output_size:
                self.stop(Why.OUTPUT, f"killed after writing more than {constraints.output_size} bytes of files")
            took = time.monotonic() - now
            self._measure = now + max(_MEASURE, 20 * took)  # a large tree takes its time

    def _read(self) -> bytes:
        try:
            return os.read(self._master, _PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:  # nobody has the other end open
                raise
            return b""

    def _take(self, data: bytes) -> Iterator[LogLine | Phase]:
        self._heard = time.monotonic()
        self._written += len(data)
        if self.ending.stopped is not None:
            return
        lines = (self._line + data).split(b"\n")
        self._line = lines.pop()
        for line in lines:
            yield from self._end_line(line)
        while len(self._line) > _LONGEST_LINE:
            piece, self._line = self._line[:_LONGEST_LINE], self._line[_LONGEST_LINE:]
            yield from self._end_line(piece)

    def _end_line(self, line: bytes) -> Iterator[LogLine | Phase]:
        if line.startswith(b"@nix "):
            told = _told(line[5:])
            if isinstance(told, Phase):
                yield told
                return
            if told is not None:
                line = told
        self.tail.append(line)
        yield LogLine(line)

    def _kill(self) -> None:
        init = self._init()
        if init is not None and _parent(init) == self.pid:
            with suppress(ProcessLookupError):
                os.kill(init, signal.SIGKILL)
            # The runtime sees it, cleans up and ends.
            if select.select([self._ended], [], [], _PATIENCE)[0]:
                return
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> None:
        _, status, used = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._reaped = True
        self.ending.status = 128 - code if code < 0 else code
        self.ending.resources = Resources(
            wall=time.monotonic() - self._began,
            user=used.ru_utime,
            system=used.ru_stime,
            memory=used.ru_maxrss * 1024,
            log=self._written,
        )


def _told(text: bytes) -> Phase | bytes | None:
    """What a line for Nix's own log says: a phase, a message; None if it is none of its."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    if value.get("action") == "setPhase" and isinstance(value.get("phase"), str):
        return Phase(value["phase"])
    message = value.get("msg", value.get("text"))
    return message.encode("utf-8", "surrogateescape") if isinstance(message, str) else None


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
    return 0
