"""Operators, conditionals, strings, lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from evaluator.runtime.bulk import LARGE_TEXT, ask_for, concatenated
from evaluator.runtime.coerce import NO_CONTEXT, canonical, coerce_into, make_string, rejoin
from evaluator.runtime.compare import equal, less
from evaluator.runtime.errors import AssertionFailed, EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.source import MergedPositions, Place, SourceFile
from evaluator.runtime.values import Attrs, Code, ContextString, Env, PathValue

if TYPE_CHECKING:
    from evaluator.session import Session

_MIN: Final = -(2**63)
_MAX: Final = 2**63 - 1
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

    def truth(self, value: object) -> bool:
        """A Boolean, or the error that there is none."""
        if isinstance(value, bool):
            return value
        raise TypeFault(f"value is {type_name(value)} while a Boolean was expected", self.place())


@final
class IfCode(Placed):
    def __init__(self, condition: Code, yes: Code, no: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.condition: Final = condition
        self.yes: Final = yes
        self.no: Final = no

    def eval(self, env: Env) -> object:
        test = self.condition.eval(env)
        if test is True:
            return self.yes.eval(env)
        if test is False:
            return self.no.eval(env)
        self.truth(test)
        return None


@final
class AssertCode(Placed):
    """``assert condition; body``; the place is that of the condition."""

    def __init__(self, condition: Code, body: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.condition: Final = condition
        self.body: Final = body

    def eval(self, env: Env) -> object:
        if not self.truth(self.condition.eval(env)):
            raise AssertionFailed(f"assertion '{self.file.text[self.start : self.end]}' failed", self.place())
        return self.body.eval(env)


@final
class Operands:
    """The two sides of an operator, and where they stand."""

    def __init__(
        self, left: Code, right: Code, file: SourceFile, start: int, left_end: int, right_start: int, end: int
    ) -> None:
        self.left: Final = left
        self.right: Final = right
        self.file: Final = file
        self.start: Final = start
        self.left_end: Final = left_end
        self.right_start: Final = right_start
        self.end: Final = end


class BinaryCode(Placed):
    def __init__(self, operands: Operands) -> None:
        super().__init__(operands.file, operands.start, operands.end)
        self.left: Final = operands.left
        self.right: Final = operands.right
        self.left_end: Final = operands.left_end
        self.right_start: Final = operands.right_start

    def place_of(self, operand: Code) -> Place:
        """Where an operand stands; the place of the whole operation for anything else."""
        if operand is self.left:
            return Place(self.file, self.start, self.left_end)
        if operand is self.right:
            return Place(self.file, self.right_start, self.end)
        return self.place()

    def operand_truth(self, operand: Code, env: Env) -> bool:
        """The Boolean that an operand is."""
        value = operand.eval(env)
        if isinstance(value, bool):
            return value
        raise TypeFault(f"value is {type_name(value)} while a Boolean was expected", self.place_of(operand))


@final
class AndCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return self.operand_truth(self.left, env) and self.operand_truth(self.right, env)


@final
class OrCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return self.operand_truth(self.left, env) or self.operand_truth(self.right, env)


@final
class ImpliesCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return not self.operand_truth(self.left, env) or self.operand_truth(self.right, env)


@final
class NotCode(Placed):
    def __init__(self, operand: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.operand: Final = operand

    def eval(self, env: Env) -> object:
        return not self.truth(self.operand.eval(env))


@final
class NegateCode(Placed):
    def __init__(self, operand: Code, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.operand: Final = operand

    def eval(self, env: Env) -> object:
        value = self.operand.eval(env)
        if isinstance(value, bool):
            raise TypeFault("value is a Boolean while an integer was expected", self.place())
        if isinstance(value, int):
            return checked(-value, self.place(), "negating", value, None)
        if isinstance(value, float):
            # Nix subtracts from zero: there is no negative zero.
            return 0.0 - value
        raise TypeFault(f"value is {type_name(value)} while an integer was expected", self.place())


@final
class EqualCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return equal(self.left.eval(env), self.right.eval(env))


@final
class UnequalCode(BinaryCode):
    def eval(self, env: Env) -> object:
        return not equal(self.left.eval(env), self.right.eval(env))


@final
class LessCode(BinaryCode):
    """``<``, and the other three: ``swapped`` exchanges the sides, ``negated`` the answer."""

    def __init__(self, operands: Operands, swapped: bool, negated: bool) -> None:
        super().__init__(operands)
        self.swapped: Final = swapped
        self.negated: Final = negated

    def eval(self, env: Env) -> object:
        # The side that stands for the lesser is evaluated first.
        if self.swapped:
            right = self.right.eval(env)
            left = self.left.eval(env)
        else:
            left = self.left.eval(env)
            right = self.right.eval(env)
        try:
            below = less(right, left) if self.swapped else less(left, right)
        except EvalError as error:
            error.locate(self.place())
            raise
        return below != self.negated


@final
class UpdateCode(BinaryCode):
    """``left // right``."""

    def eval(self, env: Env) -> object:
        left = self.left.eval(env)
        if not isinstance(left, Attrs):
            raise TypeFault(f"value is {type_name(left)} while a set was expected", self.place_of(self.left))
        right = self.right.eval(env)
        if not isinstance(right, Attrs):
            raise TypeFault(f"value is {type_name(right)} while a set was expected", self.place_of(self.right))
        return update(left, right)


