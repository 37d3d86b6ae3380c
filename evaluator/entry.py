"""From a file's value to the value that was asked for: automatic calls and attribute paths, as nix-instantiate does."""

from __future__ import annotations

from evaluator.code.attrsets import missing_attribute
from evaluator.code.functions import FormalsLambda, call
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.source import first_place
from evaluator.runtime.values import COUNTERS, Attrs, Closure, descend, force


def apply_arguments(value: object, given: Attrs) -> object:
    """Calls a function that takes a set with what it wants of ``given``; anything else is answered as it is.

    Raises TypeFault, naming the remedy, when an argument without default is not given.
    """
    value = force(value)
    if isinstance(value, Attrs):
        functor = value.get("__functor")
        if functor is None:
            return value
        descend()
        value = apply_arguments(call(functor, value), given)
        COUNTERS.depth -= 1
        return value
    if not isinstance(value, Closure):
        return value
    code = value.function
    if not isinstance(code, FormalsLambda):
        return value
    items: dict[str, object] = {}
    if code.ellipsis:
        # It takes everything; what is missing then is for the call itself to say, as in Nix.
        items.update(given.items)
        return call(value, Attrs(items, given.positions))
    for index in range(len(code.names)):
        name = code.names[index]
        found = given.find(name)
        if found is not None:
            items[name] = found
        elif code.defaults[index] is None:
            raise TypeFault(
                f"cannot evaluate a function that has an argument without a value ('{name}'); "
                f"give it one with '--arg {name} …' or '--argstr {name} …'",
                code.positions.find(name),
            )
    return call(value, Attrs(items, code.positions))


def split_path(path: str) -> list[str]:
    """The steps of an attribute path; ``"a.b".c`` keeps the dot inside quotes. Raises EvalError on an open quote."""
    steps: list[str] = []
    step = ""
    quoted = False
    for char in path:
        if char == '"':
            quoted = not quoted
        elif char == "." and not quoted:
            steps.append(step)
            step = ""
        else:
            step += char
    if quoted:
        raise EvalError(f"missing closing quote in selection path '{path}'")
    # A dot at the end is overlooked, as in Nix.
    if step:
        steps.append(step)
    return steps


def select_path(value: object, path: str, given: Attrs) -> object:
    """The forced value at an attribute path; functions before a step are called, numbers index lists.

    Raises MissingAttribute with similar names, EvalError for what cannot be selected from.
    """
    value = force(value)
    for step in split_path(path):
        value = apply_arguments(value, given)
        if step.isdecimal() and step.isascii():
            if not isinstance(value, list):
                raise TypeFault(_unselectable(path, "a list", value))
            if int(step) >= len(value):
                raise EvalError(f"list index {step} in selection path '{path}' is out of range")
            value = force(value[int(step)])
            continue
        if not isinstance(value, Attrs):
            raise TypeFault(_unselectable(path, "a set", value))
        if not step:
            raise EvalError(f"empty attribute name in selection path '{path}'")
        found = value.get(step)
        if found is None:
            error = missing_attribute(step, value, first_place(value.positions))
            error.message = f"attribute '{step}' in selection path '{path}' not found"
            raise error
        value = found
    return value


def _unselectable(path: str, wanted: str, value: object) -> str:
    return f"the expression selected by the selection path '{path}' should be {wanted} but is {type_name(value)}"
