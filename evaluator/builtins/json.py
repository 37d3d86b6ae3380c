"""JSON: ``fromJSON``, ``toJSON`` and what prints values as JSON elsewhere.

Specification: RFC 8259, and what Nix makes of it. Integers that fit no 64 bits are floats, floats that are
out of range are errors. Floats are written in positional notation between 1e-4 and 1e15.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Final, final

from evaluator.builtins.attrs import sorted_names
from evaluator.builtins.float_digits import digits
from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import WideForce, force_widely
from evaluator.code.coerce import NO_CONTEXT, as_string, coerce_into, make_string, stringified
from evaluator.runtime.brief import described
from evaluator.runtime.bulk import LARGE_TEXT, PIECE, ask_for, joined, own_dict, own_list, packed
from evaluator.runtime.errors import EvalError, TypeFault, Unrealised
from evaluator.runtime.show import type_name
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    COUNTERS,
    EMPTY_ATTRS,
    NULL,
    Attrs,
    Closure,
    ContextString,
    PathValue,
    descend,
    force,
    spend,
)
from evaluator.session import Session

_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1
_UNSIGNED_MAX: Final = 2**64 - 1
_LONG_NUMBER: Final = re.compile(r"[0-9]{19}")
_STRING_OR_CONSTANT: Final = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)', re.DOTALL)
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_MAX_DEPTH: Final = 100_000
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SUSPICIOUS_ESCAPE: Final = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")


# --- writing ---------------------------------------------------------------------------------------


def _wrong_byte(text: str) -> tuple[int, int]:
    """The first byte that is no UTF-8, and the byte at which that shows."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
        return at, data[at]
    return 0, 0


def quote(text: str) -> str:
    """A JSON string. Raises EvalError for bytes that are no UTF-8, which JSON cannot hold."""
    if not text.isascii() and _SURROGATE.search(text) is not None:
        index, byte = _wrong_byte(text)
        raise EvalError(
            "JSON serialization error: [json.exception.type_error.316] "
            f"invalid UTF-8 byte at index {index}: 0x{byte:02X}"
        )
    if len(text) > PIECE:
        spend(len(text) >> 8)
    return encode_basestring(text)


def float_text(value: float) -> str:
    """A float as Nix's JSON library prints it; null for what JSON has no number for."""
    if not math.isfinite(value):
        return "null"
    if value == 0.0:
        return "-0.0" if math.copysign(1.0, value) < 0 else "0.0"
    sign = "-" if value < 0 else ""
    found, exponent = digits(abs(value))
    # The decimal point stands before the digit with index ``point``.
    point = len(found) + exponent
    if len(found) <= point <= 15:
        return f"{sign}{found}{'0' * (point - len(found))}.0"
    if 0 < point <= 15:
        return f"{sign}{found[:point]}.{found[point:]}"
    if -4 < point <= 0:
        return f"{sign}0.{'0' * -point}{found}"
    rest = f".{found[1:]}" if len(found) > 1 else ""
    power = point - 1
    return f"{sign}{found[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02}"


def write(
    session: Session,
    value: object,
    pieces: list[str],
    context: frozenset[str],
    copy: bool = True,
    owner: Attrs | None = None,
    name: str = "",
) -> frozenset[str]:
    """Appends ``value`` as JSON to ``pieces``; answers ``context`` joined with the contexts of all strings in it.

    It is the attribute ``name`` of ``owner``, or in a list there. ``copy``: a path is copied to the store and named by
    its store path, else named as it is.
    Raises TypeFault for functions, StackOverflow for values nested too deep.
    """
    value = force(value)
    if isinstance(value, str):
        pieces.append(quote(value))
        return context
    if isinstance(value, bool):
        pieces.append("true" if value else "false")
        return context
    if isinstance(value, int):
        pieces.append(str(value))
        return context
    if isinstance(value, ContextString):
        pieces.append(quote(value.text))
        return context | value.context
    if isinstance(value, list):
        descend()
        context = _write_list(session, value, pieces, context, copy, owner, name)
        COUNTERS.depth -= 1
        return context
    if isinstance(value, Attrs):
        descend()
        context = _write_attrs(session, value, pieces, context, copy)
        COUNTERS.depth -= 1
        return context
    if isinstance(value, float):
        pieces.append(float_text(value))
        return context
    if value is NULL:
        pieces.append("null")
        return context
    if isinstance(value, PathValue):
        if copy:
            stored = session.store_path_of(value.path)
            pieces.append(quote(stored))
            return context | {stored}
        pieces.append(quote(value.path))
        return context
    raise TypeFault(
        f"cannot convert {type_name(value)} to JSON", value.function.place() if isinstance(value, Closure) else None
    )


