"""Whatever the text is: a tree and no exception."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.syntax.cursor import path_at, walk
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.parser import parse
from evaluator.syntax.reader import MAX_DEPTH, NESTING
from evaluator.syntax.tokens import EOF
from evaluator.syntax.tree import AttrBinding
from tests.syntax.checks import check_tree
from tests.syntax.locality import PIECES

texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@given(texts)
@settings(max_examples=400, deadline=None)
def test_any_pieces_give_a_tree(text: str) -> None:
    source = parse(text)
    check_tree(source)
    for offset in range(0, len(text) + 1, 3):
        cursor = path_at(source, offset)
        assert cursor.places[0].node is source.root
        for place in cursor.places[1:]:
            assert place.start <= offset <= place.end


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_tree(text: str) -> None:
    check_tree(parse(text))


@pytest.mark.parametrize(
    "unit",
    ["(", "[", "{a=", "x:", "x: ", "let a=1; in ", "let a=", "-", "!", "a ++ ", "a + ", "f ", '"${', "''${", "a.b or ",
     "with a; ", "if a then b else ", "if ", "{ inherit (", "{a?", "{${", "a |> ", "a <| ", "rec{", "./a${", "([{a=",
     "{ { ", "let{a=", "{a ", "{a,", "a ? b ? ", "a or ", "assert ", "/*", "a=", "a.", "a_.", "1.", "-1",
     "[ a;", "}", ")",
     ";", '"', "''", "{a=1;}", "a@", "a:b ", "\"\n", "''\n", 'x = "${', "${", "let "],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["", "/a:b"])
def test_deep_nesting_is_an_error_not_a_crash(unit: str, ending: str) -> None:
    source = parse(unit * 6_000 + ending)
    height = 0
    for _ in walk(source.root):
        height += 1
    assert height > 0
    check_tree(source)


def test_nesting_up_to_the_limit_is_fine() -> None:
    levels = MAX_DEPTH // NESTING - 2
    assert levels > 500
    assert not parse("(" * levels + "1" + ")" * levels).problems
    assert not parse("1" + " + 1" * (MAX_DEPTH - 10)).problems


def test_a_fault_keeps_the_bindings_beside_it() -> None:
    lines = [f"  name{i} = callPackage ./{i} {{ inherit a; }};\n" for i in range(300)]
    faults = ["  x = ;\n", "  x = lib.\n", "  x = {\n", "  x = [ a\n", "  x = (f\n", '  x = "a;\n',
        "  x = ''\n   a\n", "  x\n",
              "  x = if a\n", "  inherit (\n", "  x = let a = 1;\n", "  }\n", "  )\n", "  ]\n",
              "  x = y: {a,\n", "  /* b\n",
              "  x = a: \n", "  x = 1 +\n", "  ${\n", "  x = { a = {\n", "  =\n", "  in\n",
              "  then\n"]  # fmt: skip
    for fault in faults:
        text = "{ a }:\n{\n" + "".join(lines[:150]) + fault + "".join(lines[150:]) + "}\n"
        source = parse(text)
        assert source.problems, fault
        names = set()
        for node, _ in walk(source.root):
            if isinstance(node, AttrBinding):
                names.add(getattr(node.path.steps[0], "name", None))
        kept = sum(1 for i in range(300) if f"name{i}" in names)
        assert kept >= 299, (fault, kept)
        assert len(source.problems) <= 5, (fault, source.problems)


def test_the_last_token_is_the_end() -> None:
    lexer = Lexer("a b", 0, 3, False)
    lexer.run()
    assert lexer.kinds[-1] == EOF
    assert (lexer.starts[-1], lexer.ends[-1]) == (3, 3)
