"""Lines of logs on their way to people."""

from __future__ import annotations

import pytest

from builder.readable import readable


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain", "plain"),
        ("gr\u00fc\u00df dich, \u4e16\u754c\tx".encode(), "gr\u00fc\u00df dich, \u4e16\u754c\tx"),
        (b"\x1b[31mred\x1b[0m", "red"),
        (b"a\x1b[2J\x1b[1;1Hb", "ab"),
        (b"\x1b]0;a title\x07after", "after"),
        (b"\x1b]52;c;Y29weQ==\x1b\\after", "after"),
        (b"\x1bcreset\x1b(B", "reset"),
        (b"ends with it \x1b", "ends with it "),
        (b"10%\r50%\r100%\r", "100%"),
        (b"\x00\x07\x08bell\x7f", "bell"),
        ("\u009b31mC1".encode(), "31mC1"),
        (b"latin \xe4", "latin \ufffd"),
        (b"", ""),
    ],
)
def test_a_line_does_nothing_to_a_terminal(line: bytes, shown: str) -> None:
    assert readable(line) == shown


def test_colours_may_stay() -> None:
    assert readable(b"\x1b[1;31mred\x1b[0m\x1b[2J\x1b[3A!", colours=True) == "\x1b[1;31mred\x1b[0m!"


def test_a_long_line_is_cut() -> None:
    assert readable(b"x" * 70000, longest=10) == "xxxxxxxxxx… (69990 more characters)"
    assert readable(b"x" * 10, longest=10) == "x" * 10
