"""From text to tokens: three parallel lists, and the comments.

The lexer scans bytes: one byte a code point, everything above Latin-1 replaced by
``0x80`` (outside strings and comments no such character is part of a token), so an
index into them is an index into the text.

It follows the flex rules of C++ Nix: the longest match wins, so ``a.b/c`` is a
path, ``a:b`` a URI and ``1/2`` a path too. Strings are told apart from what is
interpolated into them by a stack of modes, never by recursion.

**Broken text.** With ``recover`` set the lexer guesses where a string that swallows
the rest of the file was meant to end, and flags the token that starts the attribute
path before each ``=`` with :data:`~evaluator.syntax.tokens.BINDING`.
"""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.tokens import (
    AND_OP,
    ASSIGN,
    AT,
    BAD,
    BINDING,
    COLON,
    COMMA,
    CONCAT,
    DIVIDE,
    DOLLAR,
    DOT,
    ELLIPSIS,
    EOF,
    EQUAL,
    FLOAT,
    GREATER,
    GREATER_EQUAL,
    ID,
    IMPLIES,
    IND_CLOSE,
    IND_OPEN,
    INDENTED,
    INT,
    KEYWORDS,
    LBRACE,
    LBRACKET,
    LESS,
    LESS_EQUAL,
    LPAREN,
    MINUS,
    NOT,
    OR,
    OR_OP,
    PATH,
    PATH_CLOSE,
    PATH_OPEN,
    PIPE_FROM,
    PIPE_INTO,
    PLUS,
    QUESTION,
    RBRACE,
    RBRACKET,
    RPAREN,
    SEARCH_PATH,
    SEMICOLON,
    STR_CLOSE,
    STR_OPEN,
    STRING,
    TEXT,
    TIMES,
    UNEQUAL,
    UPDATE,
    URI,
)

if TYPE_CHECKING:
    from mypy_extensions import i64


def _members(characters: str) -> bytes:
    table = bytearray(256)
    for character in characters:
        table[ord(character)] = 1
    return bytes(table)


_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS: Final = "0123456789"

_ID_CHAR: Final[bytes] = _members(_LETTERS + _DIGITS + "_'-")
_PATH_CHAR: Final[bytes] = _members(_LETTERS + _DIGITS + "._-+")
_URI_CHAR: Final[bytes] = _members(_LETTERS + _DIGITS + "%/?:@&=+$,-_.!~*'")
_LETTER: Final[bytes] = _members(_LETTERS)
_DIGIT: Final[bytes] = _members(_DIGITS)
_BLANK: Final[bytes] = _members(" \t\r\n")

# What a character can start: see Lexer.run.
_WORD: Final = 1
_SINGLE: Final = 2
_SPACE: Final = 3
_NUMBER: Final = 4
_OTHER: Final = 5


def _classes() -> bytes:
    table = bytearray(256)
    for letter in _LETTERS + "_":
        table[ord(letter)] = _WORD
    for single in "()[];,:@=":
        table[ord(single)] = _SINGLE
    for blank in " \t\r\n":
        table[ord(blank)] = _SPACE
    for digit in _DIGITS:
        table[ord(digit)] = _NUMBER
    for other in "{}\"'.$/+-*<>!&|?~#":
        table[ord(other)] = _OTHER
    return bytes(table)


_CLASS: Final[bytes] = _classes()


def _singles() -> bytes:
    table = bytearray(256)
    for character, kind in (
        ("(", LPAREN),
        (")", RPAREN),
        ("[", LBRACKET),
        ("]", RBRACKET),
        (";", SEMICOLON),
        (",", COMMA),
        (":", COLON),
        ("@", AT),
        ("=", ASSIGN),
    ):
        table[ord(character)] = kind
    return bytes(table)


_SINGLE_KIND: Final[bytes] = _singles()
_KEYWORD_START: Final[bytes] = _members("iteawlro")

# Modes: what an open brace returns to when it is closed.
_BRACE: Final = 0
_IN_STRING: Final = 1
_IN_INDENTED: Final = 2
_IN_PATH: Final = 3

_WIDE: Final = re.compile("[^\x00-\xff]")
_BINDING_LINE: Final = re.compile(rb"[ \t]*(?:inherit[ \t(]|[A-Za-z_\"$][\w'\-.\"${}]*+[ \t]+=[ \t\r\n])")


