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
    """At most five of ``names`` within two edits of ``name``, nearest first, as Nix chooses them."""
    found: list[tuple[int, str]] = []
    size = len(name)
    letters = set(name)
    for other in names:
        # Two edits change two letters at most; of a set of 30,000 names few are left to be looked at closely.
        if abs(len(other) - size) > _FARTHEST or len(letters.difference(other)) > _FARTHEST:
            continue
        edits = distance(name, other, _FARTHEST)
        if edits <= _FARTHEST:
            found.append((edits, other))
    found.sort()
    return [other for _, other in found[:_MOST]]
