"""What every tree must satisfy, however broken the text is."""

from __future__ import annotations

from collections.abc import Sequence

from evaluator.syntax.cursor import child_base, children, walk
from evaluator.syntax.tree import Node, Source


def check_tree(source: Source) -> None:
    """Children lie in order inside their parents, and everything lies inside the text."""
    size = len(source.text)
    for node, base in walk(source.root):
        start, end = base + node.start, base + node.end
        assert 0 <= start <= end <= size, node
        inner = child_base(node, base)
        reached = start
        for child in children(node):
            assert inner + child.start >= reached, (node, child)
            assert inner + child.end <= end, (node, child)
            reached = inner + child.end
    for problem in source.problems:
        assert 0 <= problem.start <= problem.end <= size, problem
    assert [p.start for p in source.problems] == sorted(p.start for p in source.problems)
    reached = 0
    for start, end in source.comments:
        assert reached <= start < end <= size
        reached = end


_FACTS = ("name", "value", "text", "op", "op_start", "recursive", "indented", "ellipsis", "height")


def difference(left: Source, right: Source) -> str:
    """In what two readings of one text differ, positions included; empty when in nothing."""
    if left.text != right.text:
        return "texts"
    stack: list[tuple[Node, Node, int]] = [(left.root, right.root, 0)]
    while stack:
        one, other, base = stack.pop()
        where = f"{type(one).__name__}[{base + one.start}:{base + one.end}]"
        if type(one) is not type(other) or (one.start, one.end) != (other.start, other.end):
            return f"{where} != {type(other).__name__}[{base + other.start}:{base + other.end}]"
        for fact in _FACTS:
            mine, theirs = getattr(one, fact, None), getattr(other, fact, None)
            if not isinstance(mine, Node) and (mine != theirs or type(mine) is not type(theirs)):
                return f"{where}: {fact} {mine!r} != {theirs!r}"
        below, others = children(one), children(other)
        if len(below) != len(others):
            return f"{where}: {len(below)} children != {len(others)}"
        inner = child_base(one, base)
        stack.extend((a, b, inner) for a, b in zip(below, others, strict=True))
    if left.problems != right.problems:
        return f"problems: {_first_difference(left.problems, right.problems)}"
    if left.comments != right.comments:
        return f"comments: {_first_difference(left.comments, right.comments)}"
    return ""


def _first_difference(left: Sequence[object], right: Sequence[object]) -> str:
    at = next((i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), -1)
    if at < 0:
        at = min(len(left), len(right))
    return f"{at}: {left[at : at + 2]} != {right[at : at + 2]}"
