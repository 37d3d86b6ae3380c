"""Reading tokens one by one: what is at hand, what is wrong with it, and what it could belong to.

The parser builds on this. Nothing here knows how a construct is put together; the
questions at the end are those which only broken text raises.
"""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluator.syntax.interlude import AT_ONCE, INTERLUDE
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.tokens import (
    ASSERT,
    AT,
    BINDING,
    COLON,
    COMMA,
    DOLLAR,
    ELLIPSIS,
    ELSE,
    EOF,
    ID,
    IF,
    IN,
    INHERIT,
    LBRACE,
    LBRACKET,
    LET,
    LPAREN,
    MINUS,
    NOT,
    QUESTION,
    RBRACE,
    RBRACKET,
    READY,
    REC,
    RPAREN,
    SEMICOLON,
    STARTS_SIMPLE,
    STRING,
    THEN,
    WITH,
    spell,
)
from evaluator.syntax.tree import Binding, Expr, Missing

if TYPE_CHECKING:
    from mypy_extensions import i64

#: How long a chain of operators or arguments may be, and how deeply constructs may be nested, each of which counts
#: for several levels: compiled, reading needs less than 512 KiB of stack. No tree is higher than a small
#: multiple of it, so recursion over trees is safe.
MAX_DEPTH: Final = 2500
#: The levels that an expression of any kind inside another counts for.
NESTING: Final = 4
#: Those that a list or set counts for, and an interpolation or a sign.
BRACKET: Final = 3
SIGN: Final = 2

_FAR: Final = 1 << 60  # beyond every text


class GiveUp(Exception):
    """The strict reading has met its first fault."""


