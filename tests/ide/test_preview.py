"""Long previews get lines."""

from __future__ import annotations

import pytest

from lsp.ide.preview import laid_out

LONG = "x" * 70


@pytest.mark.parametrize(
    ("preview", "lines"),
    [
        ("{ a = 1; }", ["v = { a = 1; }"]),
        (
            f'{{ a = "{LONG}; }}"; b = {{ c = 1; d = 2; }}; …3 more }}',
            ["v = {", f'  a = "{LONG}; }}";', "  b = { c = 1; d = 2; };", "  …3 more", "}"],
        ),
        (f'[ "{LONG}" {{ a = 1; }} 3 … ]', ["v = [", f'  "{LONG}"', "  { a = 1; }", "  3", "  …", "]"]),
        (f'"{LONG} \\" {{ "', [f'v = "{LONG} \\" {{ "']),
        (f'{{ a = "\\"{LONG};"; }}', ["v = {", f'  a = "\\"{LONG};";', "}"]),
    ],
)
def test_layout(preview: str, lines: list[str]) -> None:
    assert laid_out("v", preview).split("\n") == lines


def test_without_a_label() -> None:
    assert laid_out("", "{ }") == "{ }"
