"""Lists."""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import ForEach, WideForce, force_widely
from evaluator.code.coerce import as_attrs, as_bool, as_function, as_int, as_list, as_string_no_context, attribute_of
from evaluator.code.functions import call, call2
from evaluator.runtime.brief import brief
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
from evaluator.runtime.compare import less, same_or_equal
from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.runtime.show import type_name
from evaluator.runtime.values import COUNTERS, Attrs, Code, ContextString, Lacking, Thunk, force, spend
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
    return len(as_list(value, "while evaluating the first argument passed to builtins.length"))


def head(session: Session, value: object) -> object:
    items = as_list(value, "while evaluating the first argument passed to 'builtins.head'")
    if not items:
        raise EvalError("'builtins.head' called on an empty list")
    return items[0]


def tail(session: Session, value: object) -> object:
    items = as_list(value, "while evaluating the first argument passed to 'builtins.tail'")
    if not items:
        raise EvalError("'builtins.tail' called on an empty list")
    return from_index(items, 1)


def elem_at(session: Session, value: object, index: object) -> object:
    at = as_int(index, "while evaluating the second argument passed to 'builtins.elemAt'")
    items = as_list(value, "while evaluating the first argument passed to 'builtins.elemAt'")
    if at < 0 or at >= len(items):
        raise EvalError(f"'builtins.elemAt' called with index {at} on a list of size {len(items)}")
    return items[at]


def elem(session: Session, needle: object, value: object) -> object:
    items = as_list(value, "while evaluating the second argument passed to builtins.elem")
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
    items = as_list(value, "while evaluating the second argument passed to builtins.map")
    if not items:
        return items
    code = CallOn(as_function(function, "while evaluating the first argument passed to builtins.map"))
    return thunks_of(code, items)


_KEPT: Final = "while evaluating the return value of the filtering function passed to builtins.filter"


@final
class _Filter(ForEach):
    def __init__(self, predicate: object, items: list[object]) -> None:
        super().__init__(items)
        self.predicate: Final = predicate
        self.kept: list[object] = []

    def begin(self) -> None:
        self.kept = []

    def take(self, item: object) -> None:
        if as_bool(call(self.predicate, item), _KEPT):
            self.kept.append(item)

    def result(self) -> object:
        return own_list(self.kept)


def filter_list(session: Session, function: object, value: object) -> object:
    items = as_list(value, "while evaluating the second argument passed to builtins.filter")
    if not items:
        return items
    predicate = as_function(function, "while evaluating the first argument passed to builtins.filter")
    return force_widely(session, _Filter(predicate, items))


@final
class _Concat(ForEach):
    """``concatLists``, and with a function ``concatMap``."""

    def __init__(self, function: object, items: list[object]) -> None:
        super().__init__(items)
        self.function: Final = function
        self.joined: list[object] = []

    def begin(self) -> None:
        self.joined = []

    def take(self, item: object) -> None:
        if self.function is None:
            spend(1)
            extend(self.joined, as_list(item, "while evaluating a value of the list passed to builtins.concatLists"))
        else:
            extend(self.joined, as_list(call(self.function, item), _CONCATENATED))

    def result(self) -> object:
        return own_list(self.joined)


def concat_lists(session: Session, value: object) -> object:
    items = as_list(value, "while evaluating the first argument passed to builtins.concatLists")
    return force_widely(session, _Concat(None, items))


_CONCATENATED: Final = "while evaluating the return value of the function passed to builtins.concatMap"


def concat_map(session: Session, function: object, value: object) -> object:
    callee = as_function(function, "while evaluating the first argument passed to builtins.concatMap")
    items = as_list(value, "while evaluating the second argument passed to builtins.concatMap")
    return force_widely(session, _Concat(callee, items))


@final
class _Fold(ForEach):
    """A fold from the left. What one step misses stands for its result in the next ones, which may miss more."""

    def __init__(self, function: object, start: object, items: list[object]) -> None:
        super().__init__(items)
        self.function: Final = function
        self.start: Final = start
        self.value: object = start

    def begin(self) -> None:
        self.value = self.start

    def take(self, item: object) -> None:
        self.value = call2(self.function, self.value, item)

    def lack(self, missed: Unrealised) -> None:
        self.value = Thunk(Lacking(missed), None)

    def result(self) -> object:
        return self.value


def fold_left(session: Session, function: object, start: object, value: object) -> object:
    callee = as_function(function, "while evaluating the first argument passed to builtins.foldlStrict")
    items = as_list(value, "while evaluating the third argument passed to builtins.foldlStrict")
    if not items:
        return force(start)
    return force_widely(session, _Fold(callee, start, items))


def any_of(session: Session, function: object, value: object) -> object:
    predicate = as_function(function, "while evaluating the first argument passed to builtins.any")
    for item in as_list(value, "while evaluating the second argument passed to builtins.any"):
        if as_bool(call(predicate, item), "while evaluating the return value of the function passed to builtins.any"):
            return True
    return False


