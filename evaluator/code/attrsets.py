"""Attribute sets, lets, selection, ``with`` and ``inherit``."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from evaluator.code.variables import _read
from evaluator.runtime.errors import EvalError, MissingAttribute, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.source import LiteralPositions, Place, SourceFile
from evaluator.runtime.suggest import similar
from evaluator.runtime.values import EMPTY_ATTRS, NULL, Attrs, Code, ContextString, Env, Shape, Thunk, force

_LARGEST_SHAPE: Final = 12


@final
class InheritSource(Code):
    """``source.name`` for ``inherit (source) name``; the environment holds the shared source thunk in slot 1."""

    def __init__(self, name: str, file: SourceFile, start: int) -> None:
        self.name: Final = name
        self.file: Final = file
        self.start: Final = start

    def place(self) -> Place:
        return Place(self.file, self.start, self.start + len(self.name))

    def eval(self, env: Env) -> object:
        source = _read(env, 1)
        if not isinstance(source, Attrs):
            raise TypeFault(f"value is {type_name(source)} while a set was expected", self.place())
        value = source.get(self.name)
        if value is None:
            raise missing_attribute(self.name, source, self.place())
        return value


@final
class InheritClause:
    """One ``inherit (source) …`` of a set or let: the source's code and the attributes taken from it."""

    def __init__(self, source: Code, names: list[str], takers: list[Code]) -> None:
        self.source: Final = source
        self.names: Final = names
        self.takers: Final = takers


@final
class DynamicAttr:
    """``${name} = value``; a null name leaves the attribute out."""

    def __init__(self, name: Code, value: Code, place: Place) -> None:
        self.name: Final = name
        self.value: Final = value
        self.place: Final = place


def attribute_name(value: object, place: Place) -> str:
    """The name a dynamic attribute computed."""
    if isinstance(value, str):
        return value
    if isinstance(value, ContextString):
        raise TypeFault(
            f"the string '{value.text}' is not allowed to refer to a store path (such as '{min(value.context)}')", place
        )
    raise TypeFault(f"value is {type_name(value)} while a string was expected", place)


def _add_dynamic(items: dict[str, object], dynamic: list[DynamicAttr], env: Env) -> dict[str, int]:
    starts: dict[str, int] = {}
    for attr in dynamic:
        name = attr.name.eval(env)
        if name is NULL:
            continue
        text = attribute_name(name, attr.place)
        if text in items:
            raise EvalError(f"dynamic attribute '{text}' already defined", attr.place)
        items[text] = attr.value.thunk(env)
        starts[text] = attr.place.start
    return starts


@final
class SetCode(Code):
    """``{ … }``: plain attributes, inherited ones, dynamic ones."""

    def __init__(
        self,
        names: list[str],
        values: list[Code],
        clauses: list[InheritClause],
        dynamic: list[DynamicAttr],
        positions: LiteralPositions,
    ) -> None:
        self.names: Final = names
        self.values: Final = values
        self.clauses: Final = clauses
        self.dynamic: Final = dynamic
        self.positions: Final = positions
        # A small literal makes its sets in the form of a list; a large one is more likely to be looked at as a whole.
        self.shape: Final = Shape(names) if not clauses and not dynamic and len(names) <= _LARGEST_SHAPE else None

    def eval(self, env: Env) -> object:
        values = self.values
        shape = self.shape
        if shape is not None:
            return Attrs.shaped(shape, [value.thunk(env) for value in values], self.positions)
        items: dict[str, object] = {}
        index: i64 = 0
        for name in self.names:
            items[name] = values[index].thunk(env)
            index += 1
        for clause in self.clauses:
            shared: Env = [None, clause.source.thunk(env)]
            takers = clause.takers
            index = 0
            for name in clause.names:
                items[name] = Thunk(takers[index], shared)
                index += 1
        positions = self.positions
        if self.dynamic:
            starts = _add_dynamic(items, self.dynamic, env)
            starts.update(positions.starts)
            positions = LiteralPositions(positions.file, starts)
        return Attrs(items, positions)


@final
class EmptySet(Code):
    """``{ }``."""

    def eval(self, env: Env) -> object:
        return EMPTY_ATTRS

    def thunk(self, env: Env) -> object:
        return EMPTY_ATTRS


class ScopeCode(Code):
    """A recursive scope: slots for names whose values may refer to each other."""

    def __init__(self, slots: int, values: list[Code], clauses: list[InheritClause], outer: list[Code]) -> None:
        # Slots: 1…len(values) by values; then the clauses' names; then plain inherited names (read outside).
        self.values: Final = values
        self.clauses: Final = clauses
        self.outer: Final = outer
        empty: Env = [None] * (slots + 1)
        self.empty: Final = empty

    def enter(self, env: Env) -> Env:
        """The environment of the scope, every slot filled with a thunk or value."""
        inner: Env = self.empty.copy()
        inner[0] = env
        values = self.values
        slot: i64 = len(values) + 1
        for clause in self.clauses:
            shared: Env = [None, clause.source.thunk(inner)]
            for taker in clause.takers:
                inner[slot] = Thunk(taker, shared)
                slot += 1
        for code in self.outer:
            inner[slot] = code.thunk(env)
            slot += 1
        slot = 1
        for value in values:
            inner[slot] = value.thunk(inner)
            slot += 1
        return inner


