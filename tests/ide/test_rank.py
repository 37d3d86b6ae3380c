"""Which names fit what was typed, and in what order."""

from __future__ import annotations

import pytest

from lsp.ide import rank

NAMES = ["python", "Python", "python3", "cpython", "p-y-t", "pithon", "other"]


def found(typed: str, names: list[str], at_most: int = rank.AT_MOST) -> list[tuple[str, int]]:
    return [(names[index], fit) for index, fit in rank.best(names, typed, at_most=at_most)[0]]


def test_order() -> None:
    assert found("python", NAMES) == [
        ("python", rank.EXACT),
        ("python3", rank.PREFIX),
        ("Python", rank.PREFIX_ANY_CASE),
        ("cpython", rank.INSIDE),
    ]
    assert found("pyt", NAMES)[-1] == ("p-y-t", rank.SCATTERED)


def test_nothing_typed_keeps_the_order() -> None:
    assert [name for name, _ in found("", NAMES)] == NAMES


def test_what_is_alike_only_when_nothing_fits() -> None:
    assert found("pyhton", ["python", "other"]) == [("python", rank.ALIKE)]
    assert found("python", ["python", "pyhton"]) == [("python", rank.EXACT)]
    assert found("xy", ["python"]) == []


@pytest.mark.parametrize("typed", ["", "n", "N"])
def test_cut(typed: str) -> None:
    names = [f"n{number}" for number in range(10)]
    best, more = rank.best(names, typed, at_most=4)
    assert [index for index, _ in best] == [0, 1, 2, 3]
    assert more
    assert not rank.best(names, typed, at_most=10)[1]


def test_groups_come_before_lengths() -> None:
    best, _ = rank.best(["nb", "na-longer"], "n", [1, 0])
    assert [index for index, _ in best] == [1, 0]
