"""Text buffers: incremental edits in every encoding, documents without a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.syntax.parser import parse
from lsp.documents import Change, Document, Documents

ENCODINGS = ("utf-8", "utf-16", "utf-32")
parse("")  # raises Python's recursion limit for good, which hypothesis would complain about in the middle of a test
TEXTS = st.text(st.sampled_from("a{;=é💥\n\r\t"), max_size=30)


def units(text: str, encoding: str) -> int:
    if encoding == "utf-32":
        return len(text)
    return len(text.encode(encoding if encoding == "utf-8" else "utf-16-le")) // (1 if encoding == "utf-8" else 2)


def position(text: str, offset: int, encoding: str) -> tuple[int, int]:
    """An independent way to count: lines end at LF, CRLF, CR."""
    line = column_start = 0
    index = 0
    while index < offset:
        if text[index] == "\n" or (text[index] == "\r" and text[index + 1 : index + 2] != "\n"):
            line, column_start = line + 1, index + 1
        index += 1
    return line, units(text[column_start:offset], encoding)


@given(
    TEXTS, st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), TEXTS), max_size=6), st.sampled_from(ENCODINGS)
)
def test_edits_do_what_they_say(text: str, edits: list[tuple[int, int, str]], encoding: str) -> None:
    document = Document("file:///a.nix", "/a.nix", 1, text, encoding)
    for number, (first, second, new) in enumerate(edits):
        start, end = sorted((min(first, len(text)), min(second, len(text))))
        if text[start - 1 : start + 1] == "\r\n" or text[end - 1 : end + 1] == "\r\n":
            continue  # no position is between the two
        change = Change(new, position(text, start, encoding), position(text, end, encoding))
        text = text[:start] + new + text[end:]
        document.edit([change], number + 2)
        assert document.text == text
        assert document.source.text == text
        assert document.version == number + 2


def test_changes_of_one_message_follow_each_other() -> None:
    document = Document("file:///a.nix", "/a.nix", 1, "abc")
    document.edit([Change("X", (0, 0), (0, 1)), Change("Y", (0, 2), (0, 3)), Change("!", (9, 9), (9, 9))], 2)
    assert document.text == "XbY!"
    document.edit([Change("whole")], 3)
    assert document.text == "whole"


def test_lines_that_were_taken_stay_those_of_their_text() -> None:
    document = Document("file:///a.nix", "/a.nix", 1, "one\ntwo")
    lines = document.lines
    document.edit([Change("")], 2)
    assert lines.position(5) == (1, 1)


def test_a_lone_surrogate_is_no_byte() -> None:
    """JSON can spell it; kept, it would stand for a byte of the file, or could not be encoded at all."""
    document = Document("file:///a.nix", "/a.nix", 1, "a\udc80\ud800b")
    assert document.text == "a\ufffd\ufffdb"
    assert document.lines.position(3) == (0, 3)


def test_open_get_close(tmp_path: Path) -> None:
    documents = Documents()
    (tmp_path / "a.nix").write_bytes(b"\xff on disk")
    document = documents.open(f"file://{tmp_path}/a.nix", 1, "in the editor", "/elsewhere")
    assert documents.read(str(tmp_path / "a.nix")) is document
    assert documents.close(document.uri) is document
    read = documents.read(str(tmp_path / "a.nix"))
    assert read is not None
    assert (read.version, read.text) == (-1, "\ufffd on disk")
    assert documents.read(str(tmp_path / "none.nix")) is None
    assert documents.close(document.uri) is None


def test_a_document_without_a_file_keeps_its_place(tmp_path: Path) -> None:
    documents = Documents()
    first = documents.open("untitled:Untitled-1", 1, "1", str(tmp_path))
    assert first.path == str(tmp_path / "Untitled-1.nix")
    (tmp_path / "Untitled-1.nix").touch()
    assert documents.open("untitled:Untitled-1", 1, "2", str(tmp_path)).path == first.path
    assert documents.at(first.path) is not None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_positions_outside_are_clamped(encoding: str) -> None:
    document = Document("file:///a.nix", "/a.nix", 1, "é💥\nx", encoding)
    document.edit([Change("!", (0, 99), (0, 99))], 2)
    assert document.text == "é💥!\nx"
    document.edit([Change("?", (99, 0), (99, 9))], 3)
    assert document.text == "é💥!\nx?"
