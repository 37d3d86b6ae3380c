"""Names that a mistyped one may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_FARTHEST: Final = 2
_MOST: Final = 5


def distance(left: str, right: str, bound: int) -> int:
    """Levenshtein distance, or ``bound`` + 1 as soon as it is known to be larger."""
    if abs(len(left) - len(right)) > bound:
        return bound + 1
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            current.append(
                min(previous[column] + 1, current[column - 1] + 1, previous[column - 1] + (0 if a == b else 1))
            )
        if min(current) > bound:
            return bound + 1
        previous = current
    return previous[-1]


def similar(name: str, names: Iterable[str]) -> list[str]:
    """At most five of ``names`` within two edits of ``name``, nearest first.

    Large sets are screened by length and first letter, so that a failing selection in a
    set of 30,000 costs little (``or`` and ``tryEval`` may hide it a thousand times).
    """
    found: list[tuple[int, str]] = []
    size = len(name)
    first = name[:1]
    for other in names:
        if abs(len(other) - size) > _FARTHEST or (
            other[:1] != first and other[1:2] != first and name[1:2] != other[:1]
        ):
            continue
        if len(set(name) & set(other)) < size // 2:
            continue
        edits = distance(name, other, _FARTHEST)
        if edits <= _FARTHEST and edits < size:
            found.append((edits, other))
    found.sort()
    return [other for _, other in found[:_MOST]]
