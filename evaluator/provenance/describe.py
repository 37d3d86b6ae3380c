"""Facts about values, in words and bounded: nothing here forces more than the first level."""

from __future__ import annotations

import time
from typing import Final

from evaluator.code.functions import FormalsLambda, PlainLambda
from evaluator.provenance.data import Facts, Location, Member, TraceFrame
from evaluator.provenance.origin import documentation, made
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import ALWAYS, DETAIL, STEP, EvalError
from evaluator.runtime.printer import attribute, number, quoted
from evaluator.runtime.show import type_of
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    NULL,
    Attrs,
    Closure,
    ContextString,
    PartialPrimop,
    PathValue,
    Primop,
    Thunk,
)
from evaluator.session import Session

_WIDTH: Final = 400
_ITEMS: Final = 12
_NAMES: Final = 24


def location(place: Place | None) -> Location | None:
    """A place as plain data; None for what lies in no file."""
    if place is None or not place.file.is_real():
        return None
    line, column = place.file.line_and_column(place.start)
    return Location(place.file.origin or place.file.path, place.start, place.end, line, column)


_FRAME_KINDS: Final = {STEP: "step", DETAIL: "call", ALWAYS: "context"}
_FRAMES: Final = 40


def trace_frames(error: EvalError) -> tuple[TraceFrame, ...]:
    """The frames of an error, innermost first; of a long trace the two ends."""
    frames = error.trace()
    if len(frames) > _FRAMES:
        frames = frames[: _FRAMES // 2] + frames[-_FRAMES // 2 :]
    return tuple(TraceFrame(sendable(f.text), location(f.place), _FRAME_KINDS[f.kind]) for f in frames)


def kind_of(value: object) -> str:
    """The kind of a forced value, as :class:`~evaluator.provenance.data.Facts` names it."""
    if isinstance(value, Attrs):
        try:
            if is_derivation(value):
                return "derivation"
        except EvalError:
            return "set"
        return "function" if "__functor" in value.items else "set"
    if isinstance(value, (Primop, PartialPrimop)):
        return "builtin"
    kind = type_of(value)
    return "function" if kind == "lambda" else kind


def forced(value: object) -> object:
    """What is known of a value without evaluating anything; None for a pending thunk."""
    if isinstance(value, Thunk):
        return value.payload if value.code is None else None
    return value


def preview(value: object, width: int = _WIDTH, depth: int = 2) -> str:
    """Nix syntax for a value, ``…`` for what is not evaluated yet or too much."""
    known = forced(value)
    if known is None:
        return "…"
    if isinstance(known, bool):
        return "true" if known else "false"
    if isinstance(known, int):
        return str(known)
    if isinstance(known, float):
        return number(known)
    if isinstance(known, (str, ContextString)):
        text = sendable(known if isinstance(known, str) else known.text)
        return quoted(text if len(text) <= width else text[: width - 1] + "…")
    if isinstance(known, PathValue):
        return known.path
    if known is NULL:
        return "null"
    if isinstance(known, list):
        return _list(known, width, depth)
    if isinstance(known, Attrs):
        return _set(known, width, depth)
    return function_head(known)


def _list(value: list[object], width: int, depth: int) -> str:
    if not value:
        return "[ ]"
    if depth == 0:
        return "[ … ]"
    shown: list[str] = []
    room = width
    for item in value[:_ITEMS]:
        text = preview(item, max(20, room // 2), depth - 1)
        room -= len(text) + 1
        if room < 0 and shown:
            break
        shown.append(text)
    if len(shown) < len(value):
        shown.append(f"…{len(value) - len(shown)} more")
    return "[ " + " ".join(shown) + " ]"


def _set(value: Attrs, width: int, depth: int) -> str:
    if forced(value.items.get("type", NULL)) == "derivation":
        name = forced(value.items.get("name"))
        return f"«derivation {name if isinstance(name, str) else '…'}»"
    if not value.items:
        return "{ }"
    if depth == 0:
        return "{ … }"
    shown: list[str] = []
    room = width
    names = sorted(value.items)
    for name in names[:_ITEMS]:
        text = f"{attribute(name)} = {preview(value.items[name], max(20, room // 2), depth - 1)};"
        room -= len(text) + 1
        if room < 0 and shown:
            break
        shown.append(text)
    if len(shown) < len(names):
        shown.append(f"…{len(names) - len(shown)} more")
    return "{ " + " ".join(shown) + " }"


def function_head(value: object) -> str:
    """The arguments of a function: ``{ a, b ? …, ... }: …`` or ``x: …``."""
    if isinstance(value, Closure):
        code = value.function
        if isinstance(code, FormalsLambda):
            names = [
                name if code.defaults[index] is None else f"{name} ? …"
                for index, name in enumerate(code.names[:_NAMES])
            ]
            if len(code.names) > _NAMES:
                names.append("…")
            if code.ellipsis:
                names.append("...")
            return "{ " + ", ".join(names) + " }: …"
        if isinstance(code, PlainLambda):
            return f"{code.argument}: …"
    if isinstance(value, Primop):
        return value.doc.partition("\n")[0].replace("*", "") or value.name
    if isinstance(value, PartialPrimop):
        return f"{value.primop.name} (partially applied)"
    return "…"


def sendable(text: str) -> str:
    """Text with a replacement character for every byte that is no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _text(attrs: Attrs, name: str) -> str:
    """A string attribute; empty when it is missing, fails or is no string."""
    try:
        value = attrs.get(name)
    except EvalError:
        return ""
    if isinstance(value, ContextString):
        return sendable(value.text)
    return sendable(value) if isinstance(value, str) else ""


def formals_of(value: object) -> tuple[tuple[str, bool], ...]:
    """A function's formal arguments: name and whether there is a default."""
    if isinstance(value, Closure) and isinstance(value.function, FormalsLambda):
        code = value.function
        return tuple((name, code.defaults[index] is not None) for index, name in enumerate(code.names))
    if isinstance(value, Attrs) and "__functor" in value.items:
        try:
            arguments = value.get("__functionArgs")
        except EvalError:
            return ()
        if isinstance(arguments, Attrs):
            return tuple((name, forced(default) is True) for name, default in arguments.items.items())
    return ()


def facts(session: Session, value: object, defined: Place | None) -> Facts:
    """Everything a hover shows of a forced value."""
    kind = kind_of(value)
    origin = made(session, value)
    doc = sendable(documentation(session, value, defined))
    size = -1
    if isinstance(value, Attrs):
        size = len(value.items)
    elif isinstance(value, list):
        size = len(value)
    if isinstance(value, Attrs) and kind == "derivation":
        return _derivation(value, size, defined, origin, doc)
    if kind == "function" and isinstance(value, Attrs):
        text = _functor_head(value)
    else:
        text = _preview_of(value)
    return Facts(
        kind=kind,
        preview=text,
        defined=location(defined),
        made=location(origin),
        doc=doc,
        formals=formals_of(value),
        size=size,
    )


def _functor_head(value: Attrs) -> str:
    names = [f"{name} ? …" if default else name for name, default in formals_of(value)]
    return "{ " + ", ".join(names[:_NAMES]) + " }: …" if names else "x: …"


def _preview_of(value: object) -> str:
    """A preview whose first level is evaluated where that is quick: small sets and short lists."""
    deadline = time.monotonic() + 0.05
    if isinstance(value, Attrs) and len(value.items) <= _ITEMS:
        for name in sorted(value.items):
            if time.monotonic() > deadline:
                break
            try:
                value.get(name)
            except EvalError:
                continue
    elif isinstance(value, list):
        for index, item in enumerate(value[:_ITEMS]):
            if time.monotonic() > deadline:
                break
            if isinstance(item, Thunk):
                try:
                    value[index] = item.run()
                except EvalError:
                    continue
    return preview(value)


def _derivation(value: Attrs, size: int, defined: Place | None, origin: Place | None, doc: str) -> Facts:
    meta: Attrs | None = None
    notes: list[str] = []
    try:
        found = value.get("meta")
        meta = found if isinstance(found, Attrs) else None
    except EvalError as error:
        notes.append(error.message)
    if meta is not None:
        for flag in ("unfree", "broken", "insecure", "unsupported"):
            try:
                if meta.get(flag) is True:
                    notes.append(flag)
            except EvalError:
                continue
    outputs: tuple[str, ...] = ()
    try:
        names = value.get("outputs")
        if isinstance(names, list):
            outputs = tuple(name for name in (forced(item) for item in names) if isinstance(name, str))
    except EvalError as error:
        notes.append(error.message)
    name = _text(value, "name")
    return Facts(
        kind="derivation",
        preview=f"«derivation {name or '…'}»",
        defined=location(defined),
        made=location(origin),
        doc=doc,
        name=name,
        version=_text(value, "version"),
        description="" if meta is None else _text(meta, "description"),
        homepage="" if meta is None else _text(meta, "homepage"),
        outputs=outputs,
        notes=tuple(notes),
        size=size,
    )


def member(session: Session, attrs: Attrs, name: str, force_it: bool) -> Member:
    """One attribute of a set; evaluated only if ``force_it``."""
    value = forced(attrs.items[name])
    if value is None and force_it:
        try:
            value = attrs.get(name)
        except EvalError as error:
            return Member(name, "", error.message.partition("\n")[0], "", location(attrs.place_of(name)))
    if value is None:
        return Member(name)
    if not force_it:
        return Member(name, kind_of(value))
    place = attrs.place_of(name)
    kind = kind_of(value)
    detail = preview(value, 80, 1)
    if kind == "derivation" and isinstance(value, Attrs):
        detail = _text(value, "name")
    return Member(name, kind, detail, documentation(session, value, place), location(place))
