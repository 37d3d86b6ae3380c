"""The tree in the words of ``nix-instantiate --parse``: what Nix understood, every grouping made visible.

The form is that of current Nix (2.36): constructs that are only another way to write something are spelled out
(``a < b`` is ``(__lessThan a b)``, ``let { }`` a select of ``body``), attributes that paths define in
pieces are gathered in one set, names are sorted, relative paths become absolute, indented strings lose their
indentation. Strings are split where Nix's own reader splits them.
"""

from __future__ import annotations

import re
from typing import Final

from evaluator.syntax.gather import Attr, Gathered, Gatherer, bare, computed
from evaluator.syntax.problems import ERROR
from evaluator.syntax.strings import indented_pieces, parts
from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrPath,
    AttrSet,
    Binary,
    Expr,
    Float,
    Formal,
    Formals,
    HasAttr,
    If,
    Int,
    Interpolation,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Node,
    Path,
    SearchPath,
    Select,
    Source,
    Str,
    Text,
    Unary,
    Uri,
    Var,
    With,
)

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*+")
_RESERVED: Final = frozenset(["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"])

# What Nix reads the literal text of a path in: the first piece, and the others.
_PATH_START: Final = re.compile(r"~(?:/[\w.+-]++)++/?|~/|[\w.+-]*+(?:/[\w.+-]++)++/?|[\w.+-]*+/", re.ASCII)
_PATH_PIECE: Final = re.compile(r"[\w.+-]*+(?:/[\w.+-]++)++/?|[\w.+-]*+/|[\w.+-]++", re.ASCII)

# Operators that stand for calls of a function.
_CALLS: Final[dict[str, str]] = {
    "<": "__lessThan",
    ">": "__lessThan",
    "<=": "__lessThan",
    ">=": "__lessThan",
    "-": "__sub",
    "*": "__mul",
    "/": "__div",
}


class NotPrintable(ValueError):
    """The text has errors, so there is no tree that Nix would print."""


def show(source: Source, directory: str, home: str) -> str:
    """The whole tree on one line, without a line break at its end.

    Relative paths start at ``directory`` and ``~/`` at ``home``, both absolute. Raises :class:`NotPrintable` for
    text with errors.
    """
    for problem in source.problems:
        if problem.severity == ERROR:
            raise NotPrintable(problem.message)
    printer = _Printer(source.text, directory, home)
    printer.show(source.root, 0)
    return "".join(printer.out)


def show_part(text: str, expr: Expr, base: int, directory: str, home: str) -> str:
    """One expression of a text without errors in it; ``base`` is what its offsets are relative to."""
    printer = _Printer(text, directory, home)
    printer.show(expr, base)
    return "".join(printer.out)


def show_string(text: str) -> str:
    """A string literal as Nix prints it."""
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    if "\n" in text or "\r" in text or "\t" in text:
        text = text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return '"' + text.replace("${", "\\${") + '"'


def show_name(name: str) -> str:
    """An attribute or variable name as Nix prints it: in quotes where it is no identifier."""
    if _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED:
        return name
    return show_string(name)


def _key(name: str) -> bytes:
    """Names are sorted by their bytes."""
    return name.encode("utf-8", "surrogateescape")


