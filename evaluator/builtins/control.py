"""Errors, forcing, tracing, the search path, types, arithmetic."""

from __future__ import annotations

import math
import os
import sys
from typing import Final, final

from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import WideForce, force_widely
from evaluator.code.coerce import (
    as_attrs,
    as_int,
    as_list,
    as_string,
    as_string_no_context,
    attribute_of,
    canonical,
    coerce,
)
from evaluator.code.operators import arithmetic
from evaluator.runtime.brief import expected, whole
from evaluator.runtime.bulk import sorted_alike
from evaluator.runtime.compare import less
from evaluator.runtime.errors import ALWAYS, AbortError, EvalError, StackOverflow, ThrownError, Unrealised
from evaluator.runtime.printer import number
from evaluator.runtime.show import type_of
from evaluator.runtime.values import COUNTERS, NULL, Attrs, ContextString, PathValue, force, spend
from evaluator.session import Session


def throw(session: Session, message: object) -> object:
    text = as_string(
        coerce(session, message, True, False, "while evaluating the error message passed to builtin.throw")
    )
    raise ThrownError(text)


def abort(session: Session, message: object) -> object:
    text = as_string(
        coerce(session, message, True, False, "while evaluating the error message passed to builtins.abort")
    )
    raise AbortError(f"evaluation aborted with the following error message: '{text}'")


def try_eval(session: Session, value: object) -> object:
    try:
        result: dict[str, object] = {"success": True, "value": force(value)}
    except EvalError as error:
        if not error.is_catchable():
            raise
        result = {"success": False, "value": False}
    return Attrs(result, None)


def seq(session: Session, first: object, second: object) -> object:
    force(first)
    return second


@final
class _Walk:
    """A set or list whose contents are being forced; it is the item ``index`` of ``outer``."""

    def __init__(self, value: object, outer: _Walk | None, index: int) -> None:
        self.value: Final = value
        self.outer: Final = outer
        self.index: Final = index
        self.names: list[str] = []

    def force(self, session: Session | None, work: list[_Walk], seen: set[int]) -> Unrealised | None:
        """Forces everything that is directly in it, and puts those to ``work`` that have something in them.

        While ``session`` gathers what has to be made, what misses something is left: the first such error is answered.
        """
        value = self.value
        first = len(work)
        index = 0
        missed: Unrealised | None = None
        if isinstance(value, Attrs):
            self.names = sorted_alike(list(value.items))
        size = len(value.items) if isinstance(value, Attrs) else len(value) if isinstance(value, list) else 0
        while index < size:
            depth = COUNTERS.depth
            try:
                if isinstance(value, Attrs):
                    while index < size:
                        spend(1)
                        self.found(value.get(self.names[index]), index, work, seen)
                        index += 1
                elif isinstance(value, list):
                    while index < size:
                        spend(1)
                        self.found(force(value[index]), index, work, seen)
                        index += 1
            except EvalError as error:
                if session is not None and isinstance(error, Unrealised):
                    missed = missed or error
                    COUNTERS.depth = depth
                    index += 1
                    continue
                if missed is not None:
                    break
                self.note(error, index)
                raise
        # The first is the next one.
        below = work[first:]
        below.reverse()
        work[first:] = below
        return missed

    def found(self, value: object, index: int, work: list[_Walk], seen: set[int]) -> None:
        if isinstance(value, (Attrs, list)) and id(value) not in seen:
            seen.add(id(value))
            work.append(_Walk(value, self, index))

    def note(self, error: EvalError, index: int) -> None:
        """Notes which item failed, and where all of this is."""
        at: _Walk | None = self
        while at is not None:
            value = at.value
            if isinstance(value, Attrs):
                name = at.names[index]
                error.note(f"while evaluating the attribute '{name}'", value.place_of(name))
            else:
                error.note(f"while evaluating list element at index {index}", None)
            index = at.index
            at = at.outer


def deep_force(value: object, session: Session | None = None) -> object:
    """Forces a value and everything in it; cycles are entered once.

    In a ``session``, all that has to be made for several parts of it is made at once.
    """
    return _deeply_forced(value, None) if session is None else force_widely(session, _DeepForce(value))


@final
class _DeepForce(WideForce):
    def __init__(self, value: object) -> None:
        self.value: Final = value

    def attempt(self, session: Session) -> object:
        return _deeply_forced(self.value, session if session.wide else None)


def _deeply_forced(value: object, session: Session | None) -> object:
    value = force(value)
    missed: Unrealised | None = None
    if isinstance(value, (Attrs, list)):
        seen: set[int] = {id(value)}
        work = [_Walk(value, None, 0)]
        while work:
            walk = work.pop()
            try:
                missing = walk.force(session, work, seen)
            except EvalError:
                if missed is None:
                    raise
                break  # it comes again, when what is before it is there
            missed = missed or missing
    if missed is not None:
        raise missed
    return value


