"""Texts in order and broken ones, and the trees and problems they must give."""

from __future__ import annotations

import pytest

from evaluator.syntax.outline import outline
from evaluator.syntax.parser import parse
from evaluator.syntax.problems import Edit
from tests.syntax.case_files import Case, cases_in
from tests.syntax.checks import check_tree

# Those in "newer" are accepted since some version of Nix later than 2.8.
FILES = ["expressions", "strings", "broken", "newer"]


@pytest.mark.parametrize("name", FILES)
def test_there_are_cases(name: str) -> None:
    assert len(cases_in(name)) > (20 if name != "newer" else 3)


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{name}: {case.title}") for name in FILES for case in cases_in(name)],
)
def test_case(case: Case) -> None:
    source = parse(case.text)
    assert outline(case.text, source.root) == case.outline
    assert tuple(f"{p.code} {p.start}-{p.end}" for p in source.problems) == case.problems
    check_tree(source)


def test_carriage_return_ends_a_comment() -> None:
    assert outline("", parse("f # c\r x\r\n y\r").root) == "(apply (apply f x) y)"


def test_crlf_in_strings_as_nix_reads_it() -> None:
    text = '"a\r\nb\rc"'
    assert outline(text, parse(text).root) == r'"a\nb\nc"'
    text = "''a\r\nb''"
    assert outline(text, parse(text).root) == r'"a\r\nb"'


def test_nul_is_reported_outside_comments_only() -> None:
    assert not parse("# \0\n1").problems
    for text in ("\0 1", "1 \0", '"\0"', "''\0''", '"a\0${b}"'):
        assert "null-byte" in [p.code for p in parse(text).problems], text


def test_byte_order_mark_is_a_problem_with_a_tree() -> None:
    source = parse("\ufeff{ a = 1; }")
    assert [p.code for p in source.problems] == ["invalid-character"]
    assert outline(source.text, source.root) == "(set (bind a 1))"


def test_bytes_that_are_not_utf8_pass_through_strings() -> None:
    text = b'"\xff\xc3\xa9"'.decode("utf-8", "surrogateescape")
    source = parse(text)
    assert not source.problems
    assert outline(text, source.root) == r'"\udcff\xe9"'


def test_offsets_are_code_points() -> None:
    text = '{ a = "😀é"; b = c; }'
    source = parse(text)
    assert outline(text, source.root) == '(set (bind a "\\U0001f600\\xe9") (bind b c))'
    assert source.root.end == len(text)


def test_duplicate_names_the_first_place() -> None:
    (problem,) = parse("{ a = 1; a = 2; }").problems
    assert (problem.related_start, problem.related_end) == (2, 3)


def test_fixes_repair_the_text() -> None:
    for text, repaired in [
        ("{ a = 1 }", "{ a = 1; }"),
        ("[ x: x ]", "[ (x: x) ]"),
        ("[ -1 ]", "[ (-1) ]"),
        ("{ a b }: a", "{ a, b }: a"),
        ("a.in", 'a."in"'),
        ("{ a: 1; }", "{ a = 1; }"),
        ("(a", "(a)"),
        ("[ 1, 2 ]", "[ 1 2 ]"),
        ("[1,2]", "[1 2]"),
        ("[ a; b ]", "[ a b ]"),
        ("{ a = 1;; b = 2; }", "{ a = 1; b = 2; }"),
        ("{ inherit a, b; }", "{ inherit a b; }"),
        ("{ a, ..., }: a", "{ a, ... }: a"),
        ("{ a,, b }: a", "{ a, b }: a"),
        ("{\n a = 1;\n }\n b = 2;\n}", "{\n a = 1;\n \n b = 2;\n}"),
        ("a = 1; b = 2;", "{ a = 1; b = 2; }"),
        ("# c\na = 1;\nb = 2;\n", "# c\n{\na = 1;\nb = 2;\n}\n"),
        ("[ ./a/ ./b/${c}/ ]", "[ ./a ./b/${c} ]"),
        ("\ufefff\u00a0x", "f x"),
        ("f “a”", 'f "a"'),
        ('"a\0b"\0', '"ab"'),
    ]:
        edits: list[Edit] = []
        for problem in parse(text).problems:
            assert problem.fix is not None, (text, problem)
            edits += problem.fix.edits
        for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        assert text == repaired
        assert not parse(text).problems