class _Printer:
    """Writes expressions to ``out``. ``base`` is always what the offsets of the node at hand are relative to."""

    def __init__(self, text: str, directory: str, home: str) -> None:
        self.text: Final = text
        self.directory: Final = directory
        self.home: Final = home
        self.gatherer: Final = Gatherer(text)
        self.out: Final[list[str]] = []

    # Sets.

    def show_set(self, node: Gathered) -> None:
        out = self.out
        out.append("rec { " if node.recursive else "{ ")
        self.show_bindings(node)
        out.append("}")

    def show_bindings(self, node: Gathered) -> None:
        out = self.out
        if node.inherited:
            out.append("inherit")
            self.show_names(node.inherited)
        for clause in node.clauses:
            if clause.names:
                out.append("inherit (")
                self.show(clause.source, clause.base)
                out.append(")")
                self.show_names(clause.names)
        for name in sorted(node.attrs, key=_key):
            out.append(show_name(name))
            self.show_value(node.attrs[name])
        for dynamic in node.dynamic:
            out.append('"${')
            self.show(dynamic.name, dynamic.base)
            out.append('}"')
            self.show_value(dynamic.attr)

    def show_names(self, names: list[str]) -> None:
        for name in sorted(names, key=_key):
            self.out.append(" " + show_name(name))
        self.out.append("; ")

    def show_value(self, attr: Attr) -> None:
        out = self.out
        out.append(" = ")
        if attr.nested is not None:
            self.show_set(attr.nested)
        elif attr.value is not None:
            self.show(attr.value, attr.base)
        out.append("; ")

    def show_path(self, path: AttrPath, base: int) -> None:
        out = self.out
        first = True
        for step in path.steps:
            if not first:
                out.append(".")
            first = False
            name = self.gatherer.name_of(step, base)
            if name is not None:
                out.append(show_name(name))
            else:
                out.append('"${')
                self.show(computed(step), base)
                out.append('}"')

    # Expressions.

    def show(self, expr: Expr, base: int) -> None:
        """Write one expression."""
        out = self.out
        expr = bare(expr)
        if isinstance(expr, Var):
            out.append(show_name(expr.name))
        elif _is_call(expr):
            self.open_call(expr, base)
            out.append(")")
        elif isinstance(expr, Str):
            self.show_str(expr, base)
        elif isinstance(expr, AttrSet):
            self.show_set(self.gatherer.gather(expr.bindings, base, expr.recursive))
        elif isinstance(expr, Select):
            out.append("(")
            self.show(expr.subject, base)
            out.append(").")
            self.show_path(expr.path, base)
            if expr.default is not None:
                out.append(" or (")
                self.show(expr.default, base)
                out.append(")")
        elif isinstance(expr, ListExpr):
            out.append("[ ")
            for item in expr.items:
                out.append("(")
                self.show(item, base)
                out.append(") ")
            out.append("]")
        elif isinstance(expr, Binary):
            self.show_binary(expr, base)
        elif isinstance(expr, Lambda):
            self.show_lambda(expr, base)
        elif isinstance(expr, Int):
            out.append(str(expr.value))
        elif isinstance(expr, Float):
            out.append(f"{expr.value:g}")
        elif isinstance(expr, Uri):
            out.append(show_string(expr.text))
        elif isinstance(expr, Path):
            self.show_file(expr, base)
        else:
            self.show_keyword(expr, base)

    def show_keyword(self, expr: Expr, base: int) -> None:
        """What starts with a keyword, and the rest."""
        out = self.out
        if isinstance(expr, Let):
            out.append("(let ")
            self.show_bindings(self.gatherer.gather(expr.bindings, base, False))
            out.append("in ")
            self.show(expr.body, base)
            out.append(")")
        elif isinstance(expr, LegacyLet):
            out.append("(")
            self.show_set(self.gatherer.gather(expr.bindings, base, True))
            out.append(").body")
        elif isinstance(expr, With):
            out.append("(with ")
            self.show(expr.namespace, base)
            out.append("; ")
            self.show(expr.body, base)
            out.append(")")
        elif isinstance(expr, Assert):
            # No parentheses: Nix prints none here.
            out.append("assert ")
            self.show(expr.condition, base)
            out.append("; ")
            self.show(expr.body, base)
        elif isinstance(expr, If):
            out.append("(if ")
            self.show(expr.condition, base)
            out.append(" then ")
            self.show(expr.yes, base)
            out.append(" else ")
            self.show(expr.no, base)
            out.append(")")
        elif isinstance(expr, HasAttr):
            out.append("((")
            self.show(expr.subject, base)
            out.append(") ? ")
            self.show_path(expr.path, base)
            out.append(")")
        elif isinstance(expr, Unary):
            out.append("(! ")
            self.show(expr.operand, base)
            out.append(")")

    def show_binary(self, expr: Binary, base: int) -> None:
        """An operator that is not merely a call."""
        out = self.out
        if expr.op == "<=" or expr.op == ">=":
            out.append("(! ")
            self.open_operator(expr, base)
            out.append("))")
            return
        out.append("(")
        self.show(expr.left, base)
        out.append(f" {expr.op} ")
        self.show(expr.right, base)
        out.append(")")

    def open_call(self, expr: Expr, base: int) -> None:
        """Write a call but for its closing parenthesis: in Nix's tree a call of a call takes more arguments."""
        out = self.out
        if isinstance(expr, Apply):
            self.call(expr.function, expr.argument, base)
        elif isinstance(expr, SearchPath):
            out.append(f"(__findFile __nixPath {show_string(expr.name)}")
        elif isinstance(expr, Unary):
            out.append("(__sub 0 ")
            self.show(expr.operand, base)
        elif isinstance(expr, Binary):
            if expr.op == "|>":
                self.call(expr.right, expr.left, base)
            elif expr.op == "<|":
                self.call(expr.left, expr.right, base)
            else:
                self.open_operator(expr, base)

    def call(self, function: Expr, argument: Expr, base: int) -> None:
        function = bare(function)
        if _is_call(function):
            self.open_call(function, base)
        else:
            self.out.append("(")
            self.show(function, base)
        self.out.append(" ")
        self.show(argument, base)

    def open_operator(self, expr: Binary, base: int) -> None:
        out = self.out
        out.append(f"({_CALLS[expr.op]} ")
        swapped = expr.op == ">" or expr.op == "<="
        self.show(expr.right if swapped else expr.left, base)
        out.append(" ")
        self.show(expr.left if swapped else expr.right, base)

    def show_lambda(self, expr: Lambda, base: int) -> None:
        out = self.out
        out.append("(")
        if expr.formals is not None:
            self.show_formals(expr.formals, base)
            if expr.name is not None:
                out.append(" @ ")
        if expr.name is not None:
            out.append(show_name(expr.name.name))
        out.append(": ")
        self.show(expr.body, base)
        out.append(")")

    def show_formals(self, node: Formals, base: int) -> None:
        out = self.out
        out.append("{ ")
        first = True
        for formal in sorted(node.formals, key=_formal_key):
            if not first:
                out.append(", ")
            first = False
            out.append(show_name(formal.name.name))
            if formal.default is not None:
                out.append(" ? ")
                self.show(formal.default, base)
        if node.ellipsis:
            out.append("..." if first else ", ...")
        out.append(" }")

    # Strings and paths.

    def show_str(self, expr: Str, base: int) -> None:
        if not expr.indented:
            pieces = parts(self.text, expr, base)
            if not expr.parts or (len(pieces) == 1 and pieces[0].interpolation is None):
                self.out.append(show_string(pieces[0].text if pieces else ""))
                return
        else:
            pieces = [
                piece
                for piece in indented_pieces(self.text, expr, base)
                if piece.interpolation is not None or piece.text
            ]
            if not pieces:
                self.out.append('""')
                return
            if len(pieces) == 1 and self.is_literal(pieces[0].interpolation, base):
                interpolation = pieces[0].interpolation
                if interpolation is not None:
                    self.show(interpolation.expr, base)
                else:
                    self.out.append(show_string(pieces[0].text))
                return
        shown = "("
        for piece in pieces:
            self.out.append(shown)
            shown = " + "
            if piece.interpolation is not None:
                self.show(piece.interpolation.expr, base)
            else:
                self.out.append(show_string(piece.text))
        self.out.append(")")

    def is_literal(self, interpolation: Interpolation | None, base: int) -> bool:
        """Whether a piece of a string is a literal for Nix: text, or an interpolated string without interpolation."""
        if interpolation is None:
            return True
        inner = bare(interpolation.expr)
        if isinstance(inner, Uri):
            return True
        if not isinstance(inner, Str):
            return False
        if not inner.indented:
            for part in inner.parts:
                if isinstance(part, Interpolation):
                    return False
            return True
        pieces = [
            piece for piece in indented_pieces(self.text, inner, base) if piece.interpolation is not None or piece.text
        ]
        return not pieces or (len(pieces) == 1 and self.is_literal(pieces[0].interpolation, base))

    def show_file(self, expr: Path, base: int) -> None:
        """A path: absolute, and where something is interpolated in the pieces that Nix reads."""
        out = self.out
        if len(expr.parts) == 1:
            out.append(self.absolute(self.raw(expr.parts[0], base)))
            return
        out.append("(")
        first = True
        for part in expr.parts:
            if isinstance(part, Interpolation):
                out.append(" + ")
                self.show(part.expr, base)
                continue
            raw = self.raw(part, base)
            at = 0
            if first:
                match = _PATH_START.match(raw)
                at = len(raw) if match is None else match.end()
                out.append(self.absolute(raw[:at]))
                first = False
            rest: list[str] = _PATH_PIECE.findall(raw, at)
            for piece in rest:
                out.append(" + " + show_string(piece))
        out.append(")")

    def raw(self, node: Node, base: int) -> str:
        return self.text[base + node.start : base + node.end] if isinstance(node, Text) else ""

    def absolute(self, literal: str) -> str:
        """The first piece of a path as an absolute one; what is below the home directory stays as written."""
        if literal.startswith("~"):
            return self.home + literal[1:]
        path = literal if literal.startswith("/") else f"{self.directory}/{literal}"
        steps: list[str] = []
        for step in path.split("/"):
            if step == "..":
                if steps:
                    steps.pop()
            elif step and step != ".":
                steps.append(step)
        result = "/" + "/".join(steps)
        return result + "/" if len(literal) > 1 and literal.endswith("/") else result


def _formal_key(formal: Formal) -> bytes:
    return _key(formal.name.name)


def _is_call(expr: Expr) -> bool:
    """Whether Nix's tree has a call here (parentheses aside)."""
    if isinstance(expr, Apply) or isinstance(expr, SearchPath):
        return True
    if isinstance(expr, Unary):
        return expr.op == "-"
    if isinstance(expr, Binary):
        op = expr.op
        return op == "|>" or op == "<|" or (op in _CALLS and op != "<=" and op != ">=")
    return False
