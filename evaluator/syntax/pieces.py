"""Reading the small things: numbers, strings, paths, names, formal arguments, closing brackets."""

# Chains of == compare small integers without building a tuple first.
# ruff: noqa: SIM109

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from evaluator.syntax.problems import Edit, Fix, Problem
from evaluator.syntax.reader import SIGN, GiveUp, Reader
from evaluator.syntax.strings import is_static
from evaluator.syntax.tokens import (
    ASSIGN,
    BINDING,
    COLON,
    COMMA,
    DOLLAR,
    DOT,
    ELLIPSIS,
    ID,
    IND_CLOSE,
    IND_OPEN,
    OR,
    PATH_CLOSE,
    PATH_OPEN,
    QUESTION,
    RBRACE,
    SPELLING,
    STARTS_SIMPLE,
    STR_CLOSE,
    STR_OPEN,
    STRING,
    TEXT,
    spell,
)
from evaluator.syntax.tree import (
    AttrPath,
    Broken,
    Expr,
    Float,
    Formal,
    Formals,
    Int,
    Interpolation,
    Missing,
    Name,
    Node,
    Paren,
    Path,
    Str,
    Text,
)

if TYPE_CHECKING:
    from mypy_extensions import i64

_INT_MAX: Final = 9223372036854775807
_FLOAT_MIN: Final = 2.2250738585072014e-308
_INFINITY: Final = float("inf")


