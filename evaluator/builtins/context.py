"""String context: what store paths a string refers to.

An element is ``PATH`` (a store object), ``!OUTPUT!DRV`` (an output of a derivation) or ``=DRV`` (a derivation
with everything that it is made of).
"""

from __future__ import annotations

from typing import Final

from evaluator.builtins.attrs import sorted_names
from evaluator.builtins.table import Builtin
from evaluator.code.coerce import (
    as_attrs,
    as_bool,
    as_list,
    as_string,
    as_string_no_context,
    coerce,
    context_of,
    make_string,
)
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import Attrs, ContextString, force
from evaluator.session import Session
from store.store_path import is_derivation, is_store_path


def has_context(session: Session, value: object) -> object:
    as_string(value, "while evaluating the argument passed to builtins.hasContext")
    return isinstance(force(value), ContextString)


def get_context(session: Session, value: object) -> object:
    as_string(value, "while evaluating the argument passed to builtins.getContext")
    value = force(value)
    plain: set[str] = set()
    deep: set[str] = set()
    outputs: dict[str, list[str]] = {}
    for element in sorted(context_of(value)):
        if element.startswith("!"):
            at = element.index("!", 1)
            outputs.setdefault(element[at + 1 :], []).append(element[1:at])
        elif element.startswith("="):
            deep.add(element[1:])
        else:
            plain.add(element)
    result: dict[str, object] = {}
    for path in sorted(plain | deep | set(outputs)):
        items: dict[str, object] = {}
        if path in plain:
            items["path"] = True
        if path in deep:
            items["allOutputs"] = True
        names = outputs.get(path)
        if names is not None:
            listed: list[object] = []
            listed += names
            items["outputs"] = listed
        result[path] = Attrs(items, None)
    return Attrs(result, None)


def append_context(session: Session, value: object, more: object) -> object:
    text = as_string(value, "while evaluating the first argument passed to builtins.appendContext")
    value = force(value)
    context = set(context_of(value))
    attrs = as_attrs(more, "while evaluating the second argument passed to builtins.appendContext")
    for path in sorted_names(attrs):
        try:
            _append(session, context, path, attrs.get(path))
        except EvalError as error:
            place = attrs.place_of(path)
            if place is not None:
                error.locate(place)
            raise
    return make_string(text, frozenset(context))


def _append(session: Session, context: set[str], path: str, described: object) -> None:
    """Adds what an attribute of ``appendContext``'s argument says of ``path``."""
    if not is_store_path(path):
        raise EvalError(f"context key '{path}' is not a store path")
    session.ensure(path)
    entry = as_attrs(described, "while evaluating the value of a string context")
    plain = entry.get("path")
    if plain is not None and as_bool(plain, "while evaluating the `path` attribute of a string context"):
        context.add(path)
    deep = entry.get("allOutputs")
    if deep is not None and as_bool(deep, "while evaluating the `allOutputs` attribute of a string context"):
        if not is_derivation(path):
            raise EvalError(f"tried to add all-outputs context of {path}, which is not a derivation, to a string")
        context.add("=" + path)
    outputs = entry.get("outputs")
    if outputs is not None:
        names = as_list(outputs, "while evaluating the `outputs` attribute of a string context")
        if names and not is_derivation(path):
            raise EvalError(f"tried to add derivation output context of {path}, which is not a derivation, to a string")
        for name in names:
            output = as_string_no_context(name, "while evaluating an output name within a string context")
            context.add(f"!{output}!{path}")


def discard_context(session: Session, value: object) -> object:
    doing = "while evaluating the argument passed to builtins.unsafeDiscardStringContext"
    return as_string(coerce(session, value, True, False, doing))


def discard_output_dependency(session: Session, value: object) -> object:
    found = coerce(
        session, value, True, False, "while evaluating the argument passed to builtins.unsafeDiscardOutputDependency"
    )
    if not isinstance(found, ContextString):
        return found
    context = found.context
    for element in context:
        if element.startswith("="):
            return ContextString(found.text, frozenset([element.removeprefix("=") for element in context]))
    return found


def add_output_dependencies(session: Session, value: object) -> object:
    found = coerce(
        session, value, True, False, "while evaluating the argument passed to builtins.addDrvOutputDependencies"
    )
    text = as_string(found)
    context = context_of(found)
    if len(context) != 1:
        raise EvalError(f"context of string '{text}' must have exactly one element, but has {len(context)}")
    for element in context:
        if element.startswith("="):
            return found
        if element.startswith("!"):
            output = element[1 : element.index("!", 1)]
            raise EvalError(
                f"`addDrvOutputDependencies` can only act on derivations, not on a derivation output such as '{output}'"
            )
        if not is_derivation(element):
            raise EvalError(f"path '{element}' is not a derivation")
        return ContextString(text, frozenset(["=" + element]))
    return found


TABLE: Final[list[Builtin]] = [
    Builtin("hasContext", 1, True, has_context, "hasContext *s*\n\nWhether a string refers to store paths."),
    Builtin(
        "getContext",
        1,
        True,
        get_context,
        "getContext *s*\n\nThe store paths that a string refers to: `{ PATH = { path, allOutputs, outputs }; … }`.",
    ),
    Builtin(
        "appendContext",
        2,
        True,
        append_context,
        "appendContext *s* *context*\n\n*s* referring to more store paths, given as `getContext` answers them.",
    ),
    Builtin(
        "unsafeDiscardStringContext",
        1,
        True,
        discard_context,
        "unsafeDiscardStringContext *s*\n\nThe string without any reference to store paths.",
    ),
    Builtin(
        "unsafeDiscardOutputDependency",
        1,
        True,
        discard_output_dependency,
        "unsafeDiscardOutputDependency *s*\n\n*s* referring to the derivation's file only, "
        "not to everything that it is made of.",
    ),
    Builtin(
        "addDrvOutputDependencies",
        1,
        True,
        add_output_dependencies,
        "addDrvOutputDependencies *s*\n\nThe opposite of `unsafeDiscardOutputDependency`.",
    ),
]
