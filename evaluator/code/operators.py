"""Operators, conditionals, strings, lists."""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from evaluator.code.coerce import NO_CONTEXT, canonical, coerce_into, make_string, rejoin
from evaluator.runtime.brief import expected
from evaluator.runtime.bulk import LARGE_TEXT, ask_for, concatenated
from evaluator.runtime.compare import difference, equal, less
from evaluator.runtime.errors import AssertionFailed, EvalError, InfiniteRecursion, TypeFault, Unrealised
from evaluator.runtime.host import Host
from evaluator.runtime.show import type_name
from evaluator.runtime.source import MergedPositions, Place, SourceFile
from evaluator.runtime.values import COUNTERS, Attrs, Code, ContextString, Env, PathValue, Thunk

_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1
#: What is between minus this and this has room to spare in 64 bits, and compiled code compares it without an object.
_SMALL: Final = 0x1000000000000000
_DOING: Final = {
    "add": ("adding", "+"),
    "sub": ("subtracting", "-"),
    "mul": ("multiplying", "*"),
    "div": ("dividing", "/"),
}


class Placed(Code):
    """A node that knows its place."""

    def __init__(self, file: SourceFile, start: int, end: int) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def place(self) -> Place:
        return Place(self.file, self.start, self.end)


@final
class Operand:
    """Where an operand or condition stands.

    ``origin`` is where Nix says that its expression is: inside parentheses, at the operator of an operation; below
    zero for what is nowhere to Nix (numbers, strings without interpolation, ``let``).
    """

    def __init__(self, file: SourceFile, start: int, end: int, origin: int) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end
        self.origin: Final = origin

    def whole(self) -> Place:
        return Place(self.file, self.start, self.end)

    def known(self) -> Place | None:
        return None if self.origin < 0 else Place(self.file, self.origin, self.end)

    def note(self, error: EvalError, text: str) -> None:
        """Notes what the operand was evaluated for."""
        place = self.known()
        if not error.frames and isinstance(error, InfiniteRecursion):
            error.pin(place)
        error.note(text, place)
        if place is None:
            error.locate(self.whole())


def truth(code: Code, env: Env, operand: Operand, doing: str) -> bool:
    """The Boolean that an expression is."""
    try:
        value = code.eval(env)
        if value is True:
            return True
        if value is False:
            return False
        raise expected("a Boolean", value, operand.known())
    except EvalError as error:
        operand.note(error, doing)
        raise


@final
class IfCode(Code):
    def __init__(self, condition: Code, yes: Code, no: Code, where: Operand) -> None:
        self.condition: Final = condition
        self.yes: Final = yes
        self.no: Final = no
        self.where: Final = where

    def place(self) -> Place:
        return self.where.whole()

    def eval(self, env: Env) -> object:
        try:
            test = self.condition.eval(env)
        except EvalError as error:
            self.where.note(error, "while evaluating a branch condition")
            raise
        if test is True:
            return self.yes.eval(env)
        if test is False:
            return self.no.eval(env)
        fault = expected("a Boolean", test, self.where.known())
        self.where.note(fault, "while evaluating a branch condition")
        raise fault


@final
class AssertCode(Placed):
    """``assert condition; body``. ``shown`` writes the condition as Nix does."""

    def __init__(
        self, condition: Code, body: Code, where: Operand, shown: Shown, file: SourceFile, start: int, end: int
    ) -> None:
        super().__init__(file, start, end)
        self.condition: Final = condition
        self.body: Final = body
        self.where: Final = where
        self.shown: Final = shown

    def eval(self, env: Env) -> object:
        if not truth(self.condition, env, self.where, "in the condition of the assert statement"):
            raise self._failed(env)
        return self.body.eval(env)

    def _failed(self, env: Env) -> EvalError:
        condition = self.condition
        text = self.shown.text()
        if isinstance(condition, EqualCode):
            left = condition.left.eval(env)
            right = condition.right.eval(env)
            fault = difference(left, right, condition.operator_place())
            if fault is not None:
                fault.note(f"while evaluating the condition of the assertion '{text}'", self.place())
                return fault
        return AssertionFailed(f"assertion '{text}' failed", self.place())


