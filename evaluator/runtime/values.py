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

from evaluator.runtime.errors import EvalError, InfiniteRecursion, Interrupted, StackOverflow, Unrealised
from evaluator.runtime.host import Host
from evaluator.runtime.source import MergedPositions, Names, Place, Positions

if TYPE_CHECKING:
    from mypy_extensions import i64

Env = list[object]
"""``[enclosing environment, slot 1, slot 2, …]``; a slot that is not yet filled holds None."""


@final
class Counters:
    """What every force touches: one object, so that compiled code reads plain fields.

    ``fuel`` counts down to the next :meth:`poll`; ``depth`` counts nested forces and calls. ``pause`` lets other
    threads go first (:mod:`evaluator.turns`); ``room`` is asked before so many bytes are taken at once.
    ``deadline`` is when evaluation has to end at the latest, by ``time.monotonic`` (0: never). ``gathering`` is there
    while evaluation looks for all that has to be made before it can go on.
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
        self.gathering: Gathering | None = None


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

    def lowered(self) -> Code:
        """The code that this has become, should it have stood in for another."""
        return self

    def ready(self, env: Env) -> object:
        """The forced value if it is at hand: nothing is evaluated, and nothing can fail. None if it is not."""
        return None

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
            gathering = counters.gathering
            if gathering is not None and isinstance(error, Unrealised):
                gathering.lacks(self, code, error)
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
        value = elsewhere(value)
        self.payload = value
        self.extra = None
        self.code = None
        return value


@final
class Lacking(Code):
    """Stands in for the code of a thunk that has missed something: forcing it again says so at once.

    Else whatever leads there would be evaluated again, as often as there are ways through a graph.
    """

    def __init__(self, error: Unrealised) -> None:
        self.error: Final = error

    def resume(self, payload: object, extra: object) -> object:
        known = self.error
        error = Unrealised(known.element, None, known.state)
        error.message = known.message
        raise error


@final
class Said:
    """What was said while something was looked for: how often each text, and how often it will come again."""

    def __init__(self) -> None:
        self.texts: Final[dict[str, int]] = {}
        self.again: Final[dict[str, int]] = {}


@final
class Gathering:
    """One search for all that has to be made: evaluation goes as far as it can, again and again.

    ``outer``: the search that this one is part of, where each thing is made alone.
    """

    def __init__(self, outer: Gathering | None) -> None:
        self._lacking: Final[list[tuple[Thunk, Code]]] = []
        self._said: Final[Said] = Said() if outer is None else outer._said

    def lacks(self, thunk: Thunk, code: Code, error: Unrealised) -> None:
        """Notes that a thunk misses something, until :meth:`begin_anew`."""
        if not isinstance(code, Lacking):
            self._lacking.append((thunk, code))
            thunk.code = Lacking(error)

    def begin_anew(self) -> None:
        """Every thunk is as it was. What is said from now on may have been said before."""
        for thunk, code in self._lacking:
            thunk.code = code
        self._lacking.clear()
        said = self._said
        said.again.clear()
        said.again.update(said.texts)

    def has_said(self, text: str) -> bool:
        """Whether a text is a repetition, and not to be printed; it is noted."""
        said = self._said
        left = said.again.get(text, 0)
        if left:
            said.again[text] = left - 1
            return True
        said.texts[text] = said.texts.get(text, 0) + 1
        return False


def elsewhere(value: object) -> object:
    """A forced value that is kept in another place now.

    Functions are equal only by identity, and in Nix that is the identity of the place a value is kept in.
    """
    if isinstance(value, Closure):
        return Closure(value.function, value.env)
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


#: Sets of fewer attributes are mapped over at once: most of their attributes will be asked for.
_MAPPED_FROM: Final = 24
#: How many sets may lie under one before it is made a dict.
MOST_LAYERS: Final = 10
#: A layer at most this many times as large as those above it is merged with them, a small one in any case.
_LAYER_FACTOR: Final = 4
_SMALL_LAYER: Final = 16
#: Sets of more names are made as dicts: they are more likely to be looked at as a whole.
LARGEST_SHAPE: Final = 16
#: With how many other shapes one is merged into shapes of their own.
_MOST_MERGES: Final = 64


@final
class Shape(Names):
    """The names of sets that are made alike, and their places in the list of values of each, from ``first`` on.

    A recursive set shares the list with its environment, whose first place is the way out. ``each`` is set in the shape
    of a set that a function is mapped over: what is called on each attribute.
    """

    def __init__(self, names: list[str], first: int = 0, each: Code | None = None) -> None:
        self.names: Final = names
        self.first: Final[i64] = first
        self.each: Final = each
        slots: dict[str, int] = {}
        for slot, name in enumerate(names, first):
            slots[name] = slot
        self.slots: Final = slots
        self.merges: dict[Shape, Merge] | None = None

    def has(self, name: str) -> bool:
        return name in self.slots

    def under(self, over: Shape) -> Merge | None:
        """How sets of this shape and of ``over`` are merged by ``//``; None where that is not worth a shape."""
        merges = self.merges
        if merges is None:
            merges = {}
            self.merges = merges
        merge = merges.get(over)
        if merge is None and len(merges) < _MOST_MERGES:
            merge = Merge(self, over)
            merges[over] = merge
        if merge is None or len(merge.slots) > LARGEST_SHAPE:
            return None
        return merge


