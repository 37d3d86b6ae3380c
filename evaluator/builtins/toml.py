"""TOML: ``fromTOML``.

Specification: TOML 1.0. Dates and times have no Nix value: they are errors, as in Nix without its
experimental feature ``parse-toml-timestamps``.
"""

from __future__ import annotations

import re
from typing import Final

from evaluator.builtins.table import Builtin
from evaluator.code.coerce import as_string_no_context
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import COUNTERS, Attrs, descend
from evaluator.session import Session

_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1
_KEY: Final = re.compile(r"\((?:'[^']*', ?)*(?:'[^']*',?)\)")
_PART: Final = re.compile(r"'([^']*)'")


def _value(found: object) -> object:
    if isinstance(found, str):
        _check(found)
        return found
    if isinstance(found, bool):
        return found
    if isinstance(found, int):
        if not _MIN <= found <= _MAX:
            raise EvalError(f"while parsing TOML: the integer {found} does not fit 64 bits")
        return found
    if isinstance(found, float):
        return found
    if isinstance(found, dict):
        items: dict[str, object] = {}
        descend()
        for name, inner in found.items():
            _check(name)
            items[name] = _value(inner)
        COUNTERS.depth -= 1
        return Attrs(items, None)
    if isinstance(found, list):
        descend()
        elements = [_value(item) for item in found]
        COUNTERS.depth -= 1
        return elements
    if type(found).__module__ == "datetime":
        raise EvalError("while parsing TOML: Dates and times are not supported")
    raise EvalError("while parsing TOML: a value of a kind that Nix does not have")


def _check(text: str) -> None:
    if "\0" in text:
        shown = text.replace("\0", "␀")
        raise EvalError(
            f"while parsing TOML: error: input string '{shown}' "
            "cannot be represented as Nix string because it contains null bytes"
        )


def _dotted(found: re.Match[str]) -> str:
    """A key as the message of the library shows it (a tuple), as TOML spells it."""
    return "'" + ".".join(_PART.findall(found.group())) + "'"


def from_toml(session: Session, value: object) -> object:
    import tomllib

    text = as_string_no_context(value, "while evaluating the argument passed to builtins.fromTOML")
    try:
        return _value(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        text = _KEY.sub(_dotted, str(error))
        raise EvalError(f"while parsing TOML: {text[:1].lower()}{text[1:]}") from None
    except RecursionError:
        raise EvalError("while parsing TOML: the text is nested too deep") from None


TABLE: Final[list[Builtin]] = [
    Builtin("fromTOML", 1, True, from_toml, "fromTOML *text*\n\nThe set that the TOML document stands for."),
]
