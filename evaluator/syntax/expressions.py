"""Reading expressions: recursive descent, precedence climbing for the operators.

**How the tolerant reading finds its way back.** Every construct that is still
open can end before a token that starts a binding (the lexer has flagged them), and
before a closing bracket, ``;`` or keyword that something around it waits for.
Indentation decides which of several braces is the missing one. What fits
nowhere is reported and stepped over.
"""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.syntax.bindings import BindingReader
from evaluator.syntax.duplicates import check_formals
from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.reader import BRACKET, NESTING, SIGN, GiveUp
from evaluator.syntax.tokens import (
    ASSERT,
    AT,
    BINDING,
    COLON,
    COMMA,
    DOT,
    ELSE,
    EOF,
    FLOAT,
    ID,
    IF,
    IND_OPEN,
    INDENTED,
    INHERIT,
    INT,
    LBRACE,
    LBRACKET,
    LET,
    LPAREN,
    MINUS,
    NEGATE_OPERAND,
    NOT,
    NOT_OPERAND,
    OR,
    PATH,
    PATH_CLOSE,
    PATH_OPEN,
    PIPE_FROM,
    PIPE_INTO,
    PRECEDENCE,
    QUESTION,
    RBRACE,
    RBRACKET,
    REC,
    RIGHT_PRECEDENCE,
    RPAREN,
    SEARCH_PATH,
    SEMICOLON,
    SPELLING,
    STARTS_SIMPLE,
    STR_OPEN,
    STRING,
    THEN,
    URI,
    WITH,
    spell,
)
from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrSet,
    Binary,
    Broken,
    Expr,
    Formals,
    HasAttr,
    If,
    Lambda,
    ListExpr,
    Missing,
    Name,
    Node,
    Paren,
    Path,
    SearchPath,
    Select,
    Str,
    Text,
    Unary,
    Uri,
    Var,
    With,
)

if TYPE_CHECKING:
    from mypy_extensions import i64


