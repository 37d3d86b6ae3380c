"""Static names: who binds what, read off the syntax tree alone.

A *chain* is the way from the root to a node, outermost first (``Cursor.places`` of :mod:`evaluator.syntax.cursor`).
All offsets that come out of here are absolute code points.

What binds (Nix manual, "Syntax and semantics"): ``let``, ``rec { }``, ``let { }`` and function arguments. Builtins
lie outside of all of them, and a ``with`` gives a name only when nothing else binds it, the innermost first. The
names of an ``inherit`` without a source are looked up outside of the set that inherits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from evaluator.syntax import strings
from evaluator.syntax.cursor import Place, child_base
from evaluator.syntax.tree import (
    AttrBinding,
    AttrSet,
    Binding,
    Expr,
    Formal,
    Inherit,
    Lambda,
    LegacyLet,
    Let,
    Name,
    Node,
    With,
)

# What a Bound is.
LET: Final = "let"
REC: Final = "rec"
INHERITED: Final = "inherited"
FORMAL: Final = "formal"
ARGUMENT: Final = "argument"
AT: Final = "at"

# What a name resolves to.
BOUND: Final = "bound"
BUILTIN: Final = "builtin"
WITH: Final = "with"
UNDEFINED: Final = "undefined"

#: The names that every file sees without ``builtins.`` before them (those that begin with ``__`` apart).
GLOBALS: Final = frozenset(
    {
        "abort",
        "baseNameOf",
        "break",
        "builtins",
        "derivation",
        "derivationStrict",
        "dirOf",
        "false",
        "fetchGit",
        "fetchMercurial",
        "fetchTarball",
        "fetchTree",
        "fromTOML",
        "import",
        "isNull",
        "map",
        "null",
        "placeholder",
        "removeAttrs",
        "scopedImport",
        "throw",
        "toString",
        "true",
    }
)


@final
class Bound:
    """One place that binds a name: ``[start, end)`` is the name there.

    ``holder`` is what holds the name: the :class:`AttrBinding` or :class:`Inherit` of a ``let`` or recursive set,
    the :class:`Formal`, or the :class:`Lambda` of an argument or ``@`` name. ``owner`` is the ``let``, set or lambda
    itself. ``depth`` is the length of the attribute path that begins with the name (``a.b = 1`` binds ``a`` with
    depth 2; else 1).
    """

    def __init__(self, name: str, kind: str, start: int, end: int, holder: Place, owner: Place, depth: int) -> None:
        self.name: Final = name
        self.kind: Final = kind
        self.start: Final = start
        self.end: Final = end
        self.holder: Final = holder
        self.owner: Final = owner
        self.depth: Final = depth


@final
class Scope:
    """A construct that binds names for what lies in it; a ``with`` is one that does not say which."""

    def __init__(self, owner: Place, text: str) -> None:
        self.owner: Final = owner
        self._text: Final = text
        self._names: dict[str, list[Bound]] | None = None

    @property
    def is_with(self) -> bool:
        return isinstance(self.owner.node, With)

    @property
    def names(self) -> dict[str, list[Bound]]:
        """What it binds, in the order of the text; several places when attribute paths begin alike.

        Empty for a ``with``.
        """
        names = self._names
        if names is None:
            names = _names_of(self.owner, self._text)
            self._names = names
        return names


@final
class Resolution:
    """What a use of a name means.

    ``kind`` is :data:`BOUND` (``bounds`` tell where), :data:`BUILTIN`, :data:`WITH` (one of ``withs`` has it, the
    innermost that does), or :data:`UNDEFINED`.
    """

    def __init__(self, kind: str, bounds: list[Bound], withs: list[Place]) -> None:
        self.kind: Final = kind
        self.bounds: Final = bounds
        self.withs: Final = withs


def scopes(chain: Sequence[Place], text: str) -> list[Scope]:
    """The scopes in which the last node of the chain looks its names up, innermost first."""
    found: list[Scope] = []
    for index in range(len(chain) - 1):
        outer = chain[index]
        below = chain[index + 1].node
        node = outer.node
        if isinstance(node, Lambda):
            if below is not node.name:
                found.append(Scope(outer, text))
        elif isinstance(node, With):
            if below is node.body:
                found.append(Scope(outer, text))
        elif _is_recursive(node):
            # `inherit x;` takes x from outside; `inherit (s) x;` looks s up inside.
            if isinstance(below, Inherit) and below.source is None:
                continue
            found.append(Scope(outer, text))
    found.reverse()
    return found


def resolve(name: str, inside: Sequence[Scope]) -> Resolution:
    """What ``name`` means in these scopes (innermost first)."""
    withs: list[Place] = []
    for scope in inside:
        if scope.is_with:
            withs.append(scope.owner)
            continue
        bounds = scope.names.get(name)
        if bounds is not None:
            return Resolution(BOUND, bounds, [])
    if name in GLOBALS or name.startswith("__"):
        return Resolution(BUILTIN, [], [])
    return Resolution(WITH if withs else UNDEFINED, [], withs)


def visible(inside: Sequence[Scope]) -> dict[str, Bound]:
    """Every name that these scopes bind, as the innermost binds it (its first place). Builtins are not among them."""
    found: dict[str, Bound] = {}
    for scope in inside:
        for name, bounds in scope.names.items():
            if name not in found:
                found[name] = bounds[0]
    return found


def bound_at(chain: Sequence[Place], text: str) -> list[Bound]:
    """The places that bind the name which the last node of the chain *is*; empty when that node binds none.

    A formal's name, an argument, an ``@`` name, the first step of an attribute path in a ``let`` or recursive set, a
    name of an ``inherit`` there.
    """
    last = chain[-1]
    for index in range(len(chain) - 2, -1, -1):
        owner = chain[index]
        if not (isinstance(owner.node, Lambda) or _is_recursive(owner.node)):
            continue
        for bounds in _names_of(owner, text).values():
            if any(bound.start == last.start and bound.end == last.end for bound in bounds):
                return bounds
    return []


def static_name(step: Node, base: int, text: str) -> str | None:
    """The name that a step of an attribute path spells; None when it is computed (or not there).

    ``base`` is the absolute offset of the step's anchor.
    """
    if isinstance(step, Name):
        return step.name
    return strings.static_name(text, step, base)


def bindings_of(node: Node) -> list[Binding]:
    """The bindings of a ``let`` or a set; of anything else none."""
    if isinstance(node, Let):
        return node.bindings
    if isinstance(node, AttrSet):
        return node.bindings
    if isinstance(node, LegacyLet):
        return node.bindings
    return []


# --- inside --------------------------------------------------------------------------------------


def _is_recursive(node: Node) -> bool:
    if isinstance(node, AttrSet):
        return node.recursive
    if isinstance(node, Let):
        return True
    return isinstance(node, LegacyLet)


def _names_of(owner: Place, text: str) -> dict[str, list[Bound]]:
    node = owner.node
    names: dict[str, list[Bound]] = {}
    if isinstance(node, Lambda):
        formals = node.formals
        name = node.name
        base = owner.base
        if formals is not None:
            for formal in formals.formals:
                _add(names, formal.name, FORMAL, base, Place(formal, base), owner)
        if name is not None:
            _add(names, name, ARGUMENT if formals is None else AT, base, owner, owner)
        return names
    kind = LET if isinstance(node, Let) else REC
    for binding in bindings_of(node):
        holder = Place(binding, owner.base)
        base = child_base(holder.node, holder.base)
        if isinstance(binding, AttrBinding):
            steps = binding.path.steps
            if steps:
                spelled = static_name(steps[0], base, text)
                if spelled is not None:
                    start, end = base + steps[0].start, base + steps[0].end
                    bound = Bound(spelled, kind, start, end, holder, owner, len(steps))
                    names.setdefault(spelled, []).append(bound)
        elif isinstance(binding, Inherit):
            for inherited in binding.names:
                spelled = static_name(inherited, base, text)
                if spelled is not None:
                    start, end = base + inherited.start, base + inherited.end
                    names.setdefault(spelled, []).append(Bound(spelled, INHERITED, start, end, holder, owner, 1))
    return names


def _add(names: dict[str, list[Bound]], name: Name, kind: str, base: int, holder: Place, owner: Place) -> None:
    if name.name:
        bound = Bound(name.name, kind, base + name.start, base + name.end, holder, owner, 1)
        names.setdefault(name.name, []).append(bound)


def value_of(bound: Bound) -> tuple[Expr, int] | None:
    """The expression that a place gives its name, with its base.

    None for arguments, inherited names and longer attribute paths.
    """
    holder = bound.holder.node
    if isinstance(holder, AttrBinding) and bound.depth == 1:
        return holder.value, child_base(bound.holder.node, bound.holder.base)
    if isinstance(holder, Formal) and holder.default is not None:
        return holder.default, bound.holder.base
    return None
