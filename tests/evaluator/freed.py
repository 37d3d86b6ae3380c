"""Makes a million values in each other and lets them go on a thread with a small stack: a program of its own, for the
stack might overflow."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

from evaluator.code.functions import PlainLambda
from evaluator.code.nesting import Nested
from evaluator.code.variables import Constant
from evaluator.io.files import Files
from evaluator.lowering.scope import Scope
from evaluator.runtime.source import MergedPositions, SourceFile
from evaluator.runtime.values import BLACKHOLE, NULL, Attrs, Closure, Code, PartialPrimop, Primop, Shape, Thunk
from evaluator.session import Session
from evaluator.syntax import tree
from evaluator.syntax.parser import parse
from store.compiled import COMPILED, mode

COUNT = 1_000_000 if mode() == COMPILED else 200_000
STACK = 256 * 1024

_FILE = SourceFile("/x", "")
_LAMBDA = PlainLambda(_FILE, 0, 0, Constant(NULL), None, "x")
_PRIMOP = Primop("x", 9, len, Session(Files()), False, "")
_SHAPE = Shape(["a"])


def _code(inner: object) -> object:
    return Nested(inner if isinstance(inner, Code) else Constant(inner))


def _scope(inner: object) -> object:
    return Scope(inner if isinstance(inner, Scope) else None, {})


def _positions(inner: object) -> object:
    return MergedPositions(inner if isinstance(inner, MergedPositions) else None, None, Attrs({}, None))


def _paren(inner: object) -> object:
    return tree.Paren(0, 1, inner if isinstance(inner, tree.Expr) else parse("1").root)


def _under(inner: object) -> object:
    return Attrs({}, None, inner if isinstance(inner, Attrs) else None)


FREED: dict[str, Callable[[object], object]] = {
    "values of thunks": lambda inner: Thunk(BLACKHOLE, inner),
    "second operands of thunks": lambda inner: Thunk(BLACKHOLE, None, inner),
    "environments of thunks": lambda inner: Thunk(BLACKHOLE, [None, inner]),
    "environments": lambda inner: [inner, None],
    "closures": lambda inner: Closure(_LAMBDA, [None, inner]),
    "lists": lambda inner: [inner],
    "sets": lambda inner: Attrs({"a": inner}, None),
    "small sets": lambda inner: Attrs.shaped(_SHAPE, [inner], None),
    "sets over sets": _under,
    "calls of built-in functions": lambda inner: PartialPrimop(_PRIMOP, [inner]),
    "constants": lambda inner: Constant(inner),
    "expressions": _code,
    "scopes": _scope,
    "positions": _positions,
    "trees": _paren,
    "everything": lambda inner: Thunk(BLACKHOLE, Attrs({"a": [Closure(_LAMBDA, [None, inner])]}, None)),
}


def main() -> None:
    kind = sys.argv[1]
    make = FREED[kind]
    kept: list[object] = [NULL]
    for _ in range(COUNT):
        kept[0] = make(kept[0])
    threading.stack_size(STACK)
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()
    print(f"{kind}: gone")


if __name__ == "__main__":
    main()
