"""Turning values into strings, paths and other wanted types, with their string contexts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluator.code.functions import call
from evaluator.runtime.bulk import joined, packed
from evaluator.runtime.errors import TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import COUNTERS, NULL, Attrs, ContextString, PathValue, descend, force, spend

if TYPE_CHECKING:
    from evaluator.session import Session

NO_CONTEXT: Final[frozenset[str]] = frozenset()


def make_string(text: str, context: frozenset[str]) -> object:
    """A string value: plain ``str`` when there is no context."""
    return ContextString(text, context) if context else text


def rejoin(text: str) -> str:
    """Makes characters of bytes that came together: lone surrogates which now form valid UTF-8."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return text


def as_string(value: object, what: str = "") -> str:
    """The text of a string, context dropped. Raises TypeFault for anything else."""
    value = force(value)
    if isinstance(value, str):
        return value
    if isinstance(value, ContextString):
        return value.text
    raise TypeFault(f"value is {type_name(value)} while a string was expected{what}")


def as_string_no_context(value: object) -> str:
    """The text of a string that must not refer to a store path."""
    value = force(value)
    if isinstance(value, str):
        return value
    if isinstance(value, ContextString):
        path = sorted(value.context)[0]
        raise TypeFault(f"the string '{value.text}' is not allowed to refer to a store path (such as '{path}')")
    raise TypeFault(f"value is {type_name(value)} while a string was expected")


def context_of(value: object) -> frozenset[str]:
    """The string context of a forced string."""
    if isinstance(value, ContextString):
        return value.context
    return NO_CONTEXT


def as_attrs(value: object) -> Attrs:
    value = force(value)
    if isinstance(value, Attrs):
        return value
    raise TypeFault(f"value is {type_name(value)} while a set was expected")


def as_list(value: object) -> list[object]:
    value = force(value)
    if isinstance(value, list):
        return value
    raise TypeFault(f"value is {type_name(value)} while a list was expected")


def as_int(value: object) -> int:
    value = force(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise TypeFault(f"value is {type_name(value)} while an integer was expected")


def as_bool(value: object) -> bool:
    value = force(value)
    if isinstance(value, bool):
        return value
    raise TypeFault(f"value is {type_name(value)} while a Boolean was expected")


def as_function(value: object) -> object:
    """The forced value if it can be called."""
    value = force(value)
    if isinstance(value, (str, int, float, list, PathValue, ContextString)) or value is NULL:
        raise TypeFault(f"value is {type_name(value)} while a function was expected")
    if isinstance(value, Attrs) and value.find("__functor") is None:
        raise TypeFault("value is a set while a function was expected")
    return value


def format_float(value: float) -> str:
    """A float as ``toString`` prints it (C's ``%f``)."""
    return f"{value:f}"


def coerce_into(
    session: Session, value: object, pieces: list[str], context: frozenset[str], copy: bool, more: bool
) -> frozenset[str]:
    """Appends the text of ``value`` coerced to a string to ``pieces``; answers ``context`` joined with its context.

    ``copy``: a path is copied to the store (what interpolation does) rather than named.
    ``more``: null, booleans, numbers and lists are coerced as well (what ``toString`` does).
    """
    value = force(value)
    if isinstance(value, str):
        pieces.append(value)
        return context
    if isinstance(value, ContextString):
        pieces.append(value.text)
        if not context:
            return value.context
        if context is value.context:
            return context
        return context | value.context
    if isinstance(value, PathValue):
        if copy:
            stored = session.store_path_of(value.path)
            pieces.append(stored)
            return context | {stored}
        pieces.append(value.path)
        return context
    if isinstance(value, Attrs):
        descend()
        to_string = value.get("__toString")
        if to_string is not None:
            context = coerce_into(session, call(to_string, value), pieces, context, copy, more)
        else:
            out_path = value.get("outPath")
            if out_path is None:
                raise TypeFault("cannot coerce a set to a string")
            context = coerce_into(session, out_path, pieces, context, copy, more)
        COUNTERS.depth -= 1
        return context
    if more:
        if isinstance(value, bool):
            pieces.append("1" if value else "")
            return context
        if isinstance(value, int):
            pieces.append(str(value))
            return context
        if isinstance(value, float):
            pieces.append(format_float(value))
            return context
        if value is NULL:
            pieces.append("")
            return context
        if isinstance(value, list):
            descend()
            last = len(value) - 1
            start = len(pieces)
            for index in range(len(value)):
                spend(1)
                element = force(value[index])
                context = coerce_into(session, element, pieces, context, copy, more)
                # An empty list as an element adds no separator (kept from C++ Nix).
                if index < last and not (isinstance(element, list) and len(element) == 0):
                    pieces.append(" ")
                start = packed(pieces, start)
            COUNTERS.depth -= 1
            return context
    raise TypeFault(f"cannot coerce {type_name(value)} to a string")


def coerce(session: Session, value: object, copy: bool, more: bool) -> object:
    """``value`` coerced to a string value, as :func:`coerce_into` does."""
    value = force(value)
    if isinstance(value, (str, ContextString)):
        return value
    pieces: list[str] = []
    context = coerce_into(session, value, pieces, NO_CONTEXT, copy, more)
    return make_string(rejoin(joined(pieces)), context)


def coerce_to_path(session: Session, value: object) -> str:
    """An absolute path out of a path or a string that starts with a slash (context checked by the session)."""
    value = force(value)
    if isinstance(value, PathValue):
        return value.path
    if isinstance(value, Attrs) and value.find("outPath") is not None and value.find("__toString") is None:
        descend()
        path = coerce_to_path(session, value.get("outPath"))
        COUNTERS.depth -= 1
        return path
    pieces: list[str] = []
    context = coerce_into(session, value, pieces, NO_CONTEXT, False, False)
    text = "".join(pieces)
    if not text.startswith("/"):
        raise TypeFault(f"string '{text}' doesn't represent an absolute path")
    if context:
        session.need(context)
    return canonical(text)


def canonical(path: str) -> str:
    """An absolute path without ``.``, ``..``, doubled and trailing slashes (symbolic links are not looked at)."""
    if "//" not in path and "/." not in path:
        if len(path) > 1 and path.endswith("/"):
            return path[:-1]
        return path
    kept: list[str] = []
    for part in path.split("/"):
        if part == "" or part == ".":
            continue
        if part == "..":
            if kept:
                kept.pop()
        else:
            kept.append(part)
    return "/" + "/".join(kept)
