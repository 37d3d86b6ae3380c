"""Text buffers: incremental edits in every encoding, documents without a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.syntax.parser import parse
from evaluator.syntax.positions import LineIndex
from evaluator.syntax.tree import AttrBinding, AttrSet, Expr
from lsp.documents import Change, Document, Documents
from tests.syntax.checks import difference

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
        assert document.lines.starts == LineIndex(text, encoding).starts


PLACES = st.integers(0, 10**6)


@given(
    st.lists(st.tuples(PLACES, st.integers(0, 30), TEXTS, st.integers(0, 2)), max_size=12), st.sampled_from(ENCODINGS)
)
@settings(max_examples=40, deadline=None)
def test_the_tree_follows_any_number_of_edits(edits: list[tuple[int, int, str, int]], encoding: str) -> None:
    """Near each other and far apart, one or many between two questions, some of them the whole text."""
    text = "{ f }:\n{\n" + "".join(f'  é{i} = f "💥" [ {i} {{ a.b = {i}; }} ];\r\n' for i in range(100)) + "}\n"
    document = Document("file:///a.nix", "/a.nix", 1, text, encoding)
    assert document.source.text == text
    for place, size, new, what in edits:
        start = place % (len(text) + 1)
        end = min(len(text), start + size)
        change = Change(new, position(text, start, encoding), position(text, end, encoding))
        if text[start - 1 : start + 1] == "\r\n" or text[end - 1 : end + 1] == "\r\n":
            continue
        text = text[:start] + new + text[end:]
        document.edit([Change(text) if what == 1 else change], 2)
        assert document.text == text
        if what == 0:
            assert difference(document.source, parse(text)) == ""
    assert difference(document.source, parse(text)) == ""
    assert document.lines.starts == LineIndex(text, encoding).starts


@pytest.mark.parametrize("whole", [False, True])
def test_a_keystroke_keeps_the_rest_of_the_tree(whole: bool) -> None:
    """Also when the client sends all of the text after it."""
    text = "{\n" + "".join(f"  a{i} = f [ {i} ];\n" for i in range(500)) + "}\n"
    document = Document("file:///a.nix", "/a.nix", 1, text)
    before = document.source
    changed = text.replace("a250 = f", "a250 = ff")
    document.edit([Change(changed) if whole else Change("f", (251, 10), (251, 10))], 2)
    after = document.source
    assert document.text == after.text == changed
    assert isinstance(before.root, AttrSet) and isinstance(after.root, AttrSet)
    assert sum(a is b for a, b in zip(before.root.bindings, after.root.bindings, strict=True)) == 250
    values = zip(values_of(before.root), values_of(after.root), strict=True)
    assert sum(a is b for a, b in values) == 499


def values_of(node: AttrSet) -> list[Expr]:
    return [binding.value for binding in node.bindings if isinstance(binding, AttrBinding)]


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
