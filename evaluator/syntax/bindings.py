"""Reading bindings, and what holds them: sets, ``let``, ``inherit``."""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluator.syntax.duplicates import check_bindings, needs_check
from evaluator.syntax.pieces import PieceReader
from evaluator.syntax.problems import Edit, Fix
from evaluator.syntax.reader import BRACKET, MAX_DEPTH, GiveUp
from evaluator.syntax.reuse import moved
from evaluator.syntax.strings import is_static
from evaluator.syntax.tokens import (
    ASSERT,
    ASSIGN,
    BINDING,
    COLON,
    COMMA,
    DOLLAR,
    DOT,
    EQUAL,
    ID,
    IF,
    IN,
    INHERIT,
    LBRACE,
    LET,
    LPAREN,
    OR,
    RBRACE,
    READY,
    RPAREN,
    SEMICOLON,
    STARTS_SIMPLE,
    STR_OPEN,
    STRING,
    WITH,
    spell,
)
from evaluator.syntax.tree import (
    AttrBinding,
    AttrPath,
    AttrSet,
    Binding,
    Expr,
    Inherit,
    LegacyLet,
    Let,
    Missing,
    Name,
    Node,
)

if TYPE_CHECKING:
    from mypy_extensions import i64

#: A path of more tokens is not found again from its end (see ``Lexer.flag_binding``).
_LONG_PATH: Final = 100


