"""What could be written here?

After a dot the real attributes of the evaluated set; where an expression may stand the names in scope; among formals
what the caller can supply; in an ``inherit`` what its source has. The text around the cursor may be as broken as it
likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from evaluator import names
from evaluator.service.protocol import Answer, Member, Target
from evaluator.syntax.comments import comment_at
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.tree import (
    AttrBinding,
    AttrPath,
    AttrSet,
    Expr,
    Float,
    Formal,
    Formals,
    HasAttr,
    Inherit,
    Int,
    LegacyLet,
    Let,
    Missing,
    Name,
    Path,
    SearchPath,
    Select,
    Str,
    Text,
    Uri,
)
from lsp.ide import literals, rank, static
from lsp.ide.subject import selection_target
from lsp.ide.types import Completion, Item, Snapshot

#: Details (kind, documentation) are asked for as many members as are shown.
DETAILS: Final = rank.AT_MOST

_WORD_BEFORE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*\Z")
_WORD_AFTER: Final = re.compile(r"[A-Za-z0-9_'-]*")
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*\Z")
_RESERVED: Final = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})
_KEYWORDS: Final = ("let", "in", "if", "then", "else", "with", "rec", "assert")

# Groups of an expression's names, nearest first.
_LEXICAL: Final = 0
_FROM_WITH: Final = 1
_GLOBAL: Final = 2
_KEYWORD: Final = 3


@dataclass(frozen=True)
class _Word:
    """The word at the cursor: ``[start, end)``, and what of it stands before the cursor."""

    start: int
    end: int
    typed: str

    def begins(self, offset: int) -> bool:
        """Whether what begins at ``offset`` is what is being typed, and no name that was there before."""
        return self.typed != "" and offset == self.start


async def completion(snapshot: Snapshot, offset: int) -> Completion | None:
    """What could stand at ``offset``; None where nothing can be completed (comments, strings, numbers)."""
    if comment_at(snapshot.source, offset) is not None:
        return None
    word = _word(snapshot.text, offset)
    chain = path_at(snapshot.source, word.start).places
    for index in range(len(chain) - 1, -1, -1):
        node = chain[index].node
        if isinstance(node, Missing | Name) and index > 0:
            continue  # what it is a part of says what may stand there
        if isinstance(node, Int | Float | Uri | Text | Path | SearchPath | Str):
            return None
        here = chain[: index + 1]
        if isinstance(node, AttrPath) and index > 0:
            return await _in_path(snapshot, chain[:index], node, word)
        if isinstance(node, Formal | Formals) and not _in_default(node, chain, index):
            return await _among_formals(snapshot, here, word)
        if isinstance(node, Inherit):
            if node.source is None or index + 1 == len(chain) or chain[index + 1].node is not node.source:
                return await _in_inherit(snapshot, here, node, word)
        elif isinstance(node, AttrSet | Let | LegacyLet) and index + 1 == len(chain):
            return await _beside_bindings(snapshot, chain, word)
        break
    return await _expression(snapshot, chain, word)


# --- the contexts --------------------------------------------------------------------------------


async def _in_path(snapshot: Snapshot, chain: Sequence[Place], path: AttrPath, word: _Word) -> Completion | None:
    """In the attribute path of a select, a ``?`` or a binding; ``chain`` ends with what the path belongs to."""
    holder = chain[-1]
    base = child_base(holder.node, holder.base)
    index = sum(
        1
        for step in path.steps
        if base + step.end < word.start
        or (
            base + step.end == word.start and not word.typed and step.end > step.start and not isinstance(step, Missing)
        )
    )
    if isinstance(holder.node, AttrBinding):
        return await _binding(snapshot, chain[:-1], word) if index == 0 else None
    target = selection_target(snapshot, holder, index)
    if target is None or not isinstance(holder.node, Select | HasAttr):
        return None
    return await _members(snapshot, target, holder.node.subject, base, word, frozenset())


async def _members(
    snapshot: Snapshot, target: Target, expr: Expr, base: int, word: _Word, without: frozenset[str]
) -> Completion:
    """The attributes of a value; what the text says about it where evaluation does not answer."""
    answer = await snapshot.values.members(target, DETAILS)
    if answer.state == "value":
        items = [_member(member) for member in answer.members if member.name not in without]
    else:
        written = literals.members(snapshot, expr, base, target.attrs)
        items = [Item(name, detail="attribute") for name in written if name not in without]
    return _ranked(items, word, unsure=answer.state != "value")


async def _in_inherit(snapshot: Snapshot, chain: Sequence[Place], node: Inherit, word: _Word) -> Completion:
    base = child_base(chain[-1].node, chain[-1].base)
    taken = frozenset(
        name
        for step in node.names
        if not word.begins(base + step.start) and (name := names.static_name(step, base, snapshot.text))
    )
    if node.source is not None and not isinstance(node.source, Missing):
        target = Target(snapshot.path, base + node.source.start, base + node.source.end)
        return await _members(snapshot, target, node.source, base, word, taken)
    # `inherit x` looks x up outside: the chain as a name in the inherit would have it.
    items, answer = await _in_scope(snapshot, [*chain, Place(Name(0, 0, ""), base)], word)
    return _ranked([item for item in items if item.label not in taken], word, unsure=not _is_sure(answer))


async def _among_formals(snapshot: Snapshot, chain: Sequence[Place], word: _Word) -> Completion:
    formals = next((link for link in reversed(chain) if isinstance(link.node, Formals)), None)
    taken: set[str] = set()
    if formals is not None and isinstance(formals.node, Formals):
        taken = {
            formal.name.name for formal in formals.node.formals if not word.begins(formals.base + formal.name.start)
        }
    return await _arguments(snapshot, word, taken, [])


async def _arguments(snapshot: Snapshot, word: _Word, taken: Iterable[str], others: list[Item]) -> Completion:
    answer = await snapshot.values.arguments(snapshot.path)
    without = frozenset(taken)
    items = [_member(member, bare=True) for member in answer.members if member.name not in without]
    return _ranked(others + [item for item in items if item.label], word, unsure=not _is_sure(answer))


async def _beside_bindings(snapshot: Snapshot, chain: Sequence[Place], word: _Word) -> Completion:
    """In a set or ``let``, but in none of its bindings: a new one begins here, or one goes on that lacks its `;`."""
    link = chain[-1]
    before = [binding for binding in names.bindings_of(link.node) if link.base + binding.end <= word.start]
    if not before or snapshot.text[link.base + before[-1].end - 1] == ";":
        return await _binding(snapshot, chain, word)
    last = Place(before[-1], link.base)
    if isinstance(last.node, Inherit):
        return await _in_inherit(snapshot, [*chain, last], last.node, word)
    return await _expression(snapshot, [*chain, last], word)


async def _binding(snapshot: Snapshot, chain: Sequence[Place], word: _Word) -> Completion:
    """Where a binding begins. A set that is the whole file may be formals that are just being typed."""
    keywords = [Item("inherit", "keyword", order=_KEYWORD)]
    node = chain[-1].node
    if isinstance(node, Let):
        keywords.append(Item("in", "keyword", order=_KEYWORD))
    if len(chain) == 1 and isinstance(node, AttrSet):
        return await _arguments(snapshot, word, (), keywords)
    return _ranked(keywords, word, unsure=False)


async def _expression(snapshot: Snapshot, chain: Sequence[Place], word: _Word) -> Completion:
    items, answer = await _in_scope(snapshot, chain, word)
    items += [Item(name, "keyword", order=_KEYWORD) for name in _KEYWORDS]
    return _ranked(items, word, unsure=not _is_sure(answer))


async def _in_scope(snapshot: Snapshot, chain: Sequence[Place], word: _Word) -> tuple[list[Item], Answer | None]:
    """The names that an expression at the end of the chain sees, nearest first."""
    inside = names.scopes(chain, snapshot.text)
    lexical = names.visible(inside)
    items = [
        Item(name, "argument" if bound.kind in _ARGUMENTS else "variable", static.kind_in_words(bound), order=_LEXICAL)
        for name, bound in lexical.items()
        if not word.begins(bound.start) and _PLAIN.match(name)
    ]
    answer: Answer | None = None
    if any(scope.is_with for scope in inside):
        answer = await snapshot.values.scope(snapshot.path, word.start)
        for member in answer.members:
            if member.name not in lexical and member.name not in names.GLOBALS and _is_bare(member.name):
                items.append(_member(member, order=_FROM_WITH))
    for name in sorted(names.GLOBALS):
        if name not in lexical:
            items.append(Item(name, "builtin", "builtin", order=_GLOBAL))
    return items, answer


_ARGUMENTS: Final = frozenset({names.FORMAL, names.ARGUMENT, names.AT})

# --- items ---------------------------------------------------------------------------------------


def _member(member: Member, *, order: int = 0, bare: bool = False) -> Item:
    name = member.name
    if _is_bare(name):
        return Item(name, member.kind, member.detail, member.doc, order=order)
    if bare:
        return Item("")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return Item(name, member.kind, member.detail, member.doc, f'"{quoted}"', order)


def _is_bare(name: str) -> bool:
    """Whether a name can stand without quotes."""
    return _PLAIN.match(name) is not None and name not in _RESERVED


def _is_sure(answer: Answer | None) -> bool:
    return answer is None or answer.state == "value"


def _ranked(items: Sequence[Item], word: _Word, *, unsure: bool) -> Completion:
    """The items that fit, best first. ``unsure``: the worker may know more when it is asked again."""
    groups = sorted(items, key=_order)
    found, more = rank.best(groups, _label, word.typed, group=_order)
    fitting = tuple(
        Item(item.label, item.kind, item.detail, item.doc, item.insert, fit * 10 + item.order, fit == rank.ALIKE)
        for item, fit in found
    )
    return Completion(word.start, word.end, word.typed, fitting, more or unsure)


def _order(item: Item) -> int:
    return item.order


def _label(item: Item) -> str:
    return item.label


# --- the text around the cursor ------------------------------------------------------------------


def _word(text: str, offset: int) -> _Word:
    line = text.rfind("\n", 0, offset) + 1
    before = _WORD_BEFORE.search(text, line, offset)
    after = _WORD_AFTER.match(text, offset)
    start = before.start() if before is not None else offset
    end = after.end() if after is not None and before is not None else offset
    return _Word(start, end, text[start:offset])


def _in_default(node: Formal | Formals, chain: Sequence[Place], index: int) -> bool:
    """Whether the cursor is in a formal's default: an expression like any other."""
    return isinstance(node, Formal) and index + 1 < len(chain) and chain[index + 1].node is node.default
