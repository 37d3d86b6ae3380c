"""Bindings that have been read already, and need not be read again.

A :class:`Binding` whose ``height`` is not negative is *solid*: reading it from its first character, strictly and
without looking at anything around it, gives it and nothing else. So wherever a reading comes to a place where a solid
binding is known to start, it may take that and go on behind it. The lexer makes one
:data:`~evaluator.syntax.tokens.READY` token of neighbours of that kind.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, final

from evaluator.syntax.cursor import child_base, children
from evaluator.syntax.duplicates import LARGE
from evaluator.syntax.problems import Problem, shifted
from evaluator.syntax.tree import AttrBinding, AttrSet, Binding, Inherit, LegacyLet, Let, Node

if TYPE_CHECKING:
    from mypy_extensions import i64

#: As many neighbours have more tokens than a reading looks ahead.
_FEW: Final = 4


@final
class Reading:
    """What was found beside the tree when a text was read: sorted by place, absolute code points."""

    def __init__(self, comments: list[tuple[int, int]], problems: list[Problem]) -> None:
        self.comments: Final = comments
        self.problems: Final = problems

    def has_repeats(self) -> bool:
        """Whether anything was defined twice, or may have been and was not said."""
        for problem in self.problems:  # any() would make a generator here
            if problem.code == "duplicate-attribute" or problem.code == "conflict-marker":
                return True
        return False


@final
class Run:
    """Neighbours ``bindings[first:stop]``, with nothing but blanks and comments between them.

    ``base`` (absolute, in the text being read) is what their offsets are relative to. ``reading`` knows the comments
    and problems in them; those are ``shift`` code points further on in the text being read.
    """

    def __init__(self, bindings: list[Binding], first: int, stop: int, base: int, reading: Reading, shift: int) -> None:
        self.bindings: Final = bindings
        self.first: Final = first
        self.stop: Final = stop
        self.base: Final = base
        self.reading: Final = reading
        self.shift: Final = shift

    def start_of(self, index: int) -> int:
        """Where a binding starts (absolute)."""
        return self.base + self.bindings[index].start

    def end_of(self, index: int) -> int:
        """Where a binding ends (absolute)."""
        return self.base + self.bindings[index].end

    def end_of_name(self) -> int:
        """Where the first step of the first binding's path ends, or its ``inherit`` (absolute)."""
        binding = self.bindings[self.first]
        start = self.base + binding.start
        if isinstance(binding, AttrBinding):
            return start + binding.path.steps[0].end
        return start + len("inherit")

    def part(self, first: int, stop: int) -> Run:
        """Some of the neighbours."""
        return Run(self.bindings, first, stop, self.base, self.reading, self.shift)

    def at_or_after(self, offset: int) -> int:
        """The index of the first binding that starts at ``offset`` (absolute) or later."""
        low = self.first
        high = self.stop
        while low < high:
            middle = (low + high) // 2
            if self.base + self.bindings[middle].start < offset:
                low = middle + 1
            else:
                high = middle
        return low

    def add_comments(self, into: list[tuple[int, int]]) -> None:
        """Append the comments inside and between the neighbours."""
        found = self.reading.comments
        by = self.shift
        start = self.start_of(self.first) - by
        end = self.end_of(self.stop - 1) - by
        low = bisect_left(found, (start, 0))
        high = bisect_left(found, (end, 0))
        if by == 0:
            into.extend(found[low:high])
            return
        for index in range(low, high):
            comment = found[index]
            into.append((comment[0] + by, comment[1] + by))

    def add_problems(self, into: list[Problem]) -> None:
        """Append the problems that lie inside one of the neighbours and concern nothing outside of it."""
        found = self.reading.problems
        if not found:
            return
        by = self.shift
        end = self.end_of(self.stop - 1) - by
        for index in range(_first_at(found, self.start_of(self.first) - by), len(found)):
            problem = found[index]
            if problem.start >= end:
                break
            owner = self.at_or_after(problem.start + by + 1) - 1
            if self._is_inside(problem, self.bindings[owner], self.base - by):
                into.append(shifted(problem, by))

    def _is_inside(self, problem: Problem, binding: Binding, base: int) -> bool:
        """Whether reading the binding alone finds the problem; ``base`` is absolute in the text of the problem."""
        start = base + binding.start
        if problem.start <= start or problem.end > base + binding.end:
            return False  # what is around says something about the binding, or something is missing before it
        if problem.code == "duplicate-attribute":
            if isinstance(binding, Inherit):
                source = binding.source
                return source is not None and problem.start < start + source.end
            return start <= problem.related_start
        return True


def _first_at(problems: list[Problem], offset: int) -> int:
    """The index of the first problem at ``offset`` or later."""
    low = 0
    high = len(problems)
    while low < high:
        middle = (low + high) // 2
        if problems[middle].start < offset:
            low = middle + 1
        else:
            high = middle
    return low