class Shown:
    """An expression that can be written in the words of Nix; what it is made of is not known here."""

    def text(self) -> str:
        raise NotImplementedError


@final
class Operands:
    """The two sides of an operator, and where all of it stands."""

    def __init__(
        self, left: Code, right: Code, left_at: Operand, right_at: Operand, operator: str, operator_start: int
    ) -> None:
        self.left: Final = left
        self.right: Final = right
        self.left_at: Final = left_at
        self.right_at: Final = right_at
        self.operator: Final = operator
        self.operator_start: Final = operator_start


class BinaryCode(Code):
    def __init__(self, operands: Operands) -> None:
        self.left: Final = operands.left
        self.right: Final = operands.right
        self.operands: Final = operands

    def place(self) -> Place:
        operands = self.operands
        return Place(operands.left_at.file, operands.left_at.start, operands.right_at.end)

    def operator_place(self) -> Place:
        operands = self.operands
        start = operands.operator_start
        return Place(operands.left_at.file, start, start + len(operands.operator))

    def note(self, error: EvalError, right: bool) -> None:
        """Notes which operand an error came out of."""
        operands = self.operands
        if right:
            operands.right_at.note(error, f"in the right operand of '{operands.operator}'")
        else:
            operands.left_at.note(error, f"in the left operand of '{operands.operator}'")

    def operand_truth(self, right: bool, env: Env) -> bool:
        """The Boolean that an operand is."""
        try:
            value = self.right.eval(env) if right else self.left.eval(env)
            if value is True:
                return True
            if value is False:
                return False
            operands = self.operands
            raise expected("a Boolean", value, (operands.right_at if right else operands.left_at).known())
        except EvalError as error:
            self.note(error, right)
            raise


@final
class AndCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return self.operand_truth(False, env) and self.operand_truth(True, env)


@final
class OrCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return self.operand_truth(False, env) or self.operand_truth(True, env)


@final
class ImpliesCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return not self.operand_truth(False, env) or self.operand_truth(True, env)


@final
class NotCode(Code):
    def __init__(self, operand: Code, where: Operand) -> None:
        self.operand: Final = operand
        self.where: Final = where

    def place(self) -> Place:
        return self.where.whole()

    def eval(self, env: Env) -> object:
        return not truth(self.operand, env, self.where, "in the argument of '!'")