_LAYERED_FROM: Final = 96
_MOST_LAYERS: Final = 6


def update(left: Attrs, right: Attrs) -> Attrs:
    """``left // right`` of sets."""
    over = right.at_most()
    if over == 0:
        return left
    under = left.at_most()
    if under == 0:
        return right
    positions = MergedPositions(left.positions, right.positions, right)
    if under + over < _LAYERED_FROM or left.layers() >= _MOST_LAYERS:
        items = left.copied()
        items.update(right.items)
        return Attrs(items, positions)
    return Attrs(right.items, positions, left)


@final
class ConcatCode(BinaryCode):
    """``left ++ right``."""

    def eval(self, env: Env) -> object:
        left = self.left.eval(env)
        right = self.right.eval(env)
        if not isinstance(left, list):
            raise TypeFault(f"value is {type_name(left)} while a list was expected", self.place_of(self.left))
        if not isinstance(right, list):
            raise TypeFault(f"value is {type_name(right)} while a list was expected", self.place_of(self.right))
        if not right:
            return left
        if not left:
            return right
        return concatenated(left, right)


@final
class ListCode(Code):
    def __init__(self, items: list[Code]) -> None:
        self.items: Final = items

    def eval(self, env: Env) -> object:
        return [item.thunk(env) for item in self.items]


def checked(result: int, place: Place | None, doing: str, left: int, right: int | None) -> int:
    """``result`` if it fits 64 bits; overflow is an error, as in current Nix."""
    if _MIN <= result <= _MAX:
        return result
    if right is None:
        raise EvalError(f"integer overflow in negating {left}", place)
    raise EvalError(f"integer overflow in {_DOING[doing][0]} {left} {_DOING[doing][1]} {right}", place)


def arithmetic(op: str, left: object, right: object, place: Place | None) -> object:
    """``add``, ``sub``, ``mul``, ``div`` of two forced numbers."""
    if isinstance(left, int) and isinstance(right, int) and not isinstance(left, bool) and not isinstance(right, bool):
        if op == "add":
            return checked(left + right, place, op, left, right)
        if op == "sub":
            return checked(left - right, place, op, left, right)
        if op == "mul":
            return checked(left * right, place, op, left, right)
        if right == 0:
            raise EvalError("division by zero", place)
        quotient = abs(left) // abs(right)
        return checked(quotient if (left < 0) == (right < 0) else -quotient, place, op, left, right)
    if op == "div" and number(right, "a float", place) == 0.0:
        raise EvalError("division by zero", place)
    wanted = "a float" if isinstance(left, float) or isinstance(right, float) else "an integer"
    a = number(left, wanted, place)
    b = number(right, wanted, place)
    if op == "add":
        return a + b
    if op == "sub":
        return a - b
    if op == "mul":
        return a * b
    return a / b