def latin(text: str) -> bytes:
    """One byte a code point; what is above Latin-1 becomes ``0x80``."""
    if text.isascii():
        return text.encode("ascii")
    return _WIDE.sub("\x80", text).encode("latin-1")


# What people do not see or mean, and what they did mean.
_LOOKALIKES: Final[dict[str, str]] = {
    "\ufeff": "",
    "\u200b": "",
    "\u200c": "",
    "\u200d": "",
    "\u2060": "",
    "\u00ad": "",
    "\u00a0": " ",
    "\u2007": " ",
    "\u2009": " ",
    "\u202f": " ",
    "\u3000": " ",
    "\u2028": "\n",
    "\u2029": "\n",
    "\x0b": " ",
    "\x0c": " ",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2013": "-",
    "\u2212": "-",
}


def _replace(start: int, end: int, text: str) -> Fix:
    """Put something, or nothing, in the place of characters."""
    title = f"Write `{text}`" if text.strip() else "Write a blank" if text else "Remove it"
    return Fix(title, [Edit(start, end, text)])


class Lexer:
    """The tokens of ``text[start:end]``; ``run`` fills the lists.

    ``kinds``, ``starts`` and ``ends`` belong together, offsets are absolute code
    points, the last token is ``EOF`` at ``end``. ``comments`` are ``(start, end)``.
    """

    def __init__(self, text: str, start: int, end: int, recover: bool) -> None:
        self.text: Final = text
        self.recover: Final = recover
        self.data: bytes = latin(text if end == len(text) else text[:end]) + b"\0\0\0\0"
        self.begin: i64 = start
        self.size: i64 = end
        self.kinds: list[int] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.comments: list[tuple[int, int]] = []
        self.problems: list[Problem] = []
        self.modes: list[int] = []
        self.openers: list[int] = []
        # A run of path characters that was found to be no path ends here.
        self.plain_run: i64 = -1
        self.string_checked: i64 = -1

    def add(self, kind: int, start: int, end: int) -> None:
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)

    def report(self, code: str, message: str, start: int, end: int, fix: Fix | None = None) -> None:
        self.problems.append(Problem(code, message, start, end, fix))

    def run(self) -> None:
        """Scan everything."""
        data = self.data
        kinds = self.kinds
        starts = self.starts
        ends = self.ends
        size: i64 = self.size
        i: i64 = self.begin
        recover = self.recover
        while True:
            c: i64 = data[i]
            start: i64 = i
            what: i64 = _CLASS[c]
            if what == _SPACE:
                i += 1
                while _BLANK[data[i]]:
                    i += 1
                continue
            if what == _WORD:
                i += 1
                while _ID_CHAR[data[i]]:
                    i += 1
                c2: i64 = data[i]
                # "." and "+" may go on as a path or a URI, "/" and ":" make one here.
                if (c2 == 46 or c2 == 47 or c2 == 43 or c2 == 58) and i > self.plain_run:
                    j = self.path_or_uri(start)
                    if j:
                        i = j
                        continue
                kind: int = ID
                if _KEYWORD_START[c] and 2 <= i - start <= 7:
                    kind = KEYWORDS.get(self.text[start:i], ID)
                kinds.append(kind)
                starts.append(start)
                ends.append(i)
                continue
            if what == _SINGLE:
                i += 1
                if c == 61:  # =
                    if recover and data[i] == 61:
                        marker = self.conflict_marker(start)
                        if marker:
                            i = marker
                            continue
                    if data[i] == 61:
                        i += 1
                        kinds.append(EQUAL)
                    else:
                        kinds.append(ASSIGN)
                        if recover:
                            starts.append(start)
                            ends.append(i)
                            self.flag_binding()
                            continue
                else:
                    kinds.append(_SINGLE_KIND[c])
                starts.append(start)
                ends.append(i)
                continue
            if what == _OTHER:
                i = self.other(c, i)
                continue
            if what == _NUMBER:
                i = self.number(i)
                continue
            if i >= size:
                break
            i = self.bad(i)
        while self.modes:
            self.modes.pop()
        self.add(EOF, size, size)

    def bad(self, i: i64) -> i64:
        """A run of characters that are no tokens."""
        data = self.data
        j: i64 = i
        null = False
        while j < self.size and _CLASS[data[j]] == 0:
            if data[j] == 0:
                null = True
            j += 1
        if null:
            self.report("null-byte", "NUL character: Nix reads no further than this", i, j, _replace(i, j, ""))
        else:
            shown = self.text[i:j]
            if shown == "\ufeff":
                message = "byte order mark: Nix does not accept it"
            elif j == i + 1 and 0xDC80 <= ord(shown) <= 0xDCFF:
                message = f"invalid byte 0x{ord(shown) - 0xDC00:02x}: the text is not UTF-8"
            elif shown.isprintable():
                message = f"invalid character `{shown[:20]}`"
            else:
                message = f"invalid character {shown[:20]!a}"
            instead = [_LOOKALIKES.get(character, "?") for character in shown[:20]]
            fix = None if "?" in instead or j - i > 20 else _replace(i, j, "".join(instead))
            self.report("invalid-character", message, i, j, fix)
        if not self.recover:
            self.add(BAD, i, j)
        return j

    def other(self, c: i64, i: i64) -> i64:
        """Everything that starts with a sign; ``i`` is where it starts, the answer where it ends."""
        data = self.data
        n: i64 = data[i + 1]
        kind: int = BAD
        width: i64 = 1
        if c == 123:  # {
            self.modes.append(_BRACE)
            self.openers.append(i)
            kind = LBRACE
        elif c == 125:  # }
            self.add(RBRACE, i, i + 1)
            if self.modes:
                mode = self.modes.pop()
                opener = self.openers.pop()
                if mode == _IN_STRING:
                    return self.string(i + 1, opener)
                if mode == _IN_INDENTED:
                    return self.indented(i + 1, opener)
                if mode == _IN_PATH:
                    return self.path_rest(i + 1, opener, False)
            return i + 1
        elif c == 34:  # "
            return self.string_token(i)
        elif c == 46:  # .
            if n == 46 and data[i + 2] == 46:
                if i > self.plain_run:
                    j = self.path_or_uri(i)
                    if j:
                        return j
                kind = ELLIPSIS
                width = 3
            elif _DIGIT[n]:
                return self.number(i)
            else:
                if (n == 47 or _PATH_CHAR[n]) and i > self.plain_run:
                    j = self.path_or_uri(i)
                    if j:
                        return j
                kind = DOT
        elif c == 39:  # '
            if n == 39:
                return self.indented_token(i)
        elif c == 35:  # #
            j = i + 1
            while data[j] != 10 and data[j] != 13 and j < self.size:
                j += 1
            self.comments.append((i, j))
            return j
        elif c == 36:  # $
            if n == 123:
                self.modes.append(_BRACE)
                self.openers.append(i)
                kind = DOLLAR
                width = 2
        elif c == 47:  # /
            if n == 42:
                j = self.data.find(b"*/", i + 2)
                if j >= 0:
                    self.comments.append((i, j + 2))
                    return j + 2
                return self.open_comment(i)
            if n == 47:
                kind = UPDATE
                width = 2
            else:
                if _PATH_CHAR[n] or n == 36:
                    j = self.path_or_uri(i)
                    if j:
                        return j
                kind = DIVIDE
        elif c == 43:  # +
            if n == 43:
                kind = CONCAT
                width = 2
            else:
                kind = PLUS
            if i > self.plain_run:
                j = self.path_or_uri(i)
                if j:
                    return j
        elif c == 45:  # -
            if n == 62:
                kind = IMPLIES
                width = 2
            else:
                kind = MINUS
                if i > self.plain_run:
                    j = self.path_or_uri(i)
                    if j:
                        return j
        elif c == 42:  # *
            kind = TIMES
        elif c == 60:  # <
            if n == 60 and self.recover:
                j = self.conflict_marker(i)
                if j:
                    return j
            if _PATH_CHAR[n]:
                j = self.search_path(i)
                if j:
                    return j
            if n == 61:
                kind = LESS_EQUAL
                width = 2
            elif n == 124:
                kind = PIPE_FROM
                width = 2
            else:
                kind = LESS
        elif c == 62:  # >
            if n == 62 and self.recover:
                j = self.conflict_marker(i)
                if j:
                    return j
            if n == 61:
                kind = GREATER_EQUAL
                width = 2
            else:
                kind = GREATER
        elif c == 33:  # !
            if n == 61:
                kind = UNEQUAL
                width = 2
            else:
                kind = NOT
        elif c == 38:  # &
            if n == 38:
                kind = AND_OP
                width = 2
        elif c == 124:  # |
            if n == 124 and self.recover:
                j = self.conflict_marker(i)
                if j:
                    return j
            if n == 124:
                kind = OR_OP
                width = 2
            elif n == 62:
                kind = PIPE_INTO
                width = 2
        elif c == 63:  # ?
            kind = QUESTION
        elif c == 126 and n == 47:  # ~/
            j = self.path_or_uri(i)
            if j:
                return j
        if kind == BAD:
            self.report("invalid-character", f"invalid character `{self.text[i]}`", i, i + 1)
            if self.recover:
                return i + 1
        self.add(kind, i, i + width)
        return i + width

    def open_comment(self, i: i64) -> i64:
        """``/*`` that is never closed: taken to end with its line."""
        j: i64 = i + 2
        while in_line(self.data, j) and j < self.size:
            j += 1
        self.report("unterminated-comment", "this comment is never closed: `*/` is missing", i, i + 2)
        self.comments.append((i, j))
        return j

    def number(self, i: i64) -> i64:
        """An integer or float (or a path that starts with a digit)."""
        data = self.data
        if i > self.plain_run:
            path = self.path_or_uri(i)
            if path:
                return path
        j: i64 = i
        while _DIGIT[data[j]]:
            j += 1
        kind: int = INT
        if data[j] == 46:
            first: i64 = data[i]
            after: i64 = j + 1
            while _DIGIT[data[after]]:
                after += 1
            # Nix: [1-9][0-9]*\.[0-9]*  or  0?\.[0-9]+
            if (first != 48 and j > i) or (after > j + 1 and (j == i or j == i + 1)):
                kind = FLOAT
                j = after
                if data[j] == 69 or data[j] == 101:  # e
                    after = j + 1
                    if data[after] == 43 or data[after] == 45:
                        after += 1
                    if _DIGIT[data[after]]:
                        while _DIGIT[data[after]]:
                            after += 1
                        j = after
        self.add(kind, i, j)
        return j

    # Paths and URIs.

    def path_or_uri(self, start: i64) -> i64:
        """The end of the path or URI that starts here, its tokens added; 0 when there is none."""
        data = self.data
        i: i64 = start
        if data[i] == 126:  # ~
            i += 1
        else:
            while _PATH_CHAR[data[i]]:
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
        while data[i] == 47 and _PATH_CHAR[data[i + 1]]:
            i += 1
            while _PATH_CHAR[data[i]]:
                i += 1
        if i > run:
            if data[i] != 47:
                if data[i] == 36 and data[i + 1] == 123:
                    self.add(PATH_OPEN, start, start)
                    return self.path_rest(start, start, True)
                self.add(PATH, start, i)
                return i
        elif not (data[i] == 47 and data[i + 1] == 36 and data[i + 2] == 123):
            self.plain_run = run - 1
            return 0
        self.add(PATH_OPEN, start, start)
        return self.path_rest(start, start, True)

    def path_rest(self, start: i64, opener: i64, first: bool) -> i64:
        """The text of a path up to its next interpolation or its end."""
        data = self.data
        i: i64 = start
        if first and data[i] == 126:
            i += 1
        doubled: i64 = 0
        while _PATH_CHAR[data[i]] or data[i] == 47:
            if data[i] == 47 and data[i + 1] == 47 and i + 1 > doubled:
                # C++ Nix reads the second slash as a new piece, and allows one such piece before "${".
                doubled = i + 1
            i += 1
        if i > start:
            self.add(TEXT, start, i)
        if data[i] == 36 and data[i + 1] == 123:
            self.add(DOLLAR, i, i + 2)
            self.modes.append(_IN_PATH)
            self.openers.append(opener)
            return i + 2
        self.add(PATH_CLOSE, i, i)
        if i > start and data[i - 1] == 47:
            self.report("trailing-slash", "a path cannot end in a slash", i - 1, i, _replace(i - 1, i, ""))
        elif first and doubled:
            self.report("unexpected-token", "a path cannot contain `//`", doubled - 1, doubled + 1)
        return i

    def search_path(self, start: i64) -> i64:
        """``<a/b>``: its end, or 0."""
        data = self.data
        i: i64 = start + 1
        while True:
            if not _PATH_CHAR[data[i]]:
                return 0
            while _PATH_CHAR[data[i]]:
                i += 1
            if data[i] == 62:
                break
            if data[i] != 47:
                return 0
            i += 1
        self.add(SEARCH_PATH, start, i + 1)
        return i + 1

    # Strings.

    def string_token(self, start: i64) -> i64:
        """``"…"``: one token when nothing is interpolated."""
        data = self.data
        i: i64 = start + 1
        while True:
            c: i64 = data[i]
            if c == 34:
                self.add(STRING, start, i + 1)
                return i + 1
            if c == 36 or c == 92 or c == 10 or c == 0:
                break
            i += 1
        self.add(STR_OPEN, start, start + 1)
        return self.string(start + 1, start)

    def string(self, start: i64, opener: i64) -> i64:
        """The text of a ``"`` string up to its next interpolation or its end."""
        data = self.data
        size: i64 = self.size
        i: i64 = start
        while True:
            c: i64 = data[i]
            if c == 34:
                if i > start:
                    self.add(TEXT, start, i)
                self.add(STR_CLOSE, i, i + 1)
                return i + 1
            if c == 36:
                n: i64 = data[i + 1]
                if n == 123:
                    if i > start:
                        self.add(TEXT, start, i)
                    self.add(DOLLAR, i, i + 2)
                    self.modes.append(_IN_STRING)
                    self.openers.append(opener)
                    return i + 2
                if n == 34:
                    i += 1
                elif n == 92:
                    i += 3
                else:
                    i += 2
            elif c == 92:
                i += 2
            elif c == 0 and i >= size:
                return self.unterminated(start, size, opener, STR_CLOSE)
            elif c == 10 and self.recover and i > self.string_checked and self.stops_at_line(i):
                return self.unterminated(start, i, opener, STR_CLOSE)
            else:
                if c == 0:
                    self.null_in_string(i)
                i += 1

    def null_in_string(self, i: i64) -> None:
        self.report("null-byte", "NUL character: Nix strings cannot hold it", i, i + 1, _replace(i, i + 1, ""))

    def unterminated(self, start: i64, end: i64, opener: i64, close: int) -> i64:
        """Close a string where the text does not."""
        if end > self.size:
            end = self.size
        if end > start:
            self.add(TEXT, start, end)
        self.add(close, end, end)
        width = 2 if close == IND_CLOSE else 1
        self.report("unterminated-string", "this string is never closed", opener, opener + width)
        return end

    def stops_at_line(self, newline: i64) -> bool:
        """Whether a ``"`` string that reaches the end of a line was meant to end there.

        It was when what would close it looks like the opening of another string, or
        when a binding starts on a line before that.
        """
        data = self.data
        size: i64 = self.size
        i: i64 = newline
        depth: i64 = 0
        while True:
            c: i64 = data[i]
            if c == 34 and depth == 0:
                break
            if c == 0 and i >= size:
                return True
            if c == 92:
                i += 1
            elif c == 36 and data[i + 1] == 123:
                depth += 1
                i += 1
            elif c == 123 and depth:
                depth += 1
            elif c == 125 and depth:
                depth -= 1
            i += 1
        after: i64 = data[i + 1]
        if _ID_CHAR[after] or after == 34 or after == 36 or after == 47 or after >= 128:
            return True
        before: i64 = data[i - 1]
        if before == 32 and data[i - 2] == 61:
            return True
        self.string_checked = i
        return False

    def indented_token(self, start: i64) -> i64:
        """``''…''``: one token when nothing is interpolated."""
        data = self.data
        size: i64 = self.size
        if not self.recover:
            i: i64 = start + 2
            while True:
                c: i64 = data[i]
                if c == 39:
                    if data[i + 1] != 39:
                        i += 1
                        continue
                    n: i64 = data[i + 2]
                    if n == 36 or n == 39:
                        i += 3
                    elif n == 92 and i + 3 < size:
                        i += 4
                    else:
                        self.add(INDENTED, start, i + 2)
                        return i + 2
                elif c == 36:
                    n = data[i + 1]
                    if n == 123:
                        break
                    i += 1 if n == 39 else 2
                elif c == 0:
                    break
                else:
                    i += 1
        self.add(IND_OPEN, start, start + 2)
        return self.indented(start + 2, start)

    def indented(self, start: i64, opener: i64) -> i64:
        """The text of a ``''`` string up to its next interpolation or its end."""
        data = self.data
        size: i64 = self.size
        i: i64 = start
        while True:
            c: i64 = data[i]
            if c == 39:
                if data[i + 1] != 39:
                    i += 1
                    continue
                n: i64 = data[i + 2]
                if n == 36 or n == 39:
                    i += 3
                elif n == 92 and i + 3 < size:
                    i += 4
                else:
                    if i > start:
                        self.add(TEXT, start, i)
                    self.add(IND_CLOSE, i, i + 2)
                    return i + 2
            elif c == 36:
                n = data[i + 1]
                if n == 123:
                    if i > start:
                        self.add(TEXT, start, i)
                    self.add(DOLLAR, i, i + 2)
                    self.modes.append(_IN_INDENTED)
                    self.openers.append(opener)
                    return i + 2
                i += 1 if n == 39 else 2
            elif c == 0 and i >= size:
                return self.unterminated(start, size, opener, IND_CLOSE)
            elif c == 10 and self.recover and self.dedents(i, opener):
                return self.unterminated(start, i, opener, IND_CLOSE)
            else:
                if c == 0:
                    self.null_in_string(i)
                i += 1

    def dedents(self, newline: i64, opener: i64) -> bool:
        """Whether the line after ``newline`` is no longer inside the ``''`` string opened at ``opener``."""
        data = self.data
        line: i64 = newline + 1
        i: i64 = line
        while data[i] == 32 or data[i] == 9:
            i += 1
        c: i64 = data[i]
        if c == 10 or c == 13 or c == 39 or i >= self.size:
            return False
        if i - line > self.indent(opener):
            return False
        if _BINDING_LINE.match(data, line) is not None:
            return True
        return self.data.find(b"''", i) < 0

    def indent(self, offset: i64) -> i64:
        """How many blanks the line of ``offset`` starts with."""
        data = self.data
        line: i64 = data.rfind(b"\n", 0, offset) + 1
        i: i64 = line
        while data[i] == 32 or data[i] == 9:
            i += 1
        return i - line

    # Broken text.

    def conflict_marker(self, start: i64) -> i64:
        """The end of a line that git left in a merge conflict; 0 when there is none here."""
        data = self.data
        if start > self.begin and data[start - 1] != 10:
            return 0
        i: i64 = start
        while data[i] == data[start]:
            i += 1
        if i - start != 7 or not (_BLANK[data[i]] or i >= self.size):
            return 0
        while in_line(data, i) and i < self.size:
            i += 1
        self.report("conflict-marker", "a merge conflict has been left here", start, i)
        return i

    def flag_binding(self) -> None:
        """Flag the first token of the attribute path before the ``=`` just added."""
        kinds = self.kinds
        i = len(kinds) - 2
        while i >= 0:
            kind = kinds[i]
            if kind == RBRACE or kind == STR_CLOSE:
                opener = self.opening(i)
                if opener < 0:
                    return
                i = opener
            elif kind != ID and kind != OR and kind != STRING:
                return
            # A path that breaks off at the end of a line ("lib.licenses.") is not part of this one.
            if i == 0 or kinds[i - 1] != DOT or self.data.find(b"\n", self.ends[i - 1], self.starts[i]) >= 0:
                kinds[i] = kinds[i] | BINDING
                return
            i -= 2

    def opening(self, i: int) -> int:
        """The token that opens what token ``i`` (``}`` or the end of a string) closes; -1 when unclear."""
        kinds = self.kinds
        depth = 0
        limit = i - 200
        while i >= 0 and i > limit:
            kind = kinds[i]
            if kind == RBRACE or kind == STR_CLOSE:
                depth += 1
            elif kind == DOLLAR or kind == STR_OPEN:
                depth -= 1
                if depth == 0:
                    return i
            elif kind == SEMICOLON or kind == LBRACE:
                return -1
            i -= 1
        return -1


def in_line(data: bytes, i: i64) -> bool:
    """Whether the character at ``i`` does not end a line."""
    return data[i] != 10 and data[i] != 13