@final
class Merge:
    """What ``//`` makes of sets of two shapes: ``slots`` has for each name its place on the right, else on the left as
    a negative number, counted from -1. Of the positions those are kept that were merged last: mostly they are the same.
    """

    def __init__(self, left: Shape, right: Shape) -> None:
        slots: list[int] = []
        names: list[str] = []
        for name, slot in left.slots.items():
            if name not in right.slots:
                names.append(name)
                slots.append(-1 - slot)
        for name, slot in right.slots.items():
            names.append(name)
            slots.append(slot)
        self.slots: Final = slots
        self.shape: Final = Shape(names)
        self.left: Positions | None = None
        self.right: Positions | None = None
        self.positions: Positions | None = None


@final
class Attrs(Names):
    """An attribute set. Four forms, of which :attr:`items` makes the first when somebody wants to see all:

    * a dict;
    * the values of a literal in a list, the names being the literal's (half the memory of a small dict);
    * after ``under // over`` of large sets one of these laid over another set (:meth:`laid_over`): nixpkgs merges sets
      of 25,000 attributes eighty times to evaluate one package;
    * a large set with a function mapped over it, and a dict of those attributes that somebody has asked for.

    :meth:`find` and :meth:`get` look through all of them. Dicts and lists of values are shared between sets, and never
    changed but to put a forced value in its thunk's place.
    """

    def __init__(self, items: dict[str, object], positions: Positions | None, under: Attrs | None = None) -> None:
        self._own: dict[str, object] | None = items
        self._values: list[object] | None = None
        # Beside `_own` only in a set that is mapped: then that has the thunks that were made, and is not shared.
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

    @staticmethod
    def mapped(each: Code, source: Attrs, positions: Positions | None) -> Attrs:
        """The names of ``source``, each with a thunk of ``each`` for the name (payload) and the value (extra)."""
        if source._under is None:
            shape = source._shape
            values = source._values
            if shape is not None and values is not None:
                slot: i64 = shape.first
                thunks: list[object] = [NULL] if slot > 0 else []
                for name in shape.names:
                    thunks.append(Thunk(each, name, values[slot]))
                    slot += 1
                return Attrs.shaped(shape, thunks, positions)
        if source.at_most() >= _MAPPED_FROM:
            if source.layers() >= MOST_LAYERS:
                source.flatten()
            attrs = Attrs({}, positions, source)
            attrs._shape = Shape([], 0, each)
            return attrs
        result = source.copied()
        for name, value in result.items():
            result[name] = Thunk(each, name, value)
        return Attrs(result, positions)

    @staticmethod
    def merged(left: Attrs, right: Attrs) -> Attrs | None:
        """``left // right`` if both have the form of a list and few names, else None."""
        if left._own is not None or right._own is not None or left._under is not None or right._under is not None:
            return None
        low = left._shape
        high = right._shape
        lows = left._values
        highs = right._values
        assert low is not None and high is not None and lows is not None and highs is not None
        merge = low.under(high)
        if merge is None:
            return None
        values: list[object] = []
        for at in merge.slots:
            values.append(highs[at] if at >= 0 else lows[-1 - at])
        positions = merge.positions
        if positions is None or merge.left is not left.positions or merge.right is not right.positions:
            positions = MergedPositions(left.positions, right.positions, high)
            merge.left = left.positions
            merge.right = right.positions
            merge.positions = positions
        return Attrs.shaped(merge.shape, values, positions)

    def is_mapped(self) -> bool:
        return self._shape is not None and self._own is not None

    @property
    def items(self) -> dict[str, object]:
        """All attributes, values or thunks."""
        own = self._own
        if own is None or self._under is not None:
            self.flatten()
            own = self._own
            assert own is not None
        return own

    def flatten(self) -> None:
        """Brings the set into the form of a dict."""
        under = self._under
        made = self._own
        shape = self._shape
        if under is not None and made is not None and shape is not None:
            each = shape.each
            assert each is not None
            result = under.copied()
            for name, value in result.items():
                known = made.get(name)
                result[name] = Thunk(each, name, value) if known is None else known
            self._own = result
        elif under is not None or self._own is None:
            self._own = self.copied()
        self._values = None
        self._shape = None
        self._under = None

    def names(self) -> list[str]:
        """The names of all attributes, in no order."""
        own = self._own
        under = self._under
        if under is None:
            if own is not None:
                return list(own)
            shape = self._shape
            assert shape is not None
            return shape.names.copy()
        if self.is_mapped():
            return under.names()
        return list(self.items)

    def count(self) -> int:
        """The number of attributes."""
        own = self._own
        under = self._under
        if under is None:
            if own is not None:
                return len(own)
            shape = self._shape
            assert shape is not None
            return len(shape.names)
        if self.is_mapped():
            return under.count()
        return len(self.items)

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
        if self.is_mapped():
            # Flattened first: two thunks of one attribute would be evaluated twice.
            self.flatten()
            own = self._own
            assert own is not None
            return own.copy()
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
        slot: i64 = shape.first
        for name in shape.names:
            into[name] = values[slot]
            slot += 1

    def _layer(self) -> int:
        """The number of attributes of the uppermost layer."""
        own = self._own
        if own is not None:
            return len(own)
        shape = self._shape
        assert shape is not None
        return len(shape.names)

    def at_most(self) -> int:
        """The number of attributes, or more where layers have names in common."""
        count = 0
        at: Attrs | None = self
        while at is not None:
            if not at.is_mapped():
                count += at._layer()
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

    def laid_over(self, left: Attrs, positions: Positions | None) -> Attrs:
        """``left // self`` for a large ``left``, copying as little as keeps few layers.

        Layers below are each some times larger than the one above, as in a log-structured merge tree: what is not
        much larger than the new layer is merged with it.
        """
        if self._under is not None:
            self.flatten()
        size = self._layer()
        at = left
        merged = 0
        while True:
            under = at._under
            if under is None or at.is_mapped():
                break
            layer = at._layer()
            if layer > _LAYER_FACTOR * size and layer > _SMALL_LAYER:
                break
            size += layer
            merged += 1
            at = under
        if (at._under is None and at._layer() <= _LAYER_FACTOR * size) or at.layers() >= MOST_LAYERS:
            items = left.copied()
            self._pour(items)
            return Attrs(items, positions)
        if merged == 0:
            result = Attrs(NO_ITEMS, positions, at)
            result._own = self._own
            result._values = self._values
            result._shape = self._shape
            return result
        parts: list[Attrs] = []
        at = left
        while merged > 0:
            parts.append(at)
            assert at._under is not None
            at = at._under
            merged -= 1
        items = {}
        for part in reversed(parts):
            part._pour(items)
        self._pour(items)
        return Attrs(items, positions, at)

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
            if own is not None and at._shape is not None:
                return at._made(name)
            at = under

    def _made(self, name: str) -> object:
        """The thunk of an attribute of a mapped set that was not asked for before; None if there is no such name."""
        under = self._under
        shape = self._shape
        own = self._own
        assert under is not None and shape is not None and own is not None
        value = under.find(name)
        if value is None:
            return None
        each = shape.each
        assert each is not None
        thunk = Thunk(each, name, value)
        own[name] = thunk
        return thunk

    def has(self, name: str) -> bool:
        at = self
        while True:
            own = at._own
            shape = at._shape
            if own is not None:
                if name in own:
                    return True
            else:
                assert shape is not None
                if name in shape.slots:
                    return True
            # Below a mapped set are its names: having one is no reason to make its thunk.
            under = at._under
            if under is None:
                return False
            at = under

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
            if own is not None and at._shape is not None:
                value = at._made(name)
                if isinstance(value, Thunk):
                    result = value.run()
                    own[name] = result
                    return result
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
    """A built-in function: ``run(host, argument, …)`` with ``arity`` arguments.

    ``strict`` promises that it forces all its arguments first thing: then callers may pass them
    forced, and need no thunks. Otherwise arguments are values or thunks.
    """

    def __init__(self, name: str, arity: int, run: Callable[..., object], host: Host, strict: bool, doc: str) -> None:
        self.name: Final = name
        self.arity: Final[i64] = arity
        self.run: Final = run
        self.host: Final = host
        self.strict: Final = strict
        self.doc: Final = doc


@final
class PartialPrimop:
    """A built-in function that has some of its arguments."""

    def __init__(self, primop: Primop, arguments: list[object]) -> None:
        self.primop: Final = primop
        self.arguments: Final = arguments
