"""Values inside error messages: as Nix prints them there, evaluating nothing and never much."""

from __future__ import annotations

from typing import Final

from evaluator.runtime.errors import TypeFault
from evaluator.runtime.printer import attribute, number, quoted
from evaluator.runtime.show import type_name
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    BLACKHOLE,
    NULL,
    Attrs,
    Closure,
    ContextString,
    PartialPrimop,
    PathValue,
    Primop,
    Thunk,
)

_DEEPEST: Final = 10
_ATTRIBUTES: Final = 10
_ITEMS: Final = 10
_BYTES: Final = 1024


class _Brief:
    def __init__(self, whole: bool) -> None:
        self.pieces: list[str] = []
        self.whole: Final = whole
        self.attributes = 0
        self.items = 0
        self.seen: set[int] = set()

    def show(self, value: object, depth: int) -> None:
        if isinstance(value, Thunk):
            if value.code is not None:
                self.pieces.append("«potential infinite recursion»" if value.code is BLACKHOLE else "«thunk»")
                return
            value = value.payload
        if isinstance(value, bool):
            self.pieces.append("true" if value else "false")
        elif isinstance(value, int):
            self.pieces.append(str(value))
        elif isinstance(value, float):
            self.pieces.append(number(value))
        elif isinstance(value, str):
            self.pieces.append(_text(value))
        elif isinstance(value, ContextString):
            self.pieces.append(_text(value.text))
        elif isinstance(value, PathValue):
            self.pieces.append(value.path)
        elif value is NULL:
            self.pieces.append("null")
        elif isinstance(value, Attrs):
            self.attrs(value, depth)
        elif isinstance(value, list):
            self.list(value, depth)
        else:
            self.pieces.append(f"«{_function(value)}»")

    def attrs(self, value: Attrs, depth: int) -> None:
        if value.at_most() and id(value) in self.seen:
            self.pieces.append("«repeated»")
            return
        self.seen.add(id(value))
        if depth >= _DEEPEST and not self.whole:
            self.pieces.append("{ ... }")
            return
        self.pieces.append("{")
        names = [name for name in ("_type", "type") if value.has(name)]
        names += [name for name in sorted(value.items) if name not in ("_type", "type")]
        for index, name in enumerate(names):
            if self.attributes >= _ATTRIBUTES and not self.whole:
                self.pieces.append(" " + _elided(len(names) - index, "attribute"))
                break
            self.pieces.append(f" {attribute(name)} = ")
            self.show(value.find(name), depth + 1)
            self.pieces.append(";")
            self.attributes += 1
        self.pieces.append(" }")

    def list(self, value: list[object], depth: int) -> None:
        if value and id(value) in self.seen:
            self.pieces.append("«repeated»")
            return
        self.seen.add(id(value))
        if depth >= _DEEPEST and not self.whole:
            self.pieces.append("[ ... ]")
            return
        self.pieces.append("[")
        for index, item in enumerate(value):
            self.pieces.append(" ")
            if self.items >= _ITEMS and not self.whole:
                self.pieces.append(_elided(len(value) - index, "item"))
                break
            self.show(item, depth + 1)
            self.items += 1
        self.pieces.append(" ]")


def _elided(count: int, what: str) -> str:
    return f"«{count} {what}{'' if count == 1 else 's'} elided»"


def _text(text: str) -> str:
    size = len(text.encode("utf-8", "surrogateescape"))
    if size <= _BYTES:
        return quoted(text)
    start = text.encode("utf-8", "surrogateescape")[:_BYTES].decode("utf-8", "surrogateescape")
    return f"{quoted(start)} {_elided(size - _BYTES, 'byte')}"


def _function(value: object) -> str:
    if isinstance(value, Closure):
        name = value.function.known_as()
        return f"lambda{' ' if name else ''}{name} @ {value.function.place()}"
    if isinstance(value, Primop):
        return f"primop {value.name}"
    if isinstance(value, PartialPrimop):
        return f"partially applied primop {value.primop.name}"
    return "unknown"


def brief(value: object) -> str:
    """A value in a few words; thunks stay what they are."""
    shown = _Brief(False)
    shown.show(value, 0)
    return "".join(shown.pieces)


def whole(value: object) -> str:
    """All of a value, as ``builtins.trace`` prints it; thunks stay what they are."""
    shown = _Brief(True)
    shown.show(value, 0)
    return "".join(shown.pieces)


def described(value: object) -> str:
    """The type of a forced value and the value: ``an integer: 1``."""
    return f"{type_name(value)}: {brief(value)}"


def expected(wanted: str, value: object, pinned: Place | None = None) -> TypeFault:
    """The error that a forced value is not what is ``wanted`` ("a set")."""
    return TypeFault(f"expected {wanted} but found {described(value)}", pinned)
