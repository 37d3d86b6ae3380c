"""Much at once: large lists and texts are made in pieces, between which others get their turn.

Steps of evaluation are counted, but a built-in function may do the work of millions in one. What is here pays for it
(``spend``), asks for the memory beforehand (:func:`ask_for`), and lets the evaluation be stopped on the way.
"""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import i64

from evaluator.remains import LARGE, REMAINS
from evaluator.runtime.values import COUNTERS, Code, Thunk, refuel, spend

PIECE: Final = 20_000
"""Elements that are handled in one go: a millisecond or two."""

LARGE_TEXT: Final = 1 << 20
"""Characters from which a text is worth asking for."""

_FEW: Final = 16  # pieces of text

_LARGE_BYTES: Final = 1 << 20
_NOTHING: Final[list[object]] = []


def ask_for(size: int) -> None:
    """Asks whether there may be so many bytes more. Raises Interrupted if not."""
    if size > _LARGE_BYTES:
        refuel()
        room = COUNTERS.room
        if room is not None:
            room(size)


def own_list(items: list[object]) -> list[object]:
    """A list that was just made; if it is large it is freed in pieces one day. All empty ones are one."""
    if not items:
        return _NOTHING
    if len(items) >= LARGE and COUNTERS.pause is not None:
        REMAINS.watch_list(items)
    return items


def own_dict(items: dict[str, object]) -> dict[str, object]:
    """The same for the attributes of a set."""
    if len(items) >= LARGE and COUNTERS.pause is not None:
        REMAINS.watch_dict(items)
    return items


def concatenated(left: list[object], right: list[object]) -> list[object]:
    """A new list of the elements of both."""
    size = len(left) + len(right)
    if size < LARGE:
        return left + right
    ask_for(8 * size)
    result: list[object] = []
    extend(result, left)
    extend(result, right)
    return own_list(result)


def from_index(items: list[object], start: int) -> list[object]:
    """The elements from an index on."""
    if len(items) - start < LARGE:
        return items[start:]
    ask_for(8 * (len(items) - start))
    result: list[object] = []
    extend(result, items, start)
    return own_list(result)


def extend(result: list[object], items: list[object], start: int = 0) -> None:
    """Adds the elements from ``start`` on to ``result``."""
    size = len(items)
    if start == 0 and size <= PIECE:
        result += items
        return
    while start < size:
        result += items[start : start + PIECE]
        start += PIECE
        spend(PIECE >> 3)


def thunks_of(code: Code, items: list[object]) -> list[object]:
    """A thunk with ``code`` for each element."""
    size = len(items)
    if size < LARGE:
        return [Thunk(code, item) for item in items]
    ask_for(72 * size)
    result: list[object] = []
    for start in range(0, size, PIECE):
        result += [Thunk(code, item) for item in items[start : start + PIECE]]
        refuel()
    return own_list(result)


def numbered_thunks(code: Code, size: int) -> list[object]:
    """A thunk with ``code`` for each number below ``size``."""
    if size < LARGE:
        return [Thunk(code, index) for index in range(size)]
    ask_for(104 * size)
    result: list[object] = []
    for start in range(0, size, PIECE):
        result += [Thunk(code, index) for index in range(start, min(start + PIECE, size))]
        refuel()
    return own_list(result)


def joined(pieces: list[str], glue: str = "") -> str:
    """``glue.join(pieces)``."""
    count = len(pieces)
    if count > _FEW:
        ask_for(_length(pieces) + count * len(glue))
    if count < LARGE:
        return glue.join(pieces)
    parts: list[str] = []
    for start in range(0, count, PIECE):
        parts.append(glue.join(pieces[start : start + PIECE]))
        refuel()
    return glue.join(parts)


def let_go(items: list[Any]) -> None:
    """Empties a list that nobody needs any more."""
    while len(items) > PIECE:
        del items[-PIECE:]
        spend(PIECE >> 2)
    items.clear()


def packed(pieces: list[str], start: int) -> int:
    """Makes one piece of those from ``start`` on if they are many; answers where to start from the next time."""
    if len(pieces) - start < PIECE:
        return start
    tail = pieces[start:]
    ask_for(_length(tail))
    del pieces[start:]
    pieces.append("".join(tail))
    return start + 1


def _length(pieces: list[str]) -> int:
    size = 0
    for piece in pieces:
        size += len(piece)
    return size


def sorted_alike(items: list[Any]) -> list[Any]:
    """A list of texts only or of integers only, in Python's order."""
    size = len(items)
    if size < LARGE:
        return sorted(items)
    runs: list[list[Any]] = []
    for start in range(0, size, PIECE):
        runs.append(sorted(items[start : start + PIECE]))
        refuel()
    while len(runs) > 1:
        merged: list[list[Any]] = []
        for at in range(0, len(runs) - 1, 2):
            merged.append(_merged(runs[at], runs[at + 1]))
        if len(runs) % 2:
            merged.append(runs[-1])
        runs = merged
    return runs[0]


def _merged(left: list[Any], right: list[Any]) -> list[Any]:
    result: list[Any] = []
    i: i64 = 0
    j: i64 = 0
    ours: i64 = len(left)
    theirs: i64 = len(right)
    counters = COUNTERS
    while i < ours and j < theirs:
        counters.fuel -= 1
        if counters.fuel <= 0:
            refuel()
        if right[j] < left[i]:
            result.append(right[j])
            j += 1
        else:
            result.append(left[i])
            i += 1
    if i < ours:
        extend(result, left, i)
    if j < theirs:
        extend(result, right, j)
    return result
