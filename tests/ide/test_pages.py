"""docs/diagnostics: a page for each code of the table, whose example is one of it and whose repair repairs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR, Problem
from lsp.ide.diagnostics import CODES, GROUPS, diagnostics

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "docs" / "diagnostics"


def problems_of(text: str) -> list[Problem]:
    return diagnostics(parse(text))


class Page:
    """The parts of a page that can be checked."""

    def __init__(self, code: str) -> None:
        self.text = (FOLDER / f"{code}.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```nix\n(.*?)\n```$", self.text, re.MULTILINE | re.DOTALL)
        self.example, self.repaired = [written_out(block) for block in blocks]
        self.message = re.findall(r"^> (.*)$", self.text, re.MULTILINE)[0]
        self.offers = re.findall(r"^An editor offers: \*(.*)\*\.$", self.text, re.MULTILINE)


def written_out(block: str) -> str:
    """A text with what Markdown cannot show: ␀ for NUL, … for many brackets."""
    return block.replace("␀", "\0").replace("[…]", "[" * 3000 + "]" * 3000)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} - {"README"} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_page_says_what_the_table_says(code: str) -> None:
    row = CODES[code]
    lines = Page(code).text.split("\n")
    assert lines[0] == f"# {code}"
    assert lines[2] == f"{row.severity.capitalize()}. {row.summary}"


@pytest.mark.parametrize("code", CODES)
def test_the_example_is_one(code: str) -> None:
    page = Page(code)
    found = [problem for problem in problems_of(page.example) if problem.code == code]
    assert found
    assert found[0].message == page.message
    assert found[0].severity == CODES[code].severity
    assert page.offers == ([found[0].fix.title] if found[0].fix is not None else [])


@pytest.mark.parametrize("code", CODES)
def test_the_fix_removes_it(code: str) -> None:
    text = Page(code).example
    edits = [e for p in problems_of(text) if p.code == code and p.fix is not None for e in p.fix.edits]
    if edits:
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        assert not [problem for problem in problems_of(text) if problem.code == code]


@pytest.mark.parametrize("code", CODES)
def test_the_repair_repairs_it(code: str) -> None:
    assert problems_of(Page(code).repaired) == []


def test_the_index_lists_all() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [(code, f"{code}.md", row.severity, row.summary) for code, row in CODES.items()]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(GROUPS)


def test_errors_are_what_nix_rejects() -> None:
    """A code that is no error leaves a text that Nix accepts."""
    for code, row in CODES.items():
        assert (row.severity == ERROR) == any(p.severity == ERROR for p in problems_of(Page(code).example)), code
