"""What is offered where. `cases/completion.txt` says how its lines are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from evaluator.service.protocol import Member
from evaluator.syntax import expected
from lsp.ide import rank
from lsp.ide.completion import completion

if TYPE_CHECKING:
    from tests.ide.conftest import Case, CaseOf


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Which keywords fit is known from the start."""
    expected.grammar()


async def test_case(case: Case) -> None:
    found = await completion(case.snapshot, case.offset)
    if case.expected == [("none", "")]:
        assert found is None
        return
    assert found is not None
    labels = [item.label for item in found.items]
    for word, rest in case.expected:
        if word == "only":
            assert " ".join(labels) == rest
        elif word == "has":
            assert [name for name in rest.split() if name not in labels] == []
        elif word == "lacks":
            assert [name for name in rest.split() if name in labels] == []
        elif word == "first":
            assert labels[0] == rest
        elif word == "replaces":
            assert case.snapshot.text[found.start : found.end] == json.loads(rest)
        elif word == "inserts":
            assert found.items[0].insert == rest
        elif word == "incomplete":
            assert found.incomplete
        elif word == "complete":
            assert not found.incomplete
        else:
            raise AssertionError(f"what is {word}?")


async def test_a_long_list_is_cut_and_says_so(case_of: CaseOf) -> None:
    case = case_of("{ pkgs }: pkgs.p$0")
    case.values.sets["pkgs"] = tuple(Member(f"p{number}") for number in range(5_000))
    found = await completion(case.snapshot, case.offset)
    assert found is not None
    assert len(found.items) == rank.AT_MOST
    assert found.incomplete
    assert found.items[0].label == "p0"


async def test_every_offset_of_every_broken_text_gets_an_answer(case_of: CaseOf) -> None:
    text = "{ lib, x ? 1, ... }@args: let inherit (lib) a; b.c = ''${a}''; in with b; { d = [ ./x <y> a.b or 1 ]; }"
    for end in range(len(text) + 1):
        case = case_of(text[:end] + "$0")
        for offset in range(max(0, end - 3), end + 1):
            await completion(case.snapshot, offset)


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("{ a = if b $0", {"then", "let", "rec"}),
        ("{ a = if b then c $0", {"else", "let", "rec"}),
        ("{ a = $0", {"let", "if", "with", "rec", "assert"}),
        ("[ a $0", {"let", "rec"}),
    ],
)
async def test_keywords_are_those_that_fit(case_of: CaseOf, text: str, fitting: set[str]) -> None:
    case = case_of(text)
    found = await completion(case.snapshot, case.offset)
    assert found is not None
    assert {item.label for item in found.items if item.kind == "keyword"} == fitting


async def test_all_keywords_while_the_grammar_is_loading(case_of: CaseOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expected, "is_ready", lambda: False)
    monkeypatch.setattr(expected, "prepare", lambda: None)
    case = case_of("[ a $0")
    found = await completion(case.snapshot, case.offset)
    assert found is not None
    assert {"let", "if", "then", "else", "in"} <= {item.label for item in found.items if item.kind == "keyword"}
