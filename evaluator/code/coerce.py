"""Turning values into strings, paths and other wanted types, with their string contexts."""

from __future__ import annotations

from typing import Final

from evaluator.code.functions import call
from evaluator.runtime.brief import brief, expected
from evaluator.runtime.bulk import joined, packed
from evaluator.runtime.errors import EvalError, MissingAttribute, TypeFault
from evaluator.runtime.host import Host
from evaluator.runtime.show import type_name
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    COUNTERS,
    NULL,
    Attrs,
    Closure,
    ContextString,
    PartialPrimop,
    PathValue,
    Primop,
    descend,
    force,
    spend,
)

NO_CONTEXT: Final[frozenset[str]] = frozenset()
_ELEMENT: Final = "while evaluating one element of the list"


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


def as_string(value: object, doing: str = "") -> str:
    """The text of a string, context dropped. Raises TypeFault for anything else.

    ``doing`` says, here and below, what the value is wanted for, in the words of a trace.
    """
    try:
        value = force(value)
        if isinstance(value, str):
            return value
        if isinstance(value, ContextString):
            return value.text
        raise expected("a string", value)
    except EvalError as error:
        error.note(doing, None)
        raise


def as_string_no_context(value: object, doing: str = "") -> str:
    """The text of a string that must not refer to a store path."""
    try:
        value = force(value)
        if isinstance(value, str):
            return value
        if isinstance(value, ContextString):
            raise refers_to_store(value)
        raise expected("a string", value)
    except EvalError as error:
        error.note(doing, None)
        raise


def refers_to_store(text: ContextString) -> EvalError:
    """The error that a string has context where it must not."""
    return EvalError(
        f"the string '{text.text}' is not allowed to refer to a store path (such as '{_shown(min(text.context))}')"
    )


def _shown(element: str) -> str:
    """An element of a string context as messages name it."""
    if element.startswith("!"):
        _, output, path = element.split("!", 2)
        return f"{path}^{output}"
    return element.removeprefix("=")


def context_of(value: object) -> frozenset[str]:
    """The string context of a forced string."""
    if isinstance(value, ContextString):
        return value.context
    return NO_CONTEXT


def as_attrs(value: object, doing: str = "") -> Attrs:
    value = force(value)
    if isinstance(value, Attrs):
        return value
    fault = expected("a set", value)
    fault.note(doing, None)
    raise fault


def as_list(value: object, doing: str = "") -> list[object]:
    value = force(value)
    if isinstance(value, list):
        return value
    fault = expected("a list", value)
    fault.note(doing, None)
    raise fault