class Parser(BindingReader):
    """One reading of one run of tokens."""

    # Expressions.

    def parse_root(self) -> Expr:
        """The whole text."""
        root = self.parse_top(True)
        if self.kind == EOF:
            return root
        if not self.recover:
            raise GiveUp
        parts: list[Expr] = [root]
        reported = isinstance(root, Missing)
        while self.kind != EOF:
            if self.kind == PATH_CLOSE:
                self.advance()  # of no width, and its path has been spoken of
                continue
            starts = self.kind >= BINDING or self.kind == INHERIT or self.could_start_expression()
            if not starts or not reported:
                self.fail_here("unexpected-token", f"unexpected {spell(self.kind)} after the end of the expression")
            if starts:
                parts.append(self.parse_top(False))
            else:
                self.advance()
            reported = not starts
        if isinstance(root, Missing) and len(parts) > 1:
            parts.pop(0)
        # What has been stepped over is in its range.
        start = min(parts[0].start, self.starts[0])
        end = max(parts[-1].end, self.previous_end())
        if len(parts) == 1 and start == parts[0].start and end == parts[0].end:
            return parts[0]
        return Broken(start, end, parts)

    def parse_top(self, first: bool) -> Expr:
        """An expression, or bindings that no brace was opened for; ``first`` when nothing has been read before."""
        if self.recover and (self.kind >= BINDING or self.kind == INHERIT):
            return self.parse_unbraced() if first else self.parse_loose_bindings()
        return self.parse_expr()

    def parse_unbraced(self) -> Expr:
        """A text that is bindings only."""
        start = self.here()
        at = len(self.problems)
        root = self.parse_loose_bindings()
        end = self.previous_end()
        if not self.stopped:
            newline = "\n" if self.text.find("\n", start, end) >= 0 else " "
            edits = [Edit(start, start, "{" + newline), Edit(end, end, newline + "}")]
            fix = Fix("Put it in braces", edits)
            self.problems.insert(at, Problem("expected-token", "expected `{`", self.begin, self.begin, fix))
        return root

    def parse_loose_bindings(self) -> Expr:
        """Bindings that no brace was opened for."""
        start = self.here() - self.base
        self.loose += 1
        bindings = self.parse_bindings(EOF, self.here())
        self.loose -= 1
        return AttrSet(start, self.reached() - self.base, bindings, False)

    def parse_expr(self) -> Expr:
        """An expression of any kind: one level deeper."""
        self.depth += NESTING
        if self.depth > self.deepest:
            self.deepened()
        kind = self.kind
        following = self.kinds[self.i + 1] if kind == ID else EOF
        if following == COLON or following == AT or (kind == LBRACE and self.is_formals()):
            expr = self.parse_lambda()
        elif kind == LET and self.kinds[self.i + 1] != LBRACE:
            expr = self.parse_let()
        elif kind == IF:
            expr = self.parse_if()
        elif kind == WITH or kind == ASSERT:
            expr = self.parse_prefix()
        else:
            expr = self.parse_op(1)
            if self.kind == PIPE_INTO or self.kind == PIPE_FROM:
                expr = self.parse_pipes(expr)
        self.depth -= NESTING
        return expr

    def parse_pipes(self, first: Expr) -> Expr:
        """``first |> f |> g`` or ``f <| g <| x``, ``first`` already read."""
        base = self.base
        kind = self.kind
        word = SPELLING[kind]
        operands: list[Expr] = [first]
        places: list[int] = []
        outer = self.depth
        while self.kind == PIPE_INTO or self.kind == PIPE_FROM:
            start = self.here()
            end = self.ends[self.i]
            if self.kind != kind:
                self.fail("mixed-pipes", "`|>` and `<|` cannot be mixed without parentheses", start, end)
            elif not places:
                self.report("experimental-pipe", f"`{word}` is an experimental feature of Nix", start, end)
            places.append(start - base)
            self.advance()
            operands.append(self.parse_op(1))
            self.depth += 1
            if self.depth > self.deepest:
                self.deepened()
        self.depth = outer
        if kind == PIPE_INTO:
            left = operands[0]
            for index in range(len(places)):
                right = operands[index + 1]
                left = Binary(left.start, right.end, word, places[index], left, right)
            return left
        right = operands[-1]
        for index in range(len(places) - 1, -1, -1):
            left = operands[index]
            right = Binary(left.start, right.end, word, places[index], left, right)
        return right

    def parse_op(self, minimum: i64) -> Expr:
        """Operators that bind at least as tightly as ``minimum``."""
        kind = self.kind
        if kind == NOT or kind == MINUS:
            left = self.parse_unary()
        else:
            left = self.parse_apply()
        precedence: i64 = PRECEDENCE[self.kind]
        if precedence == 0 or precedence < minimum:
            return left
        outer = self.depth
        while precedence >= minimum and precedence != 0:
            kind = self.kind
            op_start = self.starts[self.i]
            self.depth += 1
            if self.depth > self.deepest:
                self.deepened()
            self.advance()
            if kind == QUESTION:
                path = self.parse_attrpath(True)
                left = HasAttr(left.start, path.end, left, path)
            else:
                right = self.parse_op(RIGHT_PRECEDENCE[kind])
                left = Binary(left.start, right.end, SPELLING[kind], op_start - self.base, left, right)
                if (precedence == 5 or precedence == 6) and PRECEDENCE[self.kind] == precedence:
                    self.fail_here(
                        "non-associative",
                        f"{spell(self.kind)} cannot follow {spell(kind)} without parentheses",
                    )
            precedence = PRECEDENCE[self.kind]
        self.depth = outer
        return left

    def parse_unary(self) -> Expr:
        """``!x`` and ``-x``."""
        start = self.here() - self.base
        kind = self.kind
        self.depth += SIGN
        if self.depth > self.deepest:
            self.deepened()
        self.advance()
        if kind == NOT:
            operand = self.parse_op(NOT_OPERAND)
            result = Unary(start, operand.end, "!", operand)
        else:
            operand = self.parse_op(NEGATE_OPERAND)
            result = Unary(start, operand.end, "-", operand)
        self.depth -= SIGN
        return result

    def parse_apply(self) -> Expr:
        """A function and its arguments."""
        function = self.parse_select()
        if STARTS_SIMPLE[self.kind] == 0 and self.kind != LET and not self.recover:
            return function
        outer = self.depth
        while True:
            if self.recover and (self.kind >= BINDING or self.kind == INHERIT) and self.is_unbraced():
                argument = self.parse_unbraced_value()
            elif self.recover and self.is_dedented():
                break
            else:
                if STARTS_SIMPLE[self.kind] == 0 and not (self.kind == LET and self.kinds[self.i + 1] == LBRACE):
                    if not (self.recover and self.unparenthesised()):
                        break
                argument = self.parse_select()
            function = Apply(function.start, argument.end, function, argument)
            self.depth += 1
            if self.depth > self.deepest:
                self.deepened()
        self.depth = outer
        return function

    def parse_select(self) -> Expr:
        """A simple expression, and what is selected from it."""
        subject = self.parse_simple()
        if self.kind == DOT:
            self.advance()
            path = self.parse_attrpath(True)
            if self.kind == OR:
                self.depth += 1
                if self.depth > self.deepest:
                    self.deepened()
                self.advance()
                default = self.parse_select()
                self.depth -= 1
                return Select(subject.start, default.end, subject, path, default)
            return Select(subject.start, path.end, subject, path, None)
        if self.kind == OR:
            # Old code has a function named "or": `map or xs` applies map to it.
            start = self.here() - self.base
            end = self.ends[self.i] - self.base
            self.advance()
            return Apply(subject.start, end, subject, Var(start, end, "or"))
        return subject

    def parse_simple(self) -> Expr:
        kind = self.kind
        start = self.starts[self.i]
        end = self.ends[self.i]
        base = self.base
        if kind == ID:
            if self.recover and self.is_lambda_name():
                return self.parse_unbracketed()
            self.advance()
            return Var(start - base, end - base, self.text[start:end])
        if kind == LPAREN:
            self.advance()
            self.open_parens += 1
            inner = self.parse_expr()
            if self.kind != RPAREN:
                inner = self.with_junk(inner, True)
            end = self.close(RPAREN, start)
            self.open_parens -= 1
            return Paren(start - base, end - base, inner)
        if kind == LBRACE:
            if self.recover and self.is_formals():
                return self.parse_unbracketed()
            return self.parse_set(start, False)
        if kind == STRING:
            self.advance()
            parts: list[Node] = []
            if end > start + 2:
                parts.append(Text(start + 1 - base, end - 1 - base))
            return Str(start - base, end - base, parts, False)
        if kind == INDENTED:
            self.advance()
            parts = []
            if end > start + 4:
                parts.append(Text(start + 2 - base, end - 2 - base))
                if self.next_doubt < len(self.doubts):
                    self.passed_string()
            return Str(start - base, end - base, parts, True)
        if kind == PATH:
            self.advance()
            return Path(start - base, end - base, [Text(start - base, end - base)])
        if kind == LBRACKET:
            return self.parse_list()
        if kind == STR_OPEN or kind == IND_OPEN or kind == PATH_OPEN:
            return self.parse_parts()
        if kind == INT:
            return self.parse_int()
        if kind == REC:
            self.advance()
            if self.kind != LBRACE:
                self.fail_missing("expected-token", "expected `{` after `rec`", "")
                return AttrSet(start - base, end - base, [], True)
            return self.parse_set(start, True)
        if kind == LET and self.kinds[self.i + 1] == LBRACE:
            return self.parse_legacy_let()
        if kind == SEARCH_PATH:
            self.advance()
            return SearchPath(start - base, end - base, self.text[start + 1 : end - 1])
        if kind == FLOAT:
            return self.parse_float()
        if kind == URI:
            self.advance()
            return Uri(start - base, end - base, self.text[start:end])
        if self.recover:
            if kind == LET or kind == IF or kind == WITH or kind == ASSERT:
                return self.parse_unbracketed()
            if kind == OR:
                self.report("unexpected-token", "`or` is a keyword: it cannot be used as a variable", start, end)
                self.advance()
                return Var(start - base, end - base, "or")
            if self.is_unbraced():
                return self.parse_unbraced_value()
        return self.missing_expression()

    def parse_unbraced_value(self) -> Expr:
        """Bindings where an expression is due (tolerant reading): those of a set whose ``{`` is missing."""
        begin = self.here()
        fix = Fix("Insert `{`", [Edit(begin, begin, "{ ")])
        self.fail("expected-token", "expected `{`", begin, begin, fix)
        start = begin - self.base
        indent = self.line_indent(self.base)
        self.open_braces += 1
        bindings = self.parse_bindings(RBRACE, self.base)
        self.open_braces -= 1
        end = self.reached()
        if self.kind == RBRACE:
            column = self.column()
            if column < 0 or column >= indent:
                end = self.ends[self.i]
                self.advance()
        self.withheld = -1
        return AttrSet(start, end - self.base, bindings, False)

    def parse_unbracketed(self) -> Expr:
        """A function, ``let``, ``if`` … where only parentheses would let it stand (tolerant reading)."""
        start = self.here()
        at = len(self.problems)
        expr = self.parse_expr()
        end = expr.end + self.base
        problem = Problem(
            "needs-parentheses",
            "this expression needs parentheses around it here",
            start,
            end,
            Fix("Put it in parentheses", [Edit(start, start, "("), Edit(end, end, ")")]),
        )
        if not self.stopped:
            self.problems.insert(at, problem)
        return expr

    def parse_list(self) -> Expr:
        start = self.here()
        items: list[Expr] = []
        self.depth += BRACKET
        if self.depth > self.deepest:
            self.deepened()
        self.advance()
        self.open_brackets += 1
        while True:
            if STARTS_SIMPLE[self.kind] or (self.kind == LET and self.kinds[self.i + 1] == LBRACE):
                items.append(self.parse_select())
            elif self.kind == RBRACKET or not self.recover or self.is_wrong_closer():
                break
            elif self.kind == OR or self.unparenthesised():
                items.append(self.parse_select())
            elif (self.kind == MINUS or self.kind == NOT) and STARTS_SIMPLE[self.kinds[self.i + 1]]:
                items.append(self.parse_signed_item())
            elif self.kind >= BINDING and self.is_deeper(start):
                items.append(self.parse_unbraced_item(start))
            elif self.at_sync():
                if self.kind != SEMICOLON or not self.is_stray_semicolon():
                    break
                self.fail_superfluous("unexpected-token", "unexpected `;`: the items of a list stand side by side")
                self.advance()
            elif self.kind == COMMA:
                self.fail_superfluous("unexpected-token", "unexpected `,`: the items of a list stand side by side")
                self.advance()
            else:
                self.fail_here("unexpected-token", f"unexpected {spell(self.kind)} in a list")
                self.advance()
        end = self.close(RBRACKET, start)
        self.open_brackets -= 1
        self.depth -= BRACKET
        return ListExpr(start - self.base, end - self.base, items)

    def parse_unbraced_item(self, bracket: int) -> Expr:
        """Bindings in the list opened at ``bracket`` (absolute)."""
        at = len(self.problems)
        begin = self.here()
        start = begin - self.base
        bindings = self.parse_bindings(RBRACKET, bracket)
        expr = AttrSet(start, self.reached() - self.base, bindings, False)
        end = self.previous_end()
        fix = Fix("Put it in braces", [Edit(begin, begin, "{ "), Edit(end, end, " }")])
        if not self.stopped:
            problem = Problem("expected-token", "expected `{`: a list holds no bindings", begin, begin, fix)
            self.problems.insert(at, problem)
        return expr

    def parse_signed_item(self) -> Expr:
        """``-1`` in a list, where it needs parentheses."""
        start = self.here()
        sign = SPELLING[self.kind]
        self.depth += SIGN
        self.advance()
        operand = self.parse_select()
        self.depth -= SIGN
        expr = Unary(start - self.base, operand.end, sign, operand)
        end = expr.end + self.base
        self.report(
            "needs-parentheses",
            "an item with a sign needs parentheses around it",
            start,
            end,
            Fix("Put it in parentheses", [Edit(start, start, "("), Edit(end, end, ")")]),
        )
        return expr

    # Functions and prefixes.

    def parse_lambda(self) -> Expr:
        """``x: …``, ``{ … }: …``, ``{ … } @ x: …``, ``x @ { … }: …``"""
        start = self.here()
        base = self.base
        name: Name | None = None
        formals: Formals | None = None
        if self.kind == ID:
            name = self.parse_name()
            if self.kind == AT:
                self.advance()
                if self.kind == LBRACE:
                    formals = self.parse_formals()
                else:
                    self.fail_missing("expected-token", "expected `{` after `@`", "")
        else:
            formals = self.parse_formals()
            if self.kind == AT:
                self.advance()
                if self.kind == ID:
                    name = self.parse_name()
                else:
                    self.fail_missing("missing-name", "expected a name after `@`", "")
        if self.kind == COLON:
            self.advance()
        else:
            self.fail_missing("expected-token", "expected `:`", ":")
            if self.at_sync() or not self.could_start_expression():
                body: Expr = self.missing()
                return Lambda(start - base, body.end, name, formals, body)
        if formals is not None:
            check_formals(formals, name, base, self.problems)
        body = self.parse_expr()
        return Lambda(start - base, body.end, name, formals, body)

    def parse_prefix(self) -> Expr:
        """``with …; body`` and ``assert …; body``"""
        start = self.here()
        kind = self.kind
        self.advance()
        head = self.parse_expr()
        if self.kind == SEMICOLON and self.recover and self.ends_binding_early():
            message = f"expected `;` and an expression after {spell(kind)}"
            self.fail_missing("expected-expression", message, "")
            body: Expr = self.missing()
        elif self.kind == SEMICOLON:
            self.advance()
            body = self.parse_expr()
        else:
            self.fail_missing("missing-semicolon", f"expected `;` after {spell(kind)}", ";")
            if self.at_sync() or not self.could_start_expression():
                body = self.missing()
            else:
                body = self.parse_expr()
        if kind == WITH:
            return With(start - self.base, body.end, head, body)
        return Assert(start - self.base, body.end, head, body)

    def ends_binding_early(self) -> bool:
        """Whether the ``;`` at hand rather ends the binding around: another follows."""
        following = self.kinds[self.i + 1]
        return following >= BINDING or following == INHERIT

    def parse_if(self) -> Expr:
        """``if … then … else …``"""
        start = self.here()
        self.advance()
        self.open_ifs += 1
        condition = self.parse_expr()
        if self.kind == THEN:
            self.advance()
            yes = self.parse_expr()
        else:
            self.fail_missing("expected-token", "expected `then`", " then")
            if self.kind == ELSE or not self.could_start_expression():
                yes = self.missing()
            else:
                yes = self.parse_expr()
        self.open_ifs -= 1
        if self.kind == ELSE:
            self.advance()
            no = self.parse_expr()
        else:
            self.fail_missing("expected-token", "expected `else`", " else")
            no = self.missing()
        return If(start - self.base, no.end, condition, yes, no)
