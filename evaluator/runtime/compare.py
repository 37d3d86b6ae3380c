"""Equality and order of values, as Nix has them."""

from __future__ import annotations

from typing import Final

from evaluator.runtime.brief import brief
from evaluator.runtime.bulk import sorted_alike
from evaluator.runtime.errors import AssertionFailed, EvalError, TypeFault
from evaluator.runtime.show import type_name, type_of
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    COUNTERS,
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


def is_derivation(attrs: Attrs) -> bool:
    """Whether a set has ``type = "derivation"``."""
    kind = attrs.get("type")
    return isinstance(kind, str) and kind == "derivation"


def equal(left: object, right: object) -> bool:
    """Deep equality. Functions are unequal, but an element is equal to its very self (pointer equality)."""
    left = force(left)
    right = force(right)
    if isinstance(left, str):
        if isinstance(right, str):
            return left == right
        if isinstance(right, ContextString):
            return left == right.text
        return False
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int):
        if isinstance(right, int):
            return left == right
        return isinstance(right, float) and float(left) == right
    if isinstance(left, float):
        return isinstance(right, (int, float)) and left == float(right)
    if isinstance(left, ContextString):
        if isinstance(right, ContextString):
            return left.text == right.text
        if isinstance(right, str):
            return left.text == right
        return False
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        descend()
        same = _equal_lists(left, right)
        COUNTERS.depth -= 1
        return same
    if isinstance(left, Attrs):
        if not isinstance(right, Attrs):
            return False
        descend()
        same = _equal_sets(left, right)
        COUNTERS.depth -= 1
        return same
    if isinstance(left, PathValue):
        return isinstance(right, PathValue) and left.path == right.path
    if isinstance(left, (Closure, Primop, PartialPrimop)):
        return False
    return left is right


def _equal_lists(left: list[object], right: list[object]) -> bool:
    for index in range(len(left)):
        spend(1)
        if not same_or_equal(left[index], right[index]):
            return False
    return True


def _equal_sets(left: Attrs, right: Attrs) -> bool:
    if is_derivation(left) and is_derivation(right):
        a = left.get("outPath")
        b = right.get("outPath")
        if a is not None and b is not None:
            return equal(a, b)
    ours = left.items
    theirs = right.items
    if len(ours) != len(theirs):
        return False
    for name in ours:
        if name not in theirs:
            return False
    for name in sorted_alike(list(ours)):
        spend(1)
        if not same_or_equal(ours[name], theirs[name]):
            return False
    return True


def same_or_equal(left: object, right: object) -> bool:
    """Equality of elements: an element that is the very same value is equal, a function and NaN too."""
    if left is right:
        # Nix evaluates both sides before it looks whether they are one.
        force(left)
        return True
    left = force(left)
    right = force(right)
    return (left is right and not isinstance(left, float)) or equal(left, right)


def difference(left: object, right: object, place: Place, level: int = 0) -> AssertionFailed | None:
    """How two values differ that are not :func:`equal`, as an error; ``place`` is that of the operator."""
    if level > _COMPARED_DEEP:  # each level compares all that is below it
        return AssertionFailed(f"values nested more than {_COMPARED_DEEP} levels deep are not equal")
    left = force(left)
    right = force(right)
    a, b = brief(left), brief(right)
    kind = type_of(left)
    if kind in _NUMBERS and type_of(right) in _NUMBERS:
        if equal(left, right):
            return None
        return AssertionFailed(
            f"{type_name(left)} with value '{a}' is not equal to {type_name(right)} with value '{b}'"
        )
    if kind != type_of(right):
        return AssertionFailed(f"{type_name(left)} of value '{a}' is not equal to {type_name(right)} of value '{b}'")
    if isinstance(left, list) and isinstance(right, list):
        return _list_difference(left, right, place, level)
    if isinstance(left, Attrs) and isinstance(right, Attrs):
        return _set_difference(left, right, place, level)
    if kind == "lambda":
        return AssertionFailed("distinct functions and immediate comparisons of identical functions compare as unequal")
    if equal(left, right):
        return None
    return AssertionFailed(f"{_WORDS[kind]} '{a}' is not equal to {_WORDS[kind]} '{b}'")


