"""The worker's loop: questions in, answers out, background work in between.

Two threads: one reads frames and notes cancellations at once; the other, with a deep stack, evaluates. The evaluator
asks :meth:`Worker.poll` every few thousand steps whether to go on; an interrupted evaluation leaves every thunk as it
was, so the next question simply carries on where it matters.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Final

import msgspec

from evaluator.provenance.describe import location, sendable, trace_frames
from evaluator.provenance.workspace import Workspace
from evaluator.remains import REMAINS
from evaluator.runtime.errors import EvalError, HoleForced, Interrupted, Unrealised
from evaluator.runtime.values import COUNTERS
from evaluator.service.background import BackgroundAccess
from evaluator.service.building import FromBuilder, Said
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
    FromWorker,
    Members,
    Refresh,
    Scope,
    Status,
    StopBuilds,
    ToWorker,
    read_frame,
    write_frame,
)
from evaluator.thread import evaluation_thread, stop_collector

_BACKGROUND_SECONDS: Final = 60.0

#: Packages that nixpkgs refuses by default are shown all the same; nothing is built from these values.
PERMISSIVE: Final = {
    "NIXPKGS_ALLOW_UNFREE": "1",
    "NIXPKGS_ALLOW_BROKEN": "1",
    "NIXPKGS_ALLOW_INSECURE": "1",
    "NIXPKGS_ALLOW_UNSUPPORTED_SYSTEM": "1",
}

Question = Describe | Members | Scope | Arguments

#: States of what is not there yet, but may come, and of the answer.
_LATER: Final = {"building": "building", "fetching": "building", "unbuilt": "unbuilt", "unfetched": "unbuilt"}


class _News:
    """What the process that builds has said (None: that it is gone), on its way to the evaluation's thread."""

    def __init__(self, builds: BackgroundAccess, said: FromBuilder | None) -> None:
        self.builds: Final = builds
        self.said: Final = said


