"""Which names fit what was typed, and in what order."""

from __future__ import annotations

import pytest

from lsp.ide import rank

NAMES = ["python", "Python", "python3", "cpython", "p-y-t", "pithon", "other"]


def found(typed: str, names: list[str], at_most: int = rank.AT_MOST) -> list[tuple[str, int]]:
    return rank.best(names, str, typed, at_most)[0]


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


@pytest.mark.parametrize("typed", ["", "n"])
def test_cut(typed: str) -> None:
    names = [f"n{number}" for number in range(10)]
    best, more = rank.best(names, str, typed, 4)
    assert [name for name, _ in best] == ["n0", "n1", "n2", "n3"]
    assert more
    assert not rank.best(names, str, typed, 10)[1]


def test_groups_come_before_lengths() -> None:
    best, _ = rank.best(["long-name", "n"], str, "", group=len)
    assert [name for name, _ in best] == ["long-name", "n"]
    best, _ = rank.best(["nb", "na-longer"], str, "n", group=lambda name: 0 if "long" in name else 1)
    assert [name for name, _ in best] == ["na-longer", "nb"]
