"""Lists."""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.table import Builtin
from evaluator.code.functions import call, call2
from evaluator.runtime.bulk import (
    PIECE,
    extend,
    from_index,
    let_go,
    numbered_thunks,
    own_dict,
    own_list,
    sorted_alike,
    thunks_of,
)
from evaluator.runtime.coerce import as_attrs, as_bool, as_function, as_int, as_list, as_string_no_context
from evaluator.runtime.compare import less, same_or_equal
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, Code, ContextString, force, spend
from evaluator.session import Session


@final
class CallOn(Code):
    """``function payload``: the delayed call behind ``map``; one of these for all elements."""

    def __init__(self, function: object) -> None:
        self.function: Final = function

    def resume(self, payload: object, extra: object) -> object:
        return call(force(self.function), payload)


@final
class CallOnBoth(Code):
    """``function payload extra``: the delayed call behind ``mapAttrs``."""

    def __init__(self, function: object) -> None:
        self.function: Final = function

    def resume(self, payload: object, extra: object) -> object:
        return call2(force(self.function), payload, extra)


def length(session: Session, value: object) -> object:
    return len(as_list(value))


def head(session: Session, value: object) -> object:
    items = as_list(value)
    if not items:
        raise EvalError("'builtins.head' called on an empty list")
    return items[0]


def tail(session: Session, value: object) -> object:
    items = as_list(value)
    if not items:
        raise EvalError("'builtins.tail' called on an empty list")
    return from_index(items, 1)


def elem_at(session: Session, value: object, index: object) -> object:
    items = as_list(value)
    at = as_int(index)
    if at < 0 or at >= len(items):
        raise EvalError(f"'builtins.elemAt' called with index {at} on a list of size {len(items)}")
    return items[at]


def elem(session: Session, needle: object, value: object) -> object:
    items = as_list(value)
    if not items:
        return False
    wanted = needle
    needle = force(needle)
    if isinstance(needle, str):
        for item in items:
            spend(1)
            found = force(item)
            if isinstance(found, str):
                if found == needle:
                    return True
            elif isinstance(found, ContextString) and found.text == needle:
                return True
        return False
    for item in items:
        spend(1)
        if same_or_equal(wanted, item):
            return True
    return False


def map_list(session: Session, function: object, value: object) -> object:
    items = as_list(value)
    if not items:
        return items
    code = CallOn(as_function(function))
    return thunks_of(code, items)


def filter_list(session: Session, function: object, value: object) -> object:
    items = as_list(value)
    if not items:
        return items
    predicate = as_function(function)
    kept: list[object] = []
    for item in items:
        if as_bool(call(predicate, item)):
            kept.append(item)
    return own_list(kept)


def concat_lists(session: Session, value: object) -> object:
    result: list[object] = []
    for item in as_list(value):
        spend(1)
        extend(result, as_list(item))
    return own_list(result)


def concat_map(session: Session, function: object, value: object) -> object:
    result: list[object] = []
    callee = as_function(function)
    for item in as_list(value):
        extend(result, as_list(call(callee, item)))
    return own_list(result)


def fold_left(session: Session, function: object, start: object, value: object) -> object:
    items = as_list(value)
    callee = as_function(function)
    result = start
    if not items:
        return force(start)
    for item in items:
        result = call2(callee, result, item)
    return result


def any_of(session: Session, function: object, value: object) -> object:
    predicate = as_function(function)
    for item in as_list(value):
        if as_bool(call(predicate, item)):
            return True
    return False


def all_of(session: Session, function: object, value: object) -> object:
    predicate = as_function(function)
    for item in as_list(value):
        if not as_bool(call(predicate, item)):
            return False
    return True


def gen_list(session: Session, function: object, count: object) -> object:
    size = as_int(count)
    if size < 0:
        raise EvalError(f"cannot create list of size {size}")
    return numbered_thunks(CallOn(as_function(function)), size)


@final
class _Order:
    """A key for Python's stable sort that asks a Nix function; None stands for ``builtins.lessThan``."""

    def __init__(self, before: object, value: object) -> None:
        self.before: Final = before
        self.value: Final = value

    def __lt__(self, other: _Order) -> bool:
        before = self.before
        if before is None:
            spend(1)
            return less(self.value, other.value)
        return as_bool(call2(before, self.value, other.value))


def _all_alike(items: list[object]) -> bool:
    """Whether all are texts in ASCII, or all integers: then Python's order is Nix's."""
    if isinstance(items[0], str):
        for item in items:
            spend(1)
            if not isinstance(item, str) or not item.isascii():
                return False
        return True
    for item in items:
        spend(1)
        if not isinstance(item, int) or isinstance(item, bool):
            return False
    return True


def _values_of(keys: list[_Order]) -> list[object]:
    """What was sorted; many keys are let go in pieces."""
    if len(keys) <= PIECE:
        return [key.value for key in keys]
    result: list[object] = []
    keys.reverse()
    while keys:
        piece = keys[-PIECE:]
        piece.reverse()
        result += [key.value for key in piece]
        del keys[-PIECE:]
        spend(PIECE >> 2)
    return own_list(result)


def sort_list(session: Session, function: object, value: object) -> object:
    items = as_list(value)
    if not items:
        return items
    before = as_function(function)
    if len(items) == 1:
        force(items[0])
        return items
    forced: list[object] = []
    for item in items:
        spend(1)
        forced.append(force(item))
    if before is session.globals.get("__lessThan"):
        if _all_alike(forced):
            result = own_list(sorted_alike(forced))
            let_go(forced)
            return result
        before = None
    keys: list[_Order] = []
    for item in forced:
        spend(1)
        keys.append(_Order(before, item))
    let_go(forced)
    keys.sort()
    return _values_of(keys)


