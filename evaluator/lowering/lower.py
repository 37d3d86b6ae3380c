"""From syntax tree to executable code.

Lowering is lazy: the value of a binding, the body of a lambda, a default are lowered when
they are first needed (:class:`Lazy`), so that of a file of 17,000 bindings only those that
an evaluation touches cost more than their parse. Variables become (depth, slot) here.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i32, i64

from evaluator.code.attrsets import (
    DynamicAttr,
    EmptySet,
    HasAttrCode,
    InheritClause,
    InheritSource,
    LetCode,
    RecSetCode,
    ScopeCode,
    Select1,
    SelectPath,
    SetCode,
    WithCode,
)
from evaluator.code.coerce import canonical
from evaluator.code.functions import Call1, Call2, CallMany, FormalsLambda, LambdaCode, PlainLambda
from evaluator.code.nesting import NESTED_AT_MOST, Nested
from evaluator.code.operators import (
    AddCode,
    AndCode,
    ArithmeticCode,
    AssertCode,
    ConcatCode,
    EqualCode,
    IfCode,
    ImpliesCode,
    InterpolateCode,
    LessCode,
    ListCode,
    NegateCode,
    NotCode,
    Operand,
    Operands,
    OrCode,
    PathCode,
    SearchPathCode,
    Shown,
    UnequalCode,
    UpdateCode,
)
from evaluator.code.variables import (
    Alias,
    Constant,
    CurrentPosition,
    Delayed,
    Hole,
    Local,
    Local0,
    Local1,
    Undefined,
    WithVariable,
)
from evaluator.lowering.places import origin
from evaluator.lowering.scope import Scope, bound
from evaluator.lowering.sets import Entry, Pieces, SetSpec
from evaluator.runtime.errors import EvalError
from evaluator.runtime.host import Host
from evaluator.runtime.observations import CallLog
from evaluator.runtime.source import LiteralPositions, Place, SourceFile
from evaluator.runtime.values import Code, Env, PathValue, Thunk, elsewhere, spend
from evaluator.syntax import strings, tree


@final
class Lazy(Code):
    """An expression that is lowered when it is first evaluated; it lets go of its tree then."""

    def __init__(self, lowering: Lowering, scope: Scope | None, expr: tree.Expr, base: int, name: str) -> None:
        self.lowering: Final = lowering
        self.name: Final = name
        self.start: Final[i32] = i32(base + expr.start)
        self.end: Final[i32] = i32(base + expr.end)
        self.level: Final[i32] = i32(lowering.level)
        self.scope: Scope | None = scope
        self.expr: tree.Expr | None = expr
        self.code: Code | None = None

    def place(self) -> Place:
        return Place(self.lowering.file, self.start, self.end)

    def eval(self, env: Env) -> object:
        code = self.code
        if code is None:
            expr = self.expr
            assert expr is not None
            base = self.start - expr.start
            self.lowering.level = i64(self.level)
            if self.name and isinstance(expr, tree.Lambda):
                code = self.lowering.function(expr, base, self.scope, self.name)
            else:
                code = self.lowering.expr(expr, base, self.scope)
            self.code = code
            self.expr = None
            self.scope = None
        return code.eval(env)

    def thunk(self, env: Env) -> object:
        code = self.code
        if code is not None:
            value = code.ready(env)
            if value is not None:
                return elsewhere(value)
        return Thunk(self, env)

    def lowered(self) -> Code:
        code = self.code
        return self if code is None else code


@final
class ShownTree(Shown):
    """An expression of the text, written as ``--parse`` writes it."""

    def __init__(self, lowering: Lowering, expr: tree.Expr, base: int) -> None:
        self.lowering: Final = lowering
        self.expr: Final = expr
        self.base: Final = base

    def text(self) -> str:
        from evaluator.syntax.printer import show_part

        lowering = self.lowering
        return show_part(lowering.file.text, self.expr, self.base, lowering.directory, lowering.host.home())


class LoweringHost(Host):
    """What lowering asks of whoever has it done."""

    def __init__(self) -> None:
        #: What names mean that no text binds.
        self.globals: Final[dict[str, object]] = {}

    def log_for(self, file: SourceFile, start: int) -> CallLog | None:
        """Where calls of the lambda at ``start`` are noted; None if they are not."""
        raise NotImplementedError


@final
class Lowering(Pieces):
    """Lowers the expressions of one file for one host."""

    def __init__(self, host: LoweringHost, file: SourceFile, directory: str) -> None:
        super().__init__(file)
        self.host: Final = host
        self.directory: Final = directory
        #: How many expressions nest around the one that is being lowered since depth was counted last.
        self.level: i64 = 0

    # --- expressions -------------------------------------------------------------------------

    def later(self, expr: tree.Expr, base: int, scope: Scope | None, name: str) -> Code:
        """Code for an expression that may never be needed: at once where that is cheap, else lazily.

        It is evaluated by a thunk or a call, which count the depth.
        """
        level = self.level
        self.level = 0
        code = self._later(expr, base, scope, name)
        self.level = level
        return code

    def _later(self, expr: tree.Expr, base: int, scope: Scope | None, name: str) -> Code:
        while isinstance(expr, tree.Paren):
            expr = expr.inner
        if isinstance(expr, tree.Lambda):
            return self.function(expr, base, scope, name)
        if isinstance(expr, (tree.Var, tree.Int, tree.Float, tree.Missing, tree.Uri)):
            return self.expr(expr, base, scope)
        if isinstance(expr, (tree.Str, tree.Path)):
            for part in expr.parts:
                if isinstance(part, tree.Interpolation):
                    return Lazy(self, scope, expr, base, name)
            return self.expr(expr, base, scope)
        if isinstance(expr, tree.ListExpr) and not expr.items:
            return Constant([])
        if isinstance(expr, tree.AttrSet) and not expr.bindings:
            return EmptySet()
        return Lazy(self, scope, expr, base, name)

    def expr(self, expr: tree.Expr, base: int, scope: Scope | None) -> Code:
        """Code for an expression."""
        level = self.level
        if level < NESTED_AT_MOST:
            self.level = level + 1
            code = self._expr(expr, base, scope)
        else:
            self.level = 0
            code = self._expr(expr, base, scope)
            if not isinstance(code, (Constant, Local0, LambdaCode, Nested)):
                code = Nested(code)
        self.level = level
        return code

    def _expr(self, expr: tree.Expr, base: int, scope: Scope | None) -> Code:
        if isinstance(expr, tree.Var):
            return self.variable(expr.name, base + expr.start, scope)
        if isinstance(expr, tree.Apply):
            return self.call(expr, base, scope)
        if isinstance(expr, tree.Select):
            return self.select(expr, base, scope)
        if isinstance(expr, tree.Str):
            return self.string(expr, base, scope)
        if isinstance(expr, tree.Paren):
            return self.expr(expr.inner, base, scope)
        if isinstance(expr, tree.AttrSet):
            return self.attr_set(expr, base, scope)
        if isinstance(expr, tree.ListExpr):
            return ListCode([self.later(item, base, scope, "") for item in expr.items])
        if isinstance(expr, tree.Lambda):
            return self.function(expr, base, scope)
        if isinstance(expr, tree.Let):
            return self.let(expr.bindings, expr.body, base, scope)
        if isinstance(expr, tree.Binary):
            return self.binary(expr, base, scope)
        if isinstance(expr, tree.If):
            return IfCode(
                self.expr(expr.condition, base, scope),
                self.expr(expr.yes, base, scope),
                self.expr(expr.no, base, scope),
                self.operand(expr.condition, base),
            )
        if isinstance(expr, tree.With):
            inner = Scope(scope, None, base + expr.start)
            return WithCode(self.later(expr.namespace, base, scope, ""), self.expr(expr.body, base, inner))
        if isinstance(expr, tree.Int):
            return Constant(expr.value)
        if isinstance(expr, tree.Float):
            return Constant(expr.value)
        if isinstance(expr, tree.Path):
            return self.path(expr, base, scope)
        if isinstance(expr, tree.HasAttr):
            return HasAttrCode(
                self.expr(expr.subject, base, scope),
                [self.step(step, base, scope) for step in expr.path.steps],
                Place(self.file, base + expr.path.start, base + expr.path.end),
                self.operand(expr.subject, base).known(),
            )
        if isinstance(expr, tree.Unary):
            operand = self.expr(expr.operand, base, scope)
            if expr.op == "!":
                return NotCode(operand, self.operand(expr.operand, base))
            return NegateCode(operand, self.file, base + expr.start, base + expr.end)
        if isinstance(expr, tree.Assert):
            return AssertCode(
                self.expr(expr.condition, base, scope),
                self.expr(expr.body, base, scope),
                self.operand(expr.condition, base),
                ShownTree(self, expr.condition, base),
                self.file,
                base + expr.start,
                base + expr.end,
            )
        if isinstance(expr, tree.Uri):
            return Constant(expr.text)
        if isinstance(expr, tree.SearchPath):
            return self.search_path(expr, base, scope)
        if isinstance(expr, tree.LegacyLet):
            body = self.set_code(self.spec(expr.bindings, base, True), scope)
            start = base + expr.start
            return Select1(body, "body", self.file, start, start, start + 3, start, start + 3, "body", "")
        if isinstance(expr, tree.Broken):
            return self.expr(expr.parts[0], base, scope)
        return Hole(self.file, base + expr.start, base + expr.end)

    # --- names -------------------------------------------------------------------------------

    def variable(self, name: str, start: int, scope: Scope | None) -> Code:
        """A variable: lexical first, then builtins, then what a ``with`` may bring."""
        if name == "__curPos":  # nothing can shadow it
            return CurrentPosition(self.file, start)
        depth = 0
        withs: list[int] = []
        with_starts: list[int] = []
        at = scope
        while at is not None:
            slots = at.slots
            if slots is None:
                withs.append(depth)
                with_starts.append(at.start)
            else:
                slot = slots.get(name)
                if slot is not None:
                    if depth == 0:
                        return Local0(slot)
                    if depth == 1:
                        return Local1(slot)
                    return Local(depth, slot)
            depth += 1
            at = at.parent
        value = self.host.globals.get(name)
        if isinstance(value, Thunk):
            return Delayed(value)
        if value is not None:
            return Constant(value)
        if withs:
            return WithVariable(name, withs, with_starts, self.file, start)
        return Undefined(name, self.file, start)

    def step(self, step: tree.Node, base: int, scope: Scope | None) -> Code:
        """The name of one step of an attribute path, as code that evaluates to a string."""
        if isinstance(step, tree.Name):
            return Constant(step.name)
        if isinstance(step, tree.Str):
            return self.string(step, base, scope)
        if isinstance(step, tree.Interpolation):
            return self.expr(step.expr, base, scope)
        return Hole(self.file, base + step.start, base + step.end)

    # --- calls and selections ----------------------------------------------------------------

    def call(self, expr: tree.Apply, base: int, scope: Scope | None) -> Code:
        arguments = [expr.argument]
        function = expr.function
        while isinstance(function, tree.Apply):
            arguments.append(function.argument)
            function = function.function
        arguments.reverse()
        code = self.expr(function, base, scope)
        start, end = origin(expr, base), base + expr.end
        args = [self.argument(argument, base, scope) for argument in arguments]
        if len(args) == 1:
            return Call1(code, args[0], self.file, start, end)
        if len(args) == 2:
            return Call2(code, args[0], args[1], self.file, start, end)
        return CallMany(code, args, self.file, start, end)

    def argument(self, expr: tree.Expr, base: int, scope: Scope | None) -> Code:
        """An argument: selections and calls are lowered at once, larger things when needed."""
        while isinstance(expr, tree.Paren):
            expr = expr.inner
        if isinstance(expr, (tree.Select, tree.Apply)):
            return self.expr(expr, base, scope)
        return self._later(expr, base, scope, "")

    def select(self, expr: tree.Select, base: int, scope: Scope | None) -> Code:
        subject = self.expr(expr.subject, base, scope)
        steps = expr.path.steps
        default = expr.default
        whole = base + expr.start
        at = self.operand(expr.subject, base)
        if default is None:
            plain = True
            for step in steps:
                if not isinstance(step, tree.Name):
                    plain = False
            if plain:
                names = [step.name for step in steps if isinstance(step, tree.Name)]
                path = ".".join(names) if len(names) > 1 else names[0]
                before = ""
                for step in steps:
                    assert isinstance(step, tree.Name)
                    start, end = base + step.start, base + step.end
                    subject = Select1(subject, step.name, self.file, whole, at.origin, at.end, start, end, path, before)
                    before += step.name + "."
                return subject
        spots: list[int] = []
        for step in steps:
            inner = step.expr if isinstance(step, tree.Interpolation) else step
            spots += (base + inner.start, base + inner.end)
        return SelectPath(
            subject,
            [self.step(step, base, scope) for step in steps],
            spots,
            None if default is None else self.expr(default, base, scope),
            self.file,
            whole,
            at.origin,
            at.end,
        )

    def operand(self, expr: tree.Expr, base: int) -> Operand:
        """Where an expression stands, for what is noted of errors."""
        inner = expr
        while isinstance(inner, tree.Paren):
            inner = inner.inner
        return Operand(self.file, base + expr.start, base + inner.end, origin(expr, base))

    # --- strings and paths -------------------------------------------------------------------

    def string(self, expr: tree.Str, base: int, scope: Scope | None) -> Code:
        parts = strings.parts(self.file.text, expr, base)
        if not parts:
            return Constant("")
        if len(parts) == 1 and parts[0].interpolation is None:
            return Constant(parts[0].text)
        codes: list[Code] = []
        spots: list[Operand | None] = []
        for part in parts:
            interpolation = part.interpolation
            if interpolation is None:
                codes.append(Constant(part.text))
                spots.append(None)
            else:
                codes.append(self.expr(interpolation.expr, base, scope))
                spots.append(self.spot(interpolation, base))
        return InterpolateCode(self.host, codes, spots, self.file, base + expr.start, base + expr.end)

    def spot(self, part: tree.Interpolation, base: int) -> Operand:
        """Where an interpolation stands, and the expression in it."""
        return Operand(self.file, base + part.start, base + part.end, origin(part.expr, base))

    def path(self, expr: tree.Path, base: int, scope: Scope | None) -> Code:
        text = self.file.text
        codes: list[Code] = []
        spots: list[Operand | None] = []
        first = ""
        for index, part in enumerate(expr.parts):
            if isinstance(part, tree.Interpolation):
                codes.append(self.expr(part.expr, base, scope))
                spots.append(self.spot(part, base))
                continue
            piece = text[base + part.start : base + part.end]
            if index == 0:
                if piece.startswith("~"):
                    piece = self.host.home() + piece[1:]
                elif not piece.startswith("/"):
                    piece = self.directory + "/" + piece
                first = piece
            codes.append(Constant(piece))
            spots.append(None)
        if len(codes) == 1:
            return Constant(PathValue(canonical(first)))
        return PathCode(self.host, codes, spots, self.file, base + expr.start, base + expr.end)

    def search_path(self, expr: tree.SearchPath, base: int, scope: Scope | None) -> Code:
        """``<name>``: ``__findFile __nixPath "name"`` where the text binds one of the two, else the host's path."""
        start, end = base + expr.start, base + expr.end
        if not bound(scope, "__findFile") and not bound(scope, "__nixPath"):
            return SearchPathCode(self.host, expr.name, self.file, start, end)
        find_file = self.variable("__findFile", start, scope)
        return Call2(find_file, self.variable("__nixPath", start, scope), Constant(expr.name), self.file, start, end)

    # --- operators ---------------------------------------------------------------------------

    def binary(self, expr: tree.Binary, base: int, scope: Scope | None) -> Code:
        op = expr.op
        start, end = base + expr.start, base + expr.end
        file = self.file
        at = base + expr.op_start
        if op == "|>":
            return Call1(self.expr(expr.right, base, scope), self.argument(expr.left, base, scope), file, at, end)
        left = self.expr(expr.left, base, scope)
        if op == "<|":
            return Call1(left, self.argument(expr.right, base, scope), file, at, end)
        right = self.expr(expr.right, base, scope)
        operands = Operands(left, right, self.operand(expr.left, base), self.operand(expr.right, base), op, at)
        if op == "//":
            return UpdateCode(operands)
        if op == "+":
            return AddCode(self.host, operands)
        if op == "++":
            return ConcatCode(operands)
        if op == "==":
            return EqualCode(operands)
        if op == "!=":
            return UnequalCode(operands)
        if op == "&&":
            return AndCode(operands)
        if op == "||":
            return OrCode(operands)
        if op == "->":
            return ImpliesCode(operands)
        if op == "<":
            return LessCode(operands, False, False)
        if op == ">":
            return LessCode(operands, True, False)
        if op == "<=":
            return LessCode(operands, True, True)
        if op == ">=":
            return LessCode(operands, False, True)
        if op == "-":
            return ArithmeticCode("sub", operands)
        if op == "*":
            return ArithmeticCode("mul", operands)
        if op == "/":
            return ArithmeticCode("div", operands)
        raise EvalError(f"unknown operator '{op}'", Place(file, start, end))

    # --- functions ---------------------------------------------------------------------------

    def lambda_scope(self, expr: tree.Lambda, scope: Scope | None) -> Scope:
        """The scope of a lambda's body and defaults."""
        slots: dict[str, int] = {}
        if expr.name is not None:
            slots[expr.name.name] = 1
        if expr.formals is not None:
            slot = 2
            for formal in expr.formals.formals:
                slots[formal.name.name] = slot
                slot += 1
        return Scope(scope, slots)

    def function(self, expr: tree.Lambda, base: int, scope: Scope | None, name: str = "") -> LambdaCode:
        """The code of a lambda; ``name`` is what it is bound to, and the functions that it answers as well."""
        inner = self.lambda_scope(expr, scope)
        body = Lazy(self, inner, expr.body, base, name)
        start, end = base + expr.start, base + expr.end
        log = self.host.log_for(self.file, start)
        formals = expr.formals
        if formals is None:
            argument = expr.name
            plain = PlainLambda(self.file, start, end, body, log, "" if argument is None else argument.name)
            plain.name = name
            return plain
        names: list[str] = []
        defaults: list[Code | None] = []
        starts: dict[str, int] = {}
        for formal in formals.formals:
            names.append(formal.name.name)
            starts[formal.name.name] = base + formal.name.start
            default = formal.default
            defaults.append(None if default is None else self._default(default, base, inner))
        function = FormalsLambda(
            self.file,
            start,
            end,
            body,
            log,
            "" if expr.name is None else expr.name.name,
            names,
            defaults,
            formals.ellipsis,
            LiteralPositions(self.file, starts),
        )
        function.name = name
        return function

    def _default(self, default: tree.Expr, base: int, scope: Scope) -> Code:
        """The code of a formal's default; another formal may be all of it, which has to know its place in a cycle."""
        code = self.later(default, base, scope, "")
        if isinstance(code, Local0):
            return Alias(code.slot, self.file, base + default.start, base + default.end)
        return code

    # --- sets and lets -----------------------------------------------------------------------

    def attr_set(self, expr: tree.AttrSet, base: int, scope: Scope | None) -> Code:
        if not expr.bindings:
            return EmptySet()
        return self.set_code(self.spec(expr.bindings, base, expr.recursive), scope)

    def spec_scope(self, spec: SetSpec, scope: Scope | None) -> Scope:
        """The scope that a let or recursive set opens: values, then inherited from sources, then from outside."""
        slots: dict[str, int] = {}
        slot = 1
        for name, entry in spec.entries.items():
            if not entry.outer:
                slots[name] = slot
                slot += 1
        for clause in spec.clauses:
            for name in clause.names:
                slots[name] = slot
                slot += 1
        for name, entry in spec.entries.items():
            if entry.outer:
                slots[name] = slot
                slot += 1
        return Scope(scope, slots)

    def _entry_code(self, name: str, entry: Entry, scope: Scope | None, recursive: bool) -> Code:
        spend(4)
        nested = entry.nested
        if nested is not None:
            return self.set_code(nested, scope)
        value = entry.value
        assert value is not None
        code = self.later(value, entry.base, scope, name)
        if recursive and isinstance(code, Local0):
            if scope is not None and scope.slots is not None and "__overrides" in scope.slots:
                return Lazy(self, scope, value, entry.base, name)
            return Alias(code.slot, self.file, entry.base + value.start, entry.base + value.end)
        return code

    def _clauses(self, spec: SetSpec, scope: Scope | None, starts: dict[str, int]) -> list[InheritClause]:
        clauses: list[InheritClause] = []
        for clause in spec.clauses:
            takers: list[Code] = []
            source_start, source_end = clause.base + clause.source.start, clause.base + clause.source.end
            for name, start in clause.names.items():
                takers.append(InheritSource(name, self.file, start, source_start, source_end))
                starts[name] = start
            source = self.later(clause.source, clause.base, scope, "")
            clauses.append(InheritClause(source, list(clause.names), takers))
        return clauses

    def _dynamic(self, spec: SetSpec, scope: Scope | None) -> list[DynamicAttr]:
        attrs: list[DynamicAttr] = []
        for dynamic in spec.dynamic:
            nested = dynamic.nested
            value = dynamic.value
            if nested is not None:
                code = self.set_code(nested, scope)
            else:
                assert value is not None
                code = self.later(value, dynamic.base, scope, "")
            name = self.step(dynamic.name, dynamic.base, scope)
            attrs.append(DynamicAttr(name, code, Place(self.file, dynamic.start, dynamic.end)))
        return attrs

    def set_code(self, spec: SetSpec, scope: Scope | None) -> Code:
        """Code for a set."""
        starts: dict[str, int] = {}
        positions = LiteralPositions(self.file, starts)
        if not spec.recursive:
            names: list[str] = []
            values: list[Code] = []
            for name, entry in spec.entries.items():
                names.append(name)
                starts[name] = entry.start
                if entry.outer:
                    values.append(self.variable(name, entry.start, scope))
                else:
                    values.append(self._entry_code(name, entry, scope, False))
            clauses = self._clauses(spec, scope, starts)
            return SetCode(names, values, clauses, self._dynamic(spec, scope), positions)
        inner = self.spec_scope(spec, scope)
        values, clauses, outer = self._recursive(spec, inner, scope, starts)
        slots = inner.slots
        assert slots is not None
        return RecSetCode(list(slots), values, clauses, outer, self._dynamic(spec, inner), positions)

    def _recursive(
        self, spec: SetSpec, inner: Scope, scope: Scope | None, starts: dict[str, int]
    ) -> tuple[list[Code], list[InheritClause], list[Code]]:
        values: list[Code] = []
        outer: list[Code] = []
        for name, entry in spec.entries.items():
            starts[name] = entry.start
            if entry.outer:
                outer.append(self.variable(name, entry.start, scope))
            else:
                values.append(self._entry_code(name, entry, inner, True))
        return values, self._clauses(spec, inner, starts), outer

    def let(self, bindings: list[tree.Binding], body: tree.Expr, base: int, scope: Scope | None) -> Code:
        spec = self.spec(bindings, base, True)
        inner = self.spec_scope(spec, scope)
        values, clauses, outer = self._recursive(spec, inner, scope, {})
        slots = inner.slots
        assert slots is not None
        return LetCode(len(slots), values, clauses, outer, self.expr(body, base, inner))

    def opened(self, bindings: list[tree.Binding], base: int, scope: Scope | None) -> tuple[Scope, ScopeCode]:
        """The scope that the bindings of a let or recursive set open, and the code that fills its environment."""
        spec = self.spec(bindings, base, True)
        inner = self.spec_scope(spec, scope)
        values, clauses, outer = self._recursive(spec, inner, scope, {})
        slots = inner.slots
        assert slots is not None
        return inner, ScopeCode(len(slots), values, clauses, outer)
