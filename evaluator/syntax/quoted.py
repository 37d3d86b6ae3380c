"""Strings: where they end, and where they were probably meant to end.

**Broken text.** With ``recover`` set, a string that swallows the rest of the file is taken to end where it was
probably meant to. Without, the same clues are only noted (``doubts``): a binding that holds one is never trusted
once something else in the file is broken.
"""

# Chains of == compare small integers without building a tuple first.

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.scanner import ID_CHAR, IN_INDENTED, IN_STRING, Scanner, members, replacing
from evaluator.syntax.tokens import (
    DOLLAR,
    DOT,
    ID,
    IND_CLOSE,
    IND_OPEN,
    INDENTED,
    KEYWORDS,
    RBRACE,
    STR_CLOSE,
    STR_OPEN,
    STRING,
    TEXT,
)

if TYPE_CHECKING:
    from mypy_extensions import i64

# What needs a closer look inside a '' string.
_STOP: Final[bytes] = members("'$\0\n")
_BINDING_LINE: Final = re.compile(rb"[ \t]*(?:inherit[ \t(]|[A-Za-z_\"$][\w'\-.\"${}]*+[ \t]+=[ \t\r\n])")
# An interpolation that has only been begun on its line, and what tells whether it goes on in the next.
_BEGUN: Final = re.compile(rb"([A-Za-z_][\w'-]*+(?:\.[A-Za-z_][\w'-]*+)*+\.?+)[ \t\r]*+(?:\n|\Z)")
_NAME_ONLY: Final = re.compile(rb"[^\s\"=]++(?=[ \t]+=[ \t\r\n])")
_LONG_CLOSERS: Final = 40
_WORD: Final = re.compile(rb"\.|[\w'-]++")
_QUOTE_OR_BRACE: Final = re.compile(rb'\}|\$\{|"')
_QUOTES_OR_BRACE: Final = re.compile(rb"\}|\$\{|''")


