"""Attribute sets, lets, selection, ``with`` and ``inherit``."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from evaluator.code.coerce import refers_to_store
from evaluator.code.variables import Constant
from evaluator.runtime.brief import expected
from evaluator.runtime.errors import EvalError, MissingAttribute
from evaluator.runtime.source import LiteralPositions, Place, SourceFile
from evaluator.runtime.values import (
    EMPTY_ATTRS,
    LARGEST_SHAPE,
    NULL,
    Attrs,
    Code,
    ContextString,
    Env,
    Shape,
    Thunk,
    elsewhere,
    force,
)

#: What ``derivation`` is written in is no place to send anybody to.
DERIVATION_NAME: Final = "«derivation»"


@final
class InheritSource(Code):
    """``source.name`` for ``inherit (source) name``; the payload of its thunks is the source, which they share."""

    def __init__(self, name: str, file: SourceFile, start: int, source_start: int, source_end: int) -> None:
        self.name: Final = name
        self.file: Final = file
        self.start: Final = start
        self.source_start: Final = source_start
        self.source_end: Final = source_end

    def place(self) -> Place:
        return Place(self.file, self.start, self.start + len(self.name))

    def source_place(self) -> Place:
        return Place(self.file, self.source_start, self.source_end)

    def resume(self, payload: object, extra: object) -> object:
        try:
            source = force(payload)
        except EvalError as error:
            error.note("while selecting an attribute", self.source_place())
            raise
        name = self.name
        fault: EvalError
        if isinstance(source, Attrs):
            value = source.find(name)
            if value is not None:
                if not isinstance(value, Thunk):
                    return value
                try:
                    return source.get(name)
                except EvalError as error:
                    definition = source.place_of(name)
                    if definition is not None:
                        error.note(f"from the definition of '{name}'", definition)
                    error.note(f"while evaluating the attribute '{name}'", self.place())
                    raise
            fault = missing_attribute(name, source, self.place())
        else:
            fault = expected("a set", source)
            fault.note("while selecting an attribute", self.place())
        fault.note(f"while evaluating the attribute '{name}'", self.place())
        raise fault


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


def attribute_name(value: object, place: Place, doing: str) -> str:
    """The name that a dynamic attribute or step computed; ``doing`` goes with an error that it is none."""
    if isinstance(value, str):
        return value
    fault = refers_to_store(value) if isinstance(value, ContextString) else expected("a string", value, place)
    fault.note(doing, place)
    raise fault


def _add_dynamic(
    items: dict[str, object], dynamic: list[DynamicAttr], env: Env, positions: LiteralPositions
) -> dict[str, int]:
    starts: dict[str, int] = {}
    for attr in dynamic:
        name = attr.name.eval(env)
        if name is NULL:
            continue
        text = attribute_name(name, attr.place, "while evaluating the name of a dynamic attribute")
        if text in items:
            first = starts[text] if text in starts else positions.starts.get(text, -1)
            at = "" if first < 0 else f" at {Place(positions.file, first, first)}"
            raise EvalError(f"dynamic attribute '{text}' already defined{at}", attr.place)
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
        all_names = names.copy()
        for clause in clauses:
            all_names.extend(clause.names)
        self.shape: Final = Shape(all_names) if not dynamic and len(all_names) <= LARGEST_SHAPE else None

    def eval(self, env: Env) -> object:
        values = self.values
        shape = self.shape
        if shape is not None:
            made = [value.thunk(env) for value in values]
            for clause in self.clauses:
                source = clause.source.thunk(env)
                for taker in clause.takers:
                    made.append(Thunk(taker, source))
            return Attrs.shaped(shape, made, self.positions)
        items: dict[str, object] = {}
        index: i64 = 0
        for name in self.names:
            items[name] = values[index].thunk(env)
            index += 1
        for clause in self.clauses:
            source = clause.source.thunk(env)
            takers = clause.takers
            index = 0
            for name in clause.names:
                items[name] = Thunk(takers[index], source)
                index += 1
        positions = self.positions
        if self.dynamic:
            starts = _add_dynamic(items, self.dynamic, env, positions)
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
            source = clause.source.thunk(inner)
            for taker in clause.takers:
                inner[slot] = Thunk(taker, source)
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
        # A small set is the list of its own environment.
        shape = Shape(names, 1) if not dynamic and len(names) <= LARGEST_SHAPE and "__overrides" not in names else None
        self.shape: Final = shape

    def eval(self, env: Env) -> object:
        inner = self.enter(env)
        shape = self.shape
        if shape is not None:
            return Attrs.shaped(shape, inner, self.positions)
        items: dict[str, object] = {}
        slot: i64 = 1
        for name in self.names:
            items[name] = inner[slot]
            slot += 1
        if "__overrides" in items:
            self._override(items, inner)
        positions = self.positions
        if self.dynamic:
            starts = _add_dynamic(items, self.dynamic, inner, positions)
            starts.update(positions.starts)
            positions = LiteralPositions(positions.file, starts)
        return Attrs(items, positions)

    def _override(self, items: dict[str, object], inner: Env) -> None:
        overrides = force(items["__overrides"])
        if not isinstance(overrides, Attrs):
            fault = expected("a set", overrides)
            fault.note("while evaluating the `__overrides` attribute", None)
            raise fault
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
    """The error for a selection that finds nothing, with names that may have been meant; ``place`` is the name's."""
    error = MissingAttribute(f"attribute '{name}' missing")
    error.place = place
    error.suggest(name, list(attrs.items))
    return error


