"""Which names fit what has been typed, best first, and no more of them than a client digests.

Nix names are many (27,000 packages) and typed half: what begins with the text comes before what holds it, that
before its letters in order, and that before what is merely alike (a typing mistake).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: A client gets at most so many; 5,000 items cost 90 ms on the wire alone.
AT_MOST: Final = 250

_ALIKE: Final = 75.0
_SHORTEST_TYPO: Final = 4

EXACT: Final = 0
PREFIX: Final = 1
PREFIX_ANY_CASE: Final = 2
INSIDE: Final = 3
SCATTERED: Final = 4
ALIKE: Final = 5


def best(
    names: Sequence[str], typed: str, groups: Sequence[int] = (), at_most: int = AT_MOST
) -> tuple[list[tuple[int, int]], bool]:
    """The indices of the names that fit ``typed``, best first, each with how well (:data:`EXACT` … :data:`ALIKE`).

    The second part of the answer tells whether some were left out. Of those that fit equally well the lower group
    comes first (``groups`` has one number a name, or is empty), then the shorter name, then the earlier one. With
    nothing typed yet the order is kept.
    """
    if not typed:
        return [(index, PREFIX) for index in range(min(len(names), at_most))], len(names) > at_most
    fitting = [(PREFIX, index) for index, name in enumerate(names) if name.startswith(typed)]
    fitting = [(EXACT if len(names[index]) == len(typed) else fit, index) for fit, index in fitting]
    complete = len(fitting) <= at_most
    if len(fitting) < at_most:
        fitting += _less_well(names, typed, typed.casefold())
    if not fitting and len(typed) >= _SHORTEST_TYPO:
        return _alike(names, typed, at_most), False
    order = [(fit, groups[index] if groups else 0, len(names[index]), index) for fit, index in fitting]
    order.sort()
    return [(index, fit) for fit, _, _, index in order[:at_most]], not complete or len(order) > at_most


def _less_well(names: Sequence[str], typed: str, folded: str) -> list[tuple[int, int]]:
    """Those that fit, but do not begin with just what was typed."""
    found: list[tuple[int, int]] = []
    for index, name in enumerate(names):
        small = name.casefold()
        if folded in small:
            if not small.startswith(folded):
                found.append((INSIDE, index))
            elif not name.startswith(typed):
                found.append((PREFIX_ANY_CASE, index))
        elif _has_letters_in_order(small, folded):
            found.append((SCATTERED, index))
    return found


def _has_letters_in_order(name: str, letters: str) -> bool:
    at = -1
    for letter in letters:
        at = name.find(letter, at + 1)
        if at < 0:
            return False
    return True


def _alike(names: Sequence[str], typed: str, at_most: int) -> list[tuple[int, int]]:
    from rapidfuzz import fuzz, process  # 30 ms to import, and most completions need no guessing

    found = process.extract(typed.casefold(), names, scorer=fuzz.ratio, score_cutoff=_ALIKE, limit=at_most)
    return [(index, ALIKE) for _, _, index in found]