_COMPARED_DEEP: Final = 100
_NUMBERS: Final = frozenset(["int", "float"])
_WORDS: Final = {"bool": "boolean", "string": "string", "path": "path"}


def _list_difference(left: list[object], right: list[object], place: Place, level: int) -> AssertionFailed | None:
    if len(left) != len(right):
        return AssertionFailed(
            f"list of size '{len(left)}' is not equal to list of size '{len(right)}', "
            f"left hand side is '{brief(left)}', right hand side is '{brief(right)}'"
        )
    for index in range(len(left)):
        if not same_or_equal(left[index], right[index]):
            found = difference(left[index], right[index], place, level + 1)
            if found is not None:
                found.note(f"while comparing list element {index}", place)
                return found
    return None


def _set_difference(left: Attrs, right: Attrs, place: Place, level: int) -> AssertionFailed | None:
    if is_derivation(left) and is_derivation(right):
        a = left.get("outPath")
        b = right.get("outPath")
        if a is not None and b is not None:
            found = difference(a, b, place, level + 1)
            if found is not None:
                found.note("while comparing a derivation by its 'outPath' attribute", place)
            return found
    ours = left.items
    theirs = right.items
    if len(ours) != len(theirs):
        return AssertionFailed(
            f"attribute names of attribute set '{brief(left)}' differs from attribute set '{brief(right)}'"
        )
    for name in sorted(ours):
        if name not in theirs:
            return AssertionFailed(
                f"attribute name '{name}' is contained in '{brief(left)}', but not in '{brief(right)}'"
            )
        if same_or_equal(ours[name], theirs[name]):
            continue
        found = difference(ours[name], theirs[name], place, level + 1)
        if found is not None:
            for side, attrs in (("right", right), ("left", left)):
                at = attrs.place_of(name)
                if at is not None:
                    found.note(f"where {side} hand side is", at)
            found.note(f"while comparing attribute '{name}'", place)
            return found
    return None


def less(left: object, right: object) -> bool:
    """``left < right`` for numbers, strings, paths and lists."""
    left = force(left)
    right = force(right)
    if isinstance(left, bool) or isinstance(right, bool):
        raise _incomparable(left, right)
    if isinstance(left, int) and isinstance(right, int):
        return left < right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        # Of an integer and a float the integer is made a float first, as in C++ (Python would compare exactly).
        return float(left) < float(right)
    if isinstance(left, ContextString):
        left = left.text
    if isinstance(right, ContextString):
        right = right.text
    if isinstance(left, str) and isinstance(right, str):
        return text_less(left, right)
    if isinstance(left, PathValue) and isinstance(right, PathValue):
        return text_less(left.path, right.path)
    if isinstance(left, list) and isinstance(right, list):
        for index in range(min(len(left), len(right))):
            spend(1)
            if not equal(left[index], right[index]):
                descend()
                below = _less_elements(left[index], right[index])
                COUNTERS.depth -= 1
                return below
        return len(left) < len(right)
    raise _incomparable(left, right)


def _less_elements(left: object, right: object) -> bool:
    try:
        return less(left, right)
    except EvalError as error:
        error.note("while comparing two list elements", None)
        raise


def _incomparable(left: object, right: object) -> EvalError:
    kinds = f"cannot compare {type_name(left)} with {type_name(right)}; "
    if type_of(left) == type_of(right):
        return TypeFault(f"{kinds}values of that type are incomparable (values are {brief(left)} and {brief(right)})")
    return TypeFault(f"{kinds}values are {brief(left)} and {brief(right)}")


def text_less(left: str, right: str) -> bool:
    """Byte order. Code-point order agrees with it but for lone surrogates (bytes that are no UTF-8)."""
    if left.isascii() and right.isascii():
        return left < right
    return left.encode("utf-8", "surrogateescape") < right.encode("utf-8", "surrogateescape")