class SelectBase(Code):
    """What selections share: where the whole selection starts, and where what it selects from stands."""

    def __init__(
        self, subject: Code, file: SourceFile, select_start: int, subject_start: int, subject_end: int
    ) -> None:
        self.subject: Final = subject
        self.file: Final = file
        self.select_start: Final = select_start
        #: Below zero for what is nowhere in the text (as Nix sees it: numbers, strings, ``let``).
        self.subject_start: Final = subject_start
        self.subject_end: Final = subject_end

    def subject_place(self) -> Place | None:
        return None if self.subject_start < 0 else Place(self.file, self.subject_start, self.subject_end)

    def whole(self, end: int) -> Place:
        return Place(self.file, self.select_start, end)


@final
class Select1(SelectBase):
    """``subject.name``; the place is that of ``name``.

    ``a.b.c`` is two of these; ``path`` is all of it ("b.c"), and ``before`` what comes before the name in it ("b.").
    """

    def __init__(
        self,
        subject: Code,
        name: str,
        file: SourceFile,
        select_start: int,
        subject_start: int,
        subject_end: int,
        start: int,
        end: int,
        path: str,
        before: str,
    ) -> None:
        super().__init__(subject, file, select_start, subject_start, subject_end)
        self.name: Final = name
        self.start: Final = start
        self.end: Final = end
        self.path: Final = path
        self.before: Final = before

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def eval(self, env: Env) -> object:
        try:
            subject = self.subject.eval(env)
        except EvalError as error:
            if not self.before:
                error.note("while selecting an attribute", self.subject_place())
            raise
        name = self.name
        if not isinstance(subject, Attrs):
            fault: EvalError = expected("a set", subject)
            fault.note("while selecting an attribute", self.whole(self.end))
            raise self._failed(fault, env)
        value = subject.find(name)
        if isinstance(value, Thunk):
            try:
                return subject.get(name)
            except EvalError as error:
                if self.before + name != self.path:
                    error.note("while selecting an attribute", self.whole(self.end))
                note_definition(error, self.before + name, subject.place_of(name))
                error.note(f"while evaluating the attribute '{self.path}'", self.whole(self.end))
                raise
        if value is None:
            raise self._failed(missing_attribute(name, subject, self.place()), env)
        return value

    def ready(self, env: Env) -> object:
        subject = self.subject.ready(env)
        if isinstance(subject, Attrs):
            value = subject.find(self.name)
            if isinstance(value, Thunk):
                return value.payload if value.code is None else None
            return value
        return None

    def thunk(self, env: Env) -> object:
        value = self.ready(env)
        return Thunk(self, env) if value is None else elsewhere(value)

    def _failed(self, fault: EvalError, env: Env) -> EvalError:
        """An error about the subject, with where the attribute that it is was defined."""
        below = self.subject
        if self.before and isinstance(below, Select1):
            fault.place = self.place()
            owner = below.subject.eval(env)  # it had a value a moment ago
            if isinstance(owner, Attrs):
                note_definition(fault, self.before[:-1], owner.place_of(below.name))
        fault.note(f"while evaluating the attribute '{self.path}'", self.whole(self.end))
        return fault


