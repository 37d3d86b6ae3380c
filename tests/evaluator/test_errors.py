"""Errors: every case of ``cases/errors`` gives its message at its place, with its trace and what was meant."""

from __future__ import annotations

import pytest

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import ALWAYS, DETAIL, KEPT, EvalError, ThrownError
from evaluator.runtime.report import report
from evaluator.runtime.source import Place, SourceFile
from tests.evaluator.case_files import Case, cases_under
from tests.evaluator.evaluating import evaluate, nix_error, shown

CASES = cases_under("errors")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/homeless")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    answer = evaluate(case.expression, case.directory)
    assert answer.value is None
    assert answer.message == case.message
    assert ":".join(filter(None, (answer.file, answer.place))) == case.place
    assert answer.frames == case.frames
    assert answer.meant == case.meant


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 200
    assert all(case.message and case.place is not None for case in CASES)


def failure(expression: str, directory: str = "/") -> EvalError:
    """The error that evaluating gives."""
    with pytest.raises(EvalError) as caught:
        deep_force(open_session(Files()).expression(expression, directory))
    return caught.value


@pytest.mark.parametrize("before", [0, 10, 279, 280, 300, 1000, 9000])
@pytest.mark.parametrize("after", [0, 15, 400, 9000])
def test_a_caret_stands_under_its_column_in_a_long_line(before: int, after: int) -> None:
    text = f"[ {'1 ' * (before // 2)} (1 + wrong) {'2 ' * (after // 2)} ]"
    first, caret = report(failure(f"builtins.deepSeq {text} 1")).split("\n")[2:4]
    assert first[caret.index("^") :].startswith("wrong")
    assert len(first) < 330


def test_report_without_a_trace() -> None:
    assert report(failure("1 +\n  nothing\n")).split("\n") == [
        "error: undefined variable 'nothing'",
        "       at «string»:2:3:",
        "            1| 1 +",
        "            2|   nothing",
        "             |   ^",
        "            3|",
    ]


def test_report_with_what_was_meant() -> None:
    assert report(failure("{ name = 1; nane = 2; }.nmae")).split("\n") == [
        "error:",
        "       … while evaluating the attribute 'nmae'",
        "         at «string»:1:1:",
        "            1| { name = 1; nane = 2; }.nmae",
        "             | ^",
        "",
        "       error: attribute 'nmae' missing",
        "       Did you mean one of name or nane?",
    ]


CALLS = 'let f = n: if n == 0 then throw "bottom" else f (n - 1); in f 2'


def test_calls_of_functions_are_shown_when_asked_for_only() -> None:
    error = failure(CALLS)
    assert "while calling 'f'" not in report(error)
    assert "stack trace truncated" not in report(error)
    full = report(error, trace=True)
    assert full.count("… while calling 'f'\n         at «string»:1:9:") == 3
    assert full.count("… from call site") == 3


def test_trace_is_cut_unless_asked_for() -> None:
    error = failure('{ a = { b = { c = { d = throw "far"; }; }; }; }')
    cut = report(error).split("\n")
    assert sum(line.startswith("       … ") for line in cut) == 2
    assert cut[-3:] == [
        "       (stack trace truncated; use '--show-trace' to show the full, detailed trace)",
        "",
        "       error: far",
    ]
    assert sum(line.startswith("       … ") for line in report(error, trace=True).split("\n")) == 5


def test_what_is_said_on_purpose_is_never_cut() -> None:
    countdown = (
        'down = n: if n == 0 then throw "start" else builtins.addErrorContext "at ${toString n}" (down (n - 1));'
    )
    error = failure(f"let {countdown} in down 9")
    assert [line for line in report(error).split("\n") if line.startswith("       … at ")] == [
        f"       … at {n}" for n in range(9, 0, -1)
    ]


def test_repeated_frames_are_counted() -> None:
    error = failure(CALLS.replace("f 2", "f 30"))
    assert "(59 duplicate frames omitted)" in report(error, trace=True)


def test_frames_beyond_what_is_kept_are_counted() -> None:
    error = ThrownError("deep")
    place = Place(SourceFile("«string»", "x"), 0, 1)
    error.note("innermost", place)
    for _ in range(5 * KEPT):
        error.note("again", place, DETAIL)
    error.note("outermost", place, ALWAYS)
    assert len(error.trace()) <= 3 * KEPT
    assert len(error.trace()) + error.dropped == 5 * KEPT + 2
    full = report(error, trace=True)
    assert full.index("outermost") < full.index("again") < full.index("duplicate") < full.index("innermost")
    counted = [int(word.strip("(")) for word in full.split() if word.startswith("(") and word[1:].isdigit()]
    assert sum(counted) == 5 * KEPT - 1


def test_derivations_on_the_way_are_always_named() -> None:
    error = failure(
        """
        let
          make = n: derivation {
            name = "d${toString n}"; system = "s"; builder = "b";
            input = if n == 0 then throw "no source" else (make (n - 1)).outPath;
          };
        in
        (make 4).outPath
        """
    )
    named = [line for line in report(error).split("\n") if "while evaluating derivation" in line]
    assert named == [f"       … while evaluating derivation 'd{n}'" for n in range(4, -1, -1)]


def test_same_error_whoever_asks_first() -> None:
    first = failure('let a = 1 + "x"; in [ a a ]')
    second = failure('let a = 1 + "x"; in [ 1 a ]')
    assert first.message == second.message
    assert shown(first.where() or pytest.fail()) == shown(second.where() or pytest.fail())


def test_every_error_of_the_cases_has_a_place() -> None:
    """What the editor underlines: the nearest place, in all but the errors that have no text behind them."""
    without = [case.name for case in CASES if case.place == "-"]
    assert len(without) <= 2


def test_names_that_nothing_binds_are_worded_and_placed_as_ever(nix_instantiate: str) -> None:
    for case in cases_under("errors"):
        if case.file.endswith("/names"):
            found = nix_error(nix_instantiate, case.expression, case.directory)
            assert found.message == case.message, case.name
            # Nix 2.8 has no places of their own for inherited names.
            assert "inherit" in case.expression or found.place == case.place, case.name


@pytest.mark.parametrize(
    "call", ["builtins.elemAt ({0}) ({0})", "builtins.add ({0}) ({0})", "builtins.substring ({0}) 1 ({0})"]
)
def test_no_argument_is_evaluated_after_one_that_failed(call: str) -> None:
    """What recurs in two arguments would else be tried twice with every step of depth."""
    again = call.replace("{0}", "f (n - 1)")
    error = failure(f'let f = n: if n == 0 then throw "end" else {again}; in f 60')
    assert error.message == "end"


def test_no_name_is_computed_again_for_the_trace() -> None:
    error = failure('let f = n: if n == 0 then throw "end" else { }.${f (n - 1)}; in f 60')
    assert error.message == "end"
    assert "while evaluating the attribute '\"${f (n - 1)}\"'" in report(error, trace=True)


def test_what_differs_far_down_is_not_looked_for() -> None:
    nested = "builtins.foldl' (a: n: [ a ]) {0} (builtins.genList (n: n) 150)"
    error = failure(f"assert {nested.replace('{0}', '1')} == {nested.replace('{0}', '2')}; 1")
    assert error.message == "values nested more than 100 levels deep are not equal"
