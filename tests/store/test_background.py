"""Hashing and fetching in threads of their own: the same answers, errors where they belong, nothing left behind."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator

import pytest

from store.castore.background import Sum, ahead
from store.castore.services import Corrupt

PIECES = [random.Random(number).randbytes(300_000) for number in range(40)]


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("count", [0, 1, 5, 40])
def test_sums(count: int) -> None:
    with Sum(hashlib.sha256()) as summed:
        for piece in PIECES[:count]:
            summed.update(piece)
        assert summed.digest() == hashlib.sha256(b"".join(PIECES[:count])).digest()
    assert "sum" not in names()


def test_a_sum_that_nobody_wants_ends() -> None:
    with pytest.raises(Corrupt), Sum(hashlib.sha256()) as summed:
        for piece in PIECES:
            summed.update(piece)
        raise Corrupt("something else")
    assert "sum" not in names()


@pytest.mark.parametrize("count", [0, 1, 8, 40])
def test_pieces_come_in_their_order(count: int) -> None:
    assert list(ahead(iter(PIECES[:count]))) == PIECES[:count]
    assert "ahead" not in names()


@pytest.mark.parametrize("good", [0, 3, 30])
def test_errors_come_after_what_came_before_them(good: int) -> None:
    def broken() -> Iterator[bytes]:
        yield from PIECES[:good]
        raise Corrupt("the line went dead")

    found = []
    with pytest.raises(Corrupt, match="went dead"):
        for piece in ahead(broken()):
            found.append(piece)
    assert found == PIECES[:good]
    assert "ahead" not in names()


@pytest.mark.parametrize("wanted", [0, 1, 20])
def test_who_stops_early_closes_the_source(wanted: int) -> None:
    closed = threading.Event()

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield PIECES[0]
        finally:
            closed.set()

    coming = ahead(endless())
    for _ in range(wanted):
        next(coming)
    coming.close()
    assert closed.is_set() or wanted == 0
    assert "ahead" not in names()
