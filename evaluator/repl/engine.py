"""How a conversation evaluates: one job after another, each within limits, each to be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from evaluator.interrupts import leave_interrupts_to_others
from evaluator.limits import INTERRUPTED, Limits
from evaluator.runtime.errors import Interrupted
from evaluator.thread import evaluation_thread

Answer = TypeVar("Answer")

_TICK: Final = 0.1
_PATIENCE: Final = 5.0
"""Seconds that a built-in function may go on after an interrupt before the person is told."""


class _Job(Generic[Answer]):
    """Something to evaluate, and what came of it."""

    def __init__(self, work: Callable[[], Answer], limits: Limits, prepare: Callable[[], None]) -> None:
        self._work: Final = work
        self._limits: Final = limits
        self._prepare: Final = prepare
        self.done: Final = threading.Event()
        self._answer: Answer | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        leave_interrupts_to_others()
        self._limits.start()
        try:
            self._prepare()
            self._answer = self._work()
        except BaseException as failure:
            self.failure = failure
        finally:
            self._limits.stop()
            self.done.set()

    def answer(self) -> Answer:
        """What the work answered or raised."""
        if self.failure is not None:
            raise self.failure
        return self._answer  # type: ignore[return-value]


class Engine:
    """Runs jobs, each on a thread whose stack is deep enough for evaluation, one at a time.

    ``prepare`` is called on that thread before each.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._prepare: Final = prepare
        self._one_at_a_time: Final = threading.Lock()
        self._aside: Limits | None = None

    def run(self, work: Callable[[], Answer], limits: Limits, tick: Callable[[], None] | None = None) -> Answer:
        """What ``work`` answers or raises; Interrupted when the limits, or the user by a keyboard interrupt, stop it.

        ``tick`` is called every tenth of a second meanwhile, on this thread. A job that runs :meth:`aside` gives way.
        """
        aside = self._aside
        if aside is not None:
            aside.cancel("preempted")
        job = _Job(work, limits, self._prepare)
        with self._one_at_a_time:
            try:
                # Inside, for an interrupt may come as soon as the thread runs.
                evaluation_thread(job.run, "repl")
                while not job.done.wait(_TICK):
                    if tick is not None:
                        tick()
            except KeyboardInterrupt:
                limits.cancel()
                if not job.done.wait(_PATIENCE):
                    raise Interrupted("a built-in function is still busy, and goes on in the background") from None
                if job.failure is None:
                    raise Interrupted(INTERRUPTED) from None
        return job.answer()

    def aside(self, work: Callable[[], Answer], limits: Limits) -> Answer:
        """As :meth:`run`, from another thread than the one that talks to the user, for what can be given up."""
        with self._one_at_a_time:
            self._aside = limits
            try:
                job = _Job(work, limits, self._prepare)
                evaluation_thread(job.run, "repl, aside")
                job.done.wait()
            finally:
                self._aside = None
        return job.answer()
