"""From text to tree.

:func:`parse` never raises. It reads a text twice at most: strictly, as C++ Nix would, giving up at the first fault;
then, only when there was one, tolerantly, which reports every fault and fills the gaps. So text in order costs
nothing extra.

**Errors stay local.** The tolerant reading guesses, and guesses wrong now and then. So it is kept to the bindings that
hold a fault: wherever one starts that can be read strictly, that is what it is (:class:`TolerantLexer`), unless quotes
or indentation say that it has swallowed its neighbours. Whether it can is a matter of its own text alone. That is also
what lets :mod:`evaluator.syntax.incremental` take bindings over from an earlier tree and still get the very tree that
reading everything would give.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from evaluator.syntax.expressions import Parser
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.problems import ERROR, Problem
from evaluator.syntax.reader import MAX_DEPTH, GiveUp
from evaluator.syntax.reuse import Collector, Reading, Run, merged, without
from evaluator.syntax.scanner import latin
from evaluator.syntax.tokens import BAD, EOF, IND_OPEN, INDENTED, READY, STR_OPEN, STRING
from evaluator.syntax.tree import Binding, Fault, Source

if TYPE_CHECKING:
    from mypy_extensions import i64

_RECURSION: Final = 12 * MAX_DEPTH
_FAR: Final = 1 << 60  # beyond every text
#: How many tokens behind the one that does not fit a strict reading may have looked at.
_AHEAD: Final = 4
#: How wide the quotes are that start a string.
_QUOTES: Final[dict[int, int]] = {STRING: 1, STR_OPEN: 1, INDENTED: 2, IND_OPEN: 2}


def parse(text: str) -> Source:
    """The tree of ``text``, whatever it is; never raises.

    ``text`` is UTF-8 decoded with ``surrogateescape``; all offsets are code points.
    Raises Python's recursion limit where it is too low for deeply nested text.
    """
    source = read(text, [], [], None)
    assert source is not None
    return source


def read(text: str, runs: list[Run], checked: list[list[Binding]], fault: Fault | None) -> Source | None:
    """As :func:`parse`, with what is known of the text already.

    ``runs`` are bindings that are known to be solid, in the order of the text; ``checked`` are lists of bindings among
    which none is defined twice, and ``fault`` is where reading strictly is known to end, None if not known. The answer
    is None when it might depend on what was known (never when nothing is).
    """
    if sys.getrecursionlimit() < _RECURSION:
        sys.setrecursionlimit(_RECURSION)
    data = latin(text)
    spent = 0
    if fault is None:
        strict = runs
        while True:
            lexer = Lexer(text, 0, len(text), False, data, strict)
            lexer.checked = checked
            parser = Parser(lexer)
            try:
                root = parser.parse_root()
                return Source(text, root, in_order(parser.problems), lexer.comments, None, spent + len(lexer.kinds))
            except GiveUp:
                pass
            spent += len(lexer.kinds)
            hidden = _hidden(lexer, parser)
            if not hidden:
                break
            strict = without(strict, hidden)
        # What the strict reading has finished before its fault, and what is known anyway.
        collector = _finished(lexer, parser)
        known = merged(runs, collector.runs())
        loose = collector.loose
        fault = _fault(lexer, parser)
    else:
        known = runs
        loose = []
    if not fault.too_high:  # else the bindings around it may be read alone
        loose = loose + fault.inside
    tolerant = TolerantLexer(text, data, known, loose)
    tolerant.checked = checked
    tolerant.run()
    reader = Parser(tolerant)
    root = reader.parse_root()
    if runs and tolerant.wasted > tolerant.limit // 2:
        return None
    problems = _but_in_conflicts(text, reader.problems)
    if not _any_error(problems):
        # What is rejected is never silently accepted by the guesses of the tolerant reading.
        at = fault.inside[0] if fault.inside else 0
        problems.append(Problem("unexpected-token", "syntax error", at, min(at + 1, len(text))))
    effort = spent + len(tolerant.kinds) + tolerant.spent
    return Source(text, root, in_order(problems), tolerant.comments, fault, effort)


def _hidden(lexer: Lexer, parser: Parser) -> list[int]:
    """Where bindings start whose tokens would have to be seen to say where a strict reading has given up, and why."""
    lexer.run(_AHEAD + 4)
    last = min(parser.i + _AHEAD, len(lexer.kinds) - 1)
    return [lexer.starts[index] for index in range(parser.i, last + 1) if lexer.kinds[index] == READY]


def _fault(lexer: Lexer, parser: Parser) -> Fault:
    """Where a strict reading has given up, which saw all the tokens there."""
    last = parser.i
    while True:
        # A string is one, whatever is in it: nobody looks beyond where it starts.
        kind = lexer.kinds[last]
        width = _QUOTES.get(kind, 0)
        if width or kind == EOF or last == parser.i + _AHEAD:
            break
        last += 1
    reach = lexer.starts[last] + width if width else lexer.ends[last]
    if BAD in lexer.kinds[parser.i : last + 1]:
        reach = len(lexer.text)  # perhaps a comment that is closed further on one day
    # A token may go on where text is added right behind it.
    while reach < len(lexer.text) and not lexer.text[reach].isspace():
        reach += 1
    return Fault(parser.here(), reach + 1, parser.failed, parser.too_high)


class TolerantLexer(Lexer):
    """Makes READY tokens of all that can be read strictly, and tokens of the rest."""

    def __init__(self, text: str, data: bytes, runs: list[Run], loose: list[int]) -> None:
        super().__init__(text, 0, len(text), True, data, runs)
        # Where bindings start that are known not to be solid.
        self.loose: Final = set(loose)
        # How much has been read strictly for nothing (code points), and how much may be.
        self.wasted: i64 = 0
        self.limit: i64 = 4 * len(text) + 10_000
        self.spent: i64 = 0

    def try_strictly(self, start: i64) -> bool:
        """Whether the binding that starts here can be read strictly; it is the next of the runs then."""
        if start in self.loose or self.wasted > self.limit:
            return False
        lexer = Lexer(self.text, start, self.size, False, self.data)
        lexer.borrow_runs(self)
        parser = Parser(lexer)
        parser.hasty = True
        bindings: list[Binding] = []
        try:
            parser.parse_neighbours(bindings)
            parser.kept.append((bindings, 0))
            if bindings and bindings[-1].height < 0:
                self.wasted += bindings[-1].end - bindings[-1].start
        except GiveUp:
            if parser.failed:
                self.wasted += parser.here() - parser.failed[-1]
                if parser.too_high:
                    del parser.failed[:-1]  # those inside may be read alone
        self.spent += len(lexer.kinds)
        collector = _finished(lexer, parser)
        self.loose.update(parser.failed)
        self.loose.update(collector.loose)
        self.add_runs(collector.runs())
        return self.next_ready == start


def _finished(lexer: Lexer, parser: Parser) -> Collector:
    """The solid bindings that a strict reading has finished before it gave up."""
    collector = Collector(Reading(lexer.comments, in_order(parser.problems)), _FAR, _FAR, 0)
    for bindings, base in parser.kept:
        collector.add_bindings(bindings, base)
    return collector


def in_order(problems: list[Problem]) -> list[Problem]:
    """The problems by their places; at the same place in the order they were found in."""
    if len(problems) > 1:
        return sorted(problems, key=_place)
    return problems


def _but_in_conflicts(text: str, problems: list[Problem]) -> list[Problem]:
    """The problems without the duplicates that are the two sides of a merge conflict."""
    between: list[int] = []
    for problem in problems:
        if problem.code == "conflict-marker" and text[problem.start] in "=|":
            between.append(problem.start)
    if not between:
        return problems
    kept: list[Problem] = []
    for problem in problems:
        first = problem.related_start
        if problem.code == "duplicate-attribute":
            at = bisect_left(between, first)
            if at < len(between) and between[at] < problem.start:
                continue
        kept.append(problem)
    return kept


def _any_error(problems: list[Problem]) -> bool:
    for problem in problems:  # all() would make a generator here
        if problem.severity == ERROR:
            return True
    return False


def _place(problem: Problem) -> int:
    return problem.start
