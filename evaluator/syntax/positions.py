"""Offsets and positions: code points here, bytes on disk, UTF-16 on the wire, line and column for people.

This is the only place that converts between them. A lone surrogate of the range
that ``surrogateescape`` uses stands for one byte of the file; it counts as one byte
and one UTF-16 unit.

Lines end at LF, CRLF or CR: the protocol says so, and C++ Nix counts the same way.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

UTF8: Final = "utf-8"
UTF16: Final = "utf-16"
UTF32: Final = "utf-32"


def utf8_length(text: str) -> int:
    """How many bytes the text is on disk."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        # A lone surrogate that no byte decodes to: three bytes, as WTF-8 writes it.
        return sum([_utf8_width(ord(character)) for character in text])


def utf16_length(text: str) -> int:
    """How many UTF-16 code units the text is."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _utf8_width(code: int) -> int:
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return 1
    if code < 0x800:
        return 2
    if code < 0x10000:
        return 3
    return 4


def _width(code: int, encoding: str) -> int:
    if encoding == UTF8:
        return _utf8_width(code)
    if encoding == UTF16:
        return 2 if code >= 0x10000 else 1
    return 1


def length(text: str, encoding: str) -> int:
    """How many units of ``encoding`` (utf-8, utf-16, utf-32) the text is."""
    if encoding == UTF8:
        return utf8_length(text)
    if encoding == UTF16:
        return utf16_length(text)
    return len(text)


def index(text: str, units: int, encoding: str) -> int:
    """How many code points fit in the first ``units`` units; a unit inside a character rounds down."""
    if units <= 0:
        return 0
    if encoding == UTF32 or text.isascii():
        return min(units, len(text))
    reached = 0
    count = 0
    for character in text:
        reached += _width(ord(character), encoding)
        if reached > units:
            return count
        count += 1
        if reached == units:
            return count
    return count


def line_starts(text: str) -> list[int]:
    """The code-point offsets at which lines start; the first is 0."""
    starts = [0]
    if "\r" not in text:
        at = 0
        for line in text.split("\n"):
            at += len(line) + 1
            starts.append(at)
        starts.pop()
        return starts
    i = 0
    size = len(text)
    while True:
        feed = text.find("\n", i)
        carriage = text.find("\r", i, feed if feed >= 0 else size)
        if carriage >= 0:
            i = carriage + 1
            if i < size and text[i] == "\n":
                i += 1
        elif feed >= 0:
            i = feed + 1
        else:
            return starts
        starts.append(i)


class LineIndex:
    """Positions in one text. ``encoding`` is the unit of columns: ``utf-8``, ``utf-16`` or ``utf-32``."""

    def __init__(self, text: str, encoding: str = UTF16, starts: list[int] | None = None) -> None:
        """``starts`` are the text's :func:`line_starts` where they are known."""
        self.text: Final = text
        self.encoding: Final = encoding
        self.starts: Final = line_starts(text) if starts is None else starts
        self.simple: Final = encoding == UTF32 or text.isascii()

    def edited(self, start: int, end: int, new: str) -> LineIndex:
        """The positions of the text with ``new`` in the place of ``[start, end)``; only the lines there are counted."""
        text = f"{self.text[:start]}{new}{self.text[end:]}"
        shift = len(new) - (end - start)
        starts = self.starts
        # Lines that start before the edit, or behind something that it has left, still do.
        before = max(bisect_left(starts, start), 1)
        after = bisect_right(starts, end)
        first = starts[before - 1]
        if after == len(starts):
            found = line_starts(text[first:])
        else:
            found = line_starts(text[first : starts[after] + shift])
        result = starts[: before - 1]
        result.extend([first + line for line in found])
        if shift:
            result.extend([line + shift for line in starts[after + 1 :]])
        else:
            result.extend(starts[after + 1 :])
        return LineIndex(text, self.encoding, result)

    def line_of(self, offset: int) -> int:
        """The 0-based line of a code-point offset."""
        return bisect_right(self.starts, offset) - 1 if offset > 0 else 0

    def line_end(self, line: int) -> int:
        """The code-point offset where the line's text ends, its line break aside."""
        if line + 1 >= len(self.starts):
            return len(self.text)
        end = self.starts[line + 1]
        if end > 0 and self.text[end - 1] == "\n":
            end -= 1
        if end > self.starts[line] and self.text[end - 1] == "\r":
            end -= 1
        return end

    def position(self, offset: int) -> tuple[int, int]:
        """``(line, character)``, both 0-based, of a code-point offset; offsets outside are clamped."""
        offset = max(0, min(offset, len(self.text)))
        line = self.line_of(offset)
        start = self.starts[line]
        if self.simple:
            return line, offset - start
        return line, length(self.text[start:offset], self.encoding)

    def offset(self, line: int, character: int) -> int:
        """The code-point offset of a 0-based position; a column past the line's end is its end."""
        if line < 0:
            return 0
        if line >= len(self.starts):
            return len(self.text)
        start = self.starts[line]
        end = self.line_end(line)
        if self.simple:
            return min(start + max(0, character), end)
        return start + index(self.text[start:end], character, self.encoding)

    def nix_position(self, offset: int) -> tuple[int, int]:
        """``(line, column)`` as C++ Nix prints them: 1-based, the column in bytes."""
        offset = max(0, min(offset, len(self.text)))
        line = self.line_of(offset)
        return line + 1, utf8_length(self.text[self.starts[line] : offset]) + 1

    def offset_of_nix(self, line: int, column: int) -> int:
        """The code-point offset of a 1-based line and byte column."""
        if line < 1:
            return 0
        if line > len(self.starts):
            return len(self.text)
        start = self.starts[line - 1]
        end = self.line_end(line - 1)
        return start + index(self.text[start:end], column - 1, UTF8)

    def byte_offset(self, offset: int) -> int:
        """How many bytes of the file lie before a code-point offset."""
        return utf8_length(self.text[: max(0, offset)])

    def offset_of_byte(self, byte: int) -> int:
        """The code-point offset of a byte offset; a byte inside a character rounds down."""
        return index(self.text, byte, UTF8)
