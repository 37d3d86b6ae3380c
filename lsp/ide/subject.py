"""What the cursor is on: a name, a step of an attribute path, a path, a string … and the value to ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evaluator import names
from evaluator.service.protocol import Target
from evaluator.syntax.cursor import Place, path_at
from evaluator.syntax.tree import (
    AttrBinding,
    AttrPath,
    Binary,
    Formal,
    HasAttr,
    Inherit,
    Interpolation,
    Lambda,
    Missing,
    Name,
    Node,
    Path,
    SearchPath,
    Select,
    Str,
    Text,
    Var,
)
from lsp.ide.types import Snapshot

# What a subject is.
VARIABLE: Final = "variable"
SELECTED: Final = "selected"
ATTRIBUTE: Final = "attribute"
FORMAL: Final = "formal"
ARGUMENT: Final = "argument"
INHERITED: Final = "inherited"
PATH: Final = "path"
SEARCH_PATH: Final = "search path"
STRING: Final = "string"
OPERATOR: Final = "operator"


@dataclass(frozen=True)
class Subject:
    """The thing under the cursor: ``[start, end)`` is its text, ``label`` its name (empty: none).

    ``chain`` leads from the root to its node. ``target`` is the value to ask for, None when the text does not say
    which (a computed attribute name before it). ``holder`` is the construct that the node is a part of.
    """

    kind: str
    label: str
    start: int
    end: int
    chain: tuple[Place, ...]
    target: Target | None
    holder: Place | None = None


def subject_at(snapshot: Snapshot, offset: int) -> Subject | None:
    """What stands at ``offset``; a name that ends there counts too. None in blanks, comments and plain strings."""
    return _subject(snapshot, path_at(snapshot.source, offset).places, offset)


def selection_target(snapshot: Snapshot, select: Place, index: int) -> Target | None:
    """The value of the first ``index`` steps of a select (or ``?``); None when one of them is computed."""
    node = select.node
    if not isinstance(node, Select | HasAttr):
        return None
    steps: list[str] = []
    for step in node.path.steps[:index]:
        name = names.static_name(step, select.base, snapshot.text)
        if name is None:
            return None
        steps.append(name)
    return _target(snapshot, node.subject, select.base, tuple(steps))


def _subject(snapshot: Snapshot, chain: Sequence[Place], offset: int) -> Subject | None:
    last = chain[-1]
    node = last.node
    if not last.start <= offset <= last.end:
        return None  # the root, with the cursor in a comment before or behind it
    if isinstance(node, Var):
        return _of(VARIABLE, node.name, chain, _target(snapshot, node, last.base))
    if isinstance(node, Name):
        return _named(snapshot, chain, node.name)
    if isinstance(node, Text | Str):
        return _string(snapshot, chain)
    if isinstance(node, Path):
        return _of(PATH, snapshot.text[last.start : last.end], chain, _target(snapshot, node, last.base))
    if isinstance(node, SearchPath):
        return _of(SEARCH_PATH, snapshot.text[last.start : last.end], chain, _target(snapshot, node, last.base))
    if isinstance(node, Binary):
        start = last.base + node.op_start
        end = start + len(node.op)
        if start <= offset < end:
            target = _target(snapshot, node, last.base)
            return Subject(OPERATOR, "", start, end, tuple(chain), target)
    return None


def _string(snapshot: Snapshot, chain: Sequence[Place]) -> Subject | None:
    """Inside a string or path: the whole of it, when its value is more than what stands there."""
    if isinstance(chain[-1].node, Text) and len(chain) > 1:
        chain = chain[:-1]
    link = chain[-1]
    node = link.node
    if isinstance(node, Path):
        return _of(PATH, snapshot.text[link.start : link.end], chain, _target(snapshot, node, link.base))
    if not isinstance(node, Str):
        return None
    if len(chain) > 1 and isinstance(chain[-2].node, AttrPath | Inherit):
        name = names.static_name(node, link.base, snapshot.text)
        return _named(snapshot, chain, name) if name is not None else None
    if any(isinstance(part, Interpolation) for part in node.parts):
        return _of(STRING, "", chain, _target(snapshot, node, link.base))
    return None


def _named(snapshot: Snapshot, chain: Sequence[Place], label: str) -> Subject | None:
    """A name that is no expression: what it is depends on what it is a part of."""
    last, parent = chain[-1], chain[-2] if len(chain) > 1 else None
    if parent is None:
        return None
    here = _target(snapshot, last.node, last.base)
    if isinstance(parent.node, AttrPath) and len(chain) > 2:
        holder = chain[-3]
        if isinstance(holder.node, AttrBinding):
            return _of(ATTRIBUTE, label, chain, here, holder)
        index = next(n for n, step in enumerate(parent.node.steps) if step is last.node)
        return _of(SELECTED, label, chain, selection_target(snapshot, holder, index + 1), holder)
    if isinstance(parent.node, Formal):
        return _of(FORMAL, label, chain, here, parent)
    if isinstance(parent.node, Lambda):
        return _of(ARGUMENT, label, chain, here, parent)
    if isinstance(parent.node, Inherit):
        return _of(INHERITED, label, chain, here, parent)
    return None


def _of(kind: str, label: str, chain: Sequence[Place], target: Target | None, holder: Place | None = None) -> Subject:
    last = chain[-1]
    return Subject(kind, label, last.start, last.end, tuple(chain), target, holder)


def _target(snapshot: Snapshot, node: Node, base: int, attrs: tuple[str, ...] = ()) -> Target | None:
    if isinstance(node, Missing):
        return None
    return Target(snapshot.path, base + node.start, base + node.end, attrs)
