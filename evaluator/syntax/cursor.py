"""Finding one's way in a tree: children, walking, and the nodes around an offset.

The tree's offsets are relative to the enclosing binding; everything here answers
absolute ones (code points).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrBinding,
    AttrPath,
    AttrSet,
    Binary,
    Binding,
    Broken,
    Expr,
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
    Missing,
    Node,
    Paren,
    Path,
    Select,
    Source,
    Str,
    Unary,
    With,
)


class Place:
    """A node with its absolute range ``[start, end)``; ``base`` is what the node's own offsets are relative to."""

    def __init__(self, node: Node, base: int) -> None:
        self.node: Final = node
        self.base: Final = base

    @property
    def start(self) -> int:
        """Where the node starts (absolute code point)."""
        return self.base + self.node.start

    @property
    def end(self) -> int:
        """Where the node ends (absolute code point)."""
        return self.base + self.node.end

    def __repr__(self) -> str:
        return f"{type(self.node).__name__}[{self.start}:{self.end}]"


class Cursor:
    """The nodes around ``offset``, from the root inwards; ``places`` is never empty."""

    def __init__(self, source: Source, offset: int, places: list[Place]) -> None:
        self.source: Final = source
        self.offset: Final = offset
        self.places: Final = places

    @property
    def innermost(self) -> Place:
        """The smallest node at the offset."""
        return self.places[-1]

    def parent(self, levels: int = 1) -> Place | None:
        """The node ``levels`` above the innermost one, or None when that is above the root."""
        index = len(self.places) - 1 - levels
        return self.places[index] if index >= 0 else None

    def __repr__(self) -> str:
        return " > ".join([repr(place) for place in self.places])


def child_base(node: Node, base: int) -> int:
    """What the offsets of the children of ``node`` are relative to; ``base`` is that of the node itself."""
    if isinstance(node, Binding):
        return base + node.start
    return base


def children(node: Node) -> list[Node]:
    """The direct children in the order of the text."""
    result: list[Node] = []
    if isinstance(node, AttrBinding):
        result = [node.path, node.value]
    elif isinstance(node, AttrPath):
        result = node.steps
    elif isinstance(node, Apply):
        result = [node.function, node.argument]
    elif isinstance(node, Select):
        result = [node.subject, node.path]
        if node.default is not None:
            result.append(node.default)
    elif isinstance(node, (Str, Path)):
        result = node.parts
    elif isinstance(node, (AttrSet, LegacyLet)):
        result.extend(node.bindings)
    elif isinstance(node, ListExpr):
        result.extend(node.items)
    elif isinstance(node, Interpolation):
        result = [node.expr]
    elif isinstance(node, Paren):
        result = [node.inner]
    elif isinstance(node, Binary):
        result = [node.left, node.right]
    elif isinstance(node, Inherit):
        if node.source is not None:
            result.append(node.source)
        result.extend(node.names)
    elif isinstance(node, Let):
        result.extend(node.bindings)
        result.append(node.body)
    elif isinstance(node, Lambda):
        name = node.name
        formals = node.formals
        if name is not None and (formals is None or name.start < formals.start):
            result.append(name)
        if formals is not None:
            result.append(formals)
            if name is not None and name.start > formals.start:
                result.append(name)
        result.append(node.body)
    elif isinstance(node, Formals):
        result.extend(node.formals)
    elif isinstance(node, Formal):
        result.append(node.name)
        if node.default is not None:
            result.append(node.default)
    elif isinstance(node, With):
        result = [node.namespace, node.body]
    elif isinstance(node, If):
        result = [node.condition, node.yes, node.no]
    elif isinstance(node, Assert):
        result = [node.condition, node.body]
    elif isinstance(node, HasAttr):
        result = [node.subject, node.path]
    elif isinstance(node, Unary):
        result = [node.operand]
    elif isinstance(node, Broken):
        result.extend(node.parts)
    return result


def walk(root: Node, base: int = 0) -> Iterator[tuple[Node, int]]:
    """Every node below and including ``root`` with its base, parents first, in the order of the text."""
    stack: list[tuple[Node, int]] = [(root, base)]
    while stack:
        node, at = stack.pop()
        yield node, at
        below = children(node)
        if below:
            inner = child_base(node, at)
            for index in range(len(below) - 1, -1, -1):
                stack.append((below[index], inner))


def path_at(source: Source, offset: int) -> Cursor:
    """The chain of nodes around an absolute offset; the root is always in it.

    A node counts when the offset is inside it or at its end, so that ``foo|`` is on
    ``foo``. Where two touch, the one that starts there wins, unless only the
    one that ends there is a word.
    """
    places = [Place(source.root, 0)]
    node: Node = source.root
    base = 0
    while True:
        base = child_base(node, base)
        found = _child_at(source.text, children(node), base, offset)
        if found is None:
            return Cursor(source, offset, places)
        places.append(Place(found, base))
        node = found


def _child_at(text: str, nodes: list[Node], base: int, offset: int) -> Node | None:
    """The child around or beside the offset, by binary search: children are in order and do not overlap."""
    low = 0
    high = len(nodes)
    while low < high:
        middle = (low + high) // 2
        if base + nodes[middle].start <= offset:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    at = low - 1
    # A hole of no width after something unclosed: the cursor is still in that.
    while at > 0 and _is_empty_hole(nodes[at]) and base + nodes[at - 1].end == offset:
        at -= 1
    right = nodes[at]
    if base + right.start < offset:
        return right if offset <= base + right.end else None
    left: Node | None = nodes[at - 1] if at > 0 else None
    if left is not None and base + left.end == offset:
        if _is_word(text, offset - 1) and not _is_word(text, offset):
            return left
        if isinstance(left, Interpolation) and text[offset - 1] != "}":
            return left  # it has not been closed
    return right


def _is_empty_hole(node: Node) -> bool:
    return isinstance(node, Missing) and node.start == node.end


def _is_word(text: str, offset: int) -> bool:
    if offset < 0 or offset >= len(text):
        return False
    character = text[offset]
    return character.isalnum() or character in "_'-"


def expressions(root: Node, base: int = 0) -> Iterator[tuple[Expr, int]]:
    """The expressions among :func:`walk`."""
    for node, at in walk(root, base):
        if isinstance(node, Expr):
            yield node, at
