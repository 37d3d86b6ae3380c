"""The client of the evaluation worker: questions out, answers in, and a worker that is always there.

Each question has a budget. The worker is told it and stops by itself; when it does not, the question is cancelled,
and when it does not even answer that, the worker is killed. A worker that dies is started again, told everything
anew, and asked again what it had not answered, so that nobody notices more than a moment.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from evaluator.service.protocol import (
    Allow,
    Answer,
    Arguments,
    Builds,
    Cancel,
    Configure,
    Describe,
    Diagnose,
    Document,
    Failure,
    FromWorker,
    Members,
    Refresh,
    Scope,
    Status,
    StopBuilds,
    Target,
)
from lsp.process import Process

log = logging.getLogger(__name__)

Question = Describe | Members | Scope | Arguments | Diagnose

_ATTEMPTS: Final = 2  # a question that has killed the worker this often is not asked again
_QUIET_SECONDS: Final = 0.05  # an edit waits this long for the next one, unless a question comes first
_CLOSE_SECONDS: Final = 1.0
_BACKGROUND_SECONDS: Final = 120.0  # for what nobody waits for


@dataclass(frozen=True)
class Limits:
    """How patient to be, in seconds."""

    budget: float = 3.0
    #: What the worker gets beyond the budget to say that it has run out of it.
    grace: float = 0.3
    #: How long after that a worker may keep silent before it is killed.
    hang: float = 10.0
    #: So many deaths within ``crash_window`` seconds, and it stays down for ``rest`` seconds.
    crashes: int = 4
    crash_window: float = 60.0
    rest: float = 15.0


@dataclass
class _Pending:
    question: Question
    future: asyncio.Future[Answer]
    attempts: int = 1


@dataclass
class _Text:
    version: int
    text: str
    sent: bool = False


class Worker:
    """Keeps one worker process, and answers questions through it. Lives on one event loop."""

    def __init__(
        self,
        launch: Callable[[], Process],
        *,
        limits: Limits | None = None,
        on_status: Callable[[Status], None] | None = None,
        on_builds: Callable[[Builds], None] | None = None,
    ) -> None:
        self.limits = limits if limits is not None else Limits()
        self._launch: Final = launch
        self._on_status: Final = on_status
        self._on_builds: Final = on_builds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: Process | None = None
        self._configuration: Configure | None = None
        self._texts: Final[dict[str, _Text]] = {}
        self._closed: Final[set[str]] = set()
        self._pending: Final[dict[int, _Pending]] = {}
        self._overdue: Final[dict[int, asyncio.TimerHandle]] = {}
        self._deaths: Final[deque[float]] = deque()
        self._down_until = 0.0
        self._flush: asyncio.TimerHandle | None = None
        self._last_id = 0
        self._stopped = False
        self.restarts = 0
        self.arguments: Answer | None = None  # of the package set that is configured

    # --- life ------------------------------------------------------------------------------------

    def start(self, process: Process | None = None, configuration: Configure | None = None) -> None:
        """Takes over a process that was started earlier (and told ``configuration`` already), or starts one."""
        self._loop = asyncio.get_running_loop()
        if configuration is not None:
            self._configuration = configuration
        if process is not None:
            self._attach(process)
        else:
            self._revive()

    async def stop(self) -> None:
        """Ends the worker; open questions are answered "cancelled". Nothing is asked or started afterwards."""
        self._stopped = True
        self._cancel_timers()
        for number in list(self._pending):
            self._settle(number, Answer(number, "cancelled"))
        process, self._process = self._process, None
        if process is not None:
            process.close()
            if not await asyncio.to_thread(process.wait, _CLOSE_SECONDS):
                process.kill()
                await asyncio.to_thread(process.wait, _CLOSE_SECONDS)

    @property
    def pid(self) -> int | None:
        """The process id of the worker that is running, for the log and for tests."""
        return self._process.pid if self._process is not None else None

    def _attach(self, process: Process) -> None:
        loop = self._loop
        assert loop is not None

        def on_message(message: FromWorker) -> None:
            _call_soon(loop, self._receive, process, message)

        def on_exit(reason: str) -> None:
            _call_soon(loop, self._exited, process, reason)

        self._process = process
        process.attach(on_message, on_exit)

    def _revive(self) -> Process | None:
        """A process that knows everything, started when there is none; None while it has to rest."""
        if self._process is not None:
            return self._process
        if self._stopped or self._loop is None or time.monotonic() < self._down_until:
            return None
        try:
            process = self._launch()
        except OSError as error:
            log.error("the evaluation worker cannot be started: %s", error)
            self._down_until = time.monotonic() + self.limits.rest
            return None
        self._attach(process)
        if self._configuration is not None:
            process.send(self._configuration)
        self._closed.clear()
        for text in self._texts.values():
            text.sent = False
        self._send_documents()
        return process

    def _exited(self, process: Process, reason: str) -> None:
        if process is not self._process:
            return
        self._process = None
        self._cancel_timers()
        if self._stopped:
            return
        self.restarts += 1
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths and self._deaths[0] < now - self.limits.crash_window:
            self._deaths.popleft()
        log.warning("the evaluation worker has ended (%s)", reason)
        if len(self._deaths) >= self.limits.crashes:
            log.error("the evaluation worker ended %d times; it rests", len(self._deaths))
            self._down_until = now + self.limits.rest
            self._deaths.clear()
        revived = self._revive()
        if revived is None and self._on_status is not None:
            self._on_status(Status("idle"))
        if self._on_builds is not None:
            self._on_builds(Builds())  # they ended with it
        for number, pending in list(self._pending.items()):
            if revived is not None and pending.attempts < _ATTEMPTS:
                pending.attempts += 1
                revived.send(pending.question)
            else:
                self._settle(number, Answer(number, "unknown", message=f"the evaluator stopped ({reason})"))

    def _cancel_timers(self) -> None:
        for handle in self._overdue.values():
            handle.cancel()
        self._overdue.clear()
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    # --- what it is told -------------------------------------------------------------------------

    def configure(self, configuration: Configure) -> None:
        """Tells the worker where things are; nothing happens when it knows."""
        if configuration == self._configuration:
            return
        self._configuration = configuration
        self.arguments = None
        if self._process is not None:
            self._process.send(configuration)
            for text in self._texts.values():
                text.sent = False  # a worker that begins anew need not remember
            self._send_documents()

    def open(self, path: str, version: int, text: str) -> None:
        """The text of a document, new or newer. It is sent with the next question or after a moment of quiet.

        A path that is not UTF-8 cannot be said in the protocol; such a document gets static answers.
        """
        if not _is_utf8(path):
            return
        self._texts[path] = _Text(version, text)
        self._closed.discard(path)
        self._send_soon()

    def close(self, path: str) -> None:
        """The document is closed: the file on disk counts again."""
        if self._texts.pop(path, None) is not None:
            self._closed.add(path)
            self._send_soon()

    def _send_soon(self) -> None:
        if self._loop is None:
            return
        if self._flush is not None:
            self._flush.cancel()
        self._flush = self._loop.call_later(_QUIET_SECONDS, self._send_documents)

    def _send_documents(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._process is None:
            return
        for path in self._closed:
            self._process.send(Document(path, 0, None))
        self._closed.clear()
        for path, text in self._texts.items():
            if not text.sent:
                self._process.send(Document(path, text.version, text.text.encode("utf-8", "surrogateescape")))
                text.sent = True

    # --- questions -------------------------------------------------------------------------------

    def at(self, path: str, version: int) -> DocumentValues:
        """What to ask about a certain version of a document: answers "cancelled" once there is a newer one."""
        return DocumentValues(self, path, version)

    def is_current(self, path: str, version: int) -> bool:
        text = self._texts.get(path)
        return text is None or text.version == version

    async def failures(self, path: str) -> tuple[Failure, ...] | None:
        """What goes wrong when a file is evaluated; None when that cannot be said. Takes as long as it takes."""
        if not _is_utf8(path):
            return None
        answer = await self.ask(lambda number, budget: Diagnose(number, path, budget), _BACKGROUND_SECONDS)
        return answer.problems if answer.state == "value" else None

    def allow(self, elements: Sequence[str]) -> None:
        """Lets the worker have something built."""
        if self._process is not None:
            self._process.send(Allow(tuple(elements)))

    def stop_builds(self) -> None:
        """Has everything end that is being built."""
        if self._process is not None:
            self._process.send(StopBuilds())

    def refresh(self) -> None:
        """Tells the worker that files which it may have read were changed on disk."""
        if self._process is not None:
            self._process.send(Refresh())

    async def ask(self, make: Callable[[int, int], Question], seconds: float = 0.0) -> Answer:
        """Asks what ``make(id, budget_ms)`` says. Never raises, but for the cancellation of the task that asks.

        ``seconds`` is the budget, if it is not that of a question that somebody waits for.
        """
        process = self._revive()
        if process is None or self._loop is None:
            return Answer(0, "unknown", message="the evaluator is not running")
        self._send_documents()
        self._last_id += 1
        number = self._last_id
        budget = seconds or self.limits.budget
        question = make(number, int(budget * 1000))
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._pending[number] = _Pending(question, future)
        process.send(question)
        try:
            async with asyncio.timeout(budget + self.limits.grace):
                return await future
        except TimeoutError:
            self._abandon(number)
            return Answer(number, "timeout")
        except asyncio.CancelledError:
            self._abandon(number)
            raise

    def _abandon(self, number: int) -> None:
        """Nobody waits for this answer any more: the worker shall stop, and show that it is alive."""
        if self._pending.pop(number, None) is None or self._process is None or self._loop is None:
            return
        self._process.send(Cancel(number))
        self._overdue[number] = self._loop.call_later(self.limits.hang, self._kill_hung, self._process)

    def _kill_hung(self, process: Process) -> None:
        if process is self._process:
            log.error("the evaluation worker does not react; it is killed")
            process.kill()

    def _receive(self, process: Process, message: FromWorker) -> None:
        if process is not self._process:
            return
        if isinstance(message, Status):
            log.debug("worker: %s %s", message.state, message.text)
            if self._on_status is not None:
                self._on_status(message)
            return
        if isinstance(message, Builds):
            if self._on_builds is not None:
                self._on_builds(message)
            return
        overdue = self._overdue.pop(message.id, None)
        if overdue is not None:
            overdue.cancel()
        self._settle(message.id, message)

    def _settle(self, number: int, answer: Answer) -> None:
        pending = self._pending.pop(number, None)
        if pending is not None and not pending.future.done():
            pending.future.set_result(answer)


class DocumentValues:
    """``lsp.ide.values.Values`` for one version of one document."""

    def __init__(self, worker: Worker, path: str, version: int) -> None:
        self._worker: Final = worker
        self._path: Final = path
        self._version: Final = version

    async def describe(self, target: Target) -> Answer:
        return await self._ask(lambda number, budget: Describe(number, target, budget))

    async def members(self, target: Target, limit: int = 0) -> Answer:
        return await self._ask(lambda number, budget: Members(number, target, limit, budget))

    async def scope(self, path: str, offset: int) -> Answer:
        return await self._ask(lambda number, budget: Scope(number, path, offset, budget))

    async def arguments(self, path: str) -> Answer:
        # 27,000 names that only another package set changes: they are worth asking for once.
        known = self._worker.arguments
        if known is None:
            known = await self._ask(lambda number, budget: Arguments(number, path, budget))
            if known.state == "value":
                self._worker.arguments = known
        return known

    async def _ask(self, make: Callable[[int, int], Question]) -> Answer:
        # Offsets mean something in one version only; an answer about another would be wrong, not late.
        if not self._worker.is_current(self._path, self._version):
            return Answer(0, "cancelled")
        if not _is_utf8(self._path):
            return Answer(0, "unknown")
        return await self._worker.ask(make)


def _call_soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *arguments: object) -> None:
    """Like ``call_soon_threadsafe``; a loop that is closed already has nobody left to tell."""
    try:
        loop.call_soon_threadsafe(call, *arguments)
    except RuntimeError:
        log.debug("a message came after the end of the event loop")


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def launcher(command: Sequence[str]) -> Callable[[], Process]:
    """What starts a worker with that command, each time it is called."""
    return lambda: Process(command)
