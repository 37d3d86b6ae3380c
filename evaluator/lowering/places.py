"""Where an expression is, as Nix sees it."""

from __future__ import annotations

from evaluator.syntax import tree


def origin(expr: tree.Expr, base: int) -> int:
    """The offset at which an expression is, as Nix sees it; -1 for what is nowhere to Nix."""
    while True:
        if isinstance(expr, tree.Paren):
            expr = expr.inner
        elif isinstance(expr, tree.Apply):
            # To Nix `(f a) b` is one call, that of `f` inside the parentheses.
            function = expr.function
            while isinstance(function, tree.Paren):
                function = function.inner
            if not isinstance(function, tree.Apply):
                return base + expr.start
            expr = function
        elif isinstance(expr, tree.HasAttr):
            expr = expr.subject
        elif isinstance(expr, tree.Unary) and expr.op == "!":
            expr = expr.operand
        elif isinstance(expr, tree.ListExpr) and expr.items:
            expr = expr.items[0]
        else:
            break
    if isinstance(expr, tree.Binary):
        return base + expr.op_start
    if isinstance(expr, tree.Str):
        if not expr.indented and expr.parts:
            for part in expr.parts:
                if isinstance(part, tree.Interpolation):
                    return base + expr.parts[0].start
        elif expr.indented:
            for part in expr.parts:
                if isinstance(part, tree.Interpolation):
                    return base + expr.start
        return -1
    if isinstance(expr, (tree.Int, tree.Float, tree.Uri, tree.Let, tree.ListExpr)):
        return -1
    if isinstance(expr, tree.Path) and len(expr.parts) <= 1:
        return -1
    return base + expr.start
