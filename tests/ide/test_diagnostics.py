"""What is wrong with a text, for the editor and the command line alike."""

from __future__ import annotations

import pytest

from evaluator.syntax import expected
from evaluator.syntax.parser import parse
from evaluator.syntax.problems import TABLE
from lsp.ide.diagnostics import CODES, GROUPS, UnknownCode, diagnostics, related_text, selected


def test_nothing_is_wrong() -> None:
    assert diagnostics(parse("{ a = 1; }")) == []


def test_messages_say_what_was_expected() -> None:
    (problem,) = diagnostics(parse("{ a = 1 }"))
    assert problem.message == "expected `;` or an operator"
    assert problem.fix is not None


def test_who_does_not_wait_gets_the_same_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "_loaded", [])
    source = parse("{ a = 1; b = 2 }")
    (problem,) = diagnostics(source, wait=False)
    assert (problem.code, problem.message) == ("missing-semicolon", "expected `;`")
    expected.grammar()
    (problem,) = diagnostics(source, wait=False)
    assert problem.message == "expected `;` or an operator"


def test_selection() -> None:
    assert selected([]) == set(CODES)
    assert selected(["syntax"]) == set(TABLE)
    assert selected(["missing-comma", "missing-name"]) == {"missing-comma", "missing-name"}
    assert selected(["missing-comma", "syntax"]) == set(TABLE)


@pytest.mark.parametrize(("name", "hint"), [("sintax", "syntax"), ("missing-coma", "missing-comma"), ("?", "groups:")])
def test_unknown_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownCode, match=hint):
        selected([name])


def test_groups_hold_codes() -> None:
    assert not set(GROUPS) & set(CODES)
    assert set().union(*GROUPS.values()) == set(CODES)


def test_the_second_place_is_named() -> None:
    for text in ["{ a = 1; a = 2; }", "{ a, a }: a", "(a"]:
        (problem,) = diagnostics(parse(text))
        assert problem.related_start >= 0
        assert related_text(problem.code) != related_text("")