def _write_list(
    session: Session,
    items: list[object],
    pieces: list[str],
    context: frozenset[str],
    copy: bool,
    owner: Attrs | None,
    name: str,
) -> frozenset[str]:
    pieces.append("[")
    start = len(pieces)
    missed: Unrealised | None = None
    depth = COUNTERS.depth
    for index, item in enumerate(items):
        spend(1)
        if index:
            pieces.append(",")
        try:
            context = write(session, item, pieces, context, copy, owner, name)
            start = packed(pieces, start)
        except EvalError as error:
            missed = session.missed(missed, error, depth)
            if missed is None:
                error.note(
                    f"while evaluating list element at index {index}", None if owner is None else owner.place_of(name)
                )
                raise
    if missed is not None:
        raise missed
    pieces.append("]")
    return context


def _write_text(
    session: Session, value: object, pieces: list[str], context: frozenset[str], place: Place | None
) -> frozenset[str]:
    """Appends what a ``__toString``, defined at ``place``, has answered; only a text will do."""
    inner: list[str] = []
    if isinstance(value, Attrs):
        if not value.has("__toString") and not value.has("outPath"):
            raise TypeFault(f"`__toString` must return a string, but got {described(value)}", place)
    elif not isinstance(value, (str, ContextString, PathValue)):
        raise TypeFault(f"`__toString` should return a string, but got {described(value)}", place)
    context = coerce_into(session, value, inner, context, False, False)
    pieces.append(quote("".join(inner)))
    return context


def _write_attrs(
    session: Session, attrs: Attrs, pieces: list[str], context: frozenset[str], copy: bool
) -> frozenset[str]:
    to_string = attrs.get("__toString")
    if to_string is not None:
        place = attrs.place_of("__toString")
        text = stringified(attrs, to_string, place)
        try:
            return _write_text(session, text, pieces, context, place)
        except EvalError as error:
            error.note("while using the result of the `__toString` attribute", place)
            raise
    out_path = attrs.find("outPath")
    if out_path is not None:
        doing = "evaluating"
        try:
            out_path = force(out_path)
            doing = "using"
            return write(session, out_path, pieces, context, copy)
        except EvalError as error:
            error.note(f"while {doing} the `outPath` attribute", attrs.place_of("outPath"))
            raise
    pieces.append("{")
    first = True
    start = len(pieces)
    missed: Unrealised | None = None
    depth = COUNTERS.depth
    for name in sorted_names(attrs):
        spend(1)
        pieces.append(quote(name) + ":" if first else "," + quote(name) + ":")
        first = False
        try:
            context = write(session, attrs.items[name], pieces, context, copy, attrs, name)
            start = packed(pieces, start)
        except EvalError as error:
            missed = session.missed(missed, error, depth)
            if missed is None:
                error.note(f"while evaluating attribute '{name}'", attrs.place_of(name))
                raise
    if missed is not None:
        raise missed
    pieces.append("}")
    return context


def to_json(session: Session, value: object) -> str:
    """A value as one line of JSON, string contexts dropped."""
    return _written(session, value)[0]


def to_json_builtin(session: Session, value: object) -> object:
    text, context = _written(session, value)
    return make_string(text, context)


def _written(session: Session, value: object) -> tuple[str, frozenset[str]]:
    """A value as JSON with its context. All that has to be made for several parts of it is made at once."""
    document = _Document(value)
    force_widely(session, document)
    return document.text, document.context


@final
class _Document(WideForce):
    """A value as JSON, and the context of that."""

    def __init__(self, value: object) -> None:
        self.value: Final = value
        self.text = ""
        self.context = NO_CONTEXT

    def attempt(self, session: Session) -> object:
        pieces: list[str] = []
        self.context = write(session, self.value, pieces, NO_CONTEXT)
        self.text = joined(pieces)
        return self.text


# --- reading ---------------------------------------------------------------------------------------


def _counted_integer(text: str) -> object:
    """An integer of a large text; reading one must not keep everybody waiting."""
    spend(1)
    return _integer(text) if len(text) > 18 else int(text)


def _integer(text: str) -> object:
    # Only texts that have long numbers come here; Python refuses to read thousands of digits as an int.
    if len(text) > 20:
        return _float(text)
    value = int(text)
    if _MIN <= value <= _MAX:
        return value
    if value > _MAX and value <= _UNSIGNED_MAX:
        raise EvalError(f"unsigned json number {value} outside of Nix integer range")
    return _float(text)


