"""Offsets and positions agree with Python's own codecs, text beyond the BMP and stray bytes included."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evaluator.syntax.positions import UTF8, UTF16, UTF32, LineIndex, line_starts, utf8_length, utf16_length

characters = st.one_of(
    st.sampled_from(["a", "\n", "\r", "\r\n", "é", "€", "😀", "\t", "\udc80", "\udcff", "\u2028", "\x0b", "\x85"]),
    st.characters(codec="utf-8"),
)
texts = st.lists(characters, max_size=30).map("".join)
ENCODINGS = [UTF8, UTF16, UTF32]


@given(texts)
def test_lengths_agree_with_the_codecs(text: str) -> None:
    assert utf8_length(text) == len(text.encode("utf-8", "surrogateescape"))
    assert utf16_length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(texts, st.sampled_from(ENCODINGS))
def test_every_offset_comes_back(text: str, encoding: str) -> None:
    lines = LineIndex(text, encoding)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] == "\r\n":
            continue  # inside a line break: the protocol has no such position
        line, character = lines.position(offset)
        assert lines.offset(line, character) == offset


@given(texts, st.sampled_from(ENCODINGS))
def test_columns_count_units_of_the_line_so_far(text: str, encoding: str) -> None:
    lines = LineIndex(text, encoding)
    codec = {
        UTF8: ("utf-8", "surrogateescape", 1),
        UTF16: ("utf-16-le", "surrogatepass", 2),
        UTF32: ("utf-32-le", "surrogatepass", 4),
    }
    name, errors, width = codec[encoding]
    for offset in range(len(text) + 1):
        line, character = lines.position(offset)
        before = text[lines.starts[line] : offset]
        assert character == len(before.encode(name, errors)) // width


@given(texts)
def test_lines_are_those_of_the_protocol(text: str) -> None:
    breaks = text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    starts = line_starts(text)
    assert len(starts) == breaks + 1
    for start in starts[1:]:
        assert text[start - 1] in "\r\n"


@given(texts)
def test_nix_positions_come_back(text: str) -> None:
    lines = LineIndex(text)
    for offset in range(len(text) + 1):
        if text[offset - 1 : offset + 1] == "\r\n":
            continue
        assert lines.offset_of_nix(*lines.nix_position(offset)) == offset


@given(texts)
def test_byte_offsets_come_back(text: str) -> None:
    lines = LineIndex(text)
    raw = text.encode("utf-8", "surrogateescape")
    for offset in range(len(text) + 1):
        byte = lines.byte_offset(offset)
        assert (
            raw[:byte].decode("utf-8", "surrogateescape") == text[:offset]
            or "\udc80" <= text[offset - 1 : offset] <= "\udcff"
        )
        assert lines.offset_of_byte(byte) == offset


def test_a_position_inside_a_surrogate_pair_rounds_down() -> None:
    assert LineIndex("a😀b", UTF16).offset(0, 2) == 1
    assert LineIndex("a😀b", UTF16).offset(0, 3) == 2


def test_positions_outside_are_clamped() -> None:
    lines = LineIndex("ab\r\ncd", UTF16)
    assert lines.offset(0, 99) == 2
    assert lines.offset(9, 0) == 6
    assert lines.offset(-1, 4) == 0
    assert lines.position(99) == (1, 2)
    assert lines.position(-3) == (0, 0)


def test_a_stray_byte_is_one_byte_to_nix() -> None:
    text = b'"\xff\xc3\xa9" x'.decode("utf-8", "surrogateescape")
    assert LineIndex(text).nix_position(text.index("x")) == (1, 7)