class QuoteScanner(Scanner):
    """Scans strings, up to the next interpolation at a time."""

    def __init__(self, text: str, data: bytes, start: int, end: int, recover: bool) -> None:
        super().__init__(text, data, start, end, recover)
        # A `"` string that reaches up to here may go over lines.
        self.string_checked: i64 = -1
        # Strings, by their opening quotes: one that has swallowed a binding, one whose line is indented by `margin`.
        self.swallowed: i64 = -1
        self.margin_of: i64 = -1
        self.margin: i64 = 0
        # What was found by looking ahead, so that it is not looked for again.
        self.next_pair: i64 = -1
        self.looked_ahead: i64 = 0

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
                if not self.recover and self.looks_like_opening(i) and data.find(b"\n", opener, i) >= 0:
                    self.doubt(i, opener)
                return i + 1
            if c == 36:
                n: i64 = data[i + 1]
                if n == 123:
                    if i > start:
                        self.add(TEXT, start, i)
                    if self.recover:
                        start = self.begun(i, IN_STRING)
                        if start:
                            i = start
                            continue
                    self.add(DOLLAR, i, i + 2)
                    self.modes.append(IN_STRING)
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
            elif c == 10:
                if self.recover and i > self.string_checked and self.stops_at_line(i):
                    return self.unterminated(start, i, opener, STR_CLOSE)
                i += 1
            else:
                if c == 0:
                    self.null_in_string(i)
                i += 1

    def null_in_string(self, i: i64) -> None:
        self.report("null-byte", "NUL character: Nix strings cannot hold it", i, i + 1, replacing(i, i + 1, ""))

    def unterminated(self, start: i64, end: i64, opener: i64, close: int) -> i64:
        """Close a string where the text does not."""
        if end > self.size:
            end = self.size
        if self.recover and self.data.find(b"\n", opener, end) < 0:
            name = _NAME_ONLY.match(self.data, start) if close == STR_CLOSE and start == opener + 1 else None
            if name is not None and opener - self.indent(opener) == self.data.rfind(b"\n", 0, opener) + 1:
                end = name.end()  # `"a = 1;`
            else:
                end = self.before_closers(start, end)
        if end > start:
            self.add(TEXT, start, end)
        self.add(close, end, end)
        width = 2 if close == IND_CLOSE else 1
        self.report("unterminated-string", "this string is never closed", opener, opener + width)
        return end

    def before_closers(self, start: i64, end: i64) -> i64:
        """Where the `` ]);`` starts that ends a line and was swallowed by something unclosed; else ``end``."""
        data = self.data
        i: i64 = end
        while i > start and (data[i - 1] == 32 or data[i - 1] == 9 or data[i - 1] == 13):
            i -= 1
        if i == start or data[i - 1] != 59:
            return end
        least: i64 = max(start, i - _LONG_CLOSERS)
        while i > least:
            c: i64 = data[i - 1]
            if c == 125:
                if data.count(b"{", start, i) >= data.count(b"}", start, i):
                    break
            elif c == 93:
                if data.count(b"[", start, i) >= data.count(b"]", start, i):
                    break
            elif c == 41:
                if data.count(b"(", start, i) >= data.count(b")", start, i):
                    break
            elif c != 59 and c != 32 and c != 9:
                break
            i -= 1
            if c > 32:
                end = i
        return end

    def begun(self, dollar: i64, string_mode: int) -> i64:
        """Where the select ends that an interpolation breaks off with at the end of its line: ``${lib.``; else 0."""
        match = _BEGUN.match(self.data, dollar + 2)
        if match is None:
            return 0
        following = (_QUOTE_OR_BRACE if string_mode == IN_STRING else _QUOTES_OR_BRACE).search(self.data, match.end())
        if following is not None and self.data[following.start()] == 125:
            return 0
        end: int = match.end(1)
        self.add(DOLLAR, dollar, dollar + 2)
        for word in _WORD.finditer(self.data, dollar + 2, end):
            if word.group() == b".":
                self.add(DOT, word.start(), word.end())
            else:
                kind = KEYWORDS.get(self.text[word.start() : word.end()], ID)
                self.add(kind, word.start(), word.end())
        self.supply_brace(end, dollar)
        return end

    def supply_brace(self, at: i64, opener: i64) -> None:
        """Add the ``}`` that an interpolation lacks."""
        fix = Fix("Insert `}`", [Edit(at, at, "}")])
        self.problems.append(Problem("missing-closer", "expected `}`", at, at, fix, opener, opener + 1))
        self.add(RBRACE, at, at)

    def stops_at_line(self, newline: i64) -> bool:
        """Whether a ``"`` string that reaches the end of a line was meant to end there.

        It was when the next quote looks as if it opened another string, or when there is none.
        """
        data = self.data
        size: i64 = self.size
        i: i64 = newline
        depth: i64 = 0
        if self.looked_ahead > 4 * size:
            return True
        while True:
            c: i64 = data[i]
            if c == 34 and depth == 0:
                break
            if c == 0 and i >= size:
                self.looked_ahead += i - newline
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
        self.looked_ahead += i - newline
        if self.looks_like_opening(i):
            return True
        self.string_checked = i
        return False

    def looks_like_opening(self, quote: i64) -> bool:
        """Whether a ``"`` that would close a string of several lines rather opens another."""
        data = self.data
        after: i64 = data[quote + 1]
        if ID_CHAR[after] or after == 34 or after == 36 or after == 47 or after >= 128:
            return True
        before: i64 = data[quote - 1]
        return before == 32 and data[quote - 2] == 61

    def indented_token(self, start: i64) -> i64:
        """``''…''``: one token when nothing is interpolated."""
        data = self.data
        if not self.recover:
            i: i64 = start + 2
            while True:
                i = self.text_end(i)
                c: i64 = data[i]
                if c == 39:
                    self.add(INDENTED, start, i + 2)
                    return i + 2
                if c != 10:
                    break
                if self.swallowed != start:
                    self.check_line(i + 1, start)
                i += 1
        self.add(IND_OPEN, start, start + 2)
        return self.indented(start + 2, start)

    def indented(self, start: i64, opener: i64) -> i64:
        """The text of a ``''`` string up to its next interpolation or its end."""
        data = self.data
        size: i64 = self.size
        i: i64 = start
        while True:
            i = self.text_end(i)
            c: i64 = data[i]
            if c == 39:
                if i > start:
                    self.add(TEXT, start, i)
                self.add(IND_CLOSE, i, i + 2)
                return i + 2
            if c == 36:
                if i > start:
                    self.add(TEXT, start, i)
                if self.recover:
                    start = self.begun(i, IN_INDENTED)
                    if start:
                        i = start
                        continue
                self.add(DOLLAR, i, i + 2)
                self.modes.append(IN_INDENTED)
                self.openers.append(opener)
                return i + 2
            if c == 10:
                if not self.recover:
                    if self.swallowed != opener:
                        self.check_line(i + 1, opener)
                elif self.dedents(i + 1, opener):
                    return self.unterminated(start, i, opener, IND_CLOSE)
                i += 1
            elif i >= size:
                return self.unterminated(start, size, opener, IND_CLOSE)
            else:
                self.null_in_string(i)
                i += 1

    def text_end(self, i: i64) -> i64:
        """Where the text of a ``''`` string that goes on at ``i`` is interrupted next.

        That is by the closing quotes, an interpolation, the end of a line, or a null character (also that behind the
        text). What is escaped is text.
        """
        data = self.data
        while True:
            while not _STOP[data[i]]:
                i += 1
            c: i64 = data[i]
            if c == 39:
                if data[i + 1] != 39:
                    i += 1
                    continue
                n: i64 = data[i + 2]
                if n == 36 or n == 39:
                    i += 3
                elif n == 92 and i + 3 < self.size:
                    i += 4
                else:
                    return i
            elif c == 36:
                n = data[i + 1]
                if n == 123:
                    return i
                i += 1 if n == 39 else 2
            else:
                return i

    def check_line(self, line: i64, opener: i64) -> None:
        """Note a doubt when the line inside a ``''`` string looks like a binding beside the one with the string."""
        if self.is_shallow(line, opener) and _BINDING_LINE.match(self.data, line) is not None:
            self.swallowed = opener
            self.doubt(line, opener)

    def is_shallow(self, line: i64, opener: i64) -> bool:
        """Whether the line has text, and is indented no deeper than the line of ``opener``."""
        data = self.data
        i: i64 = line
        while data[i] == 32 or data[i] == 9:
            i += 1
        c: i64 = data[i]
        if c == 10 or c == 13 or c == 39 or i >= self.size:
            return False
        if self.margin_of != opener:
            self.margin_of = opener
            self.margin = self.indent(opener)
        return i - line <= self.margin

    def dedents(self, line: i64, opener: i64) -> bool:
        """Whether the line is no longer inside the ``''`` string opened at ``opener``."""
        if not self.is_shallow(line, opener):
            return False
        if _BINDING_LINE.match(self.data, line) is not None:
            return True
        if self.next_pair < line:
            found: i64 = self.data.find(b"''", line)
            self.next_pair = found if found >= 0 else self.size + 4
        return self.next_pair > self.size
