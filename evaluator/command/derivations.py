"""``--instantiate``: the derivations that a value consists of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from evaluator.code.coerce import as_bool, as_string, as_string_no_context, coerce
from evaluator.entry import apply_arguments
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.values import Attrs, force
from evaluator.session import Session
from store.store_path import is_store_path

#: Sets are not entered by other names (nix-env could not name what is there).
_NAME: Final = r"[A-Za-z_][A-Za-z0-9\-_+]*"


def derivations(value: object, given: Attrs) -> Iterator[Attrs]:
    """The derivations in a value, in Nix's order: itself, those of a set by name, those of a list.

    Sets inside sets are entered if they say ``recurseForDerivations = true``, lists only from lists or as the value
    itself; functions are called with ``given`` where sets are entered. Each derivation comes once. Raises EvalError.
    """
    return _entered(value, given, set())


def _entered(value: object, given: Attrs, done: set[int]) -> Iterator[Attrs]:
    value = apply_arguments(value, given)
    if isinstance(value, Attrs):
        if is_derivation(value):
            yield from _once(value, done)
            return
        everything = value.has("_combineChannels")
        for name in sorted(value.items):
            if not re.fullmatch(_NAME, name):
                continue
            inner = value.get(name)
            if everything:
                yield from _entered(inner, given, done)
            elif isinstance(inner, Attrs):
                if is_derivation(inner):
                    yield from _once(inner, done)
                elif inner.has("recurseForDerivations") and as_bool(inner.get("recurseForDerivations")):
                    yield from _entered(inner, given, done)
    elif isinstance(value, list):
        for item in value:
            inner = force(item)
            if isinstance(inner, Attrs) and is_derivation(inner):
                yield from _once(inner, done)
            else:
                yield from _entered(inner, given, done)
    else:
        raise TypeFault("expression does not evaluate to a derivation (or a set or list of those)")


def _once(value: Attrs, done: set[int]) -> Iterator[Attrs]:
    if id(value) not in done:
        done.add(id(value))
        if not value.has("name"):
            raise TypeFault("derivation name missing")
        as_string_no_context(value.get("name"))
        yield value


def instantiated(session: Session, derivation: Attrs) -> str:
    """``DRVPATH``, or ``DRVPATH!OUTPUT`` where another output than ``out`` is meant. Raises EvalError."""
    if not derivation.has("drvPath"):
        raise EvalError("derivation does not contain a 'drvPath' attribute")
    path = as_string(coerce(session, derivation.get("drvPath"), False, False))
    if not is_store_path(path):
        raise EvalError(f"path '{path}' is not in the Nix store")
    output = as_string_no_context(derivation.get("outputName")) if derivation.has("outputName") else ""
    if not output:
        raise EvalError(f"derivation '{path}' lacks an 'outputName' attribute")
    return path if output == "out" else f"{path}!{output}"
