"""An evaluation that is interrupted, or takes too long or too much, ends cleanly; what it left can be forced again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.limits import Limits, resident_megabytes
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError, Interrupted
from evaluator.runtime.values import COUNTERS
from evaluator.thread import evaluation_thread

GROWING = "let grow = l: builtins.seq (builtins.length l) (grow (l ++ l)); in grow [ 1 2 3 4 ]"

MANY = "(builtins.genList (x: x) 30000)"
TEXTS = f"(map toString {MANY})"

# Goes on for ever without calls inside calls, which would end it by their depth.
ENDLESS = "(builtins.genericClosure { startSet = [ { key = 0; } ]; operator = i: [ { key = i.key + 1; } ]; })"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "evaluator.cli", "--no-eval-cache", *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False)


def test_deadline() -> None:
    """What was printed before stays: the time has to be enough for that on a slow machine, too."""
    done = run("--max-seconds", "3", "-E", "1", ENDLESS)
    assert done.returncode == 1
    assert done.stdout == "1\n"
    assert done.stderr == "error: evaluation took longer than 3 seconds\n"


def test_memory() -> None:
    done = run("--max-memory", "200", "-E", GROWING)
    assert done.returncode == 1
    assert done.stderr == "error: evaluation took more than 200 MB of memory\n"


def test_what_keeps_within_its_limits() -> None:
    done = run("--max-seconds", "60", "--max-memory", "1000", "-E", "builtins.length (builtins.genList (n: n) 10000)")
    assert (done.returncode, done.stdout) == (0, "10000\n")


TEXT = '(builtins.concatStringsSep "" (builtins.genList (x: "0123456789abcdef") 65536))'  # a megabyte

#: One step more, or one call of a built-in function, and it has taken gigabytes.
TOO_MUCH = {
    "genList": "builtins.genList (x: x) 1000000000",
    "lists by doubling": GROWING,
    "lists joined": f"builtins.length (builtins.concatLists (builtins.genList (x: {MANY}) 100000))",
    "concatMap": f"let l = {MANY}; in builtins.length (builtins.concatMap (x: l) {MANY})",
    "map": f"let f = l: builtins.seq (builtins.length l) (f (map (x: x) l ++ l)); in f {MANY}",
    "tails": f"let l = {MANY}; in map (x: builtins.tail l) l",
    "texts by doubling": "let f = t: builtins.seq (builtins.stringLength t) (f (t + t)); in f TEXT",
    "texts by interpolation": 'let f = t: builtins.seq (builtins.stringLength t) (f "${t}${t}"); in f TEXT',
    "concatStringsSep": 'let t = TEXT; in builtins.concatStringsSep "," (builtins.genList (x: t) 1000000)',
    "a separator": f"builtins.concatStringsSep TEXT {TEXTS}",
    "toString": "let t = TEXT; in toString (builtins.genList (x: t) 1000000)",
    "replaceStrings": 'builtins.replaceStrings [ "0" ] [ TEXT ] TEXT',
    "replaceStrings of two": 'builtins.replaceStrings [ "0" "1" ] [ TEXT TEXT ] TEXT',
    "toJSON": "let t = TEXT; in builtins.toJSON (builtins.genList (x: t) 1000000)",
    "toXML": "let t = TEXT; in builtins.toXML (builtins.genList (x: t) 1000000)",
    "sets": """builtins.foldl' (s: n: s // builtins.listToAttrs
      (builtins.genList (i: { name = toString (n * 1000 + i); value = i; }) 1000)) { }
      (builtins.genList (x: x) 10000)""",
    "genericClosure": ENDLESS,
    "split": 'let t = TEXT; in map (x: builtins.split "0" t) (builtins.genList (x: x) 100)',
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_too_much_memory(name: str) -> None:
    """It is asked for before it is taken, if it is much; else often enough."""
    text = TOO_MUCH[name].replace("TEXT", TEXT)
    found: list[str] = []

    def work() -> None:
        session = open_session(Files())
        limits = Limits(megabytes=int(resident_megabytes()) + 150)
        limits.start()
        try:
            deep_force(session.expression(text, "/"))
            found.append("it had a value")
        except Interrupted as stop:
            found.append(stop.reason)
            found.append(str(resident_megabytes() < limits.megabytes + 150))
        except EvalError as error:
            found.append(error.message)
        finally:
            limits.stop()

    evaluation_thread(work).join()
    assert len(found) == 2, found
    assert found[0].startswith("evaluation took more than ")
    assert found[1] == "True"


#: Goes on for very long, most of the time inside of a built-in function.
TOO_LONG = {
    "genericClosure": ENDLESS,
    "calls": "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 90",
    "lists": f"let l = {MANY}; in builtins.filter (x: builtins.length (map (y: y) l) < 0) l",
    "sort": f"let f = l: n: if n < 0 then 0 else f (builtins.sort (a: b: a > b) l) (n + 1) + 1; in f {MANY} 0",
    "elem": f"let l = {MANY}; in builtins.filter (x: builtins.elem (-1) l) l",
    "equality": f"let l = {MANY}; m = map (x: x) l; in builtins.filter (x: l == m && x < 0) l",
    "order": f"let l = {MANY}; in builtins.filter (x: l < l) l",
    "foldl'": f"let l = {MANY}; in builtins.filter (x: builtins.foldl' builtins.add 0 l < 0) l",
    "toJSON": f"let l = {MANY}; in builtins.filter (x: builtins.toJSON l == x) l",
    "fromJSON": f"let t = builtins.toJSON {MANY}; in builtins.filter (x: builtins.fromJSON t == x) {MANY}",
    "matching": 'builtins.match "((a|a?)*(a|aa)+)+b" (builtins.concatStringsSep "" (builtins.genList (x: "a") 5000))',
    "finding": 'builtins.split "((a|aa|ab)+)+c" (builtins.concatStringsSep "" (builtins.genList (x: "a") 5000))',
    "split": f'let t = toString {MANY}; in builtins.filter (x: builtins.split " " t == x) {MANY}',
    "attrNames": "let s = builtins.listToAttrs (map (x: { name = toString x; value = x; }) "
    f"{MANY}); in builtins.filter (x: builtins.attrNames s == x) {MANY}",
    "mapAttrs": "let s = builtins.listToAttrs (map (x: { name = toString x; value = x; }) "
    f"{MANY}); in builtins.filter (x: builtins.mapAttrs (n: v: v) s == x) {MANY}",
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_deadline_of_what_is_busy_inside(name: str) -> None:
    reasons: list[str] = []

    def work() -> None:
        session = open_session(Files())
        limits = Limits(seconds=0.1)
        limits.start()
        try:
            deep_force(session.expression(TOO_LONG[name], "/"))
        except Interrupted as stop:
            reasons.append(stop.reason)
        finally:
            limits.stop()

    evaluation_thread(work).join()
    assert reasons == ["evaluation took longer than 0.1 seconds"]


@pytest.mark.parametrize("name", TOO_LONG)
def test_cancelled_from_another_thread(name: str) -> None:
    """That other thread gets the interpreter although compiled code runs, and what it says is heard."""
    begun = threading.Event()
    reasons: list[str] = []

    class Watched(Limits):
        asked = 0

        def poll(self) -> None:
            self.asked += 1
            if self.asked == 3:
                begun.set()
            super().poll()

    # A regular expression is asked nothing while it is matched; but it ends when its evaluation has to.
    limits = Watched(seconds=2 if name in ("matching", "finding") else 0)

    def work() -> None:
        session = open_session(Files())
        limits.start()
        try:
            deep_force(session.expression(TOO_LONG[name], "/"))
        except Interrupted as stop:
            reasons.append(stop.reason)
        finally:
            limits.stop()

    thread = evaluation_thread(work)
    if name not in ("matching", "finding"):
        assert begun.wait(200)
    limits.cancel("enough")
    thread.join()
    assert reasons[0] in ("enough", "evaluation took longer than 2 seconds")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["genericClosure", "lists by doubling", "texts by doubling", "sort", "matching"])
def test_interrupt(name: str) -> None:
    """The trace tells that evaluation is under way, and the interrupt ends it."""
    program = (TOO_LONG | TOO_MUCH)[name].replace("TEXT", TEXT)
    expression = f'builtins.trace "begun" ({program})'
    process = subprocess.Popen(
        command("--strict", "--max-memory", "6000", "-E", "2", expression),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "trace: begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "2\n", "error: interrupted by the user\n")


def test_interrupted_at_any_moment() -> None:
    """Before it has begun, too: the process ends and says why, or Python says that it was still loading."""
    for milliseconds in range(0, 400, 40):
        process = subprocess.Popen(
            command("-E", "2", ENDLESS), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with suppress(subprocess.TimeoutExpired):
            process.wait(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        assert process.returncode in (130, -signal.SIGINT, 1), err
        assert "KeyboardInterrupt" in err or err in ("", "error: interrupted by the user\n")


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
