"""Constants and variables."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from evaluator.runtime.brief import expected
from evaluator.runtime.errors import HoleForced, UndefinedVariable
from evaluator.runtime.source import Place, SourceFile
from evaluator.runtime.values import Attrs, Code, Env, Thunk


@final
class Constant(Code):
    """A value known when the code was lowered: literals and builtins."""

    def __init__(self, value: object) -> None:
        self.value: Final = value

    def eval(self, env: Env) -> object:
        return self.value

    def thunk(self, env: Env) -> object:
        return self.value

    def ready(self, env: Env) -> object:
        return self.value


@final
class Delayed(Code):
    """A builtin that is not at hand before somebody asks for it."""

    def __init__(self, value: Thunk) -> None:
        self.value: Final = value

    def eval(self, env: Env) -> object:
        return self.value.run()

    def thunk(self, env: Env) -> object:
        return self.value


def _read(env: Env, slot: i64) -> object:
    """The forced value of a slot; a forced thunk is replaced by its value in the slot."""
    value = env[slot]
    if isinstance(value, Thunk):
        result = value.payload if value.code is None else value.run()
        env[slot] = result
        return result
    return value


def _known(value: object) -> object:
    """What is in a slot, if it is forced."""
    if isinstance(value, Thunk):
        return value.payload if value.code is None else None
    return value


def _passed_on(variable: Code, value: object, env: Env) -> object:
    """What is handed on of a ``variable`` whose slot holds ``value``: no thunk around one, and none that is done."""
    if value is None:  # a recursive scope that is just being filled
        return Thunk(variable, env)
    if isinstance(value, Thunk) and value.code is None:
        return value.payload
    return value


def _out(env: Env, depth: i64) -> Env:
    """The environment ``depth`` scopes out."""
    while depth > 0:
        up = env[0]
        assert isinstance(up, list)
        env = up
        depth -= 1
    return env


@final
class Local0(Code):
    """A variable of the innermost scope."""

    def __init__(self, slot: int) -> None:
        self.slot: Final[i64] = slot

    def eval(self, env: Env) -> object:
        return _read(env, self.slot)

    def thunk(self, env: Env) -> object:
        return _passed_on(self, env[self.slot], env)

    def ready(self, env: Env) -> object:
        return _known(env[self.slot])


@final
class Alias(Code):
    """A variable of a recursive scope that is the whole value of a binding there.

    It knows its place, so that a cycle of aliases is an error with a place.
    """

    def __init__(self, slot: int, file: SourceFile, start: int, end: int) -> None:
        self.slot: Final[i64] = slot
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def eval(self, env: Env) -> object:
        return _read(env, self.slot)

    def thunk(self, env: Env) -> object:
        value = env[self.slot]
        return Thunk(self, env) if value is None else value


@final
class Local1(Code):
    """A variable one scope out."""

    def __init__(self, slot: int) -> None:
        self.slot: Final[i64] = slot

    def eval(self, env: Env) -> object:
        up = env[0]
        assert isinstance(up, list)
        return _read(up, self.slot)

    def thunk(self, env: Env) -> object:
        up = env[0]
        assert isinstance(up, list)
        return _passed_on(self, up[self.slot], env)

    def ready(self, env: Env) -> object:
        up = env[0]
        assert isinstance(up, list)
        return _known(up[self.slot])


@final
class Local(Code):
    """A variable ``depth`` scopes out."""

    def __init__(self, depth: int, slot: int) -> None:
        self.depth: Final[i64] = depth
        self.slot: Final[i64] = slot

    def eval(self, env: Env) -> object:
        return _read(_out(env, self.depth), self.slot)

    def thunk(self, env: Env) -> object:
        return _passed_on(self, _out(env, self.depth)[self.slot], env)

    def ready(self, env: Env) -> object:
        return _known(_out(env, self.depth)[self.slot])


@final
class WithVariable(Code):
    """A name that only enclosing ``with`` expressions can bind.

    ``depths`` tells how far out they are, innermost first, ``starts`` where they stand.
    """

    def __init__(self, name: str, depths: list[int], starts: list[int], file: SourceFile, start: int) -> None:
        self.name: Final = name
        self.depths: Final = depths
        self.starts: Final = starts
        self.file: Final = file
        self.start: Final = start

    def place(self) -> Place:
        return Place(self.file, self.start, self.start + len(self.name))

    def eval(self, env: Env) -> object:
        at = env
        climbed = 0
        name = self.name
        for depth in self.depths:
            while climbed < depth:
                up = at[0]
                assert isinstance(up, list)
                at = up
                climbed += 1
            namespace = _read(at, 1)
            if not isinstance(namespace, Attrs):
                start = self.starts[self.depths.index(depth)]
                fault = expected("a set", namespace)
                fault.note(
                    "while evaluating the first subexpression of a with expression",
                    Place(self.file, start, start + len("with")),
                )
                raise fault
            value = namespace.get(name)
            if value is not None:
                return value
        raise UndefinedVariable(f"undefined variable '{name}'", self.place())


@final
class Undefined(Code):
    """A name that nothing binds."""

    def __init__(self, name: str, file: SourceFile, start: int) -> None:
        self.name: Final = name
        self.file: Final = file
        self.start: Final = start

    def place(self) -> Place:
        return Place(self.file, self.start, self.start + len(self.name))

    def eval(self, env: Env) -> object:
        raise UndefinedVariable(f"undefined variable '{self.name}'", self.place())


@final
class Hole(Code):
    """Where the text has no expression; harmless until somebody needs its value."""

    def __init__(self, file: SourceFile, start: int, end: int) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)

    def eval(self, env: Env) -> object:
        raise HoleForced("there is no expression here yet", self.place())


@final
class CurrentPosition(Code):
    """``__curPos``."""

    def __init__(self, file: SourceFile, start: int) -> None:
        self.file: Final = file
        self.start: Final = start

    def eval(self, env: Env) -> object:
        line, column = self.file.line_column(self.start)
        items: dict[str, object] = {"column": column, "file": self.file.path, "line": line}
        return Attrs(items, None)
