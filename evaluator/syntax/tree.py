"""The syntax tree of a Nix file: one typed node a construct, text in, no values.

**Offsets** are code points into the source text (a ``str``; bytes that are not
UTF-8 stand in it as lone surrogates). They are relative to the node's *anchor*:
the start of the innermost enclosing :class:`Binding` or, where there is none, the
start of the file. A binding's own ``start``/``end`` are relative to the anchor of
what encloses it. So a binding can be shared unchanged by the trees before and
after an edit elsewhere. ``syntax.cursor`` turns the pairs into absolute offsets;
whoever walks the tree by hand carries ``base``, the absolute offset of the anchor,
and inside a binding uses ``base + binding.start`` as the new base.

**Holes**: where the text lacks an expression the tree has :class:`Missing`; its
range spans the blanks up to the next token, so a cursor standing there is in it.

Nodes are immutable once the parser has handed them out. They refer only to what lies below them; yet the compiled
ones must stay in the cycle collector's sight: mypyc frees what is deeply nested by a means that needs the collector's
header, and without one (``acyclic``) it writes over other objects' memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from evaluator.syntax.problems import Problem


class Node:
    """Anything with a place in the text: ``[start, end)`` relative to its anchor."""

    def __init__(self, start: int, end: int) -> None:
        self.start: Final = start
        self.end: Final = end


class Expr(Node):
    """An expression."""


@final
class Missing(Expr):
    """A hole: an expression was due here and the text has none."""


@final
class Var(Expr):
    """A name used as an expression: ``x``."""

    def __init__(self, start: int, end: int, name: str) -> None:
        super().__init__(start, end)
        self.name: Final = name


@final
class Int(Expr):
    """An integer literal; ``value`` may lie outside 64 bits (then there is a problem)."""

    def __init__(self, start: int, end: int, value: int) -> None:
        super().__init__(start, end)
        self.value: Final = value


@final
class Float(Expr):
    def __init__(self, start: int, end: int, value: float) -> None:
        super().__init__(start, end)
        self.value: Final = value


@final
class Text(Node):
    """A stretch of literal text inside a string or path, as written (escapes not yet read)."""


@final
class Interpolation(Node):
    """``${expr}`` inside a string, a path or an attribute path."""

    def __init__(self, start: int, end: int, expr: Expr) -> None:
        super().__init__(start, end)
        self.expr: Final = expr


@final
class Str(Expr):
    """``"…"`` (``indented`` false) or ``''…''``: :class:`Text` and :class:`Interpolation` in turn.

    ``evaluator.syntax.strings`` reads the escapes and strips the indentation.
    """

    def __init__(self, start: int, end: int, parts: list[Node], indented: bool) -> None:
        super().__init__(start, end)
        self.parts: Final = parts
        self.indented: Final = indented


@final
class Uri(Expr):
    """A bare URI literal: ``https://example.org/x``."""

    def __init__(self, start: int, end: int, text: str) -> None:
        super().__init__(start, end)
        self.text: Final = text


@final
class Path(Expr):
    """``./a``, ``/a``, ``~/a``, ``a/b``, with interpolations: parts as in :class:`Str`."""

    def __init__(self, start: int, end: int, parts: list[Node]) -> None:
        super().__init__(start, end)
        self.parts: Final = parts


@final
class SearchPath(Expr):
    """``<nixpkgs/lib>``; ``name`` is what stands between the brackets."""

    def __init__(self, start: int, end: int, name: str) -> None:
        super().__init__(start, end)
        self.name: Final = name


@final
class ListExpr(Expr):
    def __init__(self, start: int, end: int, items: list[Expr]) -> None:
        super().__init__(start, end)
        self.items: Final = items


@final
class Name(Node):
    """A plain identifier where it is not an expression: attribute, formal, ``@`` name."""

    def __init__(self, start: int, end: int, name: str) -> None:
        super().__init__(start, end)
        self.name: Final = name


@final
class AttrPath(Node):
    """``a."b".${c}``: each step a :class:`Name`, :class:`Str`, :class:`Interpolation` or :class:`Missing`."""

    def __init__(self, start: int, end: int, steps: list[Node]) -> None:
        super().__init__(start, end)
        self.steps: Final = steps


class Binding(Node):
    """An anchor: everything below it has offsets relative to its ``start``.

    ``height`` says how many levels of nesting were open at once in it when it was read strictly and can be taken over
    as it stands wherever its text stands; -1 when it cannot, because something in it is broken or looks misread.
    """

    def __init__(self, start: int, end: int, height: int) -> None:
        super().__init__(start, end)
        self.height: Final = height


@final
class AttrBinding(Binding):
    """``path = value;``"""

    def __init__(self, start: int, end: int, path: AttrPath, value: Expr, height: int = -1) -> None:
        super().__init__(start, end, height)
        self.path: Final = path
        self.value: Final = value


@final
class Inherit(Binding):
    """``inherit names;`` or ``inherit (source) names;``.

    Each name is a :class:`Name`, or a :class:`Str` (``inherit "a";``); an
    :class:`Interpolation` there is a problem the parser has reported.
    """

    def __init__(self, start: int, end: int, source: Expr | None, names: list[Node], height: int = -1) -> None:
        super().__init__(start, end, height)
        self.source: Final = source
        self.names: Final = names


@final
class AttrSet(Expr):
    """``{ … }`` or ``rec { … }``."""

    def __init__(self, start: int, end: int, bindings: list[Binding], recursive: bool) -> None:
        super().__init__(start, end)
        self.bindings: Final = bindings
        self.recursive: Final = recursive