def deep_seq(session: Session, first: object, second: object) -> object:
    deep_force(first, session)
    return second


def say(session: Session, text: str) -> None:
    gathering = COUNTERS.gathering
    if gathering is not None and gathering.has_said(text):
        return
    lines = session.trace_output
    reads = session.files.reads
    if reads is not None:
        reads.say(text)
    if lines is None:
        sys.stderr.write(text + "\n")
    elif len(lines) < 1000:
        lines.append(text)


def trace(session: Session, message: object, value: object) -> object:
    shown = force(message)
    if isinstance(shown, ContextString):
        shown = shown.text
    say(session, "trace: " + (shown if isinstance(shown, str) else whole(shown)))
    return value


def trace_verbose(session: Session, message: object, value: object) -> object:
    return trace(session, message, value) if session.traces_verbosely else value


_WARNING: Final = "while evaluating the first argument; the message passed to builtins.warn"


def warn(session: Session, message: object, value: object) -> object:
    say(session, "evaluation warning: " + as_string(message, _WARNING))
    if session.aborts_on_warn:
        raise EvalError("aborting to reveal stack trace of warning, as abort-on-warn is set")
    return value


def add_error_context(session: Session, message: object, value: object) -> object:
    try:
        return force(value)
    except EvalError as error:
        if isinstance(error, StackOverflow) and 2 * COUNTERS.depth > COUNTERS.max_depth:
            # What says where we are is likely to be as deep: every call around would try in vain, for hours.
            raise
        text = coerce(
            session, message, False, False, "while evaluating the error message passed to builtins.addErrorContext"
        )
        error.note(as_string(text), None, ALWAYS)
        raise


def find_file(session: Session, entries: object, name: object) -> object:
    wanted = as_string_no_context(name, "while evaluating the second argument passed to builtins.findFile")
    for entry in as_list(entries, "while evaluating the first argument passed to builtins.findFile"):
        pair = as_attrs(entry, "while evaluating an element of the list passed to builtins.findFile")
        found = pair.get("prefix")
        inside = "attribute of an element of the list passed to builtins.findFile"
        prefix = "" if found is None else as_string(found, f"while evaluating the `prefix` {inside}")
        root = attribute_of(pair, "path", "in an element of the __nixPath")
        found = coerce(session, root, False, False, f"while evaluating the `path` {inside}")
        if isinstance(found, ContextString):
            found = session.need(found.text, found.context)
        base = as_string(found)
        if not prefix:
            candidate = f"{base}/{wanted}"
        elif wanted == prefix:
            candidate = base
        elif wanted.startswith(prefix + "/"):
            candidate = base + wanted[len(prefix) :]
        else:
            continue
        if session.files.exists(candidate):
            return PathValue(canonical(os.path.abspath(candidate)))
    return PathValue(session.own_file(wanted))


def get_env(session: Session, name: object) -> object:
    text = as_string_no_context(name, "while evaluating the first argument passed to builtins.getEnv")
    files = session.files
    value = None if files.pure or files.restricted else files.environment(text)
    return "" if value is None else value


def type_of_value(session: Session, value: object) -> object:
    return type_of(force(value))


def is_null(session: Session, value: object) -> object:
    return force(value) is NULL


def is_int(session: Session, value: object) -> object:
    value = force(value)
    return isinstance(value, int) and not isinstance(value, bool)


def is_float(session: Session, value: object) -> object:
    return isinstance(force(value), float)


def is_bool(session: Session, value: object) -> object:
    return isinstance(force(value), bool)


def is_string(session: Session, value: object) -> object:
    value = force(value)
    return isinstance(value, str) or isinstance(value, ContextString)


def is_path(session: Session, value: object) -> object:
    return isinstance(force(value), PathValue)


def add(session: Session, left: object, right: object) -> object:
    return arithmetic("add", force(left), force(right))


def sub(session: Session, left: object, right: object) -> object:
    return arithmetic("sub", force(left), force(right))


def mul(session: Session, left: object, right: object) -> object:
    return arithmetic("mul", force(left), force(right))


def div(session: Session, left: object, right: object) -> object:
    return arithmetic("div", force(left), force(right))


def less_than(session: Session, left: object, right: object) -> object:
    return less(left, right)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _operand(value: object, which: str, name: str) -> int:
    return as_int(value, f"while evaluating the {which} argument passed to builtins.{name}")


def bit_and(session: Session, left: object, right: object) -> object:
    return _signed((_operand(left, "first", "bitAnd") & _operand(right, "second", "bitAnd")) & ((1 << 64) - 1))


