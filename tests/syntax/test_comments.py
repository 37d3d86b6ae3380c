"""Which comment documents what."""

from __future__ import annotations

import pytest

from evaluator.syntax.comments import BLOCK, DOC, LINES, comment_at, comment_before
from evaluator.syntax.parser import parse


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("{ /** Doc. */ x = 1; }", DOC, "Doc."),
        ("{\n  /**\n    One.\n\n      code\n  */\n  x = 1; }", DOC, "One.\n\n  code"),
        ("{\n  /**\n    Doc.\n  */\n\n  x = 1; }", DOC, "Doc."),
        ("{\n  /* Old. */\n  x = 1; }", BLOCK, "Old."),
        ("{\n  /*\n   * Boxed\n   * twice\n   */\n  x = 1; }", BLOCK, "Boxed\ntwice"),
        ("{\n  # One\n  # two\n  x = 1; }", LINES, "One\ntwo"),
        ("{\n  y = 1; # of y\n  # of x\n  x = 1; }", LINES, "of x"),
        ("{\n  # far\n\n  # near\n  x = 1; }", LINES, "near"),
    ],
)
def test_documenting(text: str, kind: str, words: str) -> None:
    comment = comment_before(parse(text), text.index("x = 1"))
    assert comment is not None
    assert (comment.kind, comment.text) == (kind, words)


@pytest.mark.parametrize(
    "text",
    [
        "{ x = 1; }",
        "{\n  y = 1; # of y\n  x = 1; }",
        "{\n  # far\n\n  x = 1; }",
        "{\n  /* far */\n\n  x = 1; }",
        "{ /** of y */ y = 1; x = 1; }",
        "{ /**/ x = 1; }",
    ],
)
def test_not_documenting(text: str) -> None:
    comment = comment_before(parse(text), text.index("x = 1"))
    assert comment is None or comment.text == ""


def test_comments_are_found_by_offset() -> None:
    source = parse("a # one\n/* two */ b")
    assert source.comments == [(2, 7), (8, 17)]
    assert comment_at(source, 4) == (2, 7)
    assert comment_at(source, 7) == (2, 7)
    assert comment_at(source, 17) is None
    assert comment_at(source, 0) is None


def test_marks_in_strings_are_no_comments() -> None:
    assert parse("\"# a /* b */\" + ''# c''").comments == []
