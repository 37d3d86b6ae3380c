"""Who binds what. `cases/names.txt` says how its lines are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator import names
from evaluator.syntax.cursor import path_at
from evaluator.syntax.positions import LineIndex
from evaluator.syntax.tree import Var, With

if TYPE_CHECKING:
    from tests.ide.conftest import Case, CaseOf


def test_case(case: Case) -> None:
    text = case.snapshot.text
    chain = path_at(case.snapshot.source, case.offset).places
    inside = names.scopes(chain, text)
    lines = LineIndex(text, "utf-32")
    for word, rest in case.expected:
        if word == "sees":
            assert " ".join(sorted(names.visible(inside))) == rest
    expected = [" ".join(pair).strip() for pair in case.expected if pair[0] != "sees"]
    if not expected:
        return
    node = chain[-1].node
    assert isinstance(node, Var)
    found = names.resolve(node.name, inside)
    if found.kind == names.BOUND:
        places = [lines.position(bound.start) for bound in found.bounds]
        said = [
            f"bound {bound.kind} {line + 1}:{column + 1}"
            for bound, (line, column) in zip(found.bounds, places, strict=True)
        ]
        assert said == expected
    elif found.kind == names.WITH:
        namespaces = []
        for place in found.withs:
            assert isinstance(place.node, With)
            start, end = place.node.namespace.start, place.node.namespace.end
            namespaces.append(text[place.base + start : place.base + end])
        assert [f"with {' '.join(namespaces)}"] == expected
    else:
        assert [found.kind] == expected


def test_what_a_place_binds(case_of: CaseOf) -> None:
    """On the binding itself: all the places that bind the same name there."""
    for marked, count in [
        ("let a$0.b = 1; a.c = 2; in a", 2),
        ("let a.b$0 = 1; in a", 0),
        ("{ a$0 }: a", 1),
        ("x$0: x", 1),
        ("{ a } @ x$0: x", 1),
        ("let inherit (s) a$0; in a", 1),
        ("rec { a$0 = 1; }", 1),
        ("{ a$0 = 1; }", 0),
    ]:
        case = case_of(marked)
        chain = path_at(case.snapshot.source, case.offset).places
        assert len(names.bound_at(chain, case.snapshot.text)) == count, marked


def test_the_value_of_a_binding(case_of: CaseOf) -> None:
    for marked, value in [
        ("let a = 1 + 1; in a$0", "1 + 1"),
        ("{ a ? 3 }: a$0", "3"),
        ("{ a }: a$0", None),
        ("let a.b = 1; in a$0", None),
        ("let inherit (x) a; in a$0", None),
    ]:
        case = case_of(marked)
        chain = path_at(case.snapshot.source, case.offset).places
        (bound,) = names.resolve("a", names.scopes(chain, case.snapshot.text)).bounds
        found = names.value_of(bound)
        text = None if found is None else case.snapshot.text[found[1] + found[0].start : found[1] + found[0].end]
        assert text == value, marked
