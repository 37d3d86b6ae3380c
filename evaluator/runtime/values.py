"""The values of the language and how they are forced.

==================  =====================================================
Nix                 here
==================  =====================================================
integer, float      ``int`` (64 bits, checked), ``float``
boolean             ``bool``
null                :data:`NULL` (never ``None``: ``dict.get`` answering None means absent)
string              ``str`` without, :class:`ContextString` with string context
path                :class:`PathValue`
list                ``list`` of values or thunks
attribute set       :class:`Attrs`
function            :class:`Closure`, :class:`Primop`, :class:`PartialPrimop`
==================  =====================================================

Anywhere inside a container a value may still be a :class:`Thunk`; :func:`force` makes it
a value. Strings are decoded as UTF-8 with ``surrogateescape``; who counts, counts bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from evaluator.runtime.errors import EvalError, InfiniteRecursion, Interrupted, StackOverflow
from evaluator.runtime.source import Names, Place, Positions

if TYPE_CHECKING:
    from evaluator.session import Session

Env = list[object]
"""``[enclosing environment, slot 1, slot 2, …]``; a slot that is not yet filled holds None."""


@final
class Counters:
    """What every force touches: one object, so that compiled code reads plain fields.

    ``fuel`` counts down to the next :meth:`poll`; ``depth`` counts nested forces and calls. ``pause`` lets other
    threads go first (:mod:`evaluator.turns`); ``room`` is asked before so many bytes are taken at once.
    ``deadline`` is when evaluation has to end at the latest, by ``time.monotonic`` (0: never).
    """

    def __init__(self) -> None:
        self.fuel: i64 = 4000
        self.depth: i64 = 0
        self.max_depth: i64 = 10_000  # what any stack holds; evaluator.thread makes larger ones
        self.forces: i64 = 0
        self.poll: Callable[[], None] | None = None
        self.pause: Callable[[], None] | None = None
        self.room: Callable[[int], None] | None = None
        self.deadline: float = 0.0


COUNTERS: Final = Counters()
POLL_EVERY: Final = 4000


def refuel() -> None:
    """Called when the fuel is used up: lets the outside world interrupt (it may raise Interrupted)."""
    COUNTERS.fuel = POLL_EVERY
    COUNTERS.forces += POLL_EVERY
    pause = COUNTERS.pause
    if pause is not None:
        pause()
    poll = COUNTERS.poll
    if poll is not None:
        poll()


def spend(steps: i64) -> None:
    """Counts work that is no force and no call of a lambda as so many steps."""
    counters = COUNTERS
    counters.fuel -= steps
    if counters.fuel <= 0:
        refuel()


def overflow() -> StackOverflow:
    return StackOverflow("stack overflow; max-call-depth exceeded")


def descend() -> None:
    """One step deeper into data that may be nested without bound; the caller takes one off ``depth`` when it is done.

    It need not when it fails: whoever catches the error puts back the depth there was (as Thunk.run does).
    """
    counters = COUNTERS
    counters.fuel -= 1
    if counters.fuel <= 0:
        refuel()
    if counters.depth > counters.max_depth:
        raise overflow()
    counters.depth += 1


class Code:
    """An executable node. It has no state of its own that depends on the environment."""

    def eval(self, env: Env) -> object:
        """The forced value of the expression in ``env``."""
        raise NotImplementedError

    def thunk(self, env: Env) -> object:
        """The value of the expression in ``env`` if it is at hand for nothing, else a thunk of it."""
        return Thunk(self, env)

    def resume(self, payload: object, extra: object) -> object:
        """The forced value of a pending thunk with this payload: of the expression, the payload being its environment.

        Built-in functions that delay a call use both for its operands, which is half the size of an environment.
        """
        assert isinstance(payload, list)
        return self.eval(payload)

    def place(self) -> Place | None:
        """Where the expression stands, if the node knows."""
        return None


@final
class Blackhole(Code):
    """Stands in a thunk that is being evaluated: forcing it again means infinite recursion."""


BLACKHOLE: Final[Code] = Blackhole()


@final
class Thunk:
    """A delayed value.

    Pending: ``code`` and, in ``payload``, its environment (see :meth:`Code.resume`).
    Done: ``code`` is None, ``payload`` the value.
    """

    def __init__(self, code: Code, payload: object, extra: object = None) -> None:
        self.code: Code | None = code
        self.payload: object = payload
        self.extra: object = extra

    def run(self) -> object:
        """Evaluates a pending thunk. When that fails or is interrupted the thunk is as it was."""
        code = self.code
        if code is None:
            return self.payload
        if code is BLACKHOLE:
            raise InfiniteRecursion("infinite recursion encountered", self)
        counters = COUNTERS
        counters.fuel -= 1
        if counters.fuel <= 0:
            refuel()
        depth = counters.depth
        if depth > counters.max_depth:
            raise overflow()
        self.code = BLACKHOLE
        counters.depth = depth + 1
        try:
            value = code.resume(self.payload, self.extra)
        except EvalError as error:
            self.code = code
            counters.depth = depth
            if error.place is None:
                error.place = code.place()
            if isinstance(error, InfiniteRecursion):
                error.enters(self, code.place())
            # Python would note every frame of ours: kilobytes for each step of depth.
            error.__traceback__ = None
            # Nor what was being handled meanwhile, and so on: a chain of those has no end, and is freed recursively.
            error.__context__ = None
            raise
        except BaseException as stop:
            self.code = code
            counters.depth = depth
            if isinstance(stop, Interrupted):
                stop.__traceback__ = None
                stop.__context__ = None
            raise
        counters.depth = depth
        if isinstance(value, Closure):
            # Functions are equal only by identity, and in Nix that is the identity of the place a value is kept in:
            # a function that came from another place is another one here.
            value = Closure(value.function, value.env)
        self.payload = value
        self.extra = None
        self.code = None
        return value


def force(value: object) -> object:
    """The value itself, evaluated to weak head normal form."""
    if isinstance(value, Thunk):
        if value.code is None:
            return value.payload
        return value.run()
    return value


@final
class Null:
    """The type of :data:`NULL`."""

    def __repr__(self) -> str:
        return "null"


NULL: Final = Null()


@final
class ContextString:
    """A string that carries string context: elements ``PATH``, ``!OUTPUT!DRV``, ``=DRV`` as in Nix."""

    def __init__(self, text: str, context: frozenset[str]) -> None:
        self.text: Final = text
        self.context: Final = context


@final
class PathValue:
    """An absolute, canonical path."""

    def __init__(self, path: str) -> None:
        self.path: Final = path


@final
class Shape:
    """The names of a set literal and their places in the list of values of each set that it makes."""

    def __init__(self, names: list[str]) -> None:
        self.names: Final = names
        slots: dict[str, int] = {}
        for slot, name in enumerate(names):
            slots[name] = slot
        self.slots: Final = slots


@final
class Attrs(Names):
    """An attribute set. Three forms, of which :attr:`items` makes the first when somebody wants to see all:

    * a dict;
    * the values of a literal in a list, the names being the literal's (half the memory of a small dict);
    * after ``under // over`` of large sets one of these laid over another set: nixpkgs merges sets of 25,000 attributes
      eighty times to evaluate one package.

    :meth:`find` and :meth:`get` look through all of them. Dicts and lists of values are shared between sets, and never
    changed but to put a forced value in its thunk's place.
    """

    def __init__(self, items: dict[str, object], positions: Positions | None, under: Attrs | None = None) -> None:
        self._own: dict[str, object] | None = items
        self._values: list[object] | None = None
        self._shape: Shape | None = None
        self._under: Attrs | None = under
        self.positions: Final = positions

    @staticmethod
    def shaped(shape: Shape, values: list[object], positions: Positions | None) -> Attrs:
        """The set of a literal, its values in the order of the shape's names."""
        attrs = Attrs(NO_ITEMS, positions)
        attrs._own = None
        attrs._values = values
        attrs._shape = shape
        return attrs

    @property
    def items(self) -> dict[str, object]:
        """All attributes, values or thunks."""
        own = self._own
        if own is None or self._under is not None:
            own = self.copied()
            self._own = own
            self._values = None
            self._shape = None
            self._under = None
        return own

    def copied(self) -> dict[str, object]:
        """A new dict of all attributes."""
        under = self._under
        if under is None:
            own = self._own
            if own is not None:
                return own.copy()
            result: dict[str, object] = {}
            self._pour(result)
            return result
        own = self._own
        if own is not None and under._under is None:
            below = under._own
            if below is not None and len(own) > len(below):
                # Copying a dict clones its table, inserting hashes anew: the larger one is the one to copy.
                result = own.copy()
                for name, value in below.items():
                    if name not in result:
                        result[name] = value
                return result
        result = under.copied()
        self._pour(result)
        return result

    def _pour(self, into: dict[str, object]) -> None:
        """Puts the attributes of the uppermost layer into a dict."""
        own = self._own
        if own is not None:
            into.update(own)
            return
        values = self._values
        shape = self._shape
        assert values is not None and shape is not None
        slot: i64 = 0
        for name in shape.names:
            into[name] = values[slot]
            slot += 1

    def at_most(self) -> int:
        """The number of attributes, or more where layers have names in common."""
        count = 0
        at: Attrs | None = self
        while at is not None:
            own = at._own
            if own is not None:
                count += len(own)
            else:
                values = at._values
                assert values is not None
                count += len(values)
            at = at._under
        return count

    def layers(self) -> int:
        """How many sets lie under this one."""
        count = 0
        at = self._under
        while at is not None:
            count += 1
            at = at._under
        return count

    def find(self, name: str) -> object:
        """The attribute's value or thunk, None if there is no such attribute."""
        at = self
        while True:
            own = at._own
            if own is not None:
                value = own.get(name)
                if value is not None:
                    return value
            else:
                shape = at._shape
                values = at._values
                assert shape is not None and values is not None
                slot = shape.slots.get(name)
                if slot is not None:
                    return values[slot]
            under = at._under
            if under is None:
                return None
            at = under

    def has(self, name: str) -> bool:
        return self.find(name) is not None

    def get(self, name: str) -> object:
        """The attribute's forced value, None if there is no such attribute."""
        at = self
        while True:
            # The dict or list is looked up before a value is forced: forcing may change the form of the set.
            own = at._own
            if own is not None:
                value = own.get(name)
                if value is not None:
                    if isinstance(value, Thunk):
                        result = value.payload if value.code is None else value.run()
                        own[name] = result
                        return result
                    return value
            else:
                shape = at._shape
                values = at._values
                assert shape is not None and values is not None
                slot = shape.slots.get(name)
                if slot is not None:
                    value = values[slot]
                    if isinstance(value, Thunk):
                        result = value.payload if value.code is None else value.run()
                        values[slot] = result
                        return result
                    return value
            under = at._under
            if under is None:
                return None
            at = under

    def place_of(self, name: str) -> Place | None:
        """Where the attribute was defined."""
        positions = self.positions
        return None if positions is None else positions.find(name)


