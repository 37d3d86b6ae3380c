"""Deep recursion ends in a value or a clean error, interruptions leave no trace, evaluations keep apart."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError, Interrupted, Unrealised
from evaluator.runtime.printer import show
from evaluator.runtime.values import COUNTERS
from evaluator.session import Session
from evaluator.syntax.interlude import INTERLUDE
from evaluator.thread import MAX_DEPTH, evaluation_thread
from evaluator.turns import TURNS
from tests.conftest import ROOT
from tests.evaluator.deep import ENDLESS, NO_NIX, TOO_DEEP, WORKS
from tests.evaluator.freed import FREED

OVERFLOW = "stack overflow; max-call-depth exceeded"

# Raises Python's recursion limit for good, which hypothesis would complain about in the middle of a test.
evaluation_thread(lambda: None).join()


def on_thread(work: Callable[[], None]) -> None:
    """Runs ``work`` on an evaluation thread; what it raises is raised here."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    evaluation_thread(guarded).join()
    if raised:
        raise raised[0]


# --- depth -----------------------------------------------------------------------------------------


def outcomes(*names: str) -> dict[str, dict[str, object]]:
    """What came of deep things, by name; an error if the process that evaluated them crashed."""
    command = [sys.executable, "-m", "tests.evaluator.deep", *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, f"{done.returncode} after {list(found)}: {done.stderr[-500:]}"
    return found


def in_groups(names: Sequence[str], size: int) -> list[list[str]]:
    """The names, so many at a time: a process for each would take long to start."""
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


@pytest.mark.parametrize("names", in_groups(list(WORKS), 7), ids=lambda names: str(names[0]))
def test_deep_things_that_work(names: list[str]) -> None:
    assert {name: row.get("value") for name, row in outcomes(*names).items()} == {
        name: WORKS[name][1] for name in names
    }


@pytest.mark.parametrize("names", in_groups(list(ENDLESS), 7), ids=lambda names: str(names[0]))
def test_endless_recursion_is_an_error_with_a_trace(names: list[str]) -> None:
    found = outcomes(*names)
    assert {name: row.get("message") for name, row in found.items()} == dict.fromkeys(names, OVERFLOW)
    assert not [name for name, row in found.items() if not row["frames"] and "itself" not in name]


@pytest.mark.parametrize("names", in_groups(list(TOO_DEEP), 7), ids=lambda names: str(names[0]))
def test_data_too_deep_for_any_stack(names: list[str]) -> None:
    for name, row in outcomes(*names).items():
        message = str(row.get("message", ""))
        known = OVERFLOW in message or "nested too deep" in message or name in NO_NIX
        assert "value" in row or known, f"{name}: {message}"


@pytest.mark.parametrize("kind", FREED)
def test_what_is_nested_deep_is_freed(kind: str) -> None:
    """A million of them in each other, let go on a thread that has hardly any stack."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluator.freed", kind], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{kind}: gone\n"), done.stderr[-500:]


def test_deep_data_is_printed_or_refused() -> None:
    assert {row["message"] for row in outcomes("printed").values()} == {OVERFLOW}


def test_errors_are_no_chain() -> None:
    """One that comes up while another is on its way does not hold that one: freeing them would be recursive."""
    text = (
        'let f = n: builtins.addErrorContext (if n == 0 then "end" else f (n - 1)) (throw "no ${toString n}"); in f 50'
    )

    def work() -> None:
        with pytest.raises(EvalError) as caught:
            open_session(Files()).expression(text, "/")
        assert caught.value.message == "no 0"
        length = 0
        error: BaseException | None = caught.value
        while error is not None:
            error = error.__context__
            length += 1
        assert length < 4

    on_thread(work)


@pytest.mark.skipif(sys.platform != "linux", reason="address space cannot be limited everywhere")
def test_smaller_stack_where_address_space_is_short() -> None:
    program = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))\n"
    program += "from evaluator.runtime.values import COUNTERS\nfrom tests.evaluator.deep import evaluate\n"
    program += "from evaluator.thread import evaluation_thread\n"
    program += "evaluate('calls', 'let f = n: 1 + f (n + 1); in f 0')\nevaluate('one', '1')\n"
    program += "evaluation_thread(lambda: print(COUNTERS.max_depth)).join()\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls, one, depth = map(json.loads, done.stdout.splitlines())
    assert calls["message"] == OVERFLOW
    assert one["value"] == "1"
    assert 5_000 < depth < MAX_DEPTH


def test_depth_is_what_it_was_after_errors() -> None:
    texts = ["let x = [ x ]; in builtins.toJSON x", "let x = [ x ]; y = [ y ]; in x == y", "toString { }", "1 + {}"]
    texts += ["let x = { __toString = self: self; }; in toString x", "let f = { __functor = self: self; }; in f 1"]

    def work() -> None:
        session = open_session(Files())
        for text in texts:
            caught = f"builtins.tryEval (builtins.seq ({text}) 1)"
            for expression in (text, caught):
                with pytest.raises(EvalError):
                    session.expression(f"let v = {expression}; in v.value or v", "/")
        # Thrown on the way into data, and caught: nothing of the depth stays.
        many = 'builtins.genList (n: (builtins.tryEval (toString [ [ [ (throw "no") ] ] ])).success) 500'
        deep_force(session.expression(many, "/"))
        assert COUNTERS.depth < 100

    on_thread(work)


# --- interruptions ---------------------------------------------------------------------------------

PROGRAM = """
let
  fix = f: let x = f x; in x;
  extends = over: f: final: let prev = f final; in prev // over final prev;
  base = self: {
    list = builtins.genList (n: self.square n) 40;
    square = n: n * n;
    sum = builtins.foldl' builtins.add 0 self.list;
    text = builtins.concatStringsSep "," (map toString self.sorted);
    sorted = builtins.sort (a: b: a > b) self.list;
    closure = map (x: x.key) (builtins.genericClosure {
      startSet = [ { key = 1; } ];
      operator = x: if x.key > 50 then [ ] else [ { key = x.key * 2; } { key = x.key + 7; } ];
    });
    drv = derivation { name = "d"; system = "s"; builder = "/b"; args = [ self.text ]; };
    top = derivation { name = "t"; system = "s"; builder = self.drv; inherit (self) sum; };
    path = self.top.drvPath;
    json = builtins.toJSON { inherit (self) sum list; nested = builtins.fromJSON self.inner; };
    inner = builtins.toJSON (builtins.mapAttrs (n: v: v + 1) { a = self.sum; b = 2; });
    groups = builtins.groupBy (x: if x < 500 then "few" else "many") self.list;
    matched = builtins.match "(.*),(.*)" self.text;
    caught = (builtins.tryEval (assert self.sum < 0; 1)).success;
    again = let inherit (self.groups) few; in with { inherit few; }; builtins.length few + self.f { a = 1; };
    f = { a, b ? a + self.sum, ... }@args: b + args.a;
    same = self.list == map (x: x) self.list;
    other = import OTHER { inherit self; };
  };
in
fix (extends (final: prev: { sum = prev.sum + builtins.length final.closure; }) base)
"""

OTHER = "{ self }: { sum = self.sum + 1; deep = builtins.deepSeq self.groups (builtins.attrNames self.groups); }"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    (folder / "other.nix").write_text(OTHER)
    (folder / "default.nix").write_text(PROGRAM.replace("OTHER", "./other.nix"))
    return folder / "default.nix"


def value_of(session: Session, path: Path) -> str:
    """The value of a file with all that is in it but functions and derivations, which print as what they are."""
    value = session.import_file(str(path))
    deep_force(value)
    return show(value)


@pytest.fixture(scope="module")
def right(program: Path) -> str:
    found: list[str] = []
    on_thread(lambda: found.append(value_of(open_session(Files()), program)))
    return found[0]


def interrupt() -> None:
    raise Interrupted("now")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.integers(1, 60), st.integers(1, 4000)), min_size=1, max_size=30))
def test_interrupted_evaluation_carries_on(program: Path, right: str, steps: list[int]) -> None:
    """However often it is interrupted, and after however many steps: the value is the right one in the end."""

    def work() -> None:
        session = open_session(Files())
        COUNTERS.poll = interrupt
        for fuel in steps:
            COUNTERS.fuel = fuel
            try:
                assert value_of(session, program) == right
            except Interrupted:
                assert COUNTERS.depth == 0
        COUNTERS.poll = None
        assert value_of(session, program) == right

    on_thread(work)


def test_interrupted_at_every_step(program: Path, right: str) -> None:
    """One session, interrupted one step later each time, ends; it never goes backwards."""

    def work() -> None:
        session = open_session(Files())
        COUNTERS.poll = interrupt
        for fuel in range(1, 4000):
            COUNTERS.fuel = fuel
            try:
                found = value_of(session, program)
            except Interrupted:
                continue
            assert found == right
            return
        raise AssertionError("it never ended")

    on_thread(work)


def test_error_leaves_thunks_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text('rec { a = b + 1; b = c.x or (throw "no ${toString 1}"); c = d; d = { }; }')

    def work() -> None:
        session = open_session(Files())
        said = []
        for _ in range(3):
            with pytest.raises(EvalError) as caught:
                value_of(session, tmp_path)
            said.append((caught.value.message, str(caught.value.place)))
        assert said[0][0] == "no 1"
        assert len(set(said)) == 1

    on_thread(work)


def test_what_was_not_realised_is_asked_for_again(tmp_path: Path) -> None:
    """Reading what nobody has made yet interrupts; once it is there, the very same values go on."""
    text = """
    let
      made = derivation { name = "made"; system = "s"; builder = "/b"; };
      read = builtins.readFile made;
      all = map (n: "${read}${toString n}") [ 1 2 ];
    in { inherit all; path = made.outPath; length = builtins.stringLength read; }
    """
    (tmp_path / "default.nix").write_text(text)

    def work() -> None:
        files = Files()
        session = open_session(files)
        for _ in range(2):
            with pytest.raises(Unrealised):
                value_of(session, tmp_path)
            assert COUNTERS.depth == 0
        path = show(session.expression(f"(import {tmp_path}).path", "/")).strip('"')
        files.add_text(path, b"it is here ")
        assert 'all = [ "it is here 1" "it is here 2" ]; length = 11;' in value_of(session, tmp_path)

    on_thread(work)


# --- several evaluations, other threads -------------------------------------------------------------


def test_evaluations_take_turns_and_keep_apart(program: Path, right: str) -> None:
    """Each thread counts its own depth and is asked by its own question whether to go on."""
    order: list[str] = []
    found: dict[str, str] = {}
    threads: list[threading.Thread] = []
    everybody = threading.Event()

    def start(name: str, expression: str) -> None:
        def question() -> None:
            order.append(name)

        def work() -> None:
            COUNTERS.poll = question
            everybody.wait()
            while len(order) == 0 and TURNS.waiting() < 3:
                time.sleep(0)
            session = open_session(Files())
            try:
                found[name] = show(session.expression(expression, "/"))
                found[f"{name} again"] = value_of(session, program)
            except EvalError as error:
                found[name] = error.message
            assert COUNTERS.depth == 0

        threads.append(evaluation_thread(work))

    start("deep", "let f = n: if n == 0 then 0 else 1 + f (n - 1); in builtins.seq (f 1) (f 15000)")
    start("loop", "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x * 2) 30000)")
    start("endless", "let f = n: 1 + f (n + 1); in f 0")
    start("calls", "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 20")
    everybody.set()
    for thread in threads:
        thread.join()
    assert found["deep"] == "15000"
    assert found["loop"] == str(30_000 * 29_999)
    assert found["endless"] == OVERFLOW
    assert found["calls"] == "6765"
    assert [found[f"{name} again"] for name in ("deep", "loop", "calls")] == [right] * 3
    assert set(order) == {"deep", "loop", "endless", "calls"}
    changes = sum(1 for before, after in pairwise(order) if before != after)
    assert changes >= 8, order


def test_sessions_share_nothing(tmp_path: Path) -> None:
    path = tmp_path / "default.nix"
    found: list[str] = []

    def work() -> None:
        sessions = []
        for number in range(5):
            path.write_text(f"{{ n = {number}; }}")
            session = open_session(Files(), system=f"system-{number}")
            session.import_file(str(path))
            sessions.append(session)
        for session in sessions:
            value = session.expression(f"[ (import {path}).n builtins.currentSystem ]", "/")
            deep_force(value)
            found.append(show(value))

    on_thread(work)
    assert found == [f'[ {number} "system-{number}" ]' for number in range(5)]


def test_a_file_that_is_saved_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.nix"
    path.write_text(f"[ {'1 ' * 50_000} ]")
    files = Files()
    monkeypatch.setattr(INTERLUDE, "pause", lambda: path.write_text("2"))
    assert files.parse(str(path)).file.text.startswith("[ 1")
    assert files.parse(str(path)).file.text == "2"


def test_other_threads_get_their_turn() -> None:
    """An endless evaluation that nobody asks anything is ended by a thread that has to be let through to do so."""
    ticks: list[int] = []
    stopped: list[str] = []

    def work() -> None:
        session = open_session(Files())
        try:
            while True:
                session.expression("builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 5000)", "/")
        except Interrupted as stop:
            stopped.append(stop.reason)

    thread = evaluation_thread(work)
    for number in range(20):
        thread.join(0.001)
        ticks.append(number)
    COUNTERS.poll = interrupt
    thread.join()
    assert stopped == ["now"]
    assert len(ticks) == 20