@final
class LetCode(ScopeCode):
    """``let … in body``."""

    def __init__(
        self, slots: int, values: list[Code], clauses: list[InheritClause], outer: list[Code], body: Code
    ) -> None:
        super().__init__(slots, values, clauses, outer)
        self.body: Final = body

    def eval(self, env: Env) -> object:
        return self.body.eval(self.enter(env))


@final
class RecSetCode(ScopeCode):
    """``rec { … }``; ``names`` are in slot order. ``__overrides`` replaces attributes, as in Nix."""

    def __init__(
        self,
        names: list[str],
        values: list[Code],
        clauses: list[InheritClause],
        outer: list[Code],
        dynamic: list[DynamicAttr],
        positions: LiteralPositions,
    ) -> None:
        super().__init__(len(names), values, clauses, outer)
        self.names: Final = names
        self.dynamic: Final = dynamic
        self.positions: Final = positions

    def eval(self, env: Env) -> object:
        inner = self.enter(env)
        items: dict[str, object] = {}
        slot: i64 = 1
        for name in self.names:
            items[name] = inner[slot]
            slot += 1
        if "__overrides" in items:
            self._override(items, inner)
        positions = self.positions
        if self.dynamic:
            starts = _add_dynamic(items, self.dynamic, inner)
            starts.update(positions.starts)
            positions = LiteralPositions(positions.file, starts)
        return Attrs(items, positions)

    def _override(self, items: dict[str, object], inner: Env) -> None:
        overrides = force(items["__overrides"])
        if not isinstance(overrides, Attrs):
            raise TypeFault(f"value is {type_name(overrides)} while a set was expected")
        for name in overrides.items:
            items[name] = overrides.items[name]
            if name in self.names:
                inner[self.names.index(name) + 1] = overrides.items[name]


@final
class WithCode(Code):
    """``with namespace; body``: an environment whose slot 1 is the namespace."""

    def __init__(self, namespace: Code, body: Code) -> None:
        self.namespace: Final = namespace
        self.body: Final = body

    def enter(self, env: Env) -> Env:
        """The environment of the body."""
        inner: Env = [env, self.namespace.thunk(env)]
        return inner

    def eval(self, env: Env) -> object:
        return self.body.eval(self.enter(env))


def missing_attribute(name: str, attrs: Attrs, place: Place | None) -> MissingAttribute:
    """The error for a selection that finds nothing, with names that may have been meant."""
    error = MissingAttribute(f"attribute '{name}' missing", place)
    error.suggestions = similar(name, attrs.items)
    return error


class SelectBase(Code):
    """What selections share."""

    def __init__(self, subject: Code, file: SourceFile, start: int, end: int) -> None:
        self.subject: Final = subject
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)


@final
class Select1(SelectBase):
    """``subject.name``; the place is that of ``name``."""

    def __init__(self, subject: Code, name: str, file: SourceFile, start: int, end: int) -> None:
        super().__init__(subject, file, start, end)
        self.name: Final = name

    def eval(self, env: Env) -> object:
        subject = self.subject.eval(env)
        if not isinstance(subject, Attrs):
            raise TypeFault(f"value is {type_name(subject)} while a set was expected", self.place())
        name = self.name
        value = subject.find(name)
        if isinstance(value, Thunk):
            try:
                return subject.get(name)
            except EvalError as error:
                error.note(f"while evaluating the attribute '{name}'", subject.place_of(name))
                error.locate(self.place())
                raise
        if value is None:
            raise missing_attribute(name, subject, self.place())
        return value


@final
class SelectPath(SelectBase):
    """``subject.a.${b} or default``; steps are constants or dynamic names."""

    def __init__(
        self, subject: Code, steps: list[Code], default: Code | None, file: SourceFile, start: int, end: int
    ) -> None:
        super().__init__(subject, file, start, end)
        self.steps: Final = steps
        self.default: Final = default

    def eval(self, env: Env) -> object:
        at = self.subject.eval(env)
        default = self.default
        for step in self.steps:
            name = step.eval(env)
            if not isinstance(name, str):
                name = attribute_name(name, self.place())
            if not isinstance(at, Attrs):
                if default is not None:
                    return default.eval(env)
                raise TypeFault(f"value is {type_name(at)} while a set was expected", self.place())
            value = at.find(name)
            if value is None:
                if default is not None:
                    return default.eval(env)
                raise missing_attribute(name, at, self.place())
            if isinstance(value, Thunk):
                try:
                    at = at.get(name)
                except EvalError as error:
                    if isinstance(at, Attrs):
                        error.note(f"while evaluating the attribute '{name}'", at.place_of(name))
                    error.locate(self.place())
                    raise
            else:
                at = value
        return at


@final
class HasAttrCode(Code):
    """``subject ? a.b``."""

    def __init__(self, subject: Code, steps: list[Code], place: Place) -> None:
        self.subject: Final = subject
        self.steps: Final = steps
        self.where: Final = place

    def eval(self, env: Env) -> object:
        at = self.subject.eval(env)
        last = len(self.steps) - 1
        for index in range(len(self.steps)):
            if not isinstance(at, Attrs):
                return False
            name = attribute_name(self.steps[index].eval(env), self.where)
            if index == last:
                return at.find(name) is not None
            value = at.get(name)
            if value is None:
                return False
            at = value
        return True