@final
class NegateCode(Placed):
    def __init__(self, operand: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.operand: Final = operand

    def eval(self, env: Env) -> object:
        # To Nix it is a call: `builtins.sub 0 operand`.
        try:
            value = self.operand.eval(env)
            if isinstance(value, float):
                return 0.0 - value  # there is no negative zero
            return arithmetic("sub", 0, value)
        except EvalError as error:
            error.note("while calling the 'sub' builtin", self.place())
            raise


@final
class EqualCode(BinaryCode):
    def eval(self, env: Env) -> object:
        stage: i64 = 0
        try:
            left = self.left.eval(env)
            stage = 1
            right = self.right.eval(env)
            stage = 2
            return equal(left, right)
        except EvalError as error:
            if stage < 2:
                self.note(error, stage == 1)
            raise


@final
class UnequalCode(BinaryCode):
    def eval(self, env: Env) -> object:
        stage: i64 = 0
        try:
            left = self.left.eval(env)
            stage = 1
            right = self.right.eval(env)
            stage = 2
            return not equal(left, right)
        except EvalError as error:
            if stage < 2:
                self.note(error, stage == 1)
            raise


@final
class LessCode(BinaryCode):
    """``<``, and the other three: ``swapped`` exchanges the sides, ``negated`` the answer."""

    def __init__(self, operands: Operands, swapped: bool, negated: bool) -> None:
        super().__init__(operands)
        self.swapped: Final = swapped
        self.negated: Final = negated

    def eval(self, env: Env) -> object:
        # The side that stands for the lesser is evaluated first.
        try:
            if self.swapped:
                right = self.right.eval(env)
                left = self.left.eval(env)
                below = less(right, left)
            else:
                left = self.left.eval(env)
                right = self.right.eval(env)
                below = less(left, right)
        except EvalError as error:
            place = self.operator_place()
            error.note("while calling the 'lessThan' builtin", place)
            if self.negated:
                error.note("in the argument of '!'", place)
            raise
        return below != self.negated


def look_further(error: EvalError, code: Code, env: Env) -> None:
    """Looks what else has to be made: for what will be evaluated too, when what ``error`` misses has been."""
    if COUNTERS.gathering is not None and isinstance(error, Unrealised):
        try:
            code.eval(env)
        except EvalError:
            return


@final
class UpdateCode(BinaryCode):
    """``left // right``."""

    def eval(self, env: Env) -> object:
        on_right = False
        try:
            left = self.left.eval(env)
            if not isinstance(left, Attrs):
                raise expected("a set", left)
            on_right = True
            right = self.right.eval(env)
            if not isinstance(right, Attrs):
                raise expected("a set", right)
        except EvalError as error:
            self.note(error, on_right)
            if not on_right:
                look_further(error, self.right, env)
            raise
        return update(left, right)


_LAYERED_FROM: Final = 32


def update(left: Attrs, right: Attrs) -> Attrs:
    """``left // right`` of sets."""
    over = right.at_most()
    if over == 0:
        return left
    under = left.at_most()
    if under == 0:
        return right
    merged = Attrs.merged(left, right)
    if merged is not None:
        return merged
    positions = MergedPositions(left.positions, right.positions, right)
    if under + over < _LAYERED_FROM:
        items = left.copied()
        items.update(right.items)
        return Attrs(items, positions)
    if under * 4 < over:
        # A few attributes that only count where the large set has none: laid over it they come to the same.
        few = left.copied()
        for name in left.names():
            if right.has(name):
                del few[name]
        return Attrs(few, positions).laid_over(right, positions) if few else right
    return right.laid_over(left, positions)


@final
class ConcatCode(BinaryCode):
    """``left ++ right``."""

    def eval(self, env: Env) -> object:
        on_right = False
        try:
            left = self.left.eval(env)
            on_right = True
            right = self.right.eval(env)
        except EvalError as error:
            self.note(error, on_right)
            if not on_right:
                look_further(error, self.right, env)
            raise
        if not isinstance(left, list):
            raise self._no_list(left)
        if not isinstance(right, list):
            raise self._no_list(right)
        if not right:
            return left
        if not left:
            return right
        return concatenated(left, right)

    def _no_list(self, value: object) -> EvalError:
        fault = expected("a list", value)
        fault.note("while evaluating one of the elements to concatenate", self.operator_place())
        return fault


@final
class ListCode(Code):
    def __init__(self, items: list[Code]) -> None:
        self.items: Final = items

    def eval(self, env: Env) -> object:
        return [item.thunk(env) for item in self.items]


_NUMBERS: Final = {"add": 0, "sub": 1, "mul": 2, "div": 3}


def quick(number: i64, left: object, right: object) -> object:
    """Sum, difference, product of small integers; None for all else, which :func:`arithmetic` knows.

    Pass it values that no ``isinstance(…, int)`` has looked at: compiled, that makes 1 of true.
    """
    if isinstance(left, bool) or isinstance(right, bool):
        return None
    if isinstance(left, int) and isinstance(right, int):
        if number == 0:
            result = left + right
        elif number == 1:
            result = left - right
        elif number == 2:
            result = left * right
        else:
            return None
        if -_SMALL < result < _SMALL:
            return result
    return None


def checked(result: int, place: Place | None, doing: str, left: int, right: int | None) -> int:
    """``result`` if it fits 64 bits; overflow is an error, as in current Nix."""
    if _MIN <= result <= _MAX:
        return result
    if right is None:
        raise EvalError(f"integer overflow in negating {left}", place)
    raise EvalError(f"integer overflow in {_DOING[doing][0]} {left} {_DOING[doing][1]} {right}", place)


_SIDES: Final = {
    "add": "argument of the addition",
    "sub": "argument of the subtraction",
    "mul": "argument of the multiplication",
    "div": "operand of the division",
}


def arithmetic(op: str, left: object, right: object) -> object:
    """``add``, ``sub``, ``mul``, ``div`` of two forced numbers."""
    if isinstance(left, int) and isinstance(right, int) and not isinstance(left, bool) and not isinstance(right, bool):
        if op == "add":
            return checked(left + right, None, op, left, right)
        if op == "sub":
            return checked(left - right, None, op, left, right)
        if op == "mul":
            return checked(left * right, None, op, left, right)
        if right == 0:
            raise EvalError("division by zero")
        quotient = abs(left) // abs(right)
        return checked(quotient if (left < 0) == (right < 0) else -quotient, None, op, left, right)
    if op == "div" and number(right, "a float", op, "second") == 0.0:
        raise EvalError("division by zero")
    wanted = "a float" if isinstance(left, float) or isinstance(right, float) else "an integer"
    a = number(left, wanted, op, "first")
    b = number(right, wanted, op, "second")
    if op == "add":
        return a + b
    if op == "sub":
        return a - b
    if op == "mul":
        return a * b
    return a / b


def number(value: object, wanted: str, op: str, side: str) -> float:
    """A forced number as a float; the error says what was ``wanted`` on which ``side``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    fault = expected(wanted, value)
    fault.note(f"while evaluating the {side} {_SIDES[op]}", None)
    raise fault


@final
class ArithmeticCode(BinaryCode):
    """``-``, ``*``, ``/``."""

    def __init__(self, op: str, operands: Operands) -> None:
        super().__init__(operands)
        self.op: Final = op
        self.number: Final[i64] = _NUMBERS[op]

    def thunk(self, env: Env) -> object:
        left = self.left.ready(env)
        if left is not None:
            right = self.right.ready(env)
            if right is not None:
                value = quick(self.number, left, right)
                if value is not None:
                    return value
        return Thunk(self, env)

    def eval(self, env: Env) -> object:
        try:
            left = self.left.eval(env)
            right = self.right.eval(env)
            value = quick(self.number, left, right)
            return arithmetic(self.op, left, right) if value is None else value
        except EvalError as error:
            error.note(f"while calling the '{self.op}' builtin", self.operator_place())
            raise


_SEGMENT: Final = "while evaluating a path segment"
_OPERAND: Final = "in an operand of '+'"


@final
class AddCode(BinaryCode):
    """``+``: numbers, strings, paths; the left side decides."""

    def __init__(self, host: Host, operands: Operands) -> None:
        super().__init__(operands)
        self.host: Final = host

    def thunk(self, env: Env) -> object:
        left = self.left.ready(env)
        if left is not None:
            value = quick(0, left, self.right.ready(env))
            if value is not None:
                return value
        return Thunk(self, env)

    def eval(self, env: Env) -> object:
        stage: i64 = 0
        left: object = None
        try:
            left = self.left.eval(env)
            stage = 1
            right = self.right.eval(env)
        except EvalError as error:
            if stage == 1:
                self._check_left(left)
            (self.operands.right_at if stage == 1 else self.operands.left_at).note(error, _OPERAND)
            if stage == 0:
                look_further(error, self.right, env)
            raise
        value = quick(0, left, right)
        if value is not None:
            return value
        if isinstance(left, str) and isinstance(right, str):
            if len(left) + len(right) > LARGE_TEXT:
                ask_for(len(left) + len(right))
            if left.isascii() or right.isascii():
                return left + right
            return rejoin(left + right)
        if isinstance(left, (int, float)) and not isinstance(left, bool):
            if isinstance(right, (int, float)) and not isinstance(right, bool):
                try:
                    return arithmetic("add", left, right)
                except EvalError as error:
                    error.pin(self.operands.right_at.whole())
                    raise
            raise TypeFault(f"cannot add {type_name(right)} to {type_name(left)}", self.operands.right_at.whole())
        pieces: list[str] = []
        if isinstance(left, PathValue):
            if self._segment(right, pieces, NO_CONTEXT, False, True):
                raise EvalError(
                    "a string that refers to a store path cannot be appended to a path", self.operator_place()
                )
            return PathValue(canonical(left.path + "".join(pieces)))
        copy = isinstance(left, (str, ContextString))
        context = self._segment(left, pieces, NO_CONTEXT, copy, False)
        context = self._segment(right, pieces, context, copy, True)
        return make_string(rejoin("".join(pieces)), context)

    def _segment(
        self, value: object, pieces: list[str], context: frozenset[str], copy: bool, right: bool
    ) -> frozenset[str]:
        """Adds the text of an operand."""
        try:
            return coerce_into(self.host, value, pieces, context, copy, False)
        except EvalError as error:
            place = (self.operands.right_at if right else self.operands.left_at).whole()
            error.explain(_SEGMENT, place)
            error.locate(place)
            raise

    def _check_left(self, left: object) -> None:
        """The right side failed; to Nix it would not have come to that if the left one is no text."""
        if not isinstance(left, (int, float, str, PathValue, ContextString)) or isinstance(left, bool):
            self._segment(left, [], NO_CONTEXT, False, False)


@final
class InterpolateCode(Placed):
    """A string with interpolations; ``parts`` are constants and expressions.

    ``spots``: where the interpolation of each part stands (None for constants).
    """

    def __init__(
        self,
        host: Host,
        parts: list[Code],
        spots: list[Operand | None],
        file: SourceFile,
        start: int,
        end: int,
    ) -> None:
        super().__init__(file, start, end)
        self.host: Final = host
        self.parts: Final = parts
        self.spots: Final = spots

    def eval(self, env: Env) -> object:
        pieces: list[str] = []
        context = NO_CONTEXT
        index: i64 = 0
        evaluated = False
        try:
            for part in self.parts:
                evaluated = False
                value = part.eval(env)
                if isinstance(value, str):
                    pieces.append(value)
                else:
                    evaluated = True
                    context = coerce_into(self.host, value, pieces, context, True, False)
                index += 1
        except EvalError as error:
            note_segment(error, self.spots[index], evaluated)
            if isinstance(error, Unrealised):
                self._look_further(env, index + 1)
            raise
        text = "".join(pieces)
        if len(text) > LARGE_TEXT:
            ask_for(len(text))
        if not text.isascii():
            text = rejoin(text)
        if context:
            return ContextString(text, context)
        return text

    def _look_further(self, env: Env, index: i64) -> None:
        """What :func:`look_further` does, for the parts from ``index`` on."""
        if COUNTERS.gathering is None:
            return
        for at in range(index, len(self.parts)):
            try:
                coerce_into(self.host, self.parts[at].eval(env), [], NO_CONTEXT, True, False)
            except Unrealised:
                continue
            except EvalError:
                return


def note_segment(error: EvalError, spot: Operand | None, evaluated: bool) -> None:
    """Notes that an interpolation failed, or that its value is no text."""
    if spot is None:
        return
    if evaluated:
        error.explain(_SEGMENT, spot.whole())
        error.locate(spot.whole())
    else:
        spot.note(error, _OPERAND)


@final
class PathCode(Placed):
    """A path literal with interpolations; ``spots`` as of :class:`InterpolateCode`."""

    def __init__(
        self,
        host: Host,
        parts: list[Code],
        spots: list[Operand | None],
        file: SourceFile,
        start: int,
        end: int,
    ) -> None:
        super().__init__(file, start, end)
        self.host: Final = host
        self.parts: Final = parts
        self.spots: Final = spots

    def eval(self, env: Env) -> object:
        pieces: list[str] = []
        context = NO_CONTEXT
        index: i64 = 0
        evaluated = False
        try:
            for part in self.parts:
                evaluated = False
                value = part.eval(env)
                evaluated = True
                context = coerce_into(self.host, value, pieces, context, False, False)
                if context:
                    raise EvalError("a string that refers to a store path cannot be appended to a path", self.place())
                index += 1
        except EvalError as error:
            note_segment(error, self.spots[index], evaluated)
            raise
        return PathValue(canonical("".join(pieces)))


@final
class SearchPathCode(Placed):
    """``<name>``."""

    def __init__(self, host: Host, name: str, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.host: Final = host
        self.name: Final = name

    def eval(self, env: Env) -> object:
        try:
            return PathValue(self.host.find_file(self.name))
        except EvalError as error:
            error.note("while calling the 'findFile' builtin", self.place())
            raise
