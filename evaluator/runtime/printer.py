"""Values as Nix prints them on a terminal."""

from __future__ import annotations

from typing import Final

from evaluator.runtime.bulk import joined, packed, sorted_alike
from evaluator.runtime.values import (
    COUNTERS,
    NULL,
    Attrs,
    Closure,
    ContextString,
    PartialPrimop,
    PathValue,
    Primop,
    Thunk,
    descend,
    spend,
)

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def quoted(text: str) -> str:
    """A string as a Nix literal."""
    return '"' + text.translate(_ESCAPES).replace("${", "\\${") + '"'


def is_identifier(name: str) -> bool:
    """Whether an attribute name needs no quotes."""
    if not name or not name.isascii() or name in _KEYWORDS:
        return False
    first = name[0]
    if not (first.isalpha() or first == "_"):
        return False
    for char in name:
        if not (char.isalnum() or char in "_'-"):
            return False
    return True


_KEYWORDS: Final = frozenset(["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"])


def attribute(name: str) -> str:
    """An attribute name, quoted where it must be."""
    return name if is_identifier(name) else quoted(name)


def number(value: float) -> str:
    """A float as C++ streams print it: six significant digits."""
    return f"{value:g}"


def show(value: object, inner_function: str = "<LAMBDA>") -> str:
    """A value as ``nix-instantiate --eval`` prints it; what is not yet evaluated is ``<CODE>``.

    ``inner_function`` stands for functions inside sets and lists. Nix delays even those: in a value that nobody
    forced deeply they are ``<CODE>`` to it, but for those few that were called already.
    """
    pieces: list[str] = []
    if isinstance(value, Closure):
        return "<LAMBDA>"
    depth = COUNTERS.depth
    try:
        _show(value, pieces, set(), inner_function)
    finally:
        COUNTERS.depth = depth
    return joined(pieces)


def _show(value: object, out: list[str], seen: set[int], inner_function: str) -> None:
    if isinstance(value, Thunk):
        if value.code is not None:
            out.append("<CODE>")
            return
        value = value.payload
    if isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, int):
        out.append(str(value))
    elif isinstance(value, float):
        out.append(number(value))
    elif isinstance(value, str):
        out.append(quoted(value))
    elif isinstance(value, ContextString):
        out.append(quoted(value.text))
    elif isinstance(value, PathValue):
        out.append(value.path)
    elif value is NULL:
        out.append("null")
    elif isinstance(value, Attrs):
        if value.items and id(value) in seen:
            out.append("«repeated»")
            return
        seen.add(id(value))
        descend()
        out.append("{ ")
        start = len(out)
        for name in sorted_alike(list(value.items)):
            spend(1)
            out.append(attribute(name))
            out.append(" = ")
            _show(value.items[name], out, seen, inner_function)
            out.append("; ")
            start = packed(out, start)
        out.append("}")
        COUNTERS.depth -= 1
    elif isinstance(value, list):
        if value and id(value) in seen:
            out.append("«repeated»")
            return
        seen.add(id(value))
        descend()
        out.append("[ ")
        start = len(out)
        for item in value:
            spend(1)
            _show(item, out, seen, inner_function)
            out.append(" ")
            start = packed(out, start)
        out.append("]")
        COUNTERS.depth -= 1
    elif isinstance(value, Closure):
        out.append(inner_function)
    elif isinstance(value, Primop):
        out.append("<PRIMOP>")
    elif isinstance(value, PartialPrimop):
        out.append("<PRIMOP-APP>")
    else:
        out.append("<UNKNOWN>")