def partition(session: Session, function: object, value: object) -> object:
    predicate = as_function(function)
    right: list[object] = []
    wrong: list[object] = []
    for item in as_list(value):
        if as_bool(call(predicate, item)):
            right.append(item)
        else:
            wrong.append(item)
    answer: dict[str, object] = {"right": own_list(right), "wrong": own_list(wrong)}
    return Attrs(answer, None)


def group_by(session: Session, function: object, value: object) -> object:
    callee = as_function(function)
    groups: dict[str, list[object]] = {}
    for item in as_list(value):
        name = as_string_no_context(call(callee, item))
        group = groups.get(name)
        if group is None:
            groups[name] = [item]
        else:
            group.append(item)
    answer: dict[str, object] = {}
    for name in groups:
        spend(1)
        answer[name] = own_list(groups[name])
    return Attrs(own_dict(answer), None)


@final
class _Key:
    """A ``genericClosure`` key that is hashable: equal exactly when Nix finds the keys neither less nor greater."""

    def __init__(self, kind: str, value: object) -> None:
        self.kind: Final = kind
        self.value: Final = value

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.kind == other.kind and self.value == other.value


def _closure_key(value: object) -> object:
    value = force(value)
    if isinstance(value, str):
        return value
    if isinstance(value, ContextString):
        return value.text
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _Key("number", value)
    return None


def generic_closure(session: Session, value: object) -> object:
    attrs = as_attrs(value)
    start = attrs.get("startSet")
    if start is None:
        raise EvalError("attribute 'startSet' missing")
    work = list(as_list(start))
    if not work:
        return start
    operator = attrs.get("operator")
    if operator is None:
        raise EvalError("attribute 'operator' missing")
    operator = as_function(operator)
    result: list[object] = []
    seen: set[object] = set()
    odd: list[object] = []  # keys that are not hashable here: lists, paths
    first: object = None
    first_kind = ""
    at = 0
    while at < len(work):
        item = work[at]
        at += 1
        element = as_attrs(item)
        key = element.get("key")
        if key is None:
            raise EvalError("attribute 'key' missing")
        hashed = _closure_key(key)
        kind = "string" if isinstance(hashed, str) else hashed.kind if isinstance(hashed, _Key) else type_name(key)
        if first is None:
            first = key
            first_kind = kind
        elif kind != first_kind:
            less(key, first)  # says that they cannot be compared
        if hashed is not None:
            if hashed in seen:
                continue
            seen.add(hashed)
        else:
            known = False
            for other in odd:
                if not less(key, other) and not less(other, key):
                    known = True
                    break
            if known:
                continue
            odd.append(key)
        result.append(item)
        work += as_list(call(operator, item))
    let_go(work)
    while len(seen) > PIECE:
        spend(1)
        seen.pop()
    return own_list(result)


def is_list(session: Session, value: object) -> object:
    return isinstance(force(value), list)


def list_to_text(session: Session, value: object) -> list[str]:
    """The texts of a list of strings without context."""
    texts: list[str] = []
    for item in as_list(value):
        text = force(item)
        if not isinstance(text, str):
            raise TypeFault("a list of strings without context was expected")
        texts.append(text)
    return texts


TABLE: Final[list[Builtin]] = [
    Builtin("length", 1, True, length, "length *list*\n\nThe number of elements of a list."),
    Builtin("head", 1, True, head, "head *list*\n\nThe first element; an error if the list is empty."),
    Builtin("tail", 1, True, tail, "tail *list*\n\nThe list without its first element (takes time in its length)."),
    Builtin("elemAt", 2, True, elem_at, "elemAt *list* *n*\n\nThe element at index *n*, counted from 0."),
    Builtin("elem", 2, False, elem, "elem *x* *list*\n\nWhether the list has an element equal to *x*."),
    Builtin("map", 2, False, map_list, "map *f* *list*\n\nThe list of *f* applied to each element, lazily."),
    Builtin("filter", 2, False, filter_list, "filter *f* *list*\n\nThe elements for which *f* answers true."),
    Builtin("concatLists", 1, True, concat_lists, "concatLists *lists*\n\nThe lists joined to one."),
    Builtin("concatMap", 2, True, concat_map, "concatMap *f* *list*\n\n`concatLists (map f list)`, but faster."),
    Builtin(
        "foldl'",
        3,
        False,
        fold_left,
        "foldl' *op* *nul* *list*\n\nFolds from the left, forcing every step: `op (op nul x0) x1` and so on.",
    ),
    Builtin("any", 2, True, any_of, "any *f* *list*\n\nWhether *f* answers true for at least one element."),
    Builtin("all", 2, True, all_of, "all *f* *list*\n\nWhether *f* answers true for every element."),
    Builtin("genList", 2, False, gen_list, "genList *f* *n*\n\nThe list `[ (f 0) (f 1) … (f (n - 1)) ]`."),
    Builtin(
        "sort",
        2,
        False,
        sort_list,
        "sort *before* *list*\n\nThe list sorted; `before a b` tells whether *a* must come before *b*. Stable.",
    ),
    Builtin(
        "partition",
        2,
        True,
        partition,
        "partition *f* *list*\n\n`{ right = …; wrong = …; }`: the elements for which *f* answers true, and the others.",
    ),
    Builtin(
        "groupBy", 2, True, group_by, "groupBy *f* *list*\n\nA set of lists, each under the name that *f* answered."
    ),
    Builtin(
        "genericClosure",
        1,
        True,
        generic_closure,
        "genericClosure { startSet, operator }\n\nWhat *operator* reaches from *startSet*, one item for each `key`.",
    ),
    Builtin("isList", 1, True, is_list, "isList *x*\n\nWhether *x* is a list."),
]
