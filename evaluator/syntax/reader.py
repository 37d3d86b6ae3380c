"""Reading tokens one by one: what is at hand, what is wrong with it, and what it could belong to.

The parser builds on this. Nothing here knows how a construct is put together; the
questions at the end are those which only broken text raises.
"""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    REC,
    RPAREN,
    SEMICOLON,
    STARTS_SIMPLE,
    THEN,
    WITH,
    spell,
)
from evaluator.syntax.tree import Binding, Expr, Missing

if TYPE_CHECKING:
    from mypy_extensions import i64

#: How deeply constructs may be nested, and how long a chain of operators or arguments
#: may be. No tree is higher than a small multiple of it, so recursion over trees is safe.
MAX_DEPTH: Final = 2500


class GiveUp(Exception):
    """The strict reading has met its first fault."""


class Reader:
    """A place in a run of tokens. Offsets in nodes are relative to ``base``, all others are absolute."""

    def __init__(self, lexer: Lexer) -> None:
        self.text: Final = lexer.text
        self.recover: Final = lexer.recover
        self.kinds: Final = lexer.kinds
        self.starts: Final = lexer.starts
        self.ends: Final = lexer.ends
        self.begin: int = lexer.begin
        self.problems: Final = lexer.problems
        self.i: i64 = 0
        self.kind: i64 = self.kinds[0]
        self.base: int = 0
        self.depth: i64 = 0
        # What is open around the current token and waits for its closer.
        self.open_parens: i64 = 0
        self.open_brackets: i64 = 0
        self.open_braces: i64 = 0
        self.open_lets: i64 = 0
        self.open_ifs: i64 = 0
        self.stopped: bool = False
        # Where the last hole or unclosed construct ends: always at the start of a token.
        self.hole_end: int = -1
        self.broken_formals: set[int] | None = None

    def advance(self) -> None:
        if self.kind != EOF:
            self.i += 1
            self.kind = self.kinds[self.i]

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
        """As :meth:`fail`, after the previous token, where ``insert`` is missing ("" when no text would do)."""
        if not self.recover:
            raise GiveUp
        end = self.previous_end()
        fix: Fix | None = None
        if insert:
            fix = Fix(f"Insert `{insert.strip()}`", [Edit(end, end, insert)])
        self.report(code, message, end, end, fix)

    def too_deep(self) -> None:
        """Stop reading: everything from here on is skipped."""
        self.fail_here("nesting-too-deep", f"nested more than {MAX_DEPTH} levels deep: reading stops here")
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

        They do when ``:`` follows their ``}`` or a comma stands among the names, and no ``;``, ``:`` or ``=`` does.
        """
        found = self.broken_formals
        if found is not None:
            return found
        found = set()
        self.broken_formals = found
        kinds = self.kinds
        # What is open: the token, -1 for what is no brace and -2 for a brace that is known to hold no formals.
        stack: list[int] = []
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
                    found.add(stack[-1])
                elif kind >= BINDING or kind == SEMICOLON or kind == COLON or kind == INHERIT:
                    found.discard(stack[-1])
                    stack[-1] = -2
            i += 1
        return found

    # Indentation.

    def line_indent(self, offset: int) -> int:
        """How many blanks the line of ``offset`` starts with."""
        line = self.text.rfind("\n", 0, offset) + 1
        i = line
        while i < offset and self.text[i] in " \t":
            i += 1
        return i - line

    def column(self) -> int:
        """How far the current token stands from the start of its line; -1 when it is not the first on it."""
        start = self.here()
        indent = self.line_indent(start)
        if self.text.rfind("\n", 0, start) + 1 + indent != start:
            return -1
        return indent

    def belongs_outside(self, opener: int, bindings: list[Binding]) -> bool:
        """Whether the binding at hand stands outside the set or let opened at ``opener``, going by indentation."""
        if self.open_braces + self.open_lets <= 1:
            return False
        column = self.column()
        if column < 0:
            return False
        if column > self.line_indent(opener):
            return False
        if not bindings:
            return self.text.find("\n", opener, self.here()) >= 0 and column <= self.line_indent(opener)
        first = bindings[0].start + self.base
        return self.line_indent(first) > column or self.text.find("\n", opener, first) < 0

    def is_stray_brace(self, opener: int) -> bool:
        """Whether the ``}`` at hand closes nothing: the outermost set goes on after it."""
        if self.open_braces + self.open_lets + self.open_parens + self.open_brackets > 1:
            return False
        following = self.kinds[self.i + 1]
        if following >= BINDING or following == INHERIT:
            return True
        return following == SEMICOLON and self.column() > self.line_indent(opener)
