"""What goes wrong in evaluating, while the text is edited and asked about."""

from __future__ import annotations

import pytest

from evaluator.service.protocol import Failure, Location, TraceFrame
from lsp.ide.failures import code, is_error, message, offers, shifted

HERE = "/a.nix"


def failure(start: int, end: int, kind: str = "evaluation", *elements: str) -> Failure:
    frames = (TraceFrame("inside", Location(HERE, start + 1, end)), TraceFrame("elsewhere", Location("/b.nix", 1, 2)))
    titles = tuple(f"Build '{each.removesuffix('.drv')[-1]}'" for each in elements)
    return Failure("it fails", Location(HERE, start, end), frames, kind, elements, offers=titles)


@pytest.mark.parametrize(
    ("edit", "places"),
    [
        ((0, 0, 3), [(13, 23), (33, 43)]),  # before both
        ((5, 8, 0), [(7, 17), (27, 37)]),
        ((22, 24, 5), [(10, 20), (33, 43)]),  # between them
        ((20, 20, 5), [(10, 20), (35, 45)]),  # right behind one
        ((12, 13, 1), [(30, 40)]),  # inside one
        ((15, 35, 0), []),
        ((50, 50, 9), [(10, 20), (30, 40)]),
    ],
)
def test_failures_move_with_their_text(edit: tuple[int, int, int], places: list[tuple[int, int]]) -> None:
    found = shifted((failure(10, 20), failure(30, 40)), HERE, *edit)
    assert [(each.at.start, each.at.end) for each in found] == places
    for each in found:
        inside, elsewhere = each.frames
        assert inside.at is not None and elsewhere.at is not None
        assert (inside.at.start, inside.at.end) == (each.at.start + 1, each.at.end)
        assert (elsewhere.at.start, elsewhere.at.end) == (1, 2)


def element(name: str) -> str:
    return f"!out!/nix/store/{'0' * 32}-{name}.drv"


def test_what_may_be_built() -> None:
    found = [failure(0, 5, "unbuilt", element("a")), failure(10, 15, "failed", element("b")), failure(20, 25)]
    assert [offer.title for offer in offers(found, 3, 3)] == ["Build 'a'"]
    assert [offer.title for offer in offers(found, 5, 10)] == ["Build 'a'", "Build 'b' again"]
    assert offers(found, 20, 21) == []
    more = [*found, failure(0, 5, "unbuilt", element("c"))]
    assert [offer.title for offer in offers(more, 3, 3)] == [
        "Build 'a'",
        "Build 'c'",
        "Build all 2 that this file needs",
    ]


def test_words() -> None:
    meant = Failure("attribute 'nme' missing", Location(HERE, 0, 1), meant=("name",))
    assert message(meant) == "attribute 'nme' missing\nDid you mean name?"
    several = Failure("attribute 'x' missing", Location(HERE, 0, 1), meant=("a", "b", "c"))
    assert message(several).endswith("Did you mean one of a, b or c?")
    kinds = ("evaluation", "failed", "unbuilt", "building", "never")
    assert [code(failure(0, 1, kind)) for kind in kinds] == [
        "evaluation",
        "build-failed",
        "build-unbuilt",
        "build-building",
        "build-never",
    ]
    assert [is_error(failure(0, 1, kind)) for kind in kinds] == [True, True, False, False, False]
