"""What may come next: the same answer from the short text before a place as from the whole text before it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from evaluator.syntax.expected import expected_at, follow, grammar, is_ready, prepare, terminals
from evaluator.syntax.explain import explained
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR
from evaluator.syntax.tokens import IND_CLOSE, KEYWORDS, PATH_CLOSE, PATH_OPEN, STR_CLOSE, TEXT
from tests.syntax.case_files import cases_in

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = [path for path in sorted((ROOT / "examples").rglob("*.nix")) if path.stat().st_size < 1200]

EXPRESSION = ["assert", "if", "let", "rec", "with"]


def at_cursor(marked: str) -> tuple[str, int]:
    offset = marked.index("$0")
    return marked[:offset] + marked[offset + 2 :], offset


@pytest.mark.parametrize(
    ("marked", "keywords"),
    [
        ("$0", EXPRESSION),
        ("wi$0", EXPRESSION),
        ("{ a = $0", EXPRESSION),
        ("{ a = $0; b = 1; }", EXPRESSION),
        ("x: $0", EXPRESSION),
        ("{ a, b ? 1, ... }: $0", EXPRESSION),
        ("let a = 1; in $0", EXPRESSION),
        ("with a; $0", EXPRESSION),
        ("if a then b else $0", EXPRESSION),
        ('"a ${$0}"', EXPRESSION),
        ("''\n  ${$0} ''", EXPRESSION),
        ("(a + ($0", EXPRESSION),
        ("{ a ? $0 }: a", EXPRESSION),
        ("[ $0 ]", ["let", "rec"]),
        ("[ a $0 ]", ["let", "or", "rec"]),
        ("a + $0", ["let", "rec"]),
        ("if a $0", ["let", "or", "rec", "then"]),
        ("if a th$0", ["let", "or", "rec", "then"]),
        ("{ x = if a then b $0; }", ["else", "let", "or", "rec"]),
        ("let a = 1; $0", ["in", "inherit", "or"]),
        ("let a = 1; i$0", ["in", "inherit", "or"]),
        ("let a = 1; inh$0 b = 2; in a", ["in", "inherit", "or"]),
        ("{ $0", ["inherit", "or"]),
        ("{ a = 1; $0 }", ["inherit", "or"]),
        ("rec { a = 1; $0 b = 2; }", ["inherit", "or"]),
        ("let { a = 1; $0 }", ["inherit", "or"]),
        ("a.$0", ["or"]),
        ("a.b $0", ["let", "or", "rec"]),
        ("{ a$0, b }: a", ["inherit", "or"]),
        ("{ a, $0 }: a", []),
        ("{ a = b.c or $0; }", ["let", "rec"]),
        ("# wi$0", []),
        ("/* $0 */ 1", []),
        ('"wi$0"', []),
        ("''wi$0''", []),
        ("rec $0", []),
        ("{ a = ); b = $0 }", EXPRESSION),
        ("{ a = ) $0; b = 1; }", []),
    ],
)
def test_keywords(marked: str, keywords: list[str]) -> None:
    text, offset = at_cursor(marked)
    assert sorted(KEYWORDS.keys() & set(expected_at(parse(text), offset))) == keywords


def test_kinds_and_signs() -> None:
    text, offset = at_cursor("{ a, b }: { inherit $0")
    assert expected_at(parse(text), offset) == ["or", "(", "${", ";", "identifier", "string"]
    text, offset = at_cursor("{ a, b } $0")
    assert expected_at(parse(text), offset) == [":", "@"]
    text, offset = at_cursor("f x $0")
    assert expected_at(parse(text), offset)[-1] == "end of file"


def everywhere(text: str) -> int:
    """At every token of an accepted text: the answer is the one from all tokens before; how many were compared."""
    source = parse(text)
    if any(problem.severity == ERROR for problem in source.problems):
        return 0
    lexer = Lexer(text, 0, len(text), False)
    lexer.run()
    kinds = lexer.kinds
    compared = 0
    for index, kind in enumerate(kinds):
        if kind in (TEXT, STR_CLOSE, IND_CLOSE, PATH_CLOSE) or (index and kinds[index - 1] in (PATH_OPEN, TEXT)):
            continue  # inside a string
        before = Lexer(text, 0, len(text), False)
        before.kinds = [*kinds[:index], 0]
        before.starts = [*lexer.starts[:index], 0]
        before.ends = [*lexer.ends[:index], 0]
        found = follow(source, lexer.starts[index])
        if found is None:
            # At the "${" that a string begins with.
            assert text[: lexer.starts[index]].endswith(('"', "''", "}")), text[: lexer.starts[index]]
            continue
        assert found == grammar().follow(terminals(before, grammar())), text[: lexer.starts[index]]
        compared += 1
    return compared


def test_short_text_says_the_same_as_all_of_it() -> None:
    texts = [case.text for name in ("expressions", "strings", "newer", "printed") for case in cases_in(name)]
    texts += [path.read_text(encoding="utf-8") for path in SMALL]
    assert sum(everywhere(text) for text in texts) > 3000


def test_any_place_in_broken_text_has_an_answer() -> None:
    for case in cases_in("broken"):
        source = parse(case.text)
        for offset in range(len(case.text) + 1):
            expected_at(source, offset)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("{ a = 1 b = 2; }", ["expected `;` or an operator"]),
        ("{ inherit (x) y\n a = 1; }", ["expected `;` or an attribute name"]),
        ("with x y", ["expected `;` after `with` or an operator"]),
        ("if a b else c", ["expected `then` or an operator"]),
        ("{ a = if b then c; }", ["expected `else` or an operator"]),
        ("let a = 1; { inherit a; }", ["expected `in` or a binding"]),
        ("let a = 1;", ["expected `in` or a binding"]),
        ("(a", ["expected `)` or an operator"]),
        ("[ a", ["expected `]` or an item"]),
        ("{ a, b }", ["expected `:` or `@`"]),
        # Already good, or nothing to add in a few words.
        ("{ a = ; }", ["expected an expression, found `;`"]),
        ("[ 1, 2 ]", ["unexpected `,`: the items of a list stand side by side"]),
        ("{ a b }: a", ["expected `,`"]),
        ("{\n  a = 1;\n  }\n  b = 2;\n}", ["unexpected `}`"]),
        ("{ a = 1; a = 2; }", ["attribute `a` is already defined"]),
    ],
)
def test_messages_name_what_was_expected(text: str, messages: list[str]) -> None:
    source = parse(text)
    found = explained(source)
    assert [problem.message for problem in found] == messages
    for before, after in zip(source.problems, found, strict=True):
        assert (before.code, before.start, before.end, before.fix) == (after.code, after.start, after.end, after.fix)


def test_much_is_wrong() -> None:
    source = parse("{ a = 1 }\n" * 400)
    assert len(explained(source)) == len(source.problems) > 300


def test_loading_in_the_background() -> None:
    prepare()
    deadline = time.monotonic() + 60
    while not is_ready() and time.monotonic() < deadline:
        grammar()
    assert is_ready()
