"""Lambdas and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from evaluator.runtime.brief import described, expected
from evaluator.runtime.errors import DETAIL, STEP, EvalError, Interrupted, StackOverflow, TypeFault
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
    from evaluator.runtime.observations import CallLog


class LambdaCode(Function):
    """What the two forms of lambda share: a name for traces, a place, a log of observed calls."""

    def __init__(self, file: SourceFile, start: int, end: int, body: Code, log: CallLog | None) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end
        self.body = body
        self.fresh = True  # not called yet
        self.name = ""
        self.log = log

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def known_as(self) -> str:
        return self.name

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
            error.note(f"while calling {self.title()}", self.place(), DETAIL)
            error.__traceback__ = None
            error.__context__ = None
            raise
        except BaseException as stop:
            counters.depth = depth
            if isinstance(stop, Interrupted):
                stop.__traceback__ = None
                stop.__context__ = None
            raise
        counters.depth = depth
        if self.fresh:
            self.fresh = False
            self.body = self.body.lowered()
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

    def curried(self) -> PlainLambda | None:
        """The body if it is ``y: …`` and nobody observes the calls in between.

        Then ``below.call([env, first], second)`` is the call with two arguments: nothing can fail in between, and the
        function in between need not be made.
        """
        below = self.body
        return below if isinstance(below, PlainLambda) and self.log is None else None


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
        self.arguments: Attrs | None = None  # what `functionArgs` answers, once it was asked
        empty: Env = [None] * (len(names) + 2)
        self.empty: Final = empty

    def call(self, env: Env, argument: object) -> object:
        given = force(argument)
        if not isinstance(given, Attrs):
            fault = expected("a set", given)
            fault.note("while evaluating the value passed for the lambda argument", self.place())
            raise fault
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
        if not self.ellipsis and matched < given.count():
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
                error.suggest(name, self.names)
                raise error


def call(function: object, argument: object, site: Code | None = None) -> object:
    """The forced result of calling a forced ``function`` with a value or thunk.

    ``site`` is the expression that calls, for the trace; a built-in function has none.
    """
    if isinstance(function, Closure):
        try:
            return function.function.call(function.env, argument)
        except EvalError as error:
            if site is not None:
                called(error, site)
            raise
    if isinstance(function, Primop):
        if function.arity == 1:
            # A step of its own: what calls it may be a built-in function with a million elements.
            spend(1)
            running = False
            problem: EvalError
            try:
                value = force(argument) if function.strict else argument
                running = True
                return force(function.run(function.host, value))
            except EvalError as error:
                if running:
                    builtin_called(error, function, site)
                    raise
                problem = error
            return run_primop(function, [failed(problem)], site)
        return PartialPrimop(function, [argument])
    if isinstance(function, PartialPrimop):
        primop = function.primop
        arguments = function.arguments + [argument]
        if len(arguments) < primop.arity:
            return PartialPrimop(primop, arguments)
        return run_primop(primop, arguments, site)
    if isinstance(function, Attrs):
        functor = function.get("__functor")
        if functor is not None:
            descend()
            try:
                result = call(call(functor, function), argument)
            except EvalError as error:
                if site is not None:
                    error.note("while calling a functor (an attribute set with a '__functor' attribute)", site.place())
                raise
            COUNTERS.depth -= 1
            return result
    fault = TypeFault(f"attempt to call something which is not a function but {described(function)}")
    if site is not None:
        fault.pin(site.place())
    raise fault


def call2(function: object, first: object, second: object) -> object:
    """The forced result of calling ``function`` with two arguments."""
    if isinstance(function, Primop) and function.arity == 2:
        spend(1)
        stage: i64 = 0
        problem: EvalError
        try:
            if function.strict:
                a = force(first)
                stage = 1
                b = force(second)
                stage = 2
                return force(function.run(function.host, a, b))
            stage = 2
            return force(function.run(function.host, first, second))
        except EvalError as error:
            if stage == 2:
                builtin_called(error, function, None)
                raise
            problem = error
        if stage == 0:
            return run_primop(function, [failed(problem), not_evaluated(second, problem)])
        return run_primop(function, [first, failed(problem)])
    if isinstance(function, Closure):
        code = function.function
        if isinstance(code, PlainLambda):
            below = code.curried()
            if below is not None:
                inner: Env = [function.env, first]
                return below.call(inner, second)
    return call(call(function, first), second)


def called(error: EvalError, site: Code) -> None:
    """Notes the place of a call of a lambda for an error that came out of it."""
    if isinstance(error, StackOverflow) and not error.frames:
        error.pin(site.place())
        return
    # A call that did not come about is always told, with one that failed only the full trace bothers.
    begun = error.frames and error.frames[-1].kind == DETAIL
    error.note("from call site", site.place(), DETAIL if begun else STEP)


@final
class Failed(Code):
    """What an argument is that could not be evaluated: whoever wants it gets the error."""

    def __init__(self, error: EvalError) -> None:
        self.error: Final = error

    def resume(self, payload: object, extra: object) -> object:
        raise self.error


def failed(error: EvalError) -> Thunk:
    """An argument that could not be evaluated, for a function that will want it.

    It says what it wanted it for, or that something else is wrong first.
    """
    return Thunk(Failed(error), None)


def not_evaluated(argument: object, error: EvalError) -> object:
    """An argument that comes after one that failed: it is not evaluated any more.

    Else what recurs in two arguments would take twice as long with every step of depth, only to fail again.
    """
    return failed(error) if isinstance(argument, Thunk) and argument.code is not None else argument


def run_primop(primop: Primop, arguments: list[object], site: Code | None = None) -> object:
    """Runs a built-in function that has all its arguments."""
    spend(1)
    if primop.strict:
        arguments = _forced(arguments)
    run = primop.run
    host = primop.host
    try:
        if len(arguments) == 2:
            return force(run(host, arguments[0], arguments[1]))
        if len(arguments) == 3:
            return force(run(host, arguments[0], arguments[1], arguments[2]))
        return force(run(host, *arguments))
    except EvalError as error:
        builtin_called(error, primop, site)
        raise


def _forced(arguments: list[object]) -> list[object]:
    """The arguments forced, up to the first that fails."""
    values: list[object] = arguments.copy()
    for index in range(len(values)):
        argument = values[index]
        if isinstance(argument, Thunk):
            try:
                values[index] = argument.run()
            except EvalError as error:
                values[index] = failed(error)
                for later in range(index + 1, len(values)):
                    values[later] = not_evaluated(values[later], error)
                break
    return values


def builtin_called(error: EvalError, primop: Primop, site: Code | None) -> None:
    """Notes the call of a built-in function for an error that came out of it."""
    if primop.name != "addErrorContext":
        error.note(f"while calling the '{primop.name}' builtin", None if site is None else site.place())


class CallCode(Code):
    """What calls share: the place, and what is added to an error that passes through."""

    def __init__(self, function: Code, file: SourceFile, start: int, end: int) -> None:
        self.function: Final = function
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)


@final
class Call1(CallCode):
    """``f a``."""

    def __init__(self, function: Code, argument: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.argument: Final = argument

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        if isinstance(function, Closure):
            try:
                return function.function.call(function.env, self.argument.thunk(env))
            except EvalError as error:
                called(error, self)
                raise
        if isinstance(function, Primop) and function.arity == 1:
            running = False
            problem: EvalError
            try:
                argument = self.argument.eval(env) if function.strict else self.argument.thunk(env)
                running = True
                return force(function.run(function.host, argument))
            except EvalError as error:
                if running:
                    builtin_called(error, function, self)
                    raise
                problem = error
            return run_primop(function, [failed(problem)], self)
        return call(function, self.argument.thunk(env), self)


@final
class Call2(CallCode):
    """``f a b``."""

    def __init__(self, function: Code, first: Code, second: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.first: Final = first
        self.second: Final = second

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        if isinstance(function, Closure):
            code = function.function
            try:
                if isinstance(code, PlainLambda):
                    below = code.curried()
                    if below is not None:
                        inner: Env = [function.env, self.first.thunk(env)]
                        return below.call(inner, self.second.thunk(env))
                between = code.call(function.env, self.first.thunk(env))
                if isinstance(between, Closure):
                    return between.function.call(between.env, self.second.thunk(env))
            except EvalError as error:
                called(error, self)
                raise
            return call(between, self.second.thunk(env), self)
        if isinstance(function, Primop) and function.arity == 2:
            return self._run(function, env)
        return call(call(function, self.first.thunk(env), self), self.second.thunk(env), self)

    def _run(self, primop: Primop, env: Env) -> object:
        stage: i64 = 0
        problem: EvalError
        first: object = None
        try:
            if primop.strict:
                first = self.first.eval(env)
                stage = 1
                second = self.second.eval(env)
                stage = 2
                return force(primop.run(primop.host, first, second))
            stage = 2
            return force(primop.run(primop.host, self.first.thunk(env), self.second.thunk(env)))
        except EvalError as error:
            if stage == 2:
                builtin_called(error, primop, self)
                raise
            problem = error
        if stage == 0:
            return run_primop(primop, [failed(problem), not_evaluated(self.second.thunk(env), problem)], self)
        return run_primop(primop, [first, failed(problem)], self)


@final
class CallMany(CallCode):
    """``f a b c …``."""

    def __init__(self, function: Code, arguments: list[Code], file: SourceFile, start: int, end: int) -> None:
        super().__init__(function, file, start, end)
        self.arguments: Final = arguments

    def eval(self, env: Env) -> object:
        function = self.function.eval(env)
        if isinstance(function, Primop) and function.arity == len(self.arguments):
            return run_primop(function, [argument.thunk(env) for argument in self.arguments], self)
        arguments = self.arguments
        count: i64 = len(arguments)
        index: i64 = 0
        while index < count:
            if index + 1 < count and isinstance(function, Closure):
                code = function.function
                below = code.curried() if isinstance(code, PlainLambda) else None
                if below is not None:
                    inner: Env = [function.env, arguments[index].thunk(env)]
                    try:
                        function = below.call(inner, arguments[index + 1].thunk(env))
                    except EvalError as error:
                        called(error, self)
                        raise
                    index += 2
                    continue
            function = call(function, arguments[index].thunk(env), self)
            index += 1
        return function