@final
class Let(Expr):
    """``let bindings in body``."""

    def __init__(self, start: int, end: int, bindings: list[Binding], body: Expr) -> None:
        super().__init__(start, end)
        self.bindings: Final = bindings
        self.body: Final = body


@final
class LegacyLet(Expr):
    """``let { …; body = …; }``: a recursive set whose value is its ``body``."""

    def __init__(self, start: int, end: int, bindings: list[Binding]) -> None:
        super().__init__(start, end)
        self.bindings: Final = bindings


@final
class Formal(Node):
    """One formal argument ``name`` or ``name ? default``."""

    def __init__(self, start: int, end: int, name: Name, default: Expr | None) -> None:
        super().__init__(start, end)
        self.name: Final = name
        self.default: Final = default


@final
class Formals(Node):
    """``{ a, b ? 1, ... }``; the range is that of the braces."""

    def __init__(self, start: int, end: int, formals: list[Formal], ellipsis: bool) -> None:
        super().__init__(start, end)
        self.formals: Final = formals
        self.ellipsis: Final = ellipsis


@final
class Lambda(Expr):
    """``x: body``, ``{ … }: body``, ``{ … } @ x: body``, ``x @ { … }: body``.

    ``name`` is the plain argument or the ``@`` name; one of ``name`` and ``formals`` is there.
    """

    def __init__(self, start: int, end: int, name: Name | None, formals: Formals | None, body: Expr) -> None:
        super().__init__(start, end)
        self.name: Final = name
        self.formals: Final = formals
        self.body: Final = body


@final
class Apply(Expr):
    """``function argument``."""

    def __init__(self, start: int, end: int, function: Expr, argument: Expr) -> None:
        super().__init__(start, end)
        self.function: Final = function
        self.argument: Final = argument


@final
class Select(Expr):
    """``subject.path`` or ``subject.path or default``."""

    def __init__(self, start: int, end: int, subject: Expr, path: AttrPath, default: Expr | None) -> None:
        super().__init__(start, end)
        self.subject: Final = subject
        self.path: Final = path
        self.default: Final = default


@final
class HasAttr(Expr):
    """``subject ? path``."""

    def __init__(self, start: int, end: int, subject: Expr, path: AttrPath) -> None:
        super().__init__(start, end)
        self.subject: Final = subject
        self.path: Final = path


@final
class With(Expr):
    """``with namespace; body``."""

    def __init__(self, start: int, end: int, namespace: Expr, body: Expr) -> None:
        super().__init__(start, end)
        self.namespace: Final = namespace
        self.body: Final = body


@final
class Assert(Expr):
    """``assert condition; body``."""

    def __init__(self, start: int, end: int, condition: Expr, body: Expr) -> None:
        super().__init__(start, end)
        self.condition: Final = condition
        self.body: Final = body


@final
class If(Expr):
    """``if condition then yes else no``."""

    def __init__(self, start: int, end: int, condition: Expr, yes: Expr, no: Expr) -> None:
        super().__init__(start, end)
        self.condition: Final = condition
        self.yes: Final = yes
        self.no: Final = no


@final
class Unary(Expr):
    """``-x`` or ``!x``; ``op`` is the sign."""

    def __init__(self, start: int, end: int, op: str, operand: Expr) -> None:
        super().__init__(start, end)
        self.op: Final = op
        self.operand: Final = operand


@final
class Binary(Expr):
    """``left op right``; ``op`` as written, ``op_start`` where it stands (relative)."""

    def __init__(self, start: int, end: int, op: str, op_start: int, left: Expr, right: Expr) -> None:
        super().__init__(start, end)
        self.op: Final = op
        self.op_start: Final = op_start
        self.left: Final = left
        self.right: Final = right


@final
class Paren(Expr):
    """``(inner)``."""

    def __init__(self, start: int, end: int, inner: Expr) -> None:
        super().__init__(start, end)
        self.inner: Final = inner


@final
class Broken(Expr):
    """Expressions side by side where one was due, perhaps with more that fits nowhere: the first counts."""

    def __init__(self, start: int, end: int, parts: list[Expr]) -> None:
        super().__init__(start, end)
        self.parts: Final = parts


class Fault:
    """Where reading strictly, as Nix does, comes to its end before the text does.

    ``place`` is where the token starts that does not fit (absolute); to see that, the text was looked at up to
    ``reach``. ``inside`` are the places where the bindings start that it lies in, the innermost first. When it is
    ``too_high`` the token would fit, but not so deep in other constructs.
    """

    def __init__(self, place: int, reach: int, inside: list[int], too_high: bool) -> None:
        self.place: Final = place
        self.reach: Final = reach
        self.inside: Final = inside
        self.too_high: Final = too_high


class Source:
    """A parsed file: its text, its tree and what is wrong with it.

    ``root`` covers all tokens of the text, however broken. ``problems`` are in the
    order of their absolute offsets; with none, C++ Nix accepts the text too
    (undefined variables apart). ``comments`` are absolute ``(start, end)`` pairs.
    ``fault`` is None when Nix reads the text to its end. ``effort`` counts the tokens that
    were read to make it, those read twice included.
    """

    def __init__(
        self,
        text: str,
        root: Expr,
        problems: list[Problem],
        comments: list[tuple[int, int]],
        fault: Fault | None = None,
        effort: int = 0,
    ) -> None:
        self.text: Final = text
        self.root: Final = root
        self.problems: Final = problems
        self.comments: Final = comments
        self.fault: Final = fault
        self.effort: Final = effort
