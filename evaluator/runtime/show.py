"""Names of types for messages."""

from __future__ import annotations

from evaluator.runtime.values import NULL, Attrs, Closure, ContextString, PartialPrimop, PathValue, Primop, Thunk


def type_name(value: object) -> str:
    """The type of a forced value with its article, as Nix words it: "a set", "an integer", "null"."""
    if isinstance(value, bool):
        return "a Boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a float"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, ContextString):
        return "a string with context"
    if isinstance(value, PathValue):
        return "a path"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Attrs):
        return "a set"
    if value is NULL:
        return "null"
    if isinstance(value, Closure):
        return "a function"
    if isinstance(value, Primop):
        return f"the built-in function '{value.name}'"
    if isinstance(value, PartialPrimop):
        return f"the partially applied built-in function '{value.primop.name}'"
    if isinstance(value, Thunk):
        return "a thunk"
    return "an unknown value"


def type_of(value: object) -> str:
    """What ``builtins.typeOf`` answers for a forced value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, (str, ContextString)):
        return "string"
    if isinstance(value, PathValue):
        return "path"
    if isinstance(value, list):
        return "list"
    if isinstance(value, Attrs):
        return "set"
    if value is NULL:
        return "null"
    return "lambda"
