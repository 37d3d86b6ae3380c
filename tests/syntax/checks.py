"""What every tree must satisfy, however broken the text is."""

from __future__ import annotations

from evaluator.syntax.cursor import child_base, children, walk
from evaluator.syntax.tree import Source


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