@final
class Collector:
    """Finds the solid bindings in trees, those that an edit has left as they were.

    What ends at ``start`` or before is as it was; so is what starts at ``end`` or after (both absolute, in the text of
    the tree), but is now ``shift`` code points further on. ``loose`` are the places (in the text of the tree) where
    bindings start that are not solid.
    """

    def __init__(self, reading: Reading, start: int, end: int, shift: int) -> None:
        self.reading: Final = reading
        self.start: Final = start
        self.end: Final = end
        self.shift: Final = shift
        self.loose: Final[list[int]] = []
        #: Neighbours that are not all taken over, when they are many.
        self.large: Final[list[list[Binding]]] = []
        self._runs: Final[list[Run]] = []
        # A stack of its own: a tree may be higher than the thread's stack is deep.
        self._open: Final[list[tuple[Node, int]]] = []

    def runs(self) -> list[Run]:
        """What has been found, in the order of the text."""
        self._runs.sort(key=_place)
        return self._runs

    def add(self, node: Node, base: int) -> None:
        """What lies in a tree; ``base`` (absolute, in the text of the tree) is what its offsets are relative to."""
        self._open.append((node, base))
        self._look()

    def add_bindings(self, bindings: list[Binding], base: int) -> None:
        """Neighbours, and what lies in those of them that are not solid."""
        self._neighbours(bindings, base)
        self._look()

    def _look(self) -> None:
        stack = self._open
        while stack:
            node, base = stack.pop()
            if isinstance(node, AttrSet):
                self._neighbours(node.bindings, base)
            elif isinstance(node, Let):
                self._neighbours(node.bindings, base)
                stack.append((node.body, base))
            elif isinstance(node, LegacyLet):
                self._neighbours(node.bindings, base)
            else:
                inner = child_base(node, base)
                for child in children(node):
                    stack.append((child, inner))

    def _neighbours(self, bindings: list[Binding], base: int) -> None:
        if len(bindings) >= LARGE:
            self.large.append(bindings)
        first: i64 = -1
        first_is_after = False
        reached = 0
        problems = self.reading.problems
        problem: i64 = 0
        if problems and bindings:
            problem = _first_at(problems, base + bindings[0].start)
        index: i64 = 0
        for binding in bindings:
            start = base + binding.start
            end = base + binding.end
            is_after = start >= self.end
            if binding.height < 0 or not (is_after or end <= self.start):
                if binding.height < 0:
                    self.loose.append(start)
                self._found(bindings, first, index, base, first_is_after)
                first = -1
                self._open.append((binding, base))
            else:
                # Where something stands between two neighbours that does not belong there, there is a problem.
                apart = is_after != first_is_after
                while problem < len(problems) and problems[problem].start < start:
                    if problems[problem].start >= reached:
                        apart = True
                    problem += 1
                if first >= 0 and apart:
                    self._found(bindings, first, index, base, first_is_after)
                    first = -1
                if first < 0:
                    first = index
                    first_is_after = is_after
            reached = end
            index += 1
        self._found(bindings, first, index, base, first_is_after)

    def _found(self, bindings: list[Binding], first: i64, stop: i64, base: int, is_after: bool) -> None:
        if first < 0:
            return
        shift = self.shift if is_after else 0
        self._runs.append(Run(bindings, first, stop, base + shift, self.reading, shift))


def _place(run: Run) -> int:
    return run.start_of(run.first)


def merged(left: list[Run], right: list[Run]) -> list[Run]:
    """The bindings of both, in the order of the text, which both are in; of those that overlap the first."""
    result: list[Run] = []
    reached = 0
    i: i64 = 0
    j: i64 = 0
    while i < len(left) or j < len(right):
        if j >= len(right) or (i < len(left) and _place(left[i]) <= _place(right[j])):
            run = left[i]
            i += 1
        else:
            run = right[j]
            j += 1
        first = run.at_or_after(reached)
        if first < run.stop:
            result.append(run if first == run.first else run.part(first, run.stop))
            reached = run.end_of(run.stop - 1)
    return result


def without(runs: list[Run], places: list[int]) -> list[Run]:
    """The runs without the bindings that start at the places (absolute), and a few behind each of those."""
    result: list[Run] = []
    for run in runs:
        first = run.first
        for place in places:
            index = run.at_or_after(place)
            if first <= index < run.stop and run.start_of(index) == place:
                if first < index:
                    result.append(run.part(first, index))
                first = min(index + _FEW, run.stop)
        if first < run.stop:
            result.append(run if first == run.first else run.part(first, run.stop))
    return result


def moved(binding: Binding, by: int) -> Binding:
    """The binding, ``by`` code points further on; what lies in it is shared."""
    if isinstance(binding, AttrBinding):
        return AttrBinding(binding.start + by, binding.end + by, binding.path, binding.value, binding.height)
    assert isinstance(binding, Inherit)
    return Inherit(binding.start + by, binding.end + by, binding.source, binding.names, binding.height)