def all_of(session: Session, function: object, value: object) -> object:
    predicate = as_function(function, "while evaluating the first argument passed to builtins.all")
    for item in as_list(value, "while evaluating the second argument passed to builtins.all"):
        if not as_bool(
            call(predicate, item), "while evaluating the return value of the function passed to builtins.all"
        ):
            return False
    return True


def gen_list(session: Session, function: object, count: object) -> object:
    size = as_int(count, "while evaluating the second argument passed to builtins.genList")
    if size < 0:
        raise EvalError(f"cannot create list of size {size}")
    callee = as_function(function, "while evaluating the first argument passed to builtins.genList")
    return numbered_thunks(CallOn(callee), size)


_SORTED: Final = "while evaluating the return value of the sorting function passed to builtins.sort"


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
            try:
                return less(self.value, other.value)
            except EvalError as error:
                error.note("while evaluating the ordering function passed to builtins.sort", None)
                raise
        return as_bool(call2(before, self.value, other.value), _SORTED)


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
    items = as_list(value, "while evaluating the second argument passed to builtins.sort")
    if not items:
        return items
    before = as_function(function, "while evaluating the first argument passed to builtins.sort")
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
    predicate = as_function(function, "while evaluating the first argument passed to builtins.partition")
    right: list[object] = []
    wrong: list[object] = []
    for item in as_list(value, "while evaluating the second argument passed to builtins.partition"):
        if as_bool(
            call(predicate, item),
            "while evaluating the return value of the partition function passed to builtins.partition",
        ):
            right.append(item)
        else:
            wrong.append(item)
    answer: dict[str, object] = {"right": own_list(right), "wrong": own_list(wrong)}
    return Attrs(answer, None)


def group_by(session: Session, function: object, value: object) -> object:
    callee = as_function(function, "while evaluating the first argument passed to builtins.groupBy")
    groups: dict[str, list[object]] = {}
    for item in as_list(value, "while evaluating the second argument passed to builtins.groupBy"):
        name = as_string_no_context(
            call(callee, item), "while evaluating the return value of the grouping function passed to builtins.groupBy"
        )
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


def _less_keys(left: object, right: object, left_item: object, right_item: object) -> bool:
    try:
        return less(left, right)
    except EvalError as error:
        error.note(f"with element {brief(right_item)}", None)
        error.note(f"while comparing element {brief(left_item)}", None)
        raise


def generic_closure(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the first argument passed to builtins.genericClosure")
    inside = "in the attrset passed as argument to builtins.genericClosure"
    start = attribute_of(attrs, "startSet", inside)
    work = as_list(start, "while evaluating the 'startSet' attribute passed as argument to builtins.genericClosure")
    if not work:
        return start
    operator = attribute_of(attrs, "operator", inside)
    operator = as_function(
        operator, "while evaluating the 'operator' attribute passed as argument to builtins.genericClosure"
    )
    return force_widely(session, _Closure(operator, work))


@final
class _Closure(WideForce):
    """What can be reached from the elements of ``start``."""

    def __init__(self, operator: object, start: list[object]) -> None:
        self.operator: Final = operator
        self.start: Final = start

    def attempt(self, session: Session) -> object:
        operator = self.operator
        work = list(self.start)
        missed: Unrealised | None = None
        result: list[object] = []
        seen: set[object] = set()
        odd: list[object] = []  # keys that are not hashable here: lists, paths
        first: object = None
        first_kind = ""
        first_item: object = None
        at = 0
        while at < len(work):
            item = work[at]
            at += 1
            depth = COUNTERS.depth
            try:
                element = as_attrs(item)
                key = attribute_of(element, "key")
            except EvalError as error:
                missed = session.missed(missed, error, depth)
                if missed is not None:
                    continue
                error.note(f"in genericClosure element {brief(item)}", None)
                raise
            hashed = _closure_key(key)
            kind = "string" if isinstance(hashed, str) else hashed.kind if isinstance(hashed, _Key) else type_name(key)
            if first is None:
                first = key
                first_kind = kind
                first_item = item
            elif kind != first_kind:
                _less_keys(key, first, item, first_item)  # says that they cannot be compared
            if hashed is not None:
                if hashed in seen:
                    continue
                seen.add(hashed)
            else:
                known = False
                for other in odd:
                    if not _less_keys(key, other, item, first_item) and not _less_keys(other, key, first_item, item):
                        known = True
                        break
                if known:
                    continue
                odd.append(key)
            result.append(item)
            try:
                work += as_list(
                    call(operator, item),
                    "while evaluating the return value of the `operator` passed to builtins.genericClosure",
                )
            except EvalError as error:
                missed = session.missed(missed, error, depth)
                if missed is not None:
                    continue
                error.note(f"while calling operator on genericClosure element {brief(item)}", None)
                raise
        if missed is not None:
            raise missed
        let_go(work)
        while len(seen) > PIECE:
            spend(1)
            seen.pop()
        return own_list(result)


def is_list(session: Session, value: object) -> object:
    return isinstance(force(value), list)


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
