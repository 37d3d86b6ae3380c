"""From text to tokens: three parallel lists, and the comments.

It follows the flex rules of C++ Nix: the longest match wins, so ``a.b/c`` is a path, ``a:b`` a URI and ``1/2`` a path
too. Strings are told apart from what is interpolated into them by a stack of modes, never by recursion.

**Bindings read before.** Where a solid binding is known to start (:mod:`evaluator.syntax.reuse`), it and its
neighbours become one :data:`~evaluator.syntax.tokens.READY` token.

**Broken text.** With ``recover`` set the lexer guesses where a string that swallows the rest of the file was meant to
end, flags the token that starts the attribute path before each ``=`` with :data:`~evaluator.syntax.tokens.BINDING`,
and first lets :meth:`Lexer.try_strictly` read the binding that starts there. Without, it notes where the indentation
speaks against the braces.
"""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.quoted import QuoteScanner
from evaluator.syntax.reuse import Run, merged
from evaluator.syntax.scanner import (
    DIGIT,
    DIGITS,
    ID_CHAR,
    IN_BRACE,
    IN_INDENTED,
    IN_PATH,
    IN_STRING,
    LETTERS,
    PATH_CHAR,
    latin,
    members,
    replacing,
)
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
    GREATER,
    GREATER_EQUAL,
    ID,
    IMPLIES,
    INHERIT,
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
    PIPE_FROM,
    PIPE_INTO,
    PLUS,
    QUESTION,
    RBRACE,
    RBRACKET,
    READY,
    RPAREN,
    SEMICOLON,
    STR_CLOSE,
    STR_OPEN,
    STRING,
    TIMES,
    UNEQUAL,
    UPDATE,
)

if TYPE_CHECKING:
    from mypy_extensions import i64

    from evaluator.syntax.tree import Binding

_BLANK: Final[bytes] = members(" \t\r\n")

# What a character can start: see Lexer.run.
_WORD: Final = 1
_SINGLE: Final = 2
_SPACE: Final = 3
_NUMBER: Final = 4
_OTHER: Final = 5

_FAR: Final = 1 << 60  # beyond every text


def _classes() -> bytes:
    table = bytearray(256)
    for letter in LETTERS + "_":
        table[ord(letter)] = _WORD
    for single in "()[];,:@=":
        table[ord(single)] = _SINGLE
    for blank in " \t\r\n":
        table[ord(blank)] = _SPACE
    for digit in DIGITS:
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
_KEYWORD_START: Final[bytes] = members("iteawlro")


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


