"""What hover says. `cases/hover.txt` says how its lines are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsp.ide.hover import hover
from lsp.ide.markup import markdown, plain
from lsp.ide.types import FileRange, Hover, Link

if TYPE_CHECKING:
    from tests.ide.conftest import Case


async def test_case(case: Case) -> None:
    found = await hover(case.snapshot, case.offset)
    if case.expected == [("nothing", "")]:
        assert found is None
        return
    assert found is not None
    text = plain(found)
    says = [rest for word, rest in case.expected if word == "says"]
    if says:
        assert text.split("\n") == says
    for word, rest in case.expected:
        if word == "has":
            assert rest in text
        elif word == "about":
            assert case.snapshot.text[found.start : found.end] == rest
        else:
            assert word == "says"


def test_markdown() -> None:
    place = FileRange("/n/a b.nix", 3, 4)
    shown = Hover(
        0,
        1,
        "x = ```",
        "a_b · from `with lib;`",
        "*doc*",
        (("homepage", "https://x.org/a_b"), ("version", "1_0")),
        (("made in", Link("a b.nix:4", place, 4)),),
        ("un*free*",),
    )
    assert markdown(shown, lambda link: f"file:{link.line}").split("\n") == [
        "````nix",
        "x = ```",
        "````",
        "",
        "a\\_b · from \\`with lib;\\`",
        "",
        "*doc*",
        "",
        "homepage: https://x.org/a_b  ",
        "version: 1\\_0  ",
        "made in [a b.nix:4](file:4)",
        "",
        "*un\\*free\\**",
    ]