class Worker:
    """One worker process; ``source`` and ``sink`` carry the frames."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source: Final = source
        self._sink: Final = sink
        self._decoder: Final = msgspec.msgpack.Decoder(ToWorker)
        self._encoder: Final = msgspec.msgpack.Encoder()
        self._inbox: Final[deque[ToWorker | _News | None]] = deque()
        self._arrived: Final = threading.Condition()
        self._open: Final[set[int]] = set()
        self._cancelled: Final[set[int]] = set()
        self._background: Final[deque[Callable[[], object]]] = deque()
        self._workspace: Workspace | None = None
        self._builds: BackgroundAccess | None = None
        #: What each open file has missed when it was looked at last, and what questions have missed since an edit.
        self._needs: Final[dict[str, set[str]]] = {}
        self._asked_for: Final[set[str]] = set()
        self._shown = Builds()
        self._current = -1
        self._in_background = False
        self._deadline = 0.0

    def run(self) -> None:
        """Serves until the source ends."""
        os.environ.update(PERMISSIVE)
        threading.excepthook = _end_process
        stop_collector()
        thread = evaluation_thread(self._evaluate)
        self._read()
        thread.join()

    # --- reading -------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while (payload := read_frame(self._source)) is not None:
                message = self._decoder.decode(payload)
                if isinstance(message, Cancel):
                    if message.id in self._open:
                        self._cancelled.add(message.id)
                    continue
                if not isinstance(message, Configure | Document | Allow | StopBuilds | Refresh):
                    self._open.add(message.id)
                self._put(message)
        except (ValueError, OSError) as error:
            print(f"tvix-lsp worker: {error}", file=sys.stderr)
        self._put(None)

    def _put(self, message: ToWorker | _News | None) -> None:
        with self._arrived:
            self._inbox.append(message)
            self._arrived.notify()

    # --- evaluating ----------------------------------------------------------------------------

    def poll(self) -> None:
        """Called by the evaluator between steps; raises Interrupted when it must stop."""
        if self._in_background:
            if self._inbox:
                raise Interrupted("preempted")
        elif self._current in self._cancelled:
            raise Interrupted("cancelled")
        if time.monotonic() > self._deadline:
            raise Interrupted("timeout")

    def _evaluate(self) -> None:
        COUNTERS.poll = self.poll
        while True:
            message = self._next()
            if message is None:
                return
            if isinstance(message, Configure):
                self._configure(message)
            elif isinstance(message, Document):
                self._document(message)
            elif isinstance(message, Cancel):
                continue
            elif isinstance(message, _News):
                self._hear(message)
            elif isinstance(message, Allow):
                self._allow(message)
            elif isinstance(message, StopBuilds):
                self._stop_builds()
            elif isinstance(message, Refresh):
                self._answers_changed()
                self._show_builds(changed=True)
            elif isinstance(message, Diagnose):
                self._background.append(functools.partial(self._diagnose, message))
            else:
                self._send(self._answered(message))
                self._show_builds()

    def _next(self) -> ToWorker | _News | None:
        """The next message; while there is none, background work is done."""
        while True:
            while not self._inbox and REMAINS.sweep():
                pass  # what large things are left over from the last answer goes before there is time to wait
            with self._arrived:
                if self._inbox:
                    return self._inbox.popleft()
                if not self._background:
                    self._arrived.wait()
                    continue
            self._work()

    def _work(self) -> None:
        """Does the first piece of background work; one that a question interrupts is taken up again later."""
        job = self._background[0]
        self._in_background = True
        self._deadline = COUNTERS.deadline = time.monotonic() + _BACKGROUND_SECONDS
        try:
            job()
        except Interrupted as stop:
            if stop.reason == "preempted":
                return
        except (EvalError, RecursionError, MemoryError):
            pass
        finally:
            self._in_background = False
        self._background.popleft()
        if not self._background:
            gc.collect()  # a generation of the workspace may have gone; the package set is frozen and costs nothing
            self._send(Status("idle"))

    def _configure(self, message: Configure) -> None:
        if self._builds is not None:
            self._builds.stop(self._builds.running)
        builds: list[BackgroundAccess] = []  # what is told of a builder is told with whose it was
        access = BackgroundAccess(message.builds, lambda said: self._put(_News(builds[0], said)))
        builds.append(access)
        self._builds = access
        self._needs.clear()
        self._asked_for.clear()
        workspace = Workspace(message.roots, message.nixpkgs, message.search_path, message.system, access)
        access.serve(workspace.session)
        self._workspace = workspace
        self._background.clear()

        def load() -> None:
            workspace.warm()
            gc.collect()
            gc.freeze()

        if message.nixpkgs:
            self._background.append(load)
            self._send(Status("loading", f"loading {message.nixpkgs}"))

    def _document(self, message: Document) -> None:
        workspace = self._workspace
        if workspace is not None:
            text = None if message.text is None else message.text.decode("utf-8", "surrogateescape")
            workspace.document(message.path, text)
            self._asked_for.clear()
            if self._builds is not None:
                self._builds.missed.clear()
            if text is None:
                self._needs.pop(message.path, None)
                self._drop_builds()
            if workspace.behind and workspace.catch_up not in self._background:
                self._background.append(workspace.catch_up)

    def _answered(self, question: Question) -> Answer:
        if question.id in self._cancelled:
            self._open.discard(question.id)
            self._cancelled.discard(question.id)
            return Answer(question.id, "cancelled")
        self._current = question.id
        self._deadline = COUNTERS.deadline = time.monotonic() + question.budget_ms / 1000
        try:
            return self._ask(question)
        except HoleForced as hole:
            return Answer(question.id, "unknown", message=hole.message, at=location(hole.place))
        except Unrealised as missing:
            if self._builds is not None:
                self._asked_for.update(self._builds.missed)
            state = _LATER.get(missing.state, "error")
            return Answer(question.id, state, message=sendable(missing.message), at=location(missing.place))
        except EvalError as error:
            return Answer(
                question.id,
                "error",
                message=sendable(error.message),
                at=location(error.place),
                frames=trace_frames(error),
                meant=tuple(map(sendable, error.suggestions())),
            )
        except Interrupted as stop:
            if stop.reason == "timeout":
                self._background.append(lambda: self._ask(question))
            return Answer(question.id, stop.reason)
        except RecursionError:
            return Answer(question.id, "error", message="stack overflow; max-call-depth exceeded")
        except MemoryError:
            return Answer(question.id, "error", message="out of memory")
        finally:
            self._open.discard(question.id)
            self._cancelled.discard(question.id)
            self._current = -1

    # --- what goes wrong in a file -------------------------------------------------------------------

    def _diagnose(self, question: Diagnose) -> None:
        """A piece of background work: answers the question, unless something else comes first."""
        workspace, builds = self._workspace, self._builds
        answer = Answer(question.id, "cancelled")
        if question.id not in self._cancelled and workspace is not None and builds is not None:
            COUNTERS.depth = 0
            builds.missed.clear()
            try:
                answer = Answer(question.id, "value", problems=tuple(workspace.failures(question.path)))
            except Interrupted as stop:
                if stop.reason == "preempted":
                    raise
                answer = Answer(question.id, stop.reason)
            except (EvalError, RecursionError, MemoryError) as error:
                answer = Answer(question.id, "unknown", message=sendable(str(error)))
            if answer.state == "value":
                self._needs[question.path] = set(builds.missed)
                self._drop_builds()
        self._open.discard(question.id)
        self._cancelled.discard(question.id)
        self._send(answer)
        self._show_builds()

    # --- builds --------------------------------------------------------------------------------------

    def _drop_builds(self) -> None:
        """Ends what no open file needs any more, nor anything that was asked since the last edit."""
        if self._builds is not None and self._builds.running:
            needed = self._asked_for.union(*self._needs.values())
            self._builds.stop([element for element in self._builds.running if element not in needed])

    def _hear(self, news: _News) -> None:
        builds = news.builds
        if builds is not self._builds:
            return
        changed = builds.take(news.said)
        if changed:
            self._answers_changed()
        self._show_builds(news.said.text if isinstance(news.said, Said) else "", changed)

    def _allow(self, message: Allow) -> None:
        if self._builds is not None:
            self._builds.allow(message.elements)
            self._answers_changed()
            self._show_builds(changed=True)

    def _stop_builds(self) -> None:
        if self._builds is not None and self._builds.running:
            self._builds.refuse()
            self._answers_changed()
            self._show_builds(changed=True)

    def _answers_changed(self) -> None:
        workspace = self._workspace
        if workspace is not None:
            workspace.came()
            if workspace.catch_up not in self._background:
                self._background.appendleft(workspace.catch_up)

    def _show_builds(self, text: str = "", changed: bool = False) -> None:
        """Tells the server what is being built, if that is news."""
        names = tuple(map(self._builds.name, self._builds.running)) if self._builds is not None else ()
        shown = Builds(names, text, changed)
        if changed or text or names != self._shown.names:
            self._shown = shown
            self._send(shown)

    def _ask(self, question: Question) -> Answer:
        workspace = self._workspace
        if workspace is None:
            return Answer(question.id, "unknown", message="the worker was not configured yet")
        COUNTERS.depth = 0  # nothing is under way: what was interrupted inside data may have left some behind
        if isinstance(question, Describe):
            known = workspace.describe(question.target)
        elif isinstance(question, Members):
            known = workspace.members(question.target, question.limit)
        elif isinstance(question, Scope):
            known = workspace.scope(question.path, question.offset)
        else:
            known = workspace.arguments()
        return Answer(
            question.id, "value", facts=known.facts, members=known.members, stale=known.stale, route=known.route
        )

    def _send(self, message: FromWorker) -> None:
        try:
            payload = self._encoder.encode(message)
        except UnicodeEncodeError:
            # A name or message with bytes that are no UTF-8: MessagePack cannot say them.
            assert isinstance(message, Answer)
            payload = self._encoder.encode(Answer(message.id, "error", message="the answer is not UTF-8"))
        write_frame(self._sink, payload)


def _end_process(failure: threading.ExceptHookArgs) -> None:
    """A worker whose evaluation thread is gone answers nothing: better gone as a whole, and started anew."""
    threading.__excepthook__(failure)
    sys.stderr.flush()
    os._exit(70)


def main() -> None:
    """Serves on standard input and output; whatever else prints goes to standard error."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        Worker(sys.stdin.buffer, sink).run()
    sys.stderr.flush()
    os._exit(0)