class Lexer(QuoteScanner):
    """The tokens of ``text[start:end]``; ``run`` fills the lists, ``finished`` says that they are full.

    ``kinds``, ``starts`` and ``ends`` belong together, offsets are absolute code
    points, the last token is ``EOF`` at ``end``. ``comments`` are ``(start, end)``.
    ``runs`` are the bindings known to be solid, in the order of the text; what a READY token stands for is in
    ``ready``, by its start.
    """

    def __init__(
        self,
        text: str,
        start: int,
        end: int,
        recover: bool,
        data: bytes | None = None,
        runs: list[Run] | None = None,
    ) -> None:
        super().__init__(text, latin(text[:end]) if data is None else data, start, end, recover)
        self.at: i64 = start
        self.finished: bool = False
        self.ready: Final[dict[int, Run]] = {}
        # Neighbours among which none is defined twice.
        self.checked: list[list[Binding]] = []
        # Those that come first at the end, and which of them comes next.
        self.runs: list[Run] = [] if runs is None else list(reversed(runs))
        self.run_index: i64 = len(self.runs)
        self.next_member: i64 = 0
        self.next_ready: i64 = _FAR
        self.next_run()
        self.skip_runs(start)
        # Where the last comment ends that is looked for, and the opener whose line is indented by `brace_indent`.
        self.next_comment_end: i64 = -1
        self.brace: i64 = -1
        self.brace_indent: i64 = 0

    def run(self, count: i64 = _FAR) -> None:
        """Scan at least ``count`` tokens more, or up to the end."""
        if self.finished:
            return
        data = self.data
        kinds = self.kinds
        starts = self.starts
        ends = self.ends
        size: i64 = self.size
        i: i64 = self.at
        recover = self.recover
        next_ready: i64 = self.next_ready
        goal: i64 = len(kinds) + count
        while True:
            c: i64 = data[i]
            start: i64 = i
            what: i64 = _CLASS[c]
            if what == _SPACE:
                line: i64 = -1
                while _BLANK[c]:
                    i += 1
                    if c == 10:
                        line = i
                    c = data[i]
                if line >= 0 and not recover and self.modes and (_CLASS[c] == _WORD or c == 34 or c == 36):
                    if i - line <= self.indent_of_brace():
                        self.shallow.append(i)
                        self.shallow_in.append(self.brace)
                continue
            if i >= next_ready:
                i = self.take_ready(i)
                next_ready = self.next_ready
                if i > start:
                    continue
            if len(kinds) >= goal:
                self.at = i
                return
            if what == _WORD:
                i += 1
                while ID_CHAR[data[i]]:
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
                    if recover and kind == INHERIT:
                        j = self.read_ahead(start, len(kinds))
                        if j:
                            i = j
                            next_ready = self.next_ready
                            continue
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
                            j = self.flag_binding()
                            if j:
                                i = j
                            next_ready = self.next_ready
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
        self.at = size
        self.finished = True
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
            self.report("null-byte", "NUL character: Nix reads no further than this", i, j, replacing(i, j, ""))
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
            fix = None if "?" in instead or j - i > 20 else replacing(i, j, "".join(instead))
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
            self.modes.append(IN_BRACE)
            self.openers.append(i)
            kind = LBRACE
        elif c == 125:  # }
            self.add(RBRACE, i, i + 1)
            if self.modes:
                mode = self.modes.pop()
                opener = self.openers.pop()
                if mode == IN_STRING:
                    return self.string(i + 1, opener)
                if mode == IN_INDENTED:
                    return self.indented(i + 1, opener)
                if mode == IN_PATH:
                    return self.path_rest(i + 1, opener, False)
            return i + 1
        elif c == 34:  # "
            if self.recover and self.modes and self.modes[-1] == IN_STRING and self.ends_string(i):
                return self.close_interpolation(i)
            return self.string_token(i)
        elif c == 46:  # .
            if n == 46 and data[i + 2] == 46:
                if i > self.plain_run:
                    j = self.path_or_uri(i)
                    if j:
                        return j
                kind = ELLIPSIS
                width = 3
            elif DIGIT[n]:
                return self.number(i)
            else:
                if (n == 47 or PATH_CHAR[n]) and i > self.plain_run:
                    j = self.path_or_uri(i)
                    if j:
                        return j
                kind = DOT
        elif c == 39:  # '
            if n == 39:
                if self.recover and self.modes and self.modes[-1] == IN_INDENTED and self.ends_indented(i):
                    return self.close_interpolation(i)
                return self.indented_token(i)
        elif c == 35:  # #
            j = i + 1
            while data[j] != 10 and data[j] != 13 and j < self.size:
                j += 1
            self.comments.append((i, j))
            return j
        elif c == 36:  # $
            if n == 123:
                self.modes.append(IN_BRACE)
                self.openers.append(i)
                kind = DOLLAR
                width = 2
        elif c == 47:  # /
            if n == 42:
                if self.next_comment_end < i + 2:
                    found: i64 = data.find(b"*/", i + 2)
                    self.next_comment_end = found if found >= 0 else _FAR
                j = self.next_comment_end
                if j < self.size:
                    self.comments.append((i, j + 2))
                    return j + 2
                return self.open_comment(i)
            if n == 47:
                kind = UPDATE
                width = 2
            else:
                if PATH_CHAR[n] or n == 36:
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
            if PATH_CHAR[n]:
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
        if self.recover:
            before = self.before_closers(i + 2, j)
            if self.data.find(b"]", before, j) >= 0 or self.data.find(b"}", before, j) >= 0:
                j = before
        self.report("unterminated-comment", "this comment is never closed: `*/` is missing", i, i + 2)
        self.comments.append((i, j))
        if not self.recover:
            self.add(BAD, i, j)
        return j

    # Bindings that need not be read.

    def next_run(self) -> None:
        """Turn to the next run of solid bindings."""
        self.run_index -= 1
        if self.run_index < 0:
            self.next_ready = _FAR
            return
        run = self.runs[self.run_index]
        self.next_member = run.first
        self.next_ready = run.start_of(run.first)

    def skip_runs(self, i: i64) -> None:
        """Forget the solid bindings that start before ``i``."""
        while self.next_ready < i:
            run = self.runs[self.run_index]
            index: i64 = run.at_or_after(i)
            if index < run.stop:
                self.next_member = index
                self.next_ready = run.start_of(index)
                return
            self.next_run()

    def take_ready(self, i: i64) -> i64:
        """Make one token of the solid bindings that start here; answers where they end, or ``i`` if none can."""
        if self.next_ready > i or (self.next_ready == i and self.goes_on(len(self.kinds))):
            return i
        if self.next_ready < i:
            self.skip_runs(i)
            if self.next_ready != i or self.goes_on(len(self.kinds)):
                return i
        whole = self.runs[self.run_index]
        first = self.next_member
        stop: i64 = whole.stop
        if self.recover:
            stop = self.same_column(whole, first)
        elif self.modes:
            self.check_columns(whole, first)
        run = whole.part(first, stop)
        self.ready[i] = run
        end = run.end_of(stop - 1)
        run.add_comments(self.comments)
        run.add_problems(self.problems)
        self.add(READY, i, end)
        self.skip_runs(end)
        return end

    def goes_on(self, token: i64) -> bool:
        """Whether an attribute path goes on with the token, which has not been read yet, behind a dot."""
        if token == 0 or self.kinds[token - 1] != DOT:
            return False
        # A path that breaks off at the end of a line ("lib.licenses.") is not part of the next binding's.
        return not self.recover or self.data.find(b"\n", self.ends[token - 1], self.next_ready) < 0

    def same_column(self, run: Run, first: i64) -> i64:
        """Where the neighbours end that are indented like the first, so that they all belong to one construct."""
        column = self.column(run.start_of(first))
        index: i64 = first + 1
        while index < run.stop and self.column(run.start_of(index)) == column:
            index += 1
        return index

    def check_columns(self, run: Run, first: i64) -> None:
        """Note whether one of the neighbours is indented no deeper than the line of the brace they stand in."""
        least = self.indent_of_brace()
        index: i64 = first
        while index < run.stop:
            column = self.column(run.start_of(index))
            if 0 <= column <= least:
                self.shallow.append(run.start_of(first))
                self.shallow_in.append(self.brace)
                return
            index += 1

    def indent_of_brace(self) -> i64:
        """How far the line is indented where the innermost open brace stands; there is one."""
        opener: i64 = self.openers[-1]
        if opener != self.brace:
            self.brace = opener
            self.brace_indent = self.indent(opener)
        return self.brace_indent

    def column(self, offset: i64) -> i64:
        """How far a token stands from the start of its line; -1 when it is not the first on it."""
        data = self.data
        i: i64 = offset
        while i > self.begin and _BLANK[data[i - 1]] and data[i - 1] != 10:
            i -= 1
        if i > self.begin and data[i - 1] != 10:
            return -1
        return offset - i

    def read_ahead(self, start: i64, token: i64) -> i64:
        """Read the binding strictly that starts with the token ``token`` at ``start``, and those behind it.

        Where that goes well they become one READY token in the place of ``token`` and all that follow, and the answer
        is where it ends; 0 where not.
        """
        if not self.try_strictly(start):
            return 0
        while len(self.kinds) > token:
            self.kinds.pop()
            self.starts.pop()
            self.ends.pop()
        while self.comments and self.comments[-1][0] >= start:
            self.comments.pop()
        while self.problems and self.problems[-1].start >= start:
            self.problems.pop()
        end = self.take_ready(start)
        return end if end > start else 0

    def try_strictly(self, start: i64) -> bool:
        """Whether the binding that starts here can be read strictly; it is the next of the runs then."""
        return False

    def borrow_runs(self, other: Lexer) -> None:
        """Know of the runs that ``other`` has still before it; it must not turn to the next meanwhile."""
        self.checked = other.checked
        self.runs = other.runs
        self.run_index = other.run_index + 1
        self.next_run()
        self.skip_runs(self.at)

    def add_runs(self, runs: list[Run]) -> None:
        """Know of more runs (in the order of the text); what lies before them is not asked for any more."""
        if not runs:
            return
        del self.runs[self.run_index + 1 :]
        start = runs[0].start_of(runs[0].first)
        last = runs[-1]
        end = last.end_of(last.stop - 1)
        between: list[Run] = []
        while self.runs and self.runs[-1].start_of(self.runs[-1].first) < end:
            run = self.runs.pop()
            first = run.at_or_after(start)
            if first < run.stop:
                between.append(run.part(first, run.stop))
        self.runs.extend(reversed(merged(runs, between)))
        self.run_index = len(self.runs)
        self.next_run()

    # Broken text.

    def ends_string(self, quote: i64) -> bool:
        """Whether the ``"`` closes the string around the interpolation at hand, which has not been closed."""
        data = self.data
        i: i64 = quote + 1
        while data[i] == 32 or data[i] == 9:
            i += 1
        if data[i] != 59 and data[i] != 41 and data[i] != 93 and data[i] != 10 and data[i] != 13:  # ; ) ] end of line
            return False
        while in_line(data, i) and i < self.size:
            if data[i] == 34:
                return False
            i += 1
        return True

    def ends_indented(self, quotes: i64) -> bool:
        """Whether the ``''`` closes the string around the interpolation at hand, which has not been closed."""
        data = self.data
        if self.column(quotes) < 0:
            return False
        after: i64 = data[quotes + 2]
        return after == 59 or after == 41 or after == 93 or after == 10 or after == 13

    def close_interpolation(self, i: i64) -> i64:
        """Supply the ``}`` that is missing before ``i``, where the string around it ends."""
        mode = self.modes.pop()
        opener = self.openers.pop()
        token = len(self.kinds) - 1
        end: i64 = self.ends[token]
        depth = 0
        while token > 0 and (depth or self.kinds[token] != DOLLAR):
            kind = self.kinds[token]
            if kind == RBRACE:
                depth += 1
            elif depth and (kind == LBRACE or kind == DOLLAR):
                depth -= 1
            token -= 1
        begin = self.starts[token]
        fix = Fix("Insert `}`", [Edit(end, end, "}")])
        self.problems.append(Problem("missing-closer", "expected `}`", end, end, fix, begin, begin + 1))
        self.add(RBRACE, i, i)
        return self.string(i, opener) if mode == IN_STRING else self.indented(i, opener)

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

    def flag_binding(self) -> i64:
        """Flag the first token of the attribute path before the ``=`` just added.

        Answers 0, or where the binding ends if it could be read at once.
        """
        kinds = self.kinds
        i = len(kinds) - 2
        while i >= 0:
            kind = kinds[i]
            if kind == RBRACE or kind == STR_CLOSE:
                opener = self.opening(i)
                if opener < 0:
                    return 0
                i = opener
            elif kind != ID and kind != OR and kind != STRING:
                return 0
            # A path that breaks off at the end of a line ("lib.licenses.") is not part of this one.
            if i == 0 or kinds[i - 1] != DOT or self.data.find(b"\n", self.ends[i - 1], self.starts[i]) >= 0:
                kinds[i] = kinds[i] | BINDING
                return self.read_ahead(self.starts[i], i)
            i -= 2
        return 0

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