def _float(text: str) -> object:
    value = float(text)
    if math.isinf(value):
        raise EvalError(f"invalid JSON: the number {text} is out of range")
    return value


def _constant(text: str) -> object:
    raise ValueError(text)


def _object(pairs: list[tuple[str, object]]) -> object:
    """Makes a set of an object's members; of equal names the last counts."""
    if not pairs:
        return EMPTY_ATTRS
    items: dict[str, object] = {}
    spend(len(pairs))
    for name, value in pairs:
        items[name] = _value(value)
    return Attrs(own_dict(items), None)


def _value(value: object) -> object:
    """What the reader made of a member or element, nulls replaced (in nested lists, too)."""
    if value is None:
        return NULL
    if isinstance(value, list):
        work: list[list[object]] = [value]
        while work:
            items = own_list(work.pop())
            spend(len(items) >> 3)
            for index in range(len(items)):
                item = items[index]
                if item is None:
                    items[index] = NULL
                elif isinstance(item, list):
                    work.append(item)
    return value


def _check_strings(value: object) -> None:
    """Refuses strings that no UTF-8 text can have written, and NUL characters."""
    work: list[object] = [value]
    while work:
        spend(1)
        at = work.pop()
        if isinstance(at, str):
            _check_text(at)
        elif isinstance(at, list):
            work.extend(at)
        elif isinstance(at, Attrs):
            for name in at.items:
                _check_text(name)
                work.append(at.items[name])


def _check_text(text: str) -> None:
    if "\0" in text:
        shown = text.replace("\0", "␀")
        raise EvalError(f"input string '{shown}' cannot be represented as Nix string because it contains null bytes")
    if _SURROGATE.search(text) is not None:
        raise EvalError("invalid JSON: a surrogate escape is without its other half")


def _depth(text: str) -> int:
    """How deep the brackets of a JSON text nest."""
    depth = 0
    deepest = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        spend(1)
        mark = found.group()
        if mark == "[" or mark == "{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark == "]" or mark == "}":
            depth -= 1
    return deepest


def parse(text: str) -> object:
    """The value that a JSON text stands for. Raises EvalError with line and column."""
    if text.startswith("\ufeff"):
        text = text[1:]
    if not text.isascii() and _SURROGATE.search(text) is not None:
        raise EvalError("invalid JSON: the text is not valid UTF-8")
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(text) > _MAX_DEPTH:
        raise EvalError("invalid JSON: nested too deep")
    integer: Callable[[str], object] | None = None
    if len(text) > LARGE_TEXT:
        ask_for(4 * len(text))
        integer = _counted_integer
    elif _LONG_NUMBER.search(text) is not None:
        integer = _integer
    try:
        if integer is None:
            found = _value(json.loads(text, object_pairs_hook=_object, parse_float=_float, parse_constant=_constant))
        else:
            found = _value(
                json.loads(
                    text,
                    object_pairs_hook=_object,
                    parse_float=_float,
                    parse_int=integer,
                    parse_constant=_constant,
                )
            )
    except json.JSONDecodeError as error:
        raise EvalError(f"invalid JSON at line {error.lineno}, column {error.colno}: {_lower(error.msg)}") from None
    except ValueError as error:
        # Python reads NaN and Infinity, which JSON has not; where it stood has to be found again.
        at = 0
        for found_text in _STRING_OR_CONSTANT.finditer(text):
            if not found_text.group().startswith('"'):
                at = found_text.start()
                break
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        raise EvalError(f"invalid JSON at line {line}, column {column}: {error} is no number there") from None
    except RecursionError:
        raise EvalError("invalid JSON: nested too deep") from None
    if _SUSPICIOUS_ESCAPE.search(text) is not None:
        _check_strings(found)
    return found


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


_INVALID: Final = "invalid JSON"


def from_json(session: Session, value: object) -> object:
    text = as_string(value, "while evaluating the first argument passed to builtins.fromJSON")
    try:
        return parse(text)
    except EvalError as error:
        if error.message.startswith(_INVALID):
            error.note("while decoding a JSON string", None)
        raise


TABLE: Final[list[Builtin]] = [
    Builtin("toJSON", 1, True, to_json_builtin, "toJSON *e*\n\nThe value as JSON; paths are copied to the store."),
    Builtin("fromJSON", 1, True, from_json, "fromJSON *text*\n\nThe value that the JSON text stands for."),
]
