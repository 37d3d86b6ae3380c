"""Structured attributes (``__structuredAttrs``): the files that a builder reads them from.

Specification: the Nix manual, "Advanced Attributes". ``.attrs.json`` is the JSON of the ``__json`` variable with an
object ``outputs`` added, keys sorted, no blanks. ``.attrs.sh`` declares, for bash, every attribute whose name is a
variable's and whose value is a text, an integer, null, a Boolean, or an array or object of such.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*\Z"
_HALF = 1 << 31


def parse(text: str) -> dict[str, Json]:
    """The attributes in ``__json``. Raises ``ValueError`` when it holds no object."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    return value


def dump(value: Json) -> str:
    """The JSON of ``value`` as Nix writes it."""
    if isinstance(value, dict):
        entries = [f"{json.dumps(key, ensure_ascii=False)}:{dump(value[key])}" for key in sorted(value)]
        return "{" + ",".join(entries) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dump(item) for item in value) + "]"
    if isinstance(value, float):
        return _float(value)
    return json.dumps(value, ensure_ascii=False)


def shell(attributes: Mapping[str, Json]) -> str:
    """The ``.attrs.sh`` of ``attributes``."""
    lines: list[str] = []
    for name in sorted(attributes):
        if not re.match(_VARIABLE, name):
            continue
        value = attributes[name]
        simple = _simple(value)
        if simple is not None:
            lines.append(f"declare {name}={simple}\n")
        elif isinstance(value, list):
            items = [_simple(item) for item in value]
            if None not in items:
                lines.append(f"declare -a {name}=({''.join(f'{item} ' for item in items)})\n")
        elif isinstance(value, dict):
            pairs = {key: _simple(value[key]) for key in sorted(value)}
            if None not in pairs.values():
                listed = "".join(f"[{_quoted(key)}]={item} " for key, item in pairs.items())
                lines.append(f"declare -A {name}=({listed})\n")
    return "".join(lines)


def _simple(value: Json) -> str | None:
    if value is None:
        return "''"
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, str):
        return _quoted(value)
    # Nix counts in C's int here, and asks a C float whether a number is whole.
    if isinstance(value, int):
        return str((value + _HALF) % (2 * _HALF) - _HALF)
    if isinstance(value, float):
        (single,) = struct.unpack("f", struct.pack("f", value))
        if math.isfinite(single) and single != math.floor(single):
            return None
        return str(int(value) if -_HALF <= value < _HALF else -_HALF)
    return None


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _float(value: float) -> str:
    text = repr(value)
    whole, dot, rest = text.lstrip("-").partition(".")
    if dot and len(whole) == 16 and "e" not in rest:
        # Python writes 16 digits before the point, Nix's library at most 15.
        digits = (whole + rest).rstrip("0")
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e+15"
    return text