class PieceReader(Reader):
    """Reads what expressions are made of; the parser adds the expressions themselves."""

    def parse_expr(self) -> Expr:
        """An expression of any kind; the parser says how."""
        raise NotImplementedError

    def parse_select(self) -> Expr:
        """A simple expression and what is selected from it; the parser says how."""
        raise NotImplementedError

    # Closing what is open.

    def with_junk(self, expr: Expr, in_brackets: bool) -> Expr:
        """``expr`` has been read and should have ended here: report and step over what fits nowhere.

        What could be read of it stays in the tree, beside ``expr``.
        """
        if self.stopped or self.at_sync() or (self.recover and self.is_dedented()):
            return expr
        if self.recover and (self.is_wrong_closer() if in_brackets else self.is_comma_for_semicolon()):
            return expr
        self.fail_here("unexpected-token", f"unexpected {spell(self.kind)}")
        parts: list[Expr] = []
        if not isinstance(expr, Missing):
            parts.append(expr)
        while not self.at_sync() and not self.is_dedented():
            if STARTS_SIMPLE[self.kind]:
                parts.append(self.parse_select())
            else:
                self.advance()
        if not parts:
            return expr
        if len(parts) == 1:
            return parts[0]
        return Broken(parts[0].start, parts[-1].end, parts)

    def close(self, closer: int, opener: int) -> int:
        """Read a closing bracket; answers where the construct ends (absolute). ``opener`` is where it began."""
        if self.kind == closer:
            end = self.ends[self.i]
            self.advance()
            return end
        if not self.recover:
            raise GiveUp
        word = SPELLING[closer]
        if self.is_wrong_closer() and (closer != RBRACE or self.brace_balance() > 0):
            start = self.here()
            end = self.ends[self.i]
            fix = Fix(f"Write `{word}`", [Edit(start, end, word)])
            message = f"expected `{word}`, found {spell(self.kind)}"
            self.problems.append(Problem("missing-closer", message, start, end, fix, opener, opener + 1))
            self.advance()
            return end
        return self.unclosed(closer, opener)

    def unclosed(self, closer: int, opener: int) -> int:
        """A closing bracket is missing; answers as :meth:`close`."""
        word = SPELLING[closer]
        end = self.previous_end()
        if not self.stopped:
            self.problems.append(
                Problem(
                    "missing-closer",
                    f"expected `{word}`",
                    end,
                    end,
                    Fix(f"Insert `{word}`", [Edit(end, end, word)]),
                    opener,
                    opener + 1,
                )
            )
        # What is not closed reaches up to what stopped it, so that a cursor after its last item is inside.
        self.hole_end = self.here()
        return self.hole_end

    # Numbers.

    def parse_int(self) -> Expr:
        start = self.here()
        end = self.ends[self.i]
        value = int(self.text[start:end]) if end - start <= 4000 else _INT_MAX + 1
        if value > _INT_MAX:
            self.report("integer-too-large", "this integer does not fit in 64 bits", start, end)
        self.advance()
        return Int(start - self.base, end - self.base, value)

    def parse_float(self) -> Expr:
        start = self.here()
        end = self.ends[self.i]
        word = self.text[start:end]
        value = float(word)
        tiny = value < _FLOAT_MIN and word.lower().split("e")[0].strip("0.") != ""
        if value == _INFINITY or tiny:
            self.report("float-out-of-range", "this number is out of the range of a float", start, end)
        self.advance()
        return Float(start - self.base, end - self.base, value)

    # Strings and paths.

    def parse_parts(self) -> Expr:
        """A string or path with interpolations, in pieces."""
        opening = self.kind
        start = self.here()
        base = self.base
        closer: i64 = PATH_CLOSE
        if opening == STR_OPEN:
            closer = STR_CLOSE
        elif opening == IND_OPEN:
            closer = IND_CLOSE
        parts: list[Node] = []
        self.advance()
        while True:
            if self.kind == TEXT:
                parts.append(Text(self.here() - base, self.ends[self.i] - base))
                self.advance()
            elif self.kind == DOLLAR:
                parts.append(self.parse_interpolation())
            else:
                break
        end = self.reached()
        if self.kind == closer:
            end = self.ends[self.i]
            self.advance()
        elif not self.recover:
            raise GiveUp
        if opening == PATH_OPEN:
            return Path(start - base, end - base, parts)
        if self.next_doubt < len(self.doubts):
            self.passed_string()
        return Str(start - base, end - base, parts, opening == IND_OPEN)

    def parse_interpolation(self) -> Interpolation:
        """``${expr}``."""
        start = self.here()
        self.depth += SIGN
        self.advance()
        self.open_braces += 1
        expr = self.parse_expr()
        if self.kind != RBRACE:
            expr = self.with_junk(expr, True)
        end = self.close(RBRACE, start)
        self.open_braces -= 1
        self.depth -= SIGN
        return Interpolation(start - self.base, end - self.base, expr)

    # Names.

    def parse_attrpath(self, after_sign: bool) -> AttrPath:
        """``a."b".${c}``, the first step being due here; ``after_sign`` when a ``.`` or ``?`` asked for it."""
        step = self.parse_step(after_sign)
        steps: list[Node] = [step]
        while self.kind == DOT:
            self.advance()
            step = self.parse_step(True)
            steps.append(step)
        return AttrPath(steps[0].start, step.end, steps)

    def parse_step(self, after_sign: bool) -> Node:
        """One step of an attribute path."""
        kind = self.kind & (BINDING - 1)
        start = self.starts[self.i]
        end = self.ends[self.i]
        base = self.base
        if after_sign and start > self.previous_end() and self.newline_before():
            # "x." at the end of a line: in broken text the path does not go on in the next one.
            if self.recover:
                self.fail_missing("missing-name", "expected an attribute name", "")
                return self.missing()
            self.doubted_at = start
        if kind == ID or kind == OR:
            self.advance()
            return Name(start - base, end - base, self.text[start:end])
        if kind == STRING:
            self.advance()
            parts: list[Node] = []
            if end > start + 2:
                parts.append(Text(start + 1 - base, end - 1 - base))
            return Str(start - base, end - base, parts, False)
        if kind == STR_OPEN:
            self.kind = STR_OPEN
            return self.parse_parts()
        if kind == DOLLAR:
            return self.parse_interpolation()
        if not self.recover:
            raise GiveUp
        if self.is_keyword(kind) and (self.previous_end() == start or self.kinds[self.i + 1] == ASSIGN):
            word = self.text[start:end]
            self.report(
                "unexpected-token",
                f"`{word}` is a keyword: as an attribute name it needs quotes",
                start,
                end,
                Fix("Quote it", [Edit(start, end, f'"{word}"')]),
            )
            self.advance()
            return Name(start - base, end - base, word)
        self.fail_missing("missing-name", f"expected an attribute name, found {spell(self.kind)}", "")
        return self.missing()

    def parse_name(self) -> Name:
        """The identifier at hand."""
        start = self.here()
        end = self.ends[self.i]
        self.advance()
        return Name(start - self.base, end - self.base, self.text[start:end])

    def inherited_name(self, name: Node) -> Node:
        """A name of an ``inherit`` that is no identifier: a literal string counts, whatever is around it."""
        if not is_static(name):
            at = self.base
            self.report(
                "dynamic-in-inherit",
                "`inherit` takes no names that must be computed",
                at + name.start,
                at + name.end,
            )
            return name
        if isinstance(name, Interpolation):
            inner = name.expr
            while isinstance(inner, Paren):
                inner = inner.inner
            return inner
        return name

    def parse_formals(self) -> Formals:
        """``{ a, b ? 1, ... }``, the brace being at hand."""
        start = self.here()
        base = self.base
        formals: list[Formal] = []
        ellipsis = False
        self.advance()
        self.open_braces += 1
        while self.kind != RBRACE:
            if self.kind == ID:
                name = self.parse_name()
                if self.kind == QUESTION:
                    self.advance()
                    default = self.parse_expr()
                    formals.append(Formal(name.start, default.end, name, default))
                else:
                    formals.append(Formal(name.start, name.end, name, None))
            elif self.kind == ELLIPSIS:
                self.advance()
                ellipsis = True
                if self.kind == RBRACE:
                    break
                if not self.recover:
                    raise GiveUp
            elif not self.recover:
                raise GiveUp
            elif self.kind == COMMA:
                self.fail_superfluous("missing-name", "expected a name before `,`")
                self.advance()
                continue
            elif self.is_semicolon_for_comma():
                at = self.here()
                write = Fix("Write `,`", [Edit(at, at + 1, ",")])
                self.fail("missing-comma", "expected `,`, found `;`", at, at + 1, write)
                self.advance()
                continue
            elif self.at_sync() or self.kind == COLON or (self.newline_before() and self.could_start_expression()):
                break
            else:
                self.fail_here("unexpected-token", f"unexpected {spell(self.kind)} among formal arguments")
                self.advance()
                continue
            if self.kind == COMMA:
                comma = self.here()
                self.advance()
                if self.recover and ellipsis:
                    fix: Fix | None = None
                    if self.kind == RBRACE:
                        fix = Fix("Remove the comma", [Edit(comma, comma + 1, "")])
                    self.fail("unexpected-token", "`...` must be the last", comma, comma + 1, fix)
            elif self.kind != RBRACE:
                if not self.recover:
                    raise GiveUp
                if self.kind == ID or self.kind == ELLIPSIS:
                    self.fail_missing("missing-comma", "expected `,`", ",")
        end = self.close(RBRACE, start)
        self.open_braces -= 1
        return Formals(start - base, end - base, formals, ellipsis)
