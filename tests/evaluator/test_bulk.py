"""Large lists and texts: made in pieces, they are what they would be if made at once; dead, they go in pieces."""

from __future__ import annotations

from random import Random

import pytest

from evaluator.remains import LARGE, Remains
from evaluator.runtime.bulk import (
    PIECE,
    concatenated,
    extend,
    from_index,
    joined,
    let_go,
    numbered_thunks,
    packed,
    sorted_alike,
    thunks_of,
)
from evaluator.runtime.values import BLACKHOLE, Thunk

SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, LARGE, 2 * LARGE, 3 * PIECE + 7]


@pytest.mark.parametrize("size", SIZES)
def test_pieces_make_the_whole(size: int) -> None:
    items: list[object] = list(range(size))
    more: list[object] = list(range(-5, PIECE))
    assert concatenated(items, more) == items + more
    assert concatenated(more, items) == more + items
    assert from_index(items, 1) == items[1:]
    longer = more.copy()
    extend(longer, items)
    assert longer == more + items
    made = thunks_of(BLACKHOLE, items)
    assert [thunk.payload for thunk in made if isinstance(thunk, Thunk)] == items
    numbered = numbered_thunks(BLACKHOLE, size)
    assert [thunk.payload for thunk in numbered if isinstance(thunk, Thunk)] == items
    let_go(longer)
    assert longer == []


@pytest.mark.parametrize("size", SIZES)
def test_texts(size: int) -> None:
    random = Random(size)
    texts = [str(random.randrange(10 * size + 1)) for _ in range(size)]
    assert joined(texts) == "".join(texts)
    assert joined(texts, ", ") == ", ".join(texts)
    pieces = ["before"]
    start = 1
    for text in texts:
        pieces.append(text)
        start = packed(pieces, start)
    assert len(pieces) <= PIECE + 1 + size // PIECE
    assert "".join(pieces) == "before" + "".join(texts)


@pytest.mark.parametrize("size", SIZES)
def test_order(size: int) -> None:
    random = Random(size)
    numbers = [random.randrange(-size, size + 1) for _ in range(size)]
    texts = [chr(97 + number % 500) * (number % 3) for number in numbers]
    assert sorted_alike(numbers) == sorted(numbers)
    assert sorted_alike(texts) == sorted(texts)


def swept(remains: Remains) -> int:
    """How many times there was something to free."""
    times = 0
    while remains.sweep():
        times += 1
    return times


def test_what_somebody_holds_is_left_alone() -> None:
    remains = Remains()
    items: list[object] = list(range(100_000))
    named: dict[str, object] = {str(number): number for number in range(50_000)}
    remains.watch_list(items)
    remains.watch_dict(named)
    assert swept(remains) == 0
    assert (len(items), len(named)) == (100_000, 50_000)
    iterator = iter(items)
    next(iterator)
    del items
    assert swept(remains) == 0
    assert sum(1 for _ in iterator) == 99_999


def test_what_nobody_holds_goes_in_pieces() -> None:
    remains = Remains()
    remains.watch_list(list(range(100_000)))
    remains.watch_dict({str(number): number for number in range(50_000)})
    remains.watch_list(list(range(30_000)))
    assert swept(remains) > 4
    assert swept(remains) == 0
