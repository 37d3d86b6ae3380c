"""The ground of the lexer: the bytes it scans, the tokens it collects; numbers, paths and URIs.

It scans bytes: one byte a code point, everything above Latin-1 replaced by ``0x80`` (outside strings and comments
no such character is part of a token), so an index into them is an index into the text.
"""

# Chains of == compare small integers without building a tuple first.

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.tokens import (
    DOLLAR,
    FLOAT,
    INT,
    PATH,
    PATH_CLOSE,
    PATH_OPEN,
    SEARCH_PATH,
    TEXT,
    URI,
)

if TYPE_CHECKING:
    from mypy_extensions import i64


def members(characters: str) -> bytes:
    """A table that says 1 for the bytes of ``characters``."""
    table = bytearray(256)
    for character in characters:
        table[ord(character)] = 1
    return bytes(table)


LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS: Final = "0123456789"

ID_CHAR: Final[bytes] = members(LETTERS + DIGITS + "_'-")
PATH_CHAR: Final[bytes] = members(LETTERS + DIGITS + "._-+")
DIGIT: Final[bytes] = members(DIGITS)
_URI_CHAR: Final[bytes] = members(LETTERS + DIGITS + "%/?:@&=+$,-_.!~*'")
_LETTER: Final[bytes] = members(LETTERS)

# Modes: what an open brace returns to when it is closed.
IN_BRACE: Final = 0
IN_STRING: Final = 1
IN_INDENTED: Final = 2
IN_PATH: Final = 3

#: What stands at the end of the bytes, so that the scanner may look ahead.
PADDING: Final = b"\0\0\0\0"


