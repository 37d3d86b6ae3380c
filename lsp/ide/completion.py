"""What could be written here?

After a dot the real attributes of the evaluated set; where an expression may stand the names in scope; among formals
what the caller can supply; in an ``inherit`` what its source has. The text around the cursor may be as broken as it
likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evaluator import names
from evaluator.service.protocol import Target
from evaluator.syntax import context as ctx
from evaluator.syntax import expected
from evaluator.syntax.context import context_at
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.tree import (
    AttrPath,
    AttrSet,
    Binding,
    Expr,
    Formals,
    HasAttr,
    Inherit,
    Let,
    Missing,
    Name,
    Select,
)
from lsp.ide import flake_schema, literals, rank, static
from lsp.ide.candidates import Candidates, Word, is_bare, word_at
from lsp.ide.subject import selection_target
from lsp.ide.types import Completion, Item, Snapshot

#: Details (kind, documentation) are asked for as many members as are shown.
DETAILS: Final = rank.AT_MOST

# Where nothing is completed.
_NOTHING: Final = frozenset({ctx.COMMENT, ctx.STRING, ctx.PATH, ctx.SEARCH_PATH, ctx.URI, ctx.NUMBER, ctx.ARGUMENT})

_KEYWORDS: Final = ("let", "in", "if", "then", "else", "with", "rec", "assert")

# Groups of an expression's names, nearest first.
_LEXICAL: Final = 0
_FROM_WITH: Final = 1
_GLOBAL: Final = 2
_KEYWORD: Final = 3


async def completion(snapshot: Snapshot, offset: int) -> Completion | None:
    """What could stand at ``offset``; None where nothing can be completed (comments, strings, numbers)."""
    context = context_at(snapshot.source, offset)
    kind = context.kind
    if kind in _NOTHING:
        return None
    word = word_at(snapshot.text, offset)
    holder = context.holder
    if holder is not None and kind in (ctx.SELECT, ctx.HAS_ATTR):
        return await _in_path(snapshot, holder, len(context.steps), word)
    if holder is not None and kind in (ctx.ATTRIBUTE, ctx.BINDINGS):
        known: list[Item] = []
        if flake_schema.is_flake(snapshot.path):
            known = flake_schema.attributes(context.chain, [*context.around, *context.steps])
        if context.steps:
            return _only(known, word)
        chain = context.chain
        while isinstance(chain[-1].node, AttrPath | Binding):
            chain = chain[:-1]
        return await _binding(snapshot, chain, word, known)
    if kind == ctx.FORMALS:
        if flake_schema.is_flake(snapshot.path) and context.around == ["outputs"]:
            known = flake_schema.arguments(snapshot.source.root, snapshot.text)
            taken = _formals_of(context.chain, word)
            return _only([item for item in known if item.label not in taken], word)
        return await _among_formals(snapshot, context.chain, word)
    if holder is not None and isinstance(holder.node, Inherit) and kind == ctx.INHERIT:
        return await _in_inherit(snapshot, context.chain, holder.node, word)
    chain = path_at(snapshot.source, word.start).places
    # A binding without its `;` goes on where the tree, which has ended it, says nothing.
    return await _expression(snapshot, max(chain, context.chain, key=len), word)


# --- the contexts --------------------------------------------------------------------------------


async def _in_path(snapshot: Snapshot, holder: Place, index: int, word: Word) -> Completion | None:
    """In the attribute path of a select or a ``?``, ``index`` names of which stand before the cursor."""
    target = selection_target(snapshot, holder, index)
    if target is None or not isinstance(holder.node, Select | HasAttr):
        return None
    base = child_base(holder.node, holder.base)
    return await _members(snapshot, target, holder.node.subject, base, word, frozenset())


async def _members(
    snapshot: Snapshot, target: Target, expr: Expr, base: int, word: Word, without: frozenset[str]
) -> Completion:
    """The attributes of a value; what the text says about it where evaluation does not answer."""
    candidates = Candidates(word)
    answer = await snapshot.values.members(target, DETAILS)
    candidates.add_members(answer, without=without, quoting=True)
    if answer.state != "value":
        for name in literals.members(snapshot, expr, base, target.attrs):
            if name not in without:
                candidates.add(Item(name, detail="attribute"))
    return candidates.ranked()


async def _in_inherit(snapshot: Snapshot, chain: Sequence[Place], node: Inherit, word: Word) -> Completion:
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
    candidates = Candidates(word)
    await _add_scope(snapshot, [*chain, Place(Name(0, 0, ""), base)], word, candidates, taken)
    return candidates.ranked()


def _only(known: Sequence[Item], word: Word) -> Completion | None:
    """Those items and nothing else; None where there are none."""
    if not known:
        return None
    candidates = Candidates(word)
    for item in known:
        candidates.add(item)
    return candidates.ranked()


def _formals_of(chain: Sequence[Place], word: Word) -> set[str]:
    """The formals that are there already, but for the one that is being typed."""
    formals = next((link for link in reversed(chain) if isinstance(link.node, Formals)), None)
    if formals is None or not isinstance(formals.node, Formals):
        return set()
    return {formal.name.name for formal in formals.node.formals if not word.begins(formals.base + formal.name.start)}


async def _among_formals(snapshot: Snapshot, chain: Sequence[Place], word: Word) -> Completion:
    candidates = Candidates(word)
    candidates.add_members(await snapshot.values.arguments(snapshot.path), without=_formals_of(chain, word))
    return candidates.ranked()


async def _binding(snapshot: Snapshot, chain: Sequence[Place], word: Word, known: Sequence[Item]) -> Completion:
    """Where a binding begins; ``known`` has a meaning there. A set that is the whole file may be formals that are just
    being typed."""
    candidates = Candidates(word)
    for item in known:
        candidates.add(item)
    candidates.add(Item("inherit", "keyword"), _KEYWORD)
    node = chain[-1].node
    if isinstance(node, Let):
        candidates.add(Item("in", "keyword"), _KEYWORD)
    if len(chain) == 1 and isinstance(node, AttrSet) and not known:
        candidates.add_members(await snapshot.values.arguments(snapshot.path))
    return candidates.ranked()


async def _expression(snapshot: Snapshot, chain: Sequence[Place], word: Word) -> Completion:
    candidates = Candidates(word)
    await _add_scope(snapshot, chain, word, candidates, frozenset())
    for name in _keywords(snapshot, word):
        candidates.add(Item(name, "keyword"), _KEYWORD)
    return candidates.ranked()


def _keywords(snapshot: Snapshot, word: Word) -> Sequence[str]:
    """The keywords that fit; all while the grammar, which knows that, is being loaded, and where it cannot say."""
    if not expected.is_ready():
        expected.prepare()
        return _KEYWORDS
    fitting = expected.expected_at(snapshot.source, word.start)
    return [name for name in _KEYWORDS if name in fitting] if fitting else _KEYWORDS


async def _add_scope(
    snapshot: Snapshot, chain: Sequence[Place], word: Word, candidates: Candidates, without: frozenset[str]
) -> None:
    """Adds the names that an expression at the end of the chain sees, nearest first."""
    inside = names.scopes(chain, snapshot.text)
    lexical = names.visible(inside)
    for name, bound in lexical.items():
        if name not in without and is_bare(name) and not word.begins(bound.start):
            kind = "argument" if bound.kind in _ARGUMENTS else "variable"
            candidates.add(Item(name, kind, static.kind_in_words(bound)), _LEXICAL)
    if any(scope.is_with for scope in inside):
        answer = await snapshot.values.scope(snapshot.path, word.start)
        candidates.add_members(answer, _FROM_WITH, without=names.GLOBALS | without | lexical.keys())
    for name in sorted(names.GLOBALS - lexical.keys() - without):
        candidates.add(Item(name, "builtin", "builtin"), _GLOBAL)


_ARGUMENTS: Final = frozenset({names.FORMAL, names.ARGUMENT, names.AT})