def as_int(value: object, doing: str = "") -> int:
    try:
        value = force(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise expected("an integer", value)
    except EvalError as error:
        error.note(doing, None)
        raise


def as_bool(value: object, doing: str = "") -> bool:
    if value is True:
        return True
    if value is False:
        return False
    try:
        value = force(value)
        if isinstance(value, bool):
            return value
        raise expected("a Boolean", value)
    except EvalError as error:
        error.note(doing, None)
        raise


def as_function(value: object, doing: str = "") -> object:
    """The forced value if it can be called."""
    try:
        value = force(value)
        if isinstance(value, Closure) or isinstance(value, Primop) or isinstance(value, PartialPrimop):
            return value
        if isinstance(value, Attrs) and value.find("__functor") is not None:
            return value
        raise expected("a function", value)
    except EvalError as error:
        error.note(doing, None)
        raise


def attribute_of(attrs: Attrs, name: str, doing: str = "") -> object:
    """The forced attribute. Raises MissingAttribute, a failing attribute's own error."""
    value = attrs.get(name)
    if value is None:
        fault = MissingAttribute(f"attribute '{name}' missing")
        fault.note(doing, None)
        raise fault
    return value


def format_float(value: float) -> str:
    """A float as ``toString`` prints it (C's ``%f``)."""
    return f"{value:f}"


def coerce_into(
    host: Host,
    value: object,
    pieces: list[str],
    context: frozenset[str],
    copy: bool,
    more: bool,
    doing: str = "",
) -> frozenset[str]:
    """Appends the text of ``value`` coerced to a string to ``pieces``; answers ``context`` joined with its context.

    ``copy``: a path is copied to the store (what interpolation does) rather than named.
    ``more``: null, booleans, numbers and lists are coerced as well (what ``toString`` does); ``doing`` is noted for
    what is wrong with an element of a list. Whoever calls this has to explain an error that the value itself is wrong.
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
            stored = host.store_path_of(value.path)
            pieces.append(stored)
            return context | {stored}
        pieces.append(value.path)
        return context
    if isinstance(value, Attrs):
        descend()
        context = _coerce_attrs(host, value, pieces, context, copy, more)
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
                element = value[index]
                try:
                    element = force(element)
                    context = coerce_into(host, element, pieces, context, copy, more, _ELEMENT)
                except EvalError as error:
                    error.explain(_ELEMENT, None)
                    error.note(doing, None)
                    raise
                # An empty list as an element adds no separator (kept from C++ Nix).
                if index < last and not (isinstance(element, list) and len(element) == 0):
                    pieces.append(" ")
                start = packed(pieces, start)
            COUNTERS.depth -= 1
            return context
    raise not_text(value)


def not_text(value: object) -> EvalError:
    """The error that a forced value is nothing to make a string of."""
    return TypeFault(f"cannot coerce {type_name(value)} to a string: {brief(value)}").unexplained()


def _coerce_attrs(
    host: Host, attrs: Attrs, pieces: list[str], context: frozenset[str], copy: bool, more: bool
) -> frozenset[str]:
    to_string = attrs.get("__toString")
    if to_string is not None:
        place = attrs.place_of("__toString")
        value = stringified(attrs, to_string, place)
        try:
            return coerce_into(host, value, pieces, context, copy, more)
        except EvalError as error:
            error.note("while using the result of the `__toString` attribute", place)
            raise
    out_path = attrs.find("outPath")
    if out_path is None:
        raise not_text(attrs)
    doing = "evaluating"
    try:
        out_path = force(out_path)
        doing = "using"
        return coerce_into(host, out_path, pieces, context, copy, more)
    except EvalError as error:
        error.note(f"while {doing} the `outPath` attribute", attrs.place_of("outPath"))
        raise


def stringified(attrs: Attrs, to_string: object, place: Place | None) -> object:
    """What a set's ``__toString``, defined at ``place``, answers."""
    try:
        return call(to_string, attrs)
    except EvalError as error:
        if not error.frames:
            error.pin(place)
        error.note("while calling the `__toString` attribute", place)
        raise


def coerce(host: Host, value: object, copy: bool, more: bool, doing: str = "") -> object:
    """``value`` coerced to a string value, as :func:`coerce_into` does."""
    value = force(value)
    if isinstance(value, (str, ContextString)):
        return value
    pieces: list[str] = []
    try:
        context = coerce_into(host, value, pieces, NO_CONTEXT, copy, more, doing)
    except EvalError as error:
        error.explain(doing, None)
        raise
    return make_string(rejoin(joined(pieces)), context)


def coerce_to_path(host: Host, value: object, doing: str = "while realising the context of a path") -> str:
    """An absolute path out of a path or a string that starts with a slash (context checked by the host)."""
    try:
        return _path_of(host, value)
    except EvalError as error:
        error.explain(doing, None)
        raise


def _path_of(host: Host, value: object) -> str:
    value = force(value)
    if isinstance(value, PathValue):
        return value.path
    if isinstance(value, Attrs):
        descend()
        path = _path_of_attrs(host, value)
        COUNTERS.depth -= 1
        return path
    pieces: list[str] = []
    context = coerce_into(host, value, pieces, NO_CONTEXT, False, False)
    text = "".join(pieces)
    if not text.startswith("/"):
        raise EvalError(f"string '{text}' doesn't represent an absolute path").unexplained()
    if context:
        text = host.need(text, context)
    return canonical(text)


def _path_of_attrs(host: Host, attrs: Attrs) -> str:
    to_string = attrs.get("__toString")
    if to_string is not None:
        place = attrs.place_of("__toString")
        value = stringified(attrs, to_string, place)
        try:
            return _path_of(host, value)
        except EvalError as error:
            error.note("while using the result of the `__toString` attribute", place)
            raise
    out_path = attrs.find("outPath")
    if out_path is None:
        raise not_text(attrs)
    doing = "evaluating"
    try:
        out_path = force(out_path)
        doing = "using"
        return _path_of(host, out_path)
    except EvalError as error:
        error.note(f"while {doing} the `outPath` attribute", attrs.place_of("outPath"))
        raise


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
