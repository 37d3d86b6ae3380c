"""Names that nothing binds: Nix refuses a file for them before it evaluates anything.

Builtins count as bound, and so does everything inside a ``with``, which may have any name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from evaluator.names import UNDEFINED, Scope, resolve, static_name
from evaluator.syntax.cursor import Place, child_base, children
from evaluator.syntax.tree import AttrSet, Inherit, Lambda, LegacyLet, Let, Node, Source, Var, With

# Not a variable: Nix reads it as a position.
_POSITION: Final = "__curPos"


@final
class Use:
    """A name that is used at ``[start, end)`` (absolute code points)."""

    def __init__(self, name: str, start: int, end: int) -> None:
        self.name: Final = name
        self.start: Final = start
        self.end: Final = end


def undefined_names(source: Source) -> Iterator[Use]:
    """Every use of a name that nothing binds, in the order of the text."""
    text = source.text
    stack: list[tuple[Node, int, tuple[Scope, ...]]] = [(source.root, 0, ())]
    while stack:
        node, base, outer = stack.pop()
        if isinstance(node, Var):
            if node.name != _POSITION and resolve(node.name, outer).kind == UNDEFINED:
                yield Use(node.name, base + node.start, base + node.end)
            continue
        at = child_base(node, base)
        if isinstance(node, Inherit) and node.source is None:
            for step in node.names:
                name = static_name(step, at, text)
                if name is not None and resolve(name, outer).kind == UNDEFINED:
                    yield Use(name, at + step.start, at + step.end)
            continue
        inner = outer
        recursive = isinstance(node, Let) or isinstance(node, LegacyLet)
        if isinstance(node, AttrSet):
            recursive = node.recursive
        if recursive or isinstance(node, Lambda) or isinstance(node, With):
            inner = (Scope(Place(node, base), text), *outer)
        below = children(node)
        for index in range(len(below) - 1, -1, -1):
            child = below[index]
            # `with e;` does not see itself, and `inherit x;` takes x from outside.
            outside = (isinstance(node, With) and child is node.namespace) or (
                isinstance(child, Inherit) and child.source is None
            )
            stack.append((child, at, outer if outside else inner))
