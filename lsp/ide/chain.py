"""The way from the root of a tree to what stands at an offset."""

from __future__ import annotations

from collections.abc import Iterator

from evaluator.names import Link
from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrBinding,
    AttrPath,
    AttrSet,
    Binary,
    Formal,
    Formals,
    HasAttr,
    If,
    Inherit,
    Interpolation,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Node,
    Paren,
    Path,
    Select,
    Source,
    Str,
    Unary,
    With,
)


def chain_at(source: Source, offset: int) -> list[Link]:
    """From the root to the innermost node that holds ``offset`` or, where none does, ends there.

    Of two neighbours the one that begins at the offset wins. So a cursor behind the last character typed is inside
    what it typed.
    """
    chain = [Link(source.root, 0)]
    while (best := _child(chain[-1], offset, touching=True)) is not None:
        chain.append(best)
    return chain


def chain_over(source: Source, offset: int) -> list[Link]:
    """From the root to the innermost node that the character at ``offset`` is part of."""
    chain = [Link(source.root, 0)]
    while (best := _child(chain[-1], offset, touching=False)) is not None:
        chain.append(best)
    return chain


def _child(link: Link, offset: int, *, touching: bool) -> Link | None:
    base = link.inner
    best: Node | None = None
    for child in children(link.node):
        start, end = base + child.start, base + child.end
        if start <= offset < end:
            return Link(child, base)
        if touching and offset == end:
            best = child
    return Link(best, base) if best is not None else None


def children(node: Node) -> Iterator[Node]:
    """The parts of a node, in the order of the text."""
    if isinstance(node, AttrBinding):
        yield node.path
        yield node.value
    elif isinstance(node, Inherit):
        if node.source is not None:
            yield node.source
        yield from node.names
    elif isinstance(node, AttrPath):
        yield from node.steps
    elif isinstance(node, Str | Path):
        yield from node.parts
    elif isinstance(node, AttrSet | LegacyLet):
        yield from node.bindings
    elif isinstance(node, Let):
        yield from node.bindings
        yield node.body
    elif isinstance(node, Lambda):
        yield from sorted((part for part in (node.name, node.formals) if part is not None), key=_start)
        yield node.body
    elif isinstance(node, Formals):
        yield from node.formals
    elif isinstance(node, Formal):
        yield node.name
        if node.default is not None:
            yield node.default
    elif isinstance(node, Apply):
        yield node.function
        yield node.argument
    elif isinstance(node, Select):
        yield node.subject
        yield node.path
        if node.default is not None:
            yield node.default
    elif isinstance(node, HasAttr):
        yield node.subject
        yield node.path
    elif isinstance(node, ListExpr):
        yield from node.items
    elif isinstance(node, With):
        yield node.namespace
        yield node.body
    elif isinstance(node, Assert):
        yield node.condition
        yield node.body
    elif isinstance(node, If):
        yield node.condition
        yield node.yes
        yield node.no
    elif isinstance(node, Unary):
        yield node.operand
    elif isinstance(node, Binary):
        yield node.left
        yield node.right
    elif isinstance(node, Paren):
        yield node.inner
    elif isinstance(node, Interpolation):
        yield node.expr


def _start(node: Node) -> int:
    return node.start
