"""A tree as one line of nested parentheses, for tests, bug reports and the curious.

``{ a.b = x: y; }`` is ``(set (bind a.b (lambda x y)))``; holes are ``_``. Offsets are left out.
"""

from __future__ import annotations

from evaluator.syntax.strings import parts, path_parts
from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrBinding,
    AttrPath,
    AttrSet,
    Binary,
    Broken,
    Float,
    Formals,
    HasAttr,
    If,
    Inherit,
    Int,
    Interpolation,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Missing,
    Name,
    Node,
    Paren,
    Path,
    SearchPath,
    Select,
    Str,
    Unary,
    Uri,
    Var,
    With,
)


def outline(text: str, node: Node, base: int = 0) -> str:
    """The outline of a node of the tree of ``text``; ``base`` is what its offsets are relative to."""
    return _Outliner(text).show(node, base)


class _Outliner:
    def __init__(self, text: str) -> None:
        self.text = text

    def form(self, head: str, nodes: list[Node], base: int) -> str:
        return "(" + " ".join([head] + [self.show(node, base) for node in nodes]) + ")"

    def show(self, node: Node, base: int) -> str:
        if isinstance(node, Missing):
            return "_"
        if isinstance(node, (Var, Name)):
            return node.name
        if isinstance(node, Int):
            return str(node.value)
        if isinstance(node, Float):
            return repr(node.value)
        if isinstance(node, Uri):
            return f"(uri {node.text})"
        if isinstance(node, SearchPath):
            return f"<{node.name}>"
        if isinstance(node, (Str, Path)):
            return self.pieces(node, base)
        if isinstance(node, Interpolation):
            return self.form("$", [node.expr], base)
        if isinstance(node, ListExpr):
            return self.form("list", list(node.items), base)
        if isinstance(node, AttrPath):
            return ".".join([self.show(step, base) for step in node.steps])
        if isinstance(node, AttrBinding):
            at = base + node.start
            return self.form("bind", [node.path, node.value], at)
        if isinstance(node, Inherit):
            at = base + node.start
            if node.source is not None:
                return self.form("inherit-from", [node.source, *node.names], at)
            return self.form("inherit", list(node.names), at)
        return self.compound(node, base)

    def compound(self, node: Node, base: int) -> str:
        if isinstance(node, AttrSet):
            return self.form("rec" if node.recursive else "set", list(node.bindings), base)
        if isinstance(node, LegacyLet):
            return self.form("legacy-let", list(node.bindings), base)
        if isinstance(node, Let):
            return self.form("let", [*node.bindings, node.body], base)
        if isinstance(node, Lambda):
            return self.function(node, base)
        if isinstance(node, Apply):
            return self.form("apply", [node.function, node.argument], base)
        if isinstance(node, Select):
            if node.default is not None:
                return self.form("select", [node.subject, node.path, node.default], base)
            return self.form("select", [node.subject, node.path], base)
        if isinstance(node, HasAttr):
            return self.form("?", [node.subject, node.path], base)
        if isinstance(node, With):
            return self.form("with", [node.namespace, node.body], base)
        if isinstance(node, Assert):
            return self.form("assert", [node.condition, node.body], base)
        if isinstance(node, If):
            return self.form("if", [node.condition, node.yes, node.no], base)
        if isinstance(node, Unary):
            return self.form("negate" if node.op == "-" else node.op, [node.operand], base)
        if isinstance(node, Binary):
            return self.form(node.op, [node.left, node.right], base)
        if isinstance(node, Paren):
            return self.form("paren", [node.inner], base)
        if isinstance(node, Broken):
            return self.form("broken", list(node.parts), base)
        return f"({type(node).__name__})"

    def function(self, node: Lambda, base: int) -> str:
        head = "lambda"
        if node.name is not None:
            head += " " + node.name.name
        if node.formals is not None:
            head += " " + self.formals(node.formals, base)
        return self.form(head, [node.body], base)

    def formals(self, formals: Formals, base: int) -> str:
        shown: list[str] = []
        for formal in formals.formals:
            if formal.default is None:
                shown.append(formal.name.name)
            else:
                shown.append(f"{formal.name.name}?{self.show(formal.default, base)}")
        if formals.ellipsis:
            shown.append("...")
        return "{" + " ".join(shown) + "}"

    def pieces(self, node: Str | Path, base: int) -> str:
        """Strings in double quotes, paths in bars; escapes as in Python."""
        if isinstance(node, Path):
            cooked = path_parts(self.text, node, base)
            quote = "|"
        else:
            cooked = parts(self.text, node, base)
            quote = '"'
        shown: list[str] = []
        for part in cooked:
            if part.interpolation is not None:
                shown.append("${" + self.show(part.interpolation.expr, base) + "}")
            else:
                shown.append(part.text.encode("unicode_escape").decode("ascii").replace('"', '\\"'))
        return quote + "".join(shown) + quote
