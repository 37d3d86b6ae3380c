"""Sets that are written out in the file: their attributes, found by following the text.

Names that the file binds, parentheses, ``let`` bodies and selects are seen through; nothing is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evaluator import names
from evaluator.names import Scope
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.tree import (
    AttrBinding,
    AttrSet,
    Expr,
    HasAttr,
    Inherit,
    Let,
    Node,
    Paren,
    Select,
    Var,
    With,
)
from lsp.ide.subject import Subject
from lsp.ide.types import FileRange, Snapshot

_DEPTH: Final = 20

_Value = tuple[Expr, int]


def selected(snapshot: Snapshot, subject: Subject) -> tuple[FileRange, _Value | None] | None:
    """Where the attribute that a select or ``inherit (…)`` asks for is written, and what it is given there.

    None when the set is not written out in this file.
    """
    holder, target = subject.holder, subject.target
    if target is None or holder is None:
        return None
    if isinstance(holder.node, Select | HasAttr):
        expr: Expr = holder.node.subject
        path = target.attrs
    elif isinstance(holder.node, Inherit) and holder.node.source is not None:
        expr, path = holder.node.source, (subject.label,)
    else:
        return None
    place, value = _follow(snapshot, expr, child_base(holder.node, holder.base), path, _DEPTH)
    return (place, value) if place is not None else None


def members(snapshot: Snapshot, expr: Expr, base: int, path: tuple[str, ...]) -> list[str]:
    """The names that are written out in the set which ``expr.path`` is; empty when the text does not tell."""
    _, value = _follow(snapshot, expr, base, path, _DEPTH)
    literal = _literal(snapshot, *value, _DEPTH) if value is not None else None
    if literal is None:
        return []
    node, inner = literal
    spelled: dict[str, None] = {}
    for binding in node.bindings:
        for step in [binding.path.steps[0]] if isinstance(binding, AttrBinding) else _inherited(binding):
            name = names.static_name(step, inner + binding.start, snapshot.text)
            if name:
                spelled[name] = None
    return list(spelled)


# --- following the text --------------------------------------------------------------------------


def _follow(
    snapshot: Snapshot, expr: Expr, base: int, path: Sequence[str], depth: int
) -> tuple[FileRange | None, _Value | None]:
    """Goes from an expression along attribute names; where the last is written, and what it is given."""
    value: _Value | None = (expr, base)
    place: FileRange | None = None
    for name in path:
        literal = _literal(snapshot, *value, depth) if value is not None else None
        step = _attribute(snapshot, *literal, name) if literal is not None else None
        if step is None:
            return None, None
        place, value = step
    return place, value


def _literal(snapshot: Snapshot, expr: Expr, base: int, depth: int) -> tuple[AttrSet, int] | None:
    """The set that an expression is, seen through parentheses and names that are bound in this file."""
    if depth == 0:
        return None
    if isinstance(expr, AttrSet):
        return expr, base
    if isinstance(expr, Paren):
        return _literal(snapshot, expr.inner, base, depth - 1)
    if isinstance(expr, Let | With):
        return _literal(snapshot, expr.body, base, depth - 1)
    if isinstance(expr, Var):
        found = names.resolve(expr.name, _scopes_of(snapshot, expr, base))
        if found.kind == names.BOUND and len(found.bounds) == 1:
            value = names.value_of(found.bounds[0])
            if value is not None:
                return _literal(snapshot, *value, depth - 1)
    if isinstance(expr, Select) and expr.default is None:
        steps = [names.static_name(step, base, snapshot.text) for step in expr.path.steps]
        known = [step for step in steps if step is not None]
        if len(known) == len(steps):
            _, selected_value = _follow(snapshot, expr.subject, base, known, depth - 1)
            if selected_value is not None:
                return _literal(snapshot, *selected_value, depth - 1)
    return None


def _attribute(snapshot: Snapshot, literal: AttrSet, base: int, name: str) -> tuple[FileRange, _Value | None] | None:
    """Where a set that is written out has an attribute, and the value it gives it (None: not just one expression)."""
    found: tuple[FileRange, _Value | None] | None = None
    for binding in literal.bindings:
        inner = base + binding.start
        steps = binding.path.steps if isinstance(binding, AttrBinding) else _inherited(binding)
        for step in steps[:1] if isinstance(binding, AttrBinding) else steps:
            if names.static_name(step, inner, snapshot.text) != name:
                continue
            if found is not None:
                return found[0], None  # `a.b = 1; a.c = 2;`: no single expression is the value
            place = FileRange(snapshot.path, inner + step.start, inner + step.end)
            whole = isinstance(binding, AttrBinding) and len(steps) == 1
            found = place, (binding.value, inner) if whole and isinstance(binding, AttrBinding) else None
    return found


def _inherited(binding: Node) -> list[Node]:
    return binding.names if isinstance(binding, Inherit) else []


def _scopes_of(snapshot: Snapshot, expr: Expr, base: int) -> list[Scope]:
    chain: list[Place] = []
    for link in path_at(snapshot.source, base + expr.start).places:
        chain.append(link)
        if link.node is expr:
            break
    return names.scopes(chain, snapshot.text)
