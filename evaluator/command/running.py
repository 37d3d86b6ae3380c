"""Runs what a command line asks for: on a thread with a deep stack, within limits, until it is done or interrupted."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Final

from evaluator.command.flags import Options
from evaluator.interrupts import ignore_interrupts, leave_interrupts_to_others, take_ends_as_interrupts
from evaluator.limits import INTERRUPTED, Limits
from evaluator.thread import evaluation_thread

FAILED: Final = 1
KILLED_BY_INTERRUPT: Final = 130

_PATIENCE: Final = 0.06
"""Seconds that an interrupted evaluation has to unwind. Some built-in function may be busy for longer: it is left."""


_LEAVING: Final = threading.Lock()


class _LastLimits(Limits):
    """Limits of the only evaluation of a process: what stops that ends the process, there and then.

    Unwinding would free millions of values first, which takes seconds and is of use to nobody.
    """

    def stopped(self, reason: str) -> None:
        _leave(KILLED_BY_INTERRUPT if reason == INTERRUPTED else FAILED, f"error: {reason}")


def evaluate(options: Options, print_answers: Callable[[Options], None], only: bool) -> int:
    """Runs ``print_answers`` as the flags want it; the exit code. Errors are reported on standard error.

    An interrupt ends it at once. ``only``: the process has nothing to do but this, and all that ends it interrupts it.
    """
    if options.settings:
        from evaluator.settings import warnings

        for warning in warnings(options.settings):
            complain(warning)
    limits = (_LastLimits if only else Limits)(options.max_seconds, options.max_memory)
    code = FAILED

    # Not the thread's own `join`: interrupted once, it takes the thread for ended (Python 3.11).
    done = threading.Event()

    def work() -> None:
        nonlocal code
        try:
            leave_interrupts_to_others()
            # Without limits of its own it is asked all the same: that is where an interrupt is seen.
            limits.start()
            code = _attempt(options, print_answers)
        finally:
            limits.stop()
            done.set()

    if only:
        take_ends_as_interrupts()
    if options.max_memory:
        _forbid_more_than(options.max_memory)
    try:
        # Inside, for an interrupt may come as soon as the thread runs.
        evaluation_thread(work)
        done.wait()
    except KeyboardInterrupt:
        ignore_interrupts()
        limits.cancel()
        if not done.wait(_PATIENCE):
            _leave(KILLED_BY_INTERRUPT, f"error: {INTERRUPTED}")
        return KILLED_BY_INTERRUPT
    return code


def _attempt(options: Options, print_answers: Callable[[Options], None]) -> int:
    from evaluator.runtime.errors import BuildFailure, EvalError, Interrupted, UnexpectedHash, Unrealised

    try:
        print_answers(options)
        sys.stdout.flush()
        return 0
    except EvalError as error:
        from evaluator.runtime.report import report
        from evaluator.settings import is_on

        flush()
        complain(report(error, options.show_trace or is_on(options.settings, "show-trace")))
        if isinstance(error, Unrealised) and not options.writes():
            complain("       with --read-write-mode evaluation builds or fetches what it reads")
        if isinstance(error, BuildFailure) or isinstance(error, UnexpectedHash):
            return error.exit_code
    except Interrupted as stop:
        flush()
        complain(f"error: {stop.reason}")
    except RecursionError:
        complain("error: stack overflow; max-call-depth exceeded")
    except MemoryError:
        limit = options.max_memory
        complain(f"error: evaluation took more than {limit} MB of memory" if limit else "error: out of memory")
    except BrokenPipeError:
        # Who read our output has had enough (`| head`). Nothing is to be said, and nothing more to be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as fault:
        # On this thread nobody else would say it.
        import traceback

        from store.streams import explained

        said = explained(fault) if isinstance(fault, OSError) else None
        if said is None:
            flush()
            said = f"error: a fault of tvix-eval itself, please report it\n{traceback.format_exc().rstrip()}"
        complain(said)
    return FAILED


def _forbid_more_than(megabytes: int) -> None:
    """A bound on what the process may map, for what grows between two steps of an evaluation.

    It lies well above the limit, which counts what is in memory: the evaluation's stack alone takes a gigabyte of
    addresses.
    """
    try:
        import resource
    except ImportError:
        return
    from evaluator.thread import STACK_BYTES

    bound = (2 * megabytes << 20) + 2 * STACK_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or bound < hard:
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def complain(text: str) -> None:
    """Writes a line to standard error, whatever bytes are in it."""
    sys.stderr.write(text + "\n")


def flush() -> None:
    """What was printed goes out before what is said about it."""
    sys.stdout.flush()


def end_builds() -> None:
    """Ends what is being built for evaluations of this process."""
    realising = sys.modules.get("evaluator.stores.building")
    if realising is not None:
        realising.end_builds()


def _leave(code: int, said: str) -> None:
    """Ends the process although a thread of it is busy. What is being built ends with it."""
    _LEAVING.acquire()  # for good: the process ends once
    try:
        flush()
        complain(said)
        end_builds()
        sys.stderr.flush()
    finally:
        os._exit(code)
