"""Names that nothing binds: Nix refuses a file for them before it evaluates anything.

What stands inside a ``with`` may have any name, so that part of a file need not even be looked at.

A set may be defined in several pieces (``a = rec { … }; a.b = …;``), of which the first tells whether they see each
other. That is so rare that it is only looked at when a name seems to be bound by nothing.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from evaluator.io.files import ParsedFile
from evaluator.lowering.sets import Pieces, SetSpec
from evaluator.runtime.errors import UndefinedVariable
from evaluator.runtime.source import Place
from evaluator.syntax import strings
from evaluator.syntax.cursor import child_base, children
from evaluator.syntax.tree import (
    Apply,
    AttrBinding,
    AttrPath,
    AttrSet,
    Binary,
    Binding,
    Expr,
    If,
    Inherit,
    Interpolation,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Name,
    Node,
    Paren,
    Path,
    Select,
    Source,
    Str,
    Text,
    Var,
    With,
)

_POSITION: Final = "__curPos"
"""Not a variable: Nix reads it as a position."""

_DEEP: Final = 400
"""Constructs in each other that are walked by recursion; what is deeper waits until that is done."""


@final
class _Names:
    """The names that one construct binds (``name`` alone where there are no ``names``), and the construct around it."""

    def __init__(self, name: str, names: set[str] | None, outer: _Names | None) -> None:
        self.name: Final = name
        self.names: Final = names
        self.outer: Final = outer


@final
class _Part:
    """A part of the tree that is still to be walked."""

    def __init__(self, node: Node, base: int, scope: _Names | None) -> None:
        self.node: Final = node
        self.base: Final = base
        self.scope: Final = scope


@final
class _Search:
    """Walks a tree in the order of the text until it finds a use of a name that nothing binds."""

    def __init__(self, text: str, known: dict[str, object], pieces: Pieces | None) -> None:
        self.text: Final = text
        self.known: Final = known
        #: Where the pieces of sets are put together; without, every one is taken for itself.
        self.pieces: Final = pieces
        self.depth: i64 = 0
        self.later: Final[list[_Part]] = []
        self.name = ""
        self.start = -1
        self.end = -1

    def run(self, source: Source) -> bool:
        """Whether there is one; ``name``, ``start`` and ``end`` tell which."""
        if self.expr(source.root, 0, None):
            return True
        while self.later:
            part = self.later.pop()
            self.depth = 0
            if self.expr(part.node, part.base, part.scope):
                return True
        return False

    def use(self, name: str, start: int, end: int, scope: _Names | None) -> bool:
        """Whether a name that is used is bound by nothing."""
        at = scope
        while at is not None:
            names = at.names
            if (name == at.name) if names is None else (name in names):
                return False
            at = at.outer
        if name in self.known or name == _POSITION:
            return False
        self.name = name
        self.start = start
        self.end = end
        return True

    def expr(self, node: Node, base: int, scope: _Names | None) -> bool:
        """Whether there is such a use in a node; ``base`` is what its offsets are relative to."""
        if isinstance(node, Var):
            return self.use(node.name, base + node.start, base + node.end, scope)
        if isinstance(node, Text) or isinstance(node, Name):
            return False
        if self.depth > _DEEP:
            self.later.append(_Part(node, base, scope))
            return False
        self.depth += 1
        found = self.inside(node, base, scope)
        self.depth -= 1
        return found

    def inside(self, node: Node, base: int, scope: _Names | None) -> bool:
        if isinstance(node, Apply):
            return self.expr(node.function, base, scope) or self.expr(node.argument, base, scope)
        if isinstance(node, Select):
            if self.expr(node.subject, base, scope) or self.steps(node.path, base, scope):
                return True
            default = node.default
            return default is not None and self.expr(default, base, scope)
        if isinstance(node, Str):
            return self.parts(node.parts, base, scope)
        if isinstance(node, AttrSet):
            if self.pieces is not None:
                return self.merged(self.pieces.spec(node.bindings, base, node.recursive), scope)
            if node.recursive:
                scope = _Names("", self.bound(node.bindings, base), scope)
            return self.bindings(node.bindings, base, scope, node.recursive)
        if isinstance(node, ListExpr):
            for item in node.items:
                if self.expr(item, base, scope):
                    return True
            return False
        if isinstance(node, Paren):
            return self.expr(node.inner, base, scope)
        if isinstance(node, Lambda):
            return self.function(node, base, scope)
        if isinstance(node, Let):
            if self.pieces is not None:
                spec = self.pieces.spec(node.bindings, base, True)
                return self.merged(spec, scope) or self.expr(node.body, base, _names_of(spec, scope))
            inner = _Names("", self.bound(node.bindings, base), scope)
            return self.bindings(node.bindings, base, inner, True) or self.expr(node.body, base, inner)
        if isinstance(node, With):
            return self.expr(node.namespace, base, scope)
        if isinstance(node, Binary):
            return self.expr(node.left, base, scope) or self.expr(node.right, base, scope)
        if isinstance(node, If):
            return (
                self.expr(node.condition, base, scope)
                or self.expr(node.yes, base, scope)
                or self.expr(node.no, base, scope)
            )
        if isinstance(node, Path):
            return len(node.parts) > 1 and self.parts(node.parts, base, scope)
        if isinstance(node, Interpolation):
            return self.expr(node.expr, base, scope)
        if isinstance(node, LegacyLet):
            if self.pieces is not None:
                return self.merged(self.pieces.spec(node.bindings, base, True), scope)
            return self.bindings(node.bindings, base, _Names("", self.bound(node.bindings, base), scope), True)
        if isinstance(node, AttrPath):
            return self.steps(node, base, scope)
        at = child_base(node, base)
        for child in children(node):
            if self.expr(child, at, scope):
                return True
        return False

    def parts(self, parts: list[Node], base: int, scope: _Names | None) -> bool:
        for part in parts:
            if isinstance(part, Interpolation) and self.expr(part.expr, base, scope):
                return True
        return False

    def steps(self, path: AttrPath, base: int, scope: _Names | None) -> bool:
        for step in path.steps:
            if not isinstance(step, Name) and self.expr(step, base, scope):
                return True
        return False

    def function(self, node: Lambda, base: int, scope: _Names | None) -> bool:
        formals = node.formals
        argument = node.name
        if formals is None:
            name = "" if argument is None else argument.name
            return self.expr(node.body, base, _Names(name, None, scope))
        names: set[str] = set()
        if argument is not None:
            names.add(argument.name)
        inner = _Names("", names, scope)
        for formal in formals.formals:
            names.add(formal.name.name)
        for formal in formals.formals:
            default = formal.default
            if default is not None and self.expr(default, base, inner):
                return True
        return self.expr(node.body, base, inner)

    def bound(self, bindings: list[Binding], base: int) -> set[str]:
        """The names that the bindings of a recursive set or ``let`` bind."""
        names: set[str] = set()
        for binding in bindings:
            if isinstance(binding, AttrBinding):
                steps = binding.path.steps
                if steps:
                    self.add(names, steps[0], base + binding.start)
            elif isinstance(binding, Inherit):
                for name in binding.names:
                    self.add(names, name, base + binding.start)
        return names

    def merged(self, spec: SetSpec, scope: _Names | None) -> bool:
        """As :meth:`bindings`, for a set whose pieces were put together."""
        inner = _names_of(spec, scope) if spec.recursive else scope
        for name, entry in spec.entries.items():
            nested = entry.nested
            value = entry.value
            if entry.outer:
                if self.use(name, entry.start, entry.start + len(name), scope):
                    return True
            elif nested is not None:
                if self.merged(nested, inner):
                    return True
            elif value is not None and self.expr(value, entry.base, inner):
                return True
        for clause in spec.clauses:
            if self.expr(clause.source, clause.base, inner):
                return True
        for dynamic in spec.dynamic:
            nested = dynamic.nested
            value = dynamic.value
            if self.expr(dynamic.name, dynamic.base, inner):
                return True
            if nested is not None and self.merged(nested, inner):
                return True
            if value is not None and self.expr(value, dynamic.base, inner):
                return True
        return False

    def add(self, names: set[str], step: Node, base: int) -> None:
        if isinstance(step, Name):
            names.add(step.name)
        else:
            spelled = strings.static_name(self.text, step, base)
            if spelled is not None:
                names.add(spelled)

    def bindings(self, bindings: list[Binding], base: int, scope: _Names | None, recursive: bool) -> bool:
        for binding in bindings:
            at = base + binding.start
            if isinstance(binding, AttrBinding):
                if self.steps(binding.path, at, scope) or self.expr(binding.value, at, scope):
                    return True
            elif isinstance(binding, Inherit):
                source: Expr | None = binding.source
                if source is not None:
                    if self.expr(source, at, scope):
                        return True
                    continue
                # `inherit x;` takes x from outside.
                outside = scope.outer if recursive and scope is not None else scope
                for step in binding.names:
                    name = step.name if isinstance(step, Name) else strings.static_name(self.text, step, at)
                    if name is not None and self.use(name, at + step.start, at + step.end, outside):
                        return True
        return False


def _names_of(spec: SetSpec, scope: _Names | None) -> _Names:
    names = set(spec.entries)
    for clause in spec.clauses:
        names.update(clause.names)
    return _Names("", names, scope)


def undefined_name(parsed: ParsedFile, known: dict[str, object]) -> UndefinedVariable | None:
    """The first use of a name that neither the text binds nor is ``known`` (built in), as an error."""
    search = _Search(parsed.source.text, known, None)
    if not search.run(parsed.source):
        return None
    search = _Search(parsed.source.text, known, Pieces(parsed.file))
    if not search.run(parsed.source):
        return None
    place = Place(parsed.file, search.start, search.end)
    return UndefinedVariable(f"undefined variable '{search.name}'", place)
