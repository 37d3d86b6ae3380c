"""Records behave as the standard library's data classes do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from store import records


def classes(module: Any) -> tuple[type[Any], type[Any], type[Any]]:
    """The same three classes, made by either module."""

    @module.dataclass
    class Plain:
        first: int
        second: str = "two"
        third: list[int] = module.field(default_factory=list)

    @module.dataclass(frozen=True)
    class Frozen:
        first: int
        second: tuple[int, ...] = ()

    @module.dataclass(frozen=True)
    class More(Frozen):
        last: bool = False

    return Plain, Frozen, More


BOTH = pytest.mark.parametrize("module", [records, dataclasses], ids=["ours", "theirs"])


@BOTH
def test_they_are_made_compared_and_shown(module: Any) -> None:
    plain, frozen, more = classes(module)
    made = plain(1, second="x")
    assert (made.first, made.second, made.third) == (1, "x", [])
    assert made.third is not plain(1).third
    assert made == plain(first=1, second="x", third=[])
    assert made != plain(2, "x")
    assert frozen(1) != more(1)
    assert repr(frozen(1, (2,))).endswith("Frozen(first=1, second=(2,))")
    assert more(1, (2,), True).last
    assert {frozen(1), frozen(1), frozen(2)} == {frozen(2), frozen(1)}
    made.first = 5
    assert made.first == 5


@BOTH
def test_what_is_wrong_is_refused(module: Any) -> None:
    plain, frozen, _ = classes(module)
    for arguments, named in [((), {}), ((1, 2, 3, 4), {}), ((1,), {"fourth": 4}), ((1,), {"first": 1})]:
        with pytest.raises(TypeError):
            plain(*arguments, **named)
    with pytest.raises(TypeError):
        hash(plain(1))
    with pytest.raises(AttributeError):
        frozen(1).first = 2
    with pytest.raises(AttributeError):
        del frozen(1).first


@BOTH
def test_copies_with_changes_and_plain_data(module: Any) -> None:
    plain, frozen, more = classes(module)
    assert module.replace(more(1, (2,)), last=True) == more(1, (2,), True)
    with pytest.raises(TypeError):
        module.replace(frozen(1), other=2)
    assert module.asdict(plain(1, "x", [frozen(3)])) == {
        "first": 1,
        "second": "x",
        "third": [{"first": 3, "second": ()}],
    }


def test_an_initialiser_may_go_on() -> None:
    @records.dataclass
    class Doubled:
        value: int

        def __post_init__(self) -> None:
            self.value *= 2

    assert Doubled(2).value == 4
    assert records.fields(Doubled(1)) == ("value",)
