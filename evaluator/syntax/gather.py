"""The attributes of a set or ``let``, gathered from its bindings as Nix gathers them.

``a.b = 1; a.c = 2;`` and ``a = { b = 1; }; a.c = 2;`` are one attribute ``a``. What cannot be merged is a problem that
the parser has reported (see :mod:`evaluator.syntax.duplicates`); here the first stays.
"""

from __future__ import annotations

from typing import Final

from evaluator.syntax.strings import static_name
from evaluator.syntax.tree import (
    AttrBinding,
    AttrSet,
    Binding,
    Expr,
    Inherit,
    Interpolation,
    Missing,
    Name,
    Node,
    Paren,
)


class Attr:
    """One attribute of a :class:`Gathered`: an expression, or a set that paths have made."""

    def __init__(self, value: Expr | None, base: int, nested: Gathered | None) -> None:
        self.value: Final = value
        self.base: Final = base
        self.nested: Gathered | None = nested


class Dynamic:
    """An attribute whose name must be computed."""

    def __init__(self, name: Expr, base: int, attr: Attr) -> None:
        self.name: Final = name
        self.base: Final = base
        self.attr: Final = attr


class Clause:
    """``inherit (source) names;``"""

    def __init__(self, source: Expr, base: int, names: list[str]) -> None:
        self.source: Final = source
        self.base: Final = base
        self.names: Final = names


class Gathered:
    """The attributes of one set or ``let``: named, inherited from outside and from sources, computed."""

    def __init__(self, recursive: bool) -> None:
        self.recursive: Final = recursive
        self.attrs: Final[dict[str, Attr]] = {}
        self.inherited: Final[list[str]] = []
        self.clauses: Final[list[Clause]] = []
        self.dynamic: Final[list[Dynamic]] = []


class Gatherer:
    """Gathers the attributes of sets in one text."""

    def __init__(self, text: str) -> None:
        self.text: Final = text

    def gather(self, bindings: list[Binding], base: int, recursive: bool) -> Gathered:
        """The attributes of bindings whose offsets are relative to ``base``."""
        result = Gathered(recursive)
        self.add_all(result, bindings, base)
        return result

    def add_all(self, into: Gathered, bindings: list[Binding], base: int) -> None:
        """Put more bindings to those gathered."""
        for binding in bindings:
            at = base + binding.start
            if isinstance(binding, AttrBinding):
                self.add(into, binding.path.steps, Attr(binding.value, at, None), at)
            elif isinstance(binding, Inherit):
                names: list[str] = []
                for node in binding.names:
                    name = self.name_of(node, at)
                    if name is not None:
                        names.append(name)
                if binding.source is None:
                    into.inherited.extend(names)
                else:
                    into.clauses.append(Clause(binding.source, at, names))

    def add(self, into: Gathered, steps: list[Node], attr: Attr, base: int) -> None:
        """Put one attribute, or what its path leads through, among others."""
        last = len(steps) - 1
        for index in range(last):
            step = steps[index]
            name = self.name_of(step, base)
            if name is None:
                nested = Gathered(False)
                into.dynamic.append(Dynamic(computed(step), base, Attr(None, base, nested)))
                into = nested
                continue
            found = into.attrs.get(name)
            if found is None:
                nested = Gathered(False)
                into.attrs[name] = Attr(None, base, nested)
                into = nested
                continue
            members = self.set_of(found)
            if members is None:
                return
            into = members
        step = steps[last]
        name = self.name_of(step, base)
        if name is None:
            into.dynamic.append(Dynamic(computed(step), base, attr))
        else:
            self.put(into, name, attr)

    def put(self, into: Gathered, name: str, attr: Attr) -> None:
        """Put an attribute where its path has led, merging sets."""
        found = into.attrs.get(name)
        if found is None:
            into.attrs[name] = attr
            return
        # Both are sets written out, else there would be a problem. A `rec` on the second is lost, as in Nix.
        members = self.set_of(found)
        new = self.set_of(attr)
        if members is None or new is None:
            return
        for key, member in new.attrs.items():
            self.put(members, key, member)
        members.inherited.extend(new.inherited)
        members.clauses.extend(new.clauses)
        members.dynamic.extend(new.dynamic)

    def set_of(self, attr: Attr) -> Gathered | None:
        """The set that an attribute is when it is written out, else None."""
        if attr.nested is None and attr.value is not None:
            value = bare(attr.value)
            if isinstance(value, AttrSet):
                attr.nested = self.gather(value.bindings, attr.base, value.recursive)
        return attr.nested

    def name_of(self, node: Node, base: int) -> str | None:
        """The name that a step of a path spells; None when it must be computed."""
        if isinstance(node, Name):
            return node.name
        return static_name(self.text, node, base)


def bare(expr: Expr) -> Expr:
    """The expression without parentheses around it, which Nix's tree does not have."""
    while isinstance(expr, Paren):
        expr = expr.inner
    return expr


def computed(step: Node) -> Expr:
    """The expression of a name that must be computed: what is in ``${ }``, or a string with interpolations."""
    if isinstance(step, Interpolation):
        return step.expr
    return step if isinstance(step, Expr) else Missing(step.start, step.end)