def bit_or(session: Session, left: object, right: object) -> object:
    return _signed((_operand(left, "first", "bitOr") | _operand(right, "second", "bitOr")) & ((1 << 64) - 1))


def bit_xor(session: Session, left: object, right: object) -> object:
    return _signed((_operand(left, "first", "bitXor") ^ _operand(right, "second", "bitXor")) & ((1 << 64) - 1))


def _rounded(value: object, name: str) -> int:
    """A number rounded by ``name``."""
    try:
        value = force(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if not isinstance(value, float):
            raise expected("a float", value)
    except EvalError as error:
        error.note(f"while evaluating the first argument passed to builtins.{name}", None)
        raise
    found = float(math.ceil(value) if name == "ceil" else math.floor(value)) if math.isfinite(value) else value
    if not -(2.0**63) <= found < 2.0**63:
        raise EvalError(f"NixFloat argument {number(value)} is not in the range of NixInt")
    return int(found)


def ceil(session: Session, value: object) -> object:
    return _rounded(value, "ceil")


def floor(session: Session, value: object) -> object:
    return _rounded(value, "floor")


TABLE: Final[list[Builtin]] = [
    Builtin("throw", 1, False, throw, "throw *message*\n\nAn error with this message; `tryEval` can catch it."),
    Builtin("abort", 1, False, abort, "abort *message*\n\nEnds the evaluation with this message; nothing catches it."),
    Builtin(
        "tryEval",
        1,
        False,
        try_eval,
        "tryEval *e*\n\n`{ success, value }`: false where forcing *e* (not deeply) hit a `throw` or a failed `assert`.",
    ),
    Builtin("seq", 2, False, seq, "seq *e1* *e2*\n\n*e2*, after *e1* was evaluated."),
    Builtin(
        "deepSeq", 2, False, deep_seq, "deepSeq *e1* *e2*\n\n*e2*, after *e1* was evaluated with all that is in it."
    ),
    Builtin("trace", 2, False, trace, "trace *e1* *e2*\n\nPrints *e1* on standard error and answers *e2*."),
    Builtin("traceVerbose", 2, False, trace_verbose, "traceVerbose *e1* *e2*\n\n`trace`, if verbose tracing is on."),
    Builtin("warn", 2, False, warn, "warn *message* *e*\n\nPrints a warning on standard error and answers *e*."),
    Builtin(
        "addErrorContext",
        2,
        False,
        add_error_context,
        "addErrorContext *message* *e*\n\n*e*; an error on the way gets the message as a line of its trace.",
    ),
    Builtin(
        "findFile", 2, True, find_file, "findFile *search-path* *name*\n\nWhat `<name>` means on this search path."
    ),
    Builtin("getEnv", 1, True, get_env, "getEnv *name*\n\nThe environment variable, or the empty string."),
    Builtin("typeOf", 1, True, type_of_value, "typeOf *e*\n\nThe type's name: `int`, `bool`, `string`, `path`, …"),
    Builtin("isNull", 1, True, is_null, "isNull *e*\n\nWhether *e* is null."),
    Builtin("isInt", 1, True, is_int, "isInt *e*\n\nWhether *e* is an integer."),
    Builtin("isFloat", 1, True, is_float, "isFloat *e*\n\nWhether *e* is a floating-point number."),
    Builtin("isBool", 1, True, is_bool, "isBool *e*\n\nWhether *e* is a Boolean."),
    Builtin("isString", 1, True, is_string, "isString *e*\n\nWhether *e* is a string."),
    Builtin("isPath", 1, True, is_path, "isPath *e*\n\nWhether *e* is a path."),
    Builtin("add", 2, True, add, "add *a* *b*\n\nThe sum of two numbers."),
    Builtin("sub", 2, True, sub, "sub *a* *b*\n\nThe difference of two numbers."),
    Builtin("mul", 2, True, mul, "mul *a* *b*\n\nThe product of two numbers."),
    Builtin("div", 2, True, div, "div *a* *b*\n\nThe quotient; of integers rounded towards zero."),
    Builtin("lessThan", 2, True, less_than, "lessThan *a* *b*\n\nWhether *a* is less than *b*."),
    Builtin("bitAnd", 2, True, bit_and, "bitAnd *a* *b*\n\nBitwise and of two integers."),
    Builtin("bitOr", 2, True, bit_or, "bitOr *a* *b*\n\nBitwise or of two integers."),
    Builtin("bitXor", 2, True, bit_xor, "bitXor *a* *b*\n\nBitwise exclusive or of two integers."),
    Builtin("ceil", 1, True, ceil, "ceil *number*\n\nThe smallest integer that is not less than the number."),
    Builtin("floor", 1, True, floor, "floor *number*\n\nThe largest integer that is not greater than the number."),
]