def note_definition(error: EvalError, path: str, place: Place | None) -> None:
    """Notes where an attribute was defined, unless that is in no file of the user's."""
    if place is not None and place.file.path != DERIVATION_NAME:
        error.note(f"from the definition of '{path}'", place)


@final
class SelectPath(SelectBase):
    """``subject.a.${b} or default``; steps are constants or dynamic names.

    ``spots``: where each step starts and ends, two numbers for each.
    """

    def __init__(
        self,
        subject: Code,
        steps: list[Code],
        spots: list[int],
        default: Code | None,
        file: SourceFile,
        select_start: int,
        subject_start: int,
        subject_end: int,
    ) -> None:
        super().__init__(subject, file, select_start, subject_start, subject_end)
        self.steps: Final = steps
        self.spots: Final = spots
        self.default: Final = default

    def place(self) -> Place:
        return Place(self.file, self.spots[0], self.spots[-1])

    def step_place(self, index: int) -> Place:
        return Place(self.file, self.spots[2 * index], self.spots[2 * index + 1])

    def eval(self, env: Env) -> object:
        try:
            at = self.subject.eval(env)
        except EvalError as error:
            error.note("while selecting an attribute", self.subject_place())
            raise
        default = self.default
        index = 0
        owner: Attrs | None = None
        owned = ""
        selecting = False
        computed: list[str] | None = None
        try:
            for step in self.steps:
                selecting = False
                name = step.eval(env)
                if not isinstance(name, str):
                    name = attribute_name(name, self.step_place(index), "while evaluating an attribute name")
                if not isinstance(step, Constant):
                    if computed is None:
                        computed = []
                    computed.append(name)
                selecting = True
                if isinstance(at, Thunk):
                    assert owner is not None
                    at = owner.get(owned)
                if not isinstance(at, Attrs):
                    if default is not None:
                        break
                    raise expected("a set", at)
                value = at.find(name)
                if value is None:
                    if default is not None:
                        break
                    selecting = False
                    raise missing_attribute(name, at, self.step_place(index))
                owner = at
                owned = name
                at = value
                index += 1
            else:
                selecting = False
                if isinstance(at, Thunk):
                    assert owner is not None
                    return owner.get(owned)
                return at
        except EvalError as error:
            if selecting and default is None:
                error.note("while selecting an attribute", self.whole(self.spots[-1]))
            if owner is not None:
                note_definition(error, self.path(index, computed), owner.place_of(owned))
            path = self.path(len(self.steps), computed)
            error.note(f"while evaluating the attribute '{path}'", self.whole(self.spots[-1]))
            raise
        assert default is not None
        return default.eval(env)

    def path(self, count: int, computed: list[str] | None) -> str:
        """The first steps in words; of the names that are ``computed``, those that have been so far."""
        names: list[str] = []
        known = 0
        for index in range(count):
            step = self.steps[index]
            if isinstance(step, Constant):
                names.append(str(step.value))
            elif computed is not None and known < len(computed):
                names.append(computed[known])
                known += 1
            else:
                text = self.file.text[self.spots[2 * index] : self.spots[2 * index + 1]]
                names.append('"${' + text + '}"')
        return ".".join(names)


@final
class HasAttrCode(Code):
    """``subject ? a.b``."""

    def __init__(self, subject: Code, steps: list[Code], place: Place, subject_place: Place | None) -> None:
        self.subject: Final = subject
        self.steps: Final = steps
        self.where: Final = place
        self.subject_place: Final = subject_place

    def eval(self, env: Env) -> object:
        try:
            at = self.subject.eval(env)
        except EvalError as error:
            error.note("in the argument of '?'", self.subject_place)
            raise
        last = len(self.steps) - 1
        for index in range(len(self.steps)):
            if not isinstance(at, Attrs):
                return False
            name = attribute_name(self.steps[index].eval(env), self.where, "while evaluating an attribute name")
            if index == last:
                return at.has(name)
            value = at.get(name)
            if value is None:
                return False
            at = value
        return True