NO_ITEMS: Final[dict[str, object]] = {}
EMPTY_ATTRS: Final = Attrs({}, None)


class Function(Code):
    """The code of a lambda: makes closures, and knows how to enter its body."""

    def call(self, env: Env, argument: object) -> object:
        """The forced value of the body with ``argument`` (a value or thunk) bound, ``env`` being the closure's."""
        raise NotImplementedError

    def known_as(self) -> str:
        """The name that the lambda is bound to, empty for none."""
        return ""


@final
class Closure:
    """A function value: a lambda with the environment it was made in."""

    def __init__(self, function: Function, env: Env) -> None:
        self.function: Final = function
        self.env: Final = env


@final
class Primop:
    """A built-in function: ``run(session, argument, …)`` with ``arity`` arguments.

    ``strict`` promises that it forces all its arguments first thing: then callers may pass them
    forced, and need no thunks. Otherwise arguments are values or thunks.
    """

    def __init__(
        self, name: str, arity: int, run: Callable[..., object], session: Session, strict: bool, doc: str
    ) -> None:
        self.name: Final = name
        self.arity: Final[i64] = arity
        self.run: Final = run
        self.session: Final = session
        self.strict: Final = strict
        self.doc: Final = doc


@final
class PartialPrimop:
    """A built-in function that has some of its arguments."""

    def __init__(self, primop: Primop, arguments: list[object]) -> None:
        self.primop: Final = primop
        self.arguments: Final = arguments