def number(value: object, wanted: str, place: Place | None) -> float:
    """A forced number as a float; the error says what was ``wanted``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise TypeFault(f"value is {type_name(value)} while {wanted} was expected", place)


@final
class ArithmeticCode(BinaryCode):
    """``-``, ``*``, ``/``."""

    def __init__(self, op: str, operands: Operands) -> None:
        super().__init__(operands)
        self.op: Final = op

    def eval(self, env: Env) -> object:
        left = self.left.eval(env)
        right = self.right.eval(env)
        try:
            return arithmetic(self.op, left, right, None)
        except EvalError as error:
            error.locate(self.place())
            raise


@final
class AddCode(BinaryCode):
    """``+``: numbers, strings, paths; the left side decides."""

    def __init__(self, session: Session, operands: Operands) -> None:
        super().__init__(operands)
        self.session: Final = session

    def eval(self, env: Env) -> object:
        left = self.left.eval(env)
        right = self.right.eval(env)
        if isinstance(left, str) and isinstance(right, str):
            if len(left) + len(right) > LARGE_TEXT:
                ask_for(len(left) + len(right))
            if left.isascii() or right.isascii():
                return left + right
            return rejoin(left + right)
        at: Code = self
        try:
            if isinstance(left, (int, float)) and not isinstance(left, bool):
                if isinstance(right, (int, float)) and not isinstance(right, bool):
                    return arithmetic("add", left, right, None)
                at = self.right
                raise TypeFault(f"cannot add {type_name(right)} to {type_name(left)}")
            pieces: list[str] = []
            if isinstance(left, PathValue):
                at = self.right
                context = coerce_into(self.session, right, pieces, NO_CONTEXT, False, False)
                if context:
                    raise TypeFault("a string that refers to a store path cannot be appended to a path")
                return PathValue(canonical(left.path + "".join(pieces)))
            copy = isinstance(left, (str, ContextString))
            at = self.left
            context = coerce_into(self.session, left, pieces, NO_CONTEXT, copy, False)
            at = self.right
            context = coerce_into(self.session, right, pieces, context, copy, False)
            return make_string(rejoin("".join(pieces)), context)
        except EvalError as error:
            error.locate(self.place_of(at))
            raise


@final
class InterpolateCode(Placed):
    """A string with interpolations; ``parts`` are constants and expressions.

    ``spots``: where each part starts and ends, two numbers for each (of no meaning for constants).
    """

    def __init__(
        self, session: Session, parts: list[Code], spots: list[int], file: SourceFile, start: int, end: int
    ) -> None:
        super().__init__(file, start, end)
        self.session: Final = session
        self.parts: Final = parts
        self.spots: Final = spots

    def eval(self, env: Env) -> object:
        pieces: list[str] = []
        context = NO_CONTEXT
        index: i64 = 0
        try:
            for part in self.parts:
                value = part.eval(env)
                if isinstance(value, str):
                    pieces.append(value)
                else:
                    context = coerce_into(self.session, value, pieces, context, True, False)
                index += 1
        except EvalError as error:
            error.locate(Place(self.file, self.spots[2 * index], self.spots[2 * index + 1]))
            raise
        text = "".join(pieces)
        if len(text) > LARGE_TEXT:
            ask_for(len(text))
        if not text.isascii():
            text = rejoin(text)
        if context:
            return ContextString(text, context)
        return text


@final
class PathCode(Placed):
    """A path literal with interpolations; ``spots`` as of :class:`InterpolateCode`."""

    def __init__(
        self, session: Session, parts: list[Code], spots: list[int], file: SourceFile, start: int, end: int
    ) -> None:
        super().__init__(file, start, end)
        self.session: Final = session
        self.parts: Final = parts
        self.spots: Final = spots

    def eval(self, env: Env) -> object:
        pieces: list[str] = []
        context = NO_CONTEXT
        index: i64 = 0
        try:
            for part in self.parts:
                context = coerce_into(self.session, part.eval(env), pieces, context, False, False)
                if context:
                    raise TypeFault("a string that refers to a store path cannot be appended to a path")
                index += 1
        except EvalError as error:
            error.locate(Place(self.file, self.spots[2 * index], self.spots[2 * index + 1]))
            raise
        return PathValue(canonical("".join(pieces)))


@final
class SearchPathCode(Placed):
    """``<name>``."""

    def __init__(self, session: Session, name: str, file: SourceFile, start: int, end: int) -> None:
        super().__init__(file, start, end)
        self.session: Final = session
        self.name: Final = name

    def eval(self, env: Env) -> object:
        try:
            return PathValue(self.session.find_file(self.name))
        except EvalError as error:
            error.locate(self.place())
            raise
