"""Lambdas and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from evaluator.runtime.errors import EvalError, Interrupted, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.source import LiteralPositions, Place, SourceFile
from evaluator.runtime.values import (
    COUNTERS,
    Attrs,
    Closure,
    Code,
    Env,
    Function,
    PartialPrimop,
    Primop,
    Thunk,
    descend,
    force,
    overflow,
    refuel,
    spend,
)

if TYPE_CHECKING:
    from evaluator.observations import CallLog


class LambdaCode(Function):
    """What the two forms of lambda share: a name for traces, a place, a log of observed calls."""

    def __init__(self, file: SourceFile, start: int, end: int, body: Code, log: CallLog | None) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end
        self.body: Final = body
        self.name = ""
        self.log = log

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def title(self) -> str:
        return f"'{self.name}'" if self.name else "anonymous lambda"

    def quoted(self) -> str:
        """The name in quotes for messages about its arguments."""
        return f"'{self.name or 'anonymous lambda'}'"

    def eval(self, env: Env) -> object:
        return Closure(self, env)

    def thunk(self, env: Env) -> object:
        return Closure(self, env)

    def enter(self, env: Env) -> object:
        """Evaluates the body in its own environment, counting depth and leaving a frame when it fails."""
        log = self.log
        if log is not None and log.record(env):
            self.log = None
        counters = COUNTERS
        counters.fuel -= 1
        if counters.fuel <= 0:
            refuel()
        depth = counters.depth
        if depth > counters.max_depth:
            raise overflow()
        counters.depth = depth + 1
        try:
            value = self.body.eval(env)
        except EvalError as error:
            counters.depth = depth
            error.note(f"while calling {self.title()}", self.place())
            error.__traceback__ = None
            raise
        except BaseException as stop:
            counters.depth = depth
            if isinstance(stop, Interrupted):
                stop.__traceback__ = None
            raise
        counters.depth = depth
        return value


@final
class PlainLambda(LambdaCode):
    """``x: body``."""

    def __init__(self, file: SourceFile, start: int, end: int, body: Code, log: CallLog | None, argument: str) -> None:
        super().__init__(file, start, end, body, log)
        self.argument: Final = argument

    def call(self, env: Env, argument: object) -> object:
        inner: Env = [env, argument]
        return self.enter(inner)


@final
class FormalsLambda(LambdaCode):
    """``{ a, b ? c, ... } @ x: body``. Slot 1 holds the whole argument (the ``@`` name's, and what observers read),
    the formals follow from slot 2."""

    def __init__(
        self,
        file: SourceFile,
        start: int,
        end: int,
        body: Code,
        log: CallLog | None,
        at_name: str,
        names: list[str],
        defaults: list[Code | None],
        ellipsis: bool,
        positions: LiteralPositions,
    ) -> None:
        super().__init__(file, start, end, body, log)
        self.at_name: Final = at_name
        self.names: Final = names
        self.defaults: Final = defaults
        self.ellipsis: Final = ellipsis
        self.positions: Final = positions
        empty: Env = [None] * (len(names) + 2)
        self.empty: Final = empty

    def call(self, env: Env, argument: object) -> object:
        given = force(argument)
        if not isinstance(given, Attrs):
            raise TypeFault(f"value is {type_name(given)} while a set was expected", self.place())
        inner: Env = self.empty.copy()
        inner[0] = env
        inner[1] = given
        slot: i64 = 2
        names = self.names
        missing = False
        matched = 0
        for name in names:
            value = given.find(name)
            if value is None:
                missing = True
            else:
                if isinstance(value, Thunk) and value.code is None:
                    value = value.payload
                inner[slot] = value
                matched += 1
            slot += 1
        if missing:
            self._fill_defaults(inner)
        if not self.ellipsis and matched < len(given.items):
            self._refuse(given)
        return self.enter(inner)

    def _fill_defaults(self, inner: Env) -> None:
        slot: i64 = 2
        defaults = self.defaults
        for index in range(len(defaults)):
            if inner[slot] is None:
                default = defaults[index]
                if default is None:
                    raise TypeFault(
                        f"function {self.quoted()} called without required argument '{self.names[index]}'", self.place()
                    )
                inner[slot] = default.thunk(inner)
            slot += 1

    def _refuse(self, given: Attrs) -> None:
        for name in sorted(given.items):
            if name not in self.names:
                error = TypeFault(f"function {self.quoted()} called with unexpected argument '{name}'", self.place())
                error.suggestions = self.names
                raise error


def call(function: object, argument: object) -> object:
    """The forced result of calling a forced ``function`` with a value or thunk."""
    if isinstance(function, Closure):
        return function.function.call(function.env, argument)
    if isinstance(function, Primop):
        if function.arity == 1:
            # A step of its own: what calls it may be a built-in function with a million elements.
            spend(1)
            return force(function.run(function.session, force(argument) if function.strict else argument))
        return PartialPrimop(function, [argument])
    if isinstance(function, PartialPrimop):
        primop = function.primop
        arguments = function.arguments + [argument]
        if len(arguments) < primop.arity:
            return PartialPrimop(primop, arguments)
        return run_primop(primop, arguments)
    if isinstance(function, Attrs):
        functor = function.get("__functor")
        if functor is not None:
            descend()
            result = call(call(functor, function), argument)
            COUNTERS.depth -= 1
            return result
    raise TypeFault(f"attempt to call something which is not a function but {type_name(function)}")


def call2(function: object, first: object, second: object) -> object:
    """The forced result of calling ``function`` with two arguments."""
    if isinstance(function, Primop) and function.arity == 2:
        spend(1)
        if function.strict:
            return force(function.run(function.session, force(first), force(second)))
        return force(function.run(function.session, first, second))
    return call(call(function, first), second)


def run_primop(primop: Primop, arguments: list[object]) -> object:
    """Runs a built-in function that has all its arguments."""
    spend(1)
    if primop.strict:
        arguments = [force(argument) for argument in arguments]
    run = primop.run
    session = primop.session
    if len(arguments) == 2:
        return force(run(session, arguments[0], arguments[1]))
    if len(arguments) == 3:
        return force(run(session, arguments[0], arguments[1], arguments[2]))
    return force(run(session, *arguments))


class CallCode(Code):
    """What calls share: the place, and what is added to an error that passes through."""

    def __init__(self, function: Code, file: SourceFile, start: int, end: int) -> None:
        self.function: Final = function
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def passed(self, error: EvalError) -> None:
        if error.place is None:
            error.place = self.place()
        error.note("from call site", self.place())


@final
class Call1(CallCode):
    """``f a``."""

    def __init__(self, function: Code, argument: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.argument: Final = argument

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        try:
            if isinstance(function, Closure):
                return function.function.call(function.env, self.argument.thunk(env))
            if isinstance(function, Primop) and function.arity == 1:
                if function.strict:
                    return force(function.run(function.session, self.argument.eval(env)))
                return force(function.run(function.session, self.argument.thunk(env)))
            return call(function, self.argument.thunk(env))
        except EvalError as error:
            self.passed(error)
            raise


@final
class Call2(CallCode):
    """``f a b``."""

    def __init__(self, function: Code, first: Code, second: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.first: Final = first
        self.second: Final = second

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        try:
            if isinstance(function, Closure):
                inner = function.function.call(function.env, self.first.thunk(env))
                if isinstance(inner, Closure):
                    return inner.function.call(inner.env, self.second.thunk(env))
                return call(inner, self.second.thunk(env))
            if isinstance(function, Primop) and function.arity == 2:
                if function.strict:
                    return force(function.run(function.session, self.first.eval(env), self.second.eval(env)))
                return force(function.run(function.session, self.first.thunk(env), self.second.thunk(env)))
            return call(call(function, self.first.thunk(env)), self.second.thunk(env))
        except EvalError as error:
            self.passed(error)
            raise


@final
class CallMany(CallCode):
    """``f a b c …``."""

    def __init__(self, function: Code, arguments: list[Code], file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.arguments: Final = arguments

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        try:
            if isinstance(function, Primop) and function.arity == len(self.arguments):
                return run_primop(function, [argument.thunk(env) for argument in self.arguments])
            for argument in self.arguments:
                function = call(function, argument.thunk(env))
            return function
        except EvalError as error:
            self.passed(error)
            raise
