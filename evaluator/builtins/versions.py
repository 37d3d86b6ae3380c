"""Version numbers and package names."""

from __future__ import annotations

import re
from typing import Final

from evaluator.builtins.table import Builtin
from evaluator.code.coerce import as_string_no_context
from evaluator.runtime.values import Attrs
from evaluator.session import Session

_COMPONENT: Final = re.compile(r"[0-9]+|[^0-9.\-]+")
_VERSION: Final = re.compile(r"-(?=[^A-Za-z])", re.DOTALL)
_BIGGEST: Final = 2**31 - 1


def components(version: str) -> list[str]:
    """The components of a version: runs of digits and runs of anything else but dots and dashes."""
    return _COMPONENT.findall(version)


def compare(left: str, right: str) -> int:
    """-1, 0 or 1: which of two versions is older, as ``nix-env -u`` sees it."""
    if left == right:
        return 0
    ours = components(left)
    theirs = components(right)
    for index in range(max(len(ours), len(theirs))):
        a = ours[index] if index < len(ours) else ""
        b = theirs[index] if index < len(theirs) else ""
        if a != b:
            if _older(a, b):
                return -1
            if _older(b, a):
                return 1
    return 0


def _number(component: str) -> int:
    """The number that a component is, -1 if it is none (or beyond 32 bits: then Nix compares it as text)."""
    if component and "0" <= component[0] <= "9":
        number = int(component)
        if number <= _BIGGEST:
            return number
    return -1


def _older(left: str, right: str) -> bool:
    a = _number(left)
    b = _number(right)
    if a >= 0 and b >= 0:
        return a < b
    if not left and b >= 0:
        return True
    if left == "pre" and right != "pre":
        return True
    if right == "pre":
        return False
    # 2.3a is older than 2.3.1.
    if b >= 0:
        return True
    if a >= 0:
        return False
    return left.encode("utf-8", "surrogateescape") < right.encode("utf-8", "surrogateescape")


def compare_versions(session: Session, left: object, right: object) -> object:
    ours = as_string_no_context(left, "while evaluating the first argument passed to builtins.compareVersions")
    return compare(
        ours, as_string_no_context(right, "while evaluating the second argument passed to builtins.compareVersions")
    )


def split_version(session: Session, value: object) -> object:
    parts: list[object] = []
    parts += components(
        as_string_no_context(value, "while evaluating the first argument passed to builtins.splitVersion")
    )
    return parts


def parse_drv_name(session: Session, value: object) -> object:
    text = as_string_no_context(value, "while evaluating the first argument passed to builtins.parseDrvName")
    dash = _VERSION.search(text)
    items: dict[str, object]
    if dash is None:
        items = {"name": text, "version": ""}
    else:
        items = {"name": text[: dash.start()], "version": text[dash.end() :]}
    return Attrs(items, None)


TABLE: Final[list[Builtin]] = [
    Builtin(
        "compareVersions",
        2,
        True,
        compare_versions,
        "compareVersions *s1* *s2*\n\n-1 if version *s1* is older than *s2*, 0 if they are the same, 1 if newer.",
    ),
    Builtin(
        "splitVersion",
        1,
        True,
        split_version,
        "splitVersion *s*\n\nThe components of a version, as `nix-env -u` sees them.",
    ),
    Builtin(
        "parseDrvName",
        1,
        True,
        parse_drv_name,
        "parseDrvName *s*\n\n`{ name, version }`: split at the first dash that no letter follows.",
    ),
]