class BindingReader(PieceReader):
    """Reads bindings; the parser adds the expressions."""

    def parse_set(self, start: int, recursive: bool) -> Expr:
        """``{ … }``; ``start`` is where it or its ``rec`` starts, the brace is at hand."""
        bindings, end = self.parse_braces()
        return AttrSet(start - self.base, end - self.base, bindings, recursive)

    def parse_legacy_let(self) -> Expr:
        """``let { … }``."""
        start = self.here()
        self.advance()
        bindings, end = self.parse_braces()
        return LegacyLet(start - self.base, end - self.base, bindings)

    def parse_braces(self) -> tuple[list[Binding], int]:
        """``{ … }`` whose brace is at hand: its bindings, and where it ends (absolute)."""
        brace = self.here()
        self.depth += BRACKET
        if self.depth > self.deepest:
            self.deepened()
        self.advance()
        self.open_braces += 1
        bindings = self.parse_bindings(RBRACE, brace)
        end = self.close_set(brace)
        self.open_braces -= 1
        self.depth -= BRACKET
        return bindings, end

    def close_set(self, brace: int) -> int:
        """The ``}`` of the set whose ``{`` stands at ``brace``; answers where it ends (absolute)."""
        if self.withheld != self.i:
            return self.close(RBRACE, brace)
        self.withheld = -1
        return self.unclosed(RBRACE, brace)

    def parse_let(self) -> Expr:
        """``let … in body``."""
        start = self.here()
        self.advance()
        self.open_lets += 1
        bindings = self.parse_bindings(IN, start)
        self.check_let(bindings)
        self.open_lets -= 1
        if self.kind == IN:
            self.advance()
        else:
            self.fail_missing("expected-token", "expected `in`", "\nin")
            if self.at_sync():
                body: Expr = self.missing()
                return Let(start - self.base, body.end, bindings, body)
        body = self.parse_expr()
        return Let(start - self.base, body.end, bindings, body)

    def check_let(self, bindings: list[Binding]) -> None:
        """``let`` takes no computed names."""
        for binding in bindings:
            if isinstance(binding, AttrBinding):
                step = binding.path.steps[0]
                if not isinstance(step, Name) and not is_static(step) and not isinstance(step, Missing):
                    at = self.base + binding.start
                    self.report(
                        "dynamic-in-let",
                        "`let` takes no attribute names that must be computed",
                        at + step.start,
                        at + step.end,
                    )

    def parse_bindings(self, closer: i64, opener: int) -> list[Binding]:
        """Bindings up to (not including) ``closer``; ``opener`` is where the construct started (absolute)."""
        base = self.base
        bindings: list[Binding] = []
        try:
            if self.recover:
                self.recover_bindings(bindings, closer, opener)
            else:
                shallow = self.lexer.shallow
                while self.kind != closer:
                    if self.next_shallow < len(shallow):
                        self.check_indent(opener)
                    self.next_binding(bindings)
        except GiveUp:
            self.kept.append((bindings, base))
            raise
        if needs_check(self.text, bindings, base, self.lexer.checked):
            check_bindings(self.text, bindings, base, self.problems)
        return bindings

    def parse_neighbours(self, into: list[Binding]) -> None:
        """Bindings as long as they are solid (strict reading only); what encloses them is not known."""
        try:
            kind = self.kind
            while (
                kind == ID
                or kind == INHERIT
                or kind >= BINDING
                or kind == STRING
                or kind == STR_OPEN
                or kind == DOLLAR
                or kind == OR
            ):
                self.next_binding(into)
                if into[-1].height < 0:
                    break
                kind = self.kind
        except GiveUp:
            self.kept.append((into, 0))
            raise

    def next_binding(self, bindings: list[Binding]) -> None:
        """The binding at hand, strictly."""
        kind = self.kind
        if kind == ID or kind == STRING or kind == DOLLAR or kind == STR_OPEN or kind == OR:
            bindings.append(self.parse_binding())
        elif kind == INHERIT:
            bindings.append(self.parse_inherit())
        elif kind == READY:
            self.take_ready(bindings)
        else:
            raise GiveUp

    def check_indent(self, opener: int) -> None:
        """Note it when the binding at hand is indented no deeper than the line of the ``{`` at ``opener``."""
        here = self.here()
        places = self.lexer.shallow
        while self.next_shallow < len(places) and places[self.next_shallow] < here:
            self.next_shallow += 1
        if (
            self.next_shallow < len(places)
            and places[self.next_shallow] == here
            and self.lexer.shallow_in[self.next_shallow] == opener
        ):
            if opener > self.doubted_at:
                self.doubted_at = opener

    def recover_bindings(self, bindings: list[Binding], closer: i64, opener: int) -> None:
        """Bindings up to ``closer``, in broken text."""
        indent = self.line_indent(opener)
        first_indent = -1
        while True:
            kind = self.kind
            if kind == closer:
                if closer == RBRACE and self.is_stray_brace(indent):
                    self.skip_stray_brace()
                    continue
                if closer == RBRACE and self.closes_outer_set(indent):
                    self.withheld = self.i
                return
            if kind >= BINDING and self.belongs_outside(opener, indent, first_indent):
                return
            if kind == SEMICOLON and closer == RBRACE and first_indent > indent and self.column() == indent:
                return  # all that is left of `};`
            if first_indent == -1:
                if self.line_start(self.here()) <= opener:
                    first_indent = -2
                else:
                    first_indent = self.line_indent(self.here())
            if kind == READY:
                self.take_ready(bindings)
            elif kind == INHERIT:
                bindings.append(self.parse_inherit())
            elif kind >= BINDING or kind == ID or kind == STRING or kind == DOLLAR or kind == STR_OPEN or kind == OR:
                bindings.append(self.parse_binding())
            elif closer == RBRACE and self.brace_balance() > 0 and not self.is_outermost() and self.is_wrong_closer():
                return
            elif self.is_keyword(kind) and self.kinds[self.i + 1] == ASSIGN:
                bindings.append(self.parse_binding())
            elif not self.skip_in_bindings(bindings, closer):
                return

    def skip_stray_brace(self) -> None:
        """Step over a ``}`` too many, and its ``;``."""
        start = self.here()
        end = self.ends[self.i]
        self.advance()
        if self.kind == SEMICOLON:
            end = self.ends[self.i]
            self.advance()
        self.fail("unexpected-token", "unexpected `}`", start, end, Fix("Remove it", [Edit(start, end, "")]))

    def take_ready(self, bindings: list[Binding]) -> None:
        """Bindings that need not be read again."""
        start = self.here()
        run = self.lexer.ready[start]
        by = run.base - self.base
        outer = self.depth
        for index in range(run.first, run.stop):
            binding = run.bindings[index]
            self.depth = outer + binding.height
            if self.depth > self.deepest:
                self.deepest = self.depth
                if self.depth > MAX_DEPTH:
                    self.depth = outer
                    self.too_deep(run.start_of(index))
                    return
            bindings.append(binding if by == 0 else moved(binding, by))
        self.depth = outer
        self.advance()

    def skip_in_bindings(self, bindings: list[Binding], closer: i64) -> bool:
        """Step over what is no binding; false when the bindings end here."""
        kind = self.kind
        if kind == SEMICOLON:
            self.fail_superfluous("unexpected-token", "unexpected `;`")
            self.advance()
            return True
        if self.at_sync():
            return False
        if closer == IN and (STARTS_SIMPLE[kind] or kind == LET or kind == IF or kind == WITH or kind == ASSERT):
            return False
        self.fail_here("unexpected-token", f"unexpected {spell(kind)}: expected a binding")
        if STARTS_SIMPLE[kind]:
            bindings.append(self.parse_nameless())
        else:
            self.advance()
        return True

    def parse_nameless(self) -> Binding:
        """An expression where a binding was due: it stays in the tree as the value of one without a name."""
        start = self.here()
        outer = self.base
        self.base = start
        value = self.parse_select()
        end = start + value.end
        if self.kind == SEMICOLON:
            end = self.ends[self.i]
            self.advance()
        self.base = outer
        return AttrBinding(start - outer, end - outer, AttrPath(0, 0, [Missing(0, 0)]), value)

    def parse_binding(self) -> Binding:
        """``path = value;``"""
        start = self.starts[self.i]
        outer = self.base
        outer_deepest = self.deepest
        self.deepest = self.depth
        self.base = start
        try:
            first = self.i
            path = self.parse_attrpath(False)
            if self.i > first + 1 and not self.recover and not self.is_plain_path(first):
                self.doubted_at = start
            value: Expr
            if self.kind == ASSIGN:
                self.advance()
                if self.kind == ASSIGN:
                    self.fail_superfluous("unexpected-token", "unexpected `=`")
                    self.advance()
                value = self.parse_expr()
            else:
                value = self.parse_value_without_assign()
            end: int
            if self.kind == SEMICOLON:
                end = self.ends[self.i]
                self.advance()
            else:
                if self.recover and not (isinstance(value, Missing) and self.newline_before()):
                    value = self.with_junk(value, False)
                end = self.end_binding()
        except GiveUp:
            self.failed.append(start)
            raise
        height = self.height(start)
        if self.deepest < outer_deepest:
            self.deepest = outer_deepest
        self.base = outer
        return AttrBinding(start - outer, end - outer, path, value, height)

    def is_plain_path(self, first: i64) -> bool:
        """Whether the attribute path from the token ``first`` to the current one is easily found from its end."""
        if self.i - first > _LONG_PATH:
            return False
        index = first
        while index < self.i:
            kind = self.kinds[index]
            if kind == SEMICOLON or kind == LBRACE or kind == READY:
                return False
            index += 1
        return True

    def height(self, start: int) -> int:
        """The height of the binding that has just been read, -1 if it is not solid."""
        if self.recover:
            return -1
        if self.doubted_at >= start:
            return -1
        return self.deepest - self.depth

    def parse_value_without_assign(self) -> Expr:
        """The ``=`` of a binding is missing: guess whether its value is there."""
        if not self.recover:
            raise GiveUp
        if self.kind == COLON or self.kind == EQUAL:
            start = self.here()
            end = self.ends[self.i]
            sign = " =" if start == self.previous_end() else "="
            self.advance()
            if self.kind == ASSIGN and self.here() == end:  # `:=`
                end = self.ends[self.i]
                self.advance()
            self.fail("expected-token", "expected `=`", start, end, Fix("Write `=`", [Edit(start, end, sign)]))
            return self.parse_expr()
        if self.kind != SEMICOLON and self.at_sync():
            self.fail_missing("expected-token", "expected `=` and a value", "")
            return self.missing()
        self.fail_missing("expected-token", "expected `=`", " =")
        if (STARTS_SIMPLE[self.kind] and not self.newline_before()) or self.kind == LET:
            return self.parse_expr()
        return self.missing()

    def end_binding(self) -> int:
        """The ``;`` is missing: answers where the binding ends (absolute)."""
        if not self.recover:
            raise GiveUp
        if self.kind == SEMICOLON:
            end = self.ends[self.i]
            self.advance()
            return end
        if self.is_comma_for_semicolon():
            start = self.here()
            end = self.ends[self.i]
            fix = Fix("Write `;`", [Edit(start, end, ";")])
            self.fail("missing-semicolon", "expected `;`, found `,`", start, end, fix)
            self.advance()
            return end
        self.fail_missing("missing-semicolon", "expected `;`", ";")
        self.hole_end = self.here()
        return self.hole_end

    def parse_inherit(self) -> Binding:
        """``inherit a b;`` and ``inherit (source) a b;``"""
        start = self.here()
        outer = self.base
        outer_deepest = self.deepest
        self.deepest = self.depth
        self.base = start
        try:
            binding = self.parse_inherited(start, outer, outer_deepest)
        except GiveUp:
            self.failed.append(start)
            raise
        self.base = outer
        return binding

    def parse_inherited(self, start: int, outer: int, outer_deepest: i64) -> Binding:
        """An ``inherit`` at ``start``; the other two are ``base`` and ``deepest`` of what is around it."""
        self.advance()
        source: Expr | None = None
        if self.kind == LPAREN:
            opener = self.here()
            self.depth += 1
            self.advance()
            self.open_parens += 1
            source = self.parse_expr()
            self.depth -= 1
            if self.kind != RPAREN:
                source = self.with_junk(source, True)
            self.close(RPAREN, opener)
            self.open_parens -= 1
        names: list[Node] = []
        while True:
            kind = self.kind
            if kind == ID or kind == OR:
                begin = self.here()
                end = self.ends[self.i]
                names.append(Name(begin - start, end - start, self.text[begin:end]))
                self.advance()
            elif kind == STRING or kind == STR_OPEN or kind == DOLLAR:
                names.append(self.inherited_name(self.parse_step(False)))
            elif self.recover and kind == COMMA:
                self.fail_superfluous("unexpected-token", "unexpected `,`: `inherit` takes names side by side")
                self.advance()
            elif self.recover and kind == DOT:
                self.fail_here("unexpected-token", "unexpected `.`: `inherit` takes plain names, `inherit (a) b`")
                self.advance()
            else:
                break
        if self.kind == SEMICOLON:
            end = self.ends[self.i]
            self.advance()
        else:
            if self.recover:
                self.with_junk(Missing(0, 0), False)
            end = self.end_binding()
        height = self.height(start)
        if self.deepest < outer_deepest:
            self.deepest = outer_deepest
        return Inherit(start - outer, end - outer, source, names, height)
