"""What the text alone tells about a subject: who binds it, and what is written there.

These are the answers where nothing is evaluated: untrusted workspaces, a budget that ran out, code that nothing calls.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from evaluator import names
from evaluator.names import Bound, Resolution
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.tree import (
    Assert,
    AttrBinding,
    Expr,
    Inherit,
    Lambda,
    Let,
    Paren,
    With,
)
from lsp.ide import literals
from lsp.ide.subject import ARGUMENT, ATTRIBUTE, FORMAL, INHERITED, SELECTED, VARIABLE, Subject
from lsp.ide.types import FileRange, Snapshot

_LONGEST: Final = 80


def resolution(snapshot: Snapshot, subject: Subject) -> Resolution | None:
    """What the subject's name is bound by; None when it is no name of a scope (a selected attribute, a path)."""
    chain = subject.chain
    if subject.kind == VARIABLE or (subject.kind == INHERITED and _source(subject) is None):
        return names.resolve(subject.label, names.scopes(chain, snapshot.text))
    if subject.kind in (FORMAL, ARGUMENT, ATTRIBUTE):
        bounds = names.bound_at(chain, snapshot.text)
        return Resolution(names.BOUND, bounds, []) if bounds else None
    return None


def is_supplied(snapshot: Snapshot, bound: Bound) -> bool:
    """Whether an argument belongs to the function that the file is, so that its value comes from outside."""
    chain = path_at(snapshot.source, bound.start).places
    for link, below in pairwise(chain):
        node = link.node
        if node is bound.owner.node:
            return True
        if isinstance(node, Lambda | Let | With | Assert):
            if below.node is not node.body:
                return False
        elif not isinstance(node, Paren):
            return False
    return False


def in_words(snapshot: Snapshot, subject: Subject) -> str:
    """What kind of name the subject is, in a few words."""
    found = resolution(snapshot, subject)
    if found is None:
        return {SELECTED: "attribute", ATTRIBUTE: "attribute", INHERITED: "inherited attribute"}.get(subject.kind, "")
    if found.kind == names.BOUND:
        return kind_in_words(found.bounds[0])
    if found.kind == names.BUILTIN:
        return "builtin"
    if found.kind == names.WITH:
        return f"from `with {_namespace(snapshot, found.withs[0])};`"
    return "undefined variable"


def kind_in_words(bound: Bound) -> str:
    """What kind of binding it is, in a few words."""
    if bound.kind == names.FORMAL:
        return "formal argument" if names.value_of(bound) is None else "formal argument with a default"
    return {
        names.LET: "let binding",
        names.REC: "attribute of the recursive set",
        names.INHERITED: "inherited name",
        names.ARGUMENT: "function argument",
        names.AT: "all arguments of the function",
    }[bound.kind]


def written(snapshot: Snapshot, subject: Subject) -> str:
    """The text that gives the subject its value, if that is one short line; else empty."""
    found = resolution(snapshot, subject)
    value: tuple[Expr, int] | None = None
    if found is not None and found.kind == names.BOUND and len(found.bounds) == 1:
        value = names.value_of(found.bounds[0])
    elif subject.kind == ATTRIBUTE and subject.holder is not None:
        binding = subject.holder.node
        if isinstance(binding, AttrBinding) and binding.path.steps[-1] is subject.chain[-1].node:
            value = binding.value, child_base(subject.holder.node, subject.holder.base)
    elif subject.kind == SELECTED and subject.target is not None:
        place = literals.selected(snapshot, subject)
        value = place[1] if place is not None else None
    if value is None:
        return ""
    expr, base = value
    text = snapshot.text[base + expr.start : base + expr.end].strip()
    return text if len(text) <= _LONGEST and "\n" not in text else ""


def place_of(snapshot: Snapshot, bound: Bound) -> FileRange:
    """Where the name stands that binds."""
    return FileRange(snapshot.path, bound.start, bound.end)


def _source(subject: Subject) -> Expr | None:
    node = subject.holder.node if subject.holder is not None else None
    return node.source if isinstance(node, Inherit) else None


def _namespace(snapshot: Snapshot, link: Place) -> str:
    node = link.node
    if not isinstance(node, With):
        return ""
    start, end = (
        link.base + node.namespace.start,
        link.base + node.namespace.end,
    )
    text = snapshot.text[start:end]
    return text if len(text) <= _LONGEST and "\n" not in text else "…"