class Reader:
    """A place in a run of tokens. Offsets in nodes are relative to ``base``, all others are absolute."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer: Final = lexer
        self.text: Final = lexer.text
        self.recover: Final = lexer.recover
        self.kinds: Final = lexer.kinds
        self.starts: Final = lexer.starts
        self.ends: Final = lexer.ends
        self.begin: int = lexer.begin
        self.problems: Final = lexer.problems
        self.doubts: Final = lexer.doubts
        self.i: i64 = 0
        # From here on the lexer must be asked for more tokens.
        self.loaded: i64 = 0
        self.load()
        self.kind: i64 = self.kinds[0]
        self.base: int = 0
        self.depth: i64 = 0
        # The greatest depth there has been in the binding being read.
        self.deepest: i64 = 0
        self.too_high: bool = False
        # What is open around the current token and waits for its closer.
        self.open_parens: i64 = 0
        self.open_brackets: i64 = 0
        self.open_braces: i64 = 0
        self.open_lets: i64 = 0
        self.open_ifs: i64 = 0
        # Whether bindings are read that no brace was opened for.
        self.loose: i64 = 0
        self.stopped: bool = False
        # Where the last hole or unclosed construct ends: always at the start of a token.
        self.hole_end: int = -1
        # Where something was last said to be missing: once is enough for one place.
        self.missed_at: int = -1
        self.broken_formals: set[int] | None = None
        # A binding that starts at or before this place and has been read up to here is not solid.
        self.doubted_at: int = -1
        # The next of the lexer's doubts and shallow lines.
        self.next_doubt: i64 = 0
        self.next_shallow: i64 = 0
        # Whether to give up as soon as the binding being read cannot be solid any more.
        self.hasty: bool = False
        # What the strict reading leaves when it gives up: finished neighbours of what it was reading, with what
        # their offsets are relative to; and where the bindings start that it was in, the innermost first.
        self.kept: Final[list[tuple[list[Binding], int]]] = []
        self.failed: Final[list[int]] = []
        # A `}` (by its token) that the set at hand leaves to one around it.
        self.withheld: i64 = -1
        # How many more sets are opened than closed in the whole text, when that is known.
        self.open_at_end: int = 0
        self.open_known: bool = False
        # The line that was looked at last: where it starts, up to where that is known.
        self.line_from: int = 0
        self.line_known: int = 0

    def advance(self) -> None:
        if self.kind != EOF:
            self.i += 1
            if self.i >= self.loaded:
                self.load()
            self.kind = self.kinds[self.i]

    def load(self) -> None:
        """Have more tokens scanned: three beyond the current one are always there to be looked at."""
        lexer = self.lexer
        while not lexer.finished and self.i >= self.loaded:
            more = len(self.kinds) + 64
            if more > AT_ONCE:
                more = AT_ONCE
                pause = INTERLUDE.pause
                if pause is not None:
                    pause()
            lexer.run(more)
            self.loaded = len(self.kinds) - 3
        if lexer.finished:
            self.loaded = _FAR

    def here(self) -> int:
        """Where the current token starts (absolute)."""
        return self.starts[self.i]

    def previous_end(self) -> int:
        """Where the token before the current one ends (absolute)."""
        if self.i == 0:
            return self.begin
        return self.ends[self.i - 1]

    def reached(self) -> int:
        """Where a construct that ends before the current token ends (absolute), a hole at its end included."""
        if self.hole_end == self.here():
            return self.hole_end
        return self.previous_end()

    def newline_before(self) -> bool:
        """Whether the current token starts a line of its own."""
        return self.text.find("\n", self.previous_end(), self.here()) >= 0

    def passed_string(self) -> None:
        """A string has been read: see (strict reading only) whether it reaches further than was meant."""
        places = self.doubts
        while self.next_doubt < len(places) and places[self.next_doubt] < self.here():
            opener = self.lexer.doubted[self.next_doubt]
            if opener > self.doubted_at:
                self.doubted_at = opener
            self.next_doubt += 1
            if self.hasty:
                raise GiveUp

    # Problems.

    def report(self, code: str, message: str, start: int, end: int, fix: Fix | None = None) -> None:
        """Note a problem and go on; the tree is still the one that Nix would build, or there is no other."""
        if not self.stopped:
            self.problems.append(Problem(code, message, start, end, fix))

    def fail(self, code: str, message: str, start: int, end: int, fix: Fix | None = None) -> None:
        """Note a problem that needs recovery: the strict reading ends here."""
        if not self.recover:
            raise GiveUp
        self.report(code, message, start, end, fix)

    def fail_here(self, code: str, message: str) -> None:
        """As :meth:`fail`, at the current token."""
        if self.kind == EOF:
            end = self.previous_end()
            self.fail(code, message, end, end)
        elif self.kind == READY:
            run = self.lexer.ready[self.here()]
            self.fail(code, message, self.here(), run.end_of_name())
        else:
            self.fail(code, message, self.here(), self.ends[self.i])

    def fail_superfluous(self, code: str, message: str) -> None:
        """As :meth:`fail_here`, for a token that has only to go."""
        start = self.here()
        end = self.ends[self.i]
        # What stands on both sides must not grow together.
        apart = start > 0 and end < len(self.text) and not self.text[start - 1].isspace()
        apart = apart and (self.text[end].isalnum() or self.text[end] in "_\"'./~-")
        self.fail(code, message, start, end, Fix("Remove it", [Edit(start, end, " " if apart else "")]))

    def fail_missing(self, code: str, message: str, insert: str) -> None:
        """As :meth:`fail`, after the previous token, where ``insert`` is missing ("" when no text would do).

        Nothing is reported where something else is missing already: that comes first.
        """
        if not self.recover:
            raise GiveUp
        end = self.previous_end()
        if end == self.missed_at:
            return
        self.missed_at = end
        fix: Fix | None = None
        if insert:
            fix = Fix(f"Insert `{insert.strip()}`", [Edit(end, end, insert)])
        self.report(code, message, end, end, fix)

    def deepened(self) -> None:
        """``depth`` is greater than ever in this binding: see that it does not become too great."""
        self.deepest = self.depth
        if self.depth > MAX_DEPTH:
            self.too_deep(self.here())

    def too_deep(self, start: int) -> None:
        """Stop reading: everything from ``start`` (absolute) on is skipped."""
        if not self.recover:
            self.too_high = True
            raise GiveUp
        if not self.stopped:
            end = min(start + 1, len(self.text))
            self.report("nesting-too-deep", "nested too deeply: reading stops here", start, end)
        self.stopped = True
        self.i = len(self.kinds) - 1
        self.kind = EOF

    def missing(self) -> Missing:
        """A hole up to the current token."""
        start = self.reached()
        self.hole_end = self.here()
        return Missing(start - self.base, self.hole_end - self.base)

    def missing_expression(self) -> Expr:
        """The hole where an expression was due."""
        if self.kind == EOF:
            found = "end of file"
        elif self.kind >= BINDING:
            found = "a binding"
        else:
            found = spell(self.kind)
        self.fail_missing("expected-expression", f"expected an expression, found {found}", "")
        return self.missing()

    # What the current token can do.

    def at_sync(self) -> bool:
        """Whether something around the current place waits for the current token."""
        kind = self.kind
        if kind >= BINDING or kind == SEMICOLON or kind == EOF or kind == INHERIT:
            return True
        if kind == RBRACE:
            return self.open_braces > 0
        if kind == RPAREN:
            return self.open_parens > 0
        if kind == RBRACKET:
            return self.open_brackets > 0
        if kind == IN:
            return self.open_lets > 0
        if kind == THEN or kind == ELSE:
            return self.open_ifs > 0
        return False

    def could_start_expression(self) -> bool:
        kind = self.kind
        return (
            STARTS_SIMPLE[kind] != 0
            or kind == LET
            or kind == IF
            or kind == WITH
            or kind == ASSERT
            or kind == NOT
            or kind == MINUS
        )

    def unparenthesised(self) -> bool:
        """Whether a keyword starts an expression here that would need parentheses (tolerant reading only)."""
        kind = self.kind
        return kind == LET or ((kind == IF or kind == WITH or kind == ASSERT) and not self.newline_before())

    def is_lambda_name(self) -> bool:
        """Whether ``x:`` or ``x @ {`` starts here."""
        following = self.kinds[self.i + 1]
        return following == COLON or (following == AT and self.kinds[self.i + 2] == LBRACE)

    def is_stray_semicolon(self) -> bool:
        """Whether the list goes on after the ``;`` at hand."""
        following = self.kinds[self.i + 1]
        return following == RBRACKET or STARTS_SIMPLE[following] != 0

    def is_keyword(self, kind: int) -> bool:
        return kind == REC or kind == LET or IF <= kind <= INHERIT

    def is_formals(self) -> bool:
        """Whether the ``{`` at hand opens formal arguments."""
        kinds = self.kinds
        i = self.i + 1
        kind = kinds[i]
        if kind == ELLIPSIS:
            return True
        if kind == ID:
            kind = kinds[i + 1]
            if kind == COMMA or kind == QUESTION:
                return True
            if kind == RBRACE:
                kind = kinds[i + 2]
                return kind == COLON or kind == AT
        elif kind == RBRACE:
            kind = kinds[i + 1]
            return kind == COLON or kind == AT
        return self.recover and (self.i in self.formals_at())

    def formals_at(self) -> set[int]:
        """The ``{`` tokens that open formal arguments however broken (tolerant reading only).

        They do when ``:`` follows their ``}`` or a comma stands among the names before any ``;``, and no ``:`` or
        ``=`` does.
        """
        found = self.broken_formals
        if found is not None:
            return found
        found = set()
        self.broken_formals = found
        kinds = self.kinds
        # What is open: the token, -1 for what is no brace and -2 for a brace that is known to hold no formals.
        stack: list[int] = []
        halted: set[int] = set()
        size: i64 = len(kinds)
        i: i64 = 0
        while i < size:
            kind: i64 = kinds[i]
            if kind == LBRACE:
                stack.append(i)
            elif kind == DOLLAR or kind == LPAREN or kind == LBRACKET:
                stack.append(-1)
            elif kind == RBRACE or kind == RPAREN or kind == RBRACKET:
                if stack:
                    opener = stack.pop()
                    if kind == RBRACE and opener >= 0:
                        following = kinds[i + 1]
                        if following == COLON or (following == AT and kinds[i + 2] == ID):
                            found.add(opener)
            elif stack and stack[-1] >= 0:
                if kind == COMMA:
                    if stack[-1] not in halted:
                        found.add(stack[-1])
                elif kind == SEMICOLON:
                    halted.add(stack[-1])
                    found.discard(stack[-1])
                elif kind >= BINDING or kind == COLON or kind == INHERIT:
                    found.discard(stack[-1])
                    stack[-1] = -2
            i += 1
        return found

    def is_wrong_closer(self) -> bool:
        """Whether the bracket at hand has been written for another that would fit: ``[ a };``."""
        kind = self.kind
        if kind != RBRACE and kind != RBRACKET and kind != RPAREN:
            return False
        following = self.kinds[self.i + 1]
        if following != SEMICOLON:
            return False
        if kind == RBRACE:
            # The outermost set is never followed by a semicolon and more bindings.
            after = self.kinds[self.i + 2]
            return self.open_braces <= 1 and self.open_lets == 0 and (after >= BINDING or after == INHERIT)
        return (self.open_parens if kind == RPAREN else self.open_brackets) == 0

    def is_semicolon_for_comma(self) -> bool:
        """Whether the ``;`` at hand stands between formal arguments, or behind the last."""
        if self.kind != SEMICOLON:
            return False
        following = self.kinds[self.i + 1]
        if following != ID and following != RBRACE:
            return False
        after = self.kinds[self.i + 2]
        if following == RBRACE:
            return after == COLON or after == AT
        return after == COMMA or after == QUESTION or after == RBRACE or after == SEMICOLON

    def is_comma_for_semicolon(self) -> bool:
        """Whether the ``,`` at hand stands where a binding should have ended: another follows, or a ``}``."""
        if self.kind != COMMA:
            return False
        following = self.kinds[self.i + 1]
        if following == ID or following == STRING:
            after = self.kinds[self.i + 2]
            return after == COLON or after == RBRACE
        return following >= BINDING or following == INHERIT or following == RBRACE

    # Lines and indentation.

    def line_start(self, offset: int) -> int:
        """Where the line of ``offset`` starts. Quick as long as no question goes back before the last."""
        if offset < self.line_known:
            return self.text.rfind("\n", 0, offset) + 1
        found = self.text.rfind("\n", self.line_known, offset)
        if found >= 0:
            self.line_from = found + 1
        self.line_known = offset
        return self.line_from

    def line_indent(self, offset: int) -> int:
        """How many blanks the line of ``offset`` starts with."""
        line = self.line_start(offset)
        i = line
        while i < offset and self.text[i] in " \t":
            i += 1
        return i - line

    def column(self) -> int:
        """How far the current token stands from the start of its line; -1 when it is not the first on it."""
        start = self.here()
        indent = self.line_indent(start)
        if self.line_start(start) + indent != start:
            return -1
        return indent

    def belongs_outside(self, opener: int, indent: int, first_indent: int) -> bool:
        """Whether the binding at hand stands outside the set or let opened at ``opener``, going by indentation.

        ``indent`` is that of the line with the opener, ``first_indent`` that of the first binding's line: -1 when there
        is none yet, -2 when it stands on the line of the opener.
        """
        if self.open_braces + self.open_lets <= 1:
            return False
        column = self.column()
        if column < 0 or column > indent:
            return False
        if first_indent == -1:
            return self.line_start(self.here()) > opener
        return first_indent == -2 or first_indent > column

    def is_deeper(self, opener: int) -> bool:
        """Whether the current token stands on a line indented deeper than that of ``opener``."""
        here = self.here()
        return self.line_start(here) > opener and self.line_indent(here) > self.line_indent(opener)

    def is_outermost(self) -> bool:
        """Whether only one bracket or ``let`` is open."""
        return self.open_braces + self.open_lets + self.open_parens + self.open_brackets + self.loose <= 1

    def closes_outer_set(self, indent: int) -> bool:
        """Whether the ``}`` at hand rather closes a set around the one whose line is indented by ``indent``."""
        if self.open_braces <= 1:
            return False
        column = self.column()
        return 0 <= column < indent and self.brace_balance() > 0

    def brace_balance(self) -> int:
        """How many more sets and interpolations the whole text opens than it closes (tolerant reading only)."""
        if not self.open_known:
            kinds = self.kinds
            opened = kinds.count(LBRACE) + kinds.count(DOLLAR) + kinds.count(DOLLAR | BINDING)
            self.open_at_end = opened - kinds.count(RBRACE)
            self.open_known = True
        return self.open_at_end

    def is_stray_brace(self, indent: int) -> bool:
        """Whether the ``}`` at hand closes nothing: the set goes on after it.

        ``indent`` is that of the line where the set was opened.
        """
        following = self.kinds[self.i + 1]
        if not self.is_outermost():
            return following == SEMICOLON and self.column() > indent and self.brace_balance() < 0
        if following >= BINDING or following == INHERIT:
            return True
        if following != SEMICOLON:
            return False
        after = self.kinds[self.i + 2]
        return after >= BINDING or after == INHERIT or self.column() > indent

    def is_unbraced(self) -> bool:
        """Whether the bindings at hand are those of a set whose ``{`` is missing, in the value of the binding around.

        They are when they are indented deeper than that, and there is a ``}`` too many.
        """
        if self.kind < BINDING and self.kind != INHERIT:
            return False
        return self.brace_balance() < 0 and self.is_deeper(self.base)

    def is_dedented(self) -> bool:
        """Whether the current token starts a line that is indented less than the binding around it."""
        column = self.column()
        if column < 0 or self.base == 0:
            return False
        indent = self.line_indent(self.base)
        return column < indent and self.line_start(self.base) + indent == self.base