def _widen(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "\x80" * (error.end - error.start), error.end


codecs.register_error("tvix-above-latin-1", _widen)


def latin(text: str) -> bytes:
    """One byte a code point, what is above Latin-1 becomes ``0x80``; then :data:`PADDING`."""
    return text.encode("latin-1", "tvix-above-latin-1") + PADDING


def replacing(start: int, end: int, text: str) -> Fix:
    """Put something, or nothing, in the place of characters."""
    title = f"Write `{text}`" if text.strip() else "Write a blank" if text else "Remove it"
    return Fix(title, [Edit(start, end, text)])


class Scanner:
    """Tokens being collected. ``i`` and everything called start or end are absolute code points."""

    def __init__(self, text: str, data: bytes, start: int, end: int, recover: bool) -> None:
        self.text: Final = text
        self.data: Final = data
        self.recover: Final = recover
        self.begin: i64 = start
        self.size: i64 = end
        self.kinds: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.comments: list[tuple[int, int]] = []
        self.problems: list[Problem] = []
        self.modes: list[int] = []
        self.openers: list[int] = []
        # Where the strict reading is probably not what was meant. Clues in strings: their places, in order, and the
        # opening quotes they speak against. Lines inside braces that are indented no deeper than the line of the
        # brace: where their first token starts, and the brace.
        self.doubts: list[int] = []
        self.doubted: list[int] = []
        self.shallow: list[int] = []
        self.shallow_in: list[int] = []
        # A run of path characters that was found to be no path ends here.
        self.plain_run: i64 = -1

    def add(self, kind: int, start: int, end: int) -> None:
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)

    def report(self, code: str, message: str, start: int, end: int, fix: Fix | None = None) -> None:
        self.problems.append(Problem(code, message, start, end, fix))

    def doubt(self, place: int, opener: int) -> None:
        """Note a clue at ``place`` that the string from ``opener`` was not meant to reach as far as it does."""
        self.doubts.append(place)
        self.doubted.append(opener)

    def indent(self, offset: i64) -> i64:
        """How many blanks the line of ``offset`` starts with."""
        data = self.data
        line: i64 = data.rfind(b"\n", 0, offset) + 1
        i: i64 = line
        while data[i] == 32 or data[i] == 9:
            i += 1
        return i - line

    # Numbers, paths, URIs.

    def number(self, i: i64) -> i64:
        """An integer or float (or a path that starts with a digit)."""
        data = self.data
        if i > self.plain_run:
            path = self.path_or_uri(i)
            if path:
                return path
        j: i64 = i
        while DIGIT[data[j]]:
            j += 1
        kind: int = INT
        if data[j] == 46:
            first: i64 = data[i]
            after: i64 = j + 1
            while DIGIT[data[after]]:
                after += 1
            # Nix: [1-9][0-9]*\.[0-9]*  or  0?\.[0-9]+
            if (first != 48 and j > i) or (after > j + 1 and (j == i or j == i + 1)):
                kind = FLOAT
                j = after
                if data[j] == 69 or data[j] == 101:  # e
                    after = j + 1
                    if data[after] == 43 or data[after] == 45:
                        after += 1
                    if DIGIT[data[after]]:
                        while DIGIT[data[after]]:
                            after += 1
                        j = after
        self.add(kind, i, j)
        return j

    def path_or_uri(self, start: i64) -> i64:
        """The end of the path or URI that starts here, its tokens added; 0 when there is none."""
        data = self.data
        i: i64 = start
        if data[i] == 126:  # ~
            i += 1
        else:
            while PATH_CHAR[data[i]]:
                i += 1
        run = i
        if data[i] == 58 and _URI_CHAR[data[i + 1]]:
            # A scheme has no underscore and starts with a letter: find where one could start.
            first: i64 = i
            while first > start and data[first - 1] != 95:
                first -= 1
            while first < i and not _LETTER[data[first]]:
                first += 1
            if first == start:
                i += 1
                while _URI_CHAR[data[i]]:
                    i += 1
                self.add(URI, start, i)
                return i
            self.plain_run = first if first < i else i - 1
            return 0
        while data[i] == 47 and PATH_CHAR[data[i + 1]]:
            i += 1
            while PATH_CHAR[data[i]]:
                i += 1
        if i > run:
            if data[i] != 47:
                if data[i] == 36 and data[i + 1] == 123:
                    self.add(PATH_OPEN, start, start)
                    return self.path_rest(start, start, True)
                self.add(PATH, start, i)
                return i
        elif not (data[i] == 47 and data[i + 1] == 36 and data[i + 2] == 123):
            if self.recover and self.is_path_begun(start, i):
                self.add(PATH, start, i + 1)
                self.report("trailing-slash", "a path cannot end in a slash", i, i + 1)
                return i + 1
            self.plain_run = run - 1
            return 0
        self.add(PATH_OPEN, start, start)
        return self.path_rest(start, start, True)

    def is_path_begun(self, start: i64, slash: i64) -> bool:
        """Whether nothing but ``./``, ``../`` or ``~/`` stands here."""
        data = self.data
        if data[slash] != 47 or data[slash + 1] == 47 or data[slash + 1] == 42:
            return False
        word = data[start:slash]
        if word != b"." and word != b".." and word != b"~":
            return False
        return start == self.begin or data[start - 1] in b" \t\r\n([{="

    def path_rest(self, start: i64, opener: i64, first: bool) -> i64:
        """The text of a path up to its next interpolation or its end."""
        data = self.data
        i: i64 = start
        if first and data[i] == 126:
            i += 1
        doubled: i64 = 0
        while PATH_CHAR[data[i]] or data[i] == 47:
            if data[i] == 47 and data[i + 1] == 47 and i + 1 > doubled:
                # C++ Nix reads the second slash as a new piece, and allows one such piece before "${".
                doubled = i + 1
            i += 1
        if i > start:
            self.add(TEXT, start, i)
        if data[i] == 36 and data[i + 1] == 123:
            self.add(DOLLAR, i, i + 2)
            self.modes.append(IN_PATH)
            self.openers.append(opener)
            return i + 2
        self.add(PATH_CLOSE, i, i)
        if i > start and data[i - 1] == 47:
            self.report("trailing-slash", "a path cannot end in a slash", i - 1, i, replacing(i - 1, i, ""))
        elif first and doubled:
            self.report("unexpected-token", "a path cannot contain `//`", doubled - 1, doubled + 1)
        return i

    def search_path(self, start: i64) -> i64:
        """``<a/b>``: its end, or 0."""
        data = self.data
        i: i64 = start + 1
        while True:
            if not PATH_CHAR[data[i]]:
                return 0
            while PATH_CHAR[data[i]]:
                i += 1
            if data[i] == 62:
                break
            if data[i] != 47:
                return 0
            i += 1
        self.add(SEARCH_PATH, start, i + 1)
        return i + 1
