"""Comments: where they are, and which one documents what.

``/** … */`` directly before a binding or a function documents it. Older code has
``/* … */`` or lines of ``#`` there; they count when they end on the line before
and start a line of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from evaluator.syntax.tree import Source

DOC: Final = "doc"
BLOCK: Final = "block"
LINES: Final = "lines"


class Comment:
    """A comment that documents something: its cleaned ``text`` (Markdown for ``/** */``), absolute range and kind.

    ``kind`` is :data:`DOC` for ``/** */``, :data:`BLOCK` for ``/* */``, :data:`LINES` for ``#``.
    """

    def __init__(self, text: str, start: int, end: int, kind: str) -> None:
        self.text: Final = text
        self.start: Final = start
        self.end: Final = end
        self.kind: Final = kind


def comment_at(source: Source, offset: int) -> tuple[int, int] | None:
    """The comment around an absolute offset (its end counts where only the line ends it), or None."""
    index = _last_starting_at_or_before(source.comments, offset)
    if index < 0:
        return None
    start, end = source.comments[index]
    if start < offset < end or (offset == end and not _is_closed(source.text, start, end)):
        return start, end
    return None


def comment_before(source: Source, offset: int) -> Comment | None:
    """The comment that documents what starts at the absolute ``offset``, or None."""
    text = source.text
    index = _last_starting_at_or_before(source.comments, offset - 1)
    if index < 0:
        return None
    start, end = source.comments[index]
    if end > offset:
        return None
    between = text[end:offset]
    if between.strip(" \t\r\n"):
        return None
    if text.startswith("/**", start) and end - start > 4:
        return Comment(_clean_block(text[start + 3 : end - 2]), start, end, DOC)
    if between.count("\n") > 1 or not _starts_line(text, start):
        return None
    if text[start] == "/":
        return Comment(_clean_block(text[start + 2 : end - 2]), start, end, BLOCK)
    if "\n" not in between:
        return None
    first = index
    while first > 0:
        before_start, before_end = source.comments[first - 1]
        gap = text[before_end : source.comments[first][0]]
        if text[before_start] != "#" or gap.count("\n") != 1 or gap.strip(" \t\r\n"):
            break
        if not _starts_line(text, before_start):
            break
        first -= 1
    lines = [_clean_line(text[begin:finish]) for begin, finish in source.comments[first : index + 1]]
    return Comment("\n".join(lines).strip("\n"), source.comments[first][0], end, LINES)


def _last_starting_at_or_before(comments: list[tuple[int, int]], offset: int) -> int:
    return bisect_right(comments, (offset, 1 << 60)) - 1


def _is_closed(text: str, start: int, end: int) -> bool:
    return text[start] == "/" and end - start >= 4 and text.startswith("*/", end - 2)


def _starts_line(text: str, offset: int) -> bool:
    line = text.rfind("\n", 0, offset) + 1
    return not text[line:offset].strip(" \t\r")


def _clean_line(raw: str) -> str:
    line = raw.lstrip("#")
    if line.startswith(" "):
        line = line[1:]
    return line.rstrip()


def _clean_block(raw: str) -> str:
    """Take away the common indentation, the stars of a box, and blank lines around."""
    lines = [line.rstrip() for line in raw.replace("\r\n", "\n").replace("\t", "    ").split("\n")]
    first = lines[0].strip()
    rest = lines[1:]
    filled = [line.lstrip() for line in rest if line.strip()]
    if filled and all(line.startswith("*") for line in filled):
        rest = [_without_star(line) for line in rest]
    indents = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    indent = min(indents) if indents else 0
    cleaned = [first] if first else []
    cleaned.extend([line[indent:] for line in rest])
    return "\n".join(cleaned).strip("\n")


def _without_star(line: str) -> str:
    stripped = line.lstrip()
    if stripped.startswith("* "):
        return stripped[1:]
    return stripped[1:] if stripped.startswith("*") else stripped
