"""Attribute sets and functions' arguments."""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.lists import CallOnBoth
from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import ForEach, force_widely
from evaluator.code.coerce import as_attrs, as_function, as_list, as_string_no_context, attribute_of
from evaluator.code.functions import FormalsLambda
from evaluator.runtime.bulk import PIECE, own_dict, own_list, sorted_alike
from evaluator.runtime.errors import EvalError, MissingAttribute, TypeFault
from evaluator.runtime.source import ListedPositions, MaskedPositions, OwnPositions, Place, Positions
from evaluator.runtime.values import (
    EMPTY_ATTRS,
    NULL,
    Attrs,
    Closure,
    PartialPrimop,
    Primop,
    Thunk,
    force,
    spend,
)
from evaluator.session import Session


def sorted_names(attrs: Attrs) -> list[str]:
    """The names of a set in byte order."""
    names = attrs.names()
    if len(names) <= PIECE:
        names.sort()
    else:
        names = sorted_alike(names)
    for name in names:
        if not name.isascii():
            return sorted(names, key=_bytes)
    return names


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def attr_names(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the argument passed to builtins.attrNames")
    names: list[object] = list(sorted_names(attrs))
    return own_list(names)


def attr_values(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the argument passed to builtins.attrValues")
    items = attrs.items
    values: list[object] = []
    for name in sorted_names(attrs):
        spend(1)
        values.append(items[name])
    return own_list(values)


def get_attr(session: Session, name: object, value: object) -> object:
    text = as_string_no_context(name, "while evaluating the first argument passed to builtins.getAttr")
    attrs = as_attrs(value, "while evaluating the second argument passed to builtins.getAttr")
    return attribute_of(attrs, text, "in the attribute set under consideration")


def has_attr(session: Session, name: object, value: object) -> object:
    text = as_string_no_context(name, "while evaluating the first argument passed to builtins.hasAttr")
    return as_attrs(value, "while evaluating the second argument passed to builtins.hasAttr").has(text)


def is_attrs(session: Session, value: object) -> object:
    return isinstance(force(value), Attrs)


def masked(positions: Positions | None, items: dict[str, object]) -> Positions | None:
    """``positions`` seen through a set that has only some of the names."""
    return None if positions is None else MaskedPositions(positions, items)


def remove_attrs(session: Session, value: object, names: object) -> object:
    attrs = as_attrs(value, "while evaluating the first argument passed to builtins.removeAttrs")
    items = attrs.items
    result: dict[str, object] | None = None
    for item in as_list(names, "while evaluating the second argument passed to builtins.removeAttrs"):
        name = as_string_no_context(
            item, "while evaluating the values of the second argument passed to builtins.removeAttrs"
        )
        if name in items:
            if result is None:
                result = own_dict(items.copy())
            result.pop(name, None)
    if result is None:
        return attrs
    return Attrs(result, masked(attrs.positions, result))


def _missing_in_pair(name: str) -> EvalError:
    fault = MissingAttribute(f"attribute '{name}' missing")
    fault.note("in a {name=...; value=...;} pair", None)
    return fault


@final
class _Pairs(ForEach):
    def __init__(self, items: list[object]) -> None:
        super().__init__(items)
        self.found: dict[str, object] = {}
        self.owners: dict[str, Positions] = {}

    def begin(self) -> None:
        self.found = {}
        self.owners = {}

    def take(self, item: object) -> None:
        spend(1)
        pair = as_attrs(item, "while evaluating an element of the list passed to builtins.listToAttrs")
        key = pair.find("name")
        if key is None:
            raise _missing_in_pair("name")
        try:
            name = as_string_no_context(pair.get("name"))
        except EvalError as error:
            place = pair.place_of("name")
            if not error.frames:
                error.pin(place)
            error.note(
                "while evaluating the `name` attribute of an element of the list passed to builtins.listToAttrs", place
            )
            raise
        if name in self.found:
            return
        found = pair.find("value")
        if found is None:
            raise _missing_in_pair("value")
        self.found[name] = found
        positions = pair.positions
        if positions is not None:
            self.owners[name] = positions

    def result(self) -> object:
        return Attrs(own_dict(self.found), ListedPositions(self.owners))


def list_to_attrs(session: Session, value: object) -> object:
    return force_widely(session, _Pairs(as_list(value, "while evaluating the argument passed to builtins.listToAttrs")))


def intersect_attrs(session: Session, left: object, right: object) -> object:
    ours = as_attrs(left, "while evaluating the first argument passed to builtins.intersectAttrs")
    theirs = as_attrs(right, "while evaluating the second argument passed to builtins.intersectAttrs")
    result: dict[str, object] = {}
    if ours.at_most() < theirs.at_most():
        for name in ours.names():
            spend(1)
            found = theirs.find(name)
            if found is not None:
                result[name] = found
    else:
        for name, found in theirs.items.items():
            spend(1)
            if ours.has(name):
                result[name] = found
    return Attrs(own_dict(result), masked(theirs.positions, result))


def map_attrs(session: Session, function: object, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the second argument passed to builtins.mapAttrs")
    return Attrs.mapped(CallOnBoth(function), attrs, attrs.positions)


def cat_attrs(session: Session, name: object, value: object) -> object:
    text = as_string_no_context(name, "while evaluating the first argument passed to builtins.catAttrs")
    result: list[object] = []
    for element in as_list(value, "while evaluating the second argument passed to builtins.catAttrs"):
        spend(1)
        found = as_attrs(
            element, "while evaluating an element in the list passed as second argument to builtins.catAttrs"
        ).find(text)
        if found is not None:
            result.append(found)
    return own_list(result)


def zip_attrs_with(session: Session, function: object, value: object) -> object:
    callee = as_function(function, "while evaluating the first argument passed to builtins.zipAttrsWith")
    groups: dict[str, list[object]] = {}
    owners: dict[str, Positions] = {}
    for element in as_list(value, "while evaluating the second argument passed to builtins.zipAttrsWith"):
        attrs = as_attrs(
            element, "while evaluating a value of the list passed as second argument to builtins.zipAttrsWith"
        )
        positions = attrs.positions
        for name in attrs.names():
            found = attrs.find(name)
            spend(1)
            group = groups.get(name)
            if group is None:
                groups[name] = [found]
            else:
                group.append(found)
            if positions is not None:
                owners[name] = positions
    code = CallOnBoth(callee)
    result: dict[str, object] = {}
    for name in groups:
        spend(1)
        result[name] = Thunk(code, name, own_list(groups[name]))
    return Attrs(result, OwnPositions(owners))


def function_args(session: Session, value: object) -> object:
    function = force(value)
    if isinstance(function, (Primop, PartialPrimop)):
        return EMPTY_ATTRS
    if not isinstance(function, Closure):
        raise TypeFault("'functionArgs' requires a function")
    code = function.function
    if not isinstance(code, FormalsLambda):
        return EMPTY_ATTRS
    known = code.arguments
    if known is None:
        result: dict[str, object] = {}
        for index in range(len(code.names)):
            result[code.names[index]] = code.defaults[index] is not None
        known = Attrs(result, code.positions)
        code.arguments = known
    return known


def position_of(place: Place | None) -> object:
    """A place as ``{ file, line, column }``, null for none."""
    if place is None or not place.file.is_real():
        return NULL
    line, column = place.file.line_column(place.start)
    items: dict[str, object] = {"column": column, "file": place.file.path, "line": line}
    return Attrs(items, None)


def unsafe_get_attr_pos(session: Session, name: object, value: object) -> object:
    text = as_string_no_context(name, "while evaluating the first argument passed to builtins.unsafeGetAttrPos")
    return position_of(
        as_attrs(value, "while evaluating the second argument passed to builtins.unsafeGetAttrPos").place_of(text)
    )


def is_function(session: Session, value: object) -> object:
    function = force(value)
    return isinstance(function, Closure) or isinstance(function, Primop) or isinstance(function, PartialPrimop)


TABLE: Final[list[Builtin]] = [
    Builtin("attrNames", 1, True, attr_names, "attrNames *set*\n\nThe names of the attributes, sorted."),
    Builtin("attrValues", 1, True, attr_values, "attrValues *set*\n\nThe values, in the order of the sorted names."),
    Builtin("getAttr", 2, True, get_attr, "getAttr *name* *set*\n\nThe attribute; an error if it is missing."),
    Builtin("hasAttr", 2, True, has_attr, "hasAttr *name* *set*\n\nWhether the set has the attribute."),
    Builtin("isAttrs", 1, True, is_attrs, "isAttrs *x*\n\nWhether *x* is a set."),
    Builtin("removeAttrs", 2, True, remove_attrs, "removeAttrs *set* *names*\n\nThe set without these attributes."),
    Builtin(
        "listToAttrs",
        1,
        True,
        list_to_attrs,
        "listToAttrs *list*\n\nA set out of `{ name, value }` elements; of equal names the first counts.",
    ),
    Builtin(
        "intersectAttrs",
        2,
        True,
        intersect_attrs,
        "intersectAttrs *e1* *e2*\n\nThe attributes of *e2* whose names are in *e1* too.",
    ),
    Builtin("mapAttrs", 2, False, map_attrs, "mapAttrs *f* *set*\n\nEach value replaced by `f name value`, lazily."),
    Builtin(
        "catAttrs", 2, True, cat_attrs, "catAttrs *name* *sets*\n\nThe values of the attribute in those that have it."
    ),
    Builtin(
        "zipAttrsWith",
        2,
        True,
        zip_attrs_with,
        "zipAttrsWith *f* *sets*\n\nA set of `f name values`, *values* being those of all the sets that have the name.",
    ),
    Builtin(
        "functionArgs",
        1,
        True,
        function_args,
        "functionArgs *f*\n\nThe formal arguments of *f*; true for those that have a default.",
    ),
    Builtin(
        "unsafeGetAttrPos",
        2,
        True,
        unsafe_get_attr_pos,
        "unsafeGetAttrPos *name* *set*\n\nWhere the attribute was defined: `{ file, line, column }` or null.",
    ),
    Builtin("isFunction", 1, True, is_function, "isFunction *x*\n\nWhether *x* is a function."),
]
