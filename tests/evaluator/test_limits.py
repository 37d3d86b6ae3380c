"""An evaluation that is interrupted, or takes too long or too much, ends cleanly; what it left can be forced again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from evaluator.builtins.control import deep_force
from evaluator.builtins.install import open_session
from evaluator.io.files import Files
from evaluator.limits import Limits
from evaluator.runtime.errors import Interrupted
from evaluator.runtime.values import COUNTERS
from evaluator.thread import evaluation_thread

GROWING = "let grow = l: builtins.seq (builtins.length l) (grow (l ++ l)); in grow [ 1 2 3 4 ]"

# Goes on for ever without calls inside calls, which would end it by their depth.
ENDLESS = "(builtins.genericClosure { startSet = [ { key = 0; } ]; operator = i: [ { key = i.key + 1; } ]; })"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "evaluator.cli", "--no-eval-cache", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def test_deadline() -> None:
    done = run("--max-seconds", "0.2", "-E", "1", ENDLESS)
    assert done.returncode == 1
    assert done.stdout == "1\n"
    assert done.stderr == "error: evaluation took longer than 0.2 seconds\n"


def test_memory() -> None:
    done = run("--max-memory", "200", "-E", GROWING)
    assert done.returncode == 1
    assert done.stderr == "error: evaluation took more than 200 MB of memory\n"


def test_what_keeps_within_its_limits() -> None:
    done = run("--max-seconds", "60", "--max-memory", "1000", "-E", "builtins.length (builtins.genList (n: n) 10000)")
    assert (done.returncode, done.stdout) == (0, "10000\n")


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt() -> None:
    """The trace tells that evaluation is under way, and the interrupt ends it."""
    expression = f'builtins.trace "begun" {ENDLESS}'
    process = subprocess.Popen(
        command("-E", "2", expression), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "trace: begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == "2\n"
    assert err == "error: interrupted by the user\n"


@pytest.mark.parametrize("polls", [1, 2, 3, 5, 8, 13, 40])
def test_thunks_survive(polls: int) -> None:
    """Interrupted after so many polls, a value is whole when it is forced again."""
    session = open_session(Files())
    text = "let f = n: if n == 0 then [ ] else [ n (f (n - 1)) ]; in { a = f 9000; b = map f [ 1000 2000 3000 ]; }"
    failures: list[object] = []

    class After(Limits):
        left = polls

        def poll(self) -> None:
            self.left -= 1
            if self.left == 0:
                self.cancel("enough")
            super().poll()

    def work() -> None:
        value = session.expression(text, "/")
        limits = After()
        limits.start()
        COUNTERS.fuel = 1
        try:
            deep_force(value)
        except Interrupted as stop:
            failures.append(stop.reason)
        finally:
            limits.stop()
        before = COUNTERS.depth
        deep_force(value)
        failures.append(COUNTERS.depth - before)
        failures.append(before)

    evaluation_thread(work).join()
    assert failures[-2:] == [0, 0]
    assert failures[:-2] in ([], ["enough"])


def test_a_reason_is_told_once() -> None:
    limits = Limits()
    limits.poll()
    limits.cancel("no more")
    with pytest.raises(Interrupted, match="no more"):
        limits.poll()
