"""Searching with overlapping alternatives, where Nix's match is neither Perl's nor the longest.

libstdc++ backtracks: a quantifier takes what it can get and is content with the first way to go on (as in Perl),
but of ``a|b`` both sides are followed to the end, and the longer match counts (the first of equally long ones).
A repetition goes round at most twice without consuming anything. This machine does just that, step by step, for
the few expressions where it makes a difference; a text is in byte view.
"""

from __future__ import annotations

import time
from typing import Final, final

from evaluator.builtins.regex_syntax import Anchor, Chars, Either, Expression, Group, Node, Repeat, Sequence

_CHAR: Final = 0
_BOTH: Final = 1
_REPEAT: Final = 2
_OPEN: Final = 3
_CLOSE: Final = 4
_BEGIN: Final = 5
_END: Final = 6
_ACCEPT: Final = 7

_CHECK_EVERY: Final = 50_000


@final
class Machine:
    """The states of an expression. State ``n`` does ``kinds[n]``, then goes on with ``nexts[n]``."""

    def __init__(self, expression: Expression) -> None:
        self.groups: Final = expression.groups
        self.first: Final = expression.root.first
        self.empty: Final = expression.root.empty
        self.kinds: Final[list[int]] = [_ACCEPT]
        self.nexts: Final[list[int]] = [0]
        self.others: Final[list[int]] = [0]  # _BOTH: the left side; _REPEAT: once more; groups: the number
        self.masks: Final[list[int]] = [0]
        self.start: Final = self.build(expression.root, 0)

    def state(self, kind: int, following: int, other: int, mask: int) -> int:
        self.kinds.append(kind)
        self.nexts.append(following)
        self.others.append(other)
        self.masks.append(mask)
        return len(self.kinds) - 1

    def build(self, node: Node, following: int) -> int:
        """Adds the states of ``node``, after which ``following`` comes; answers the one to enter it by."""
        if isinstance(node, Chars):
            return self.state(_CHAR, following, 0, node.mask)
        if isinstance(node, Sequence):
            for part in reversed(node.parts):
                following = self.build(part, following)
            return following
        if isinstance(node, Group):
            close = self.state(_CLOSE, following, node.index, 0)
            return self.state(_OPEN, self.build(node.inner, close), node.index, 0)
        if isinstance(node, Either):
            return self.state(_BOTH, self.build(node.right, following), self.build(node.left, following), 0)
        if isinstance(node, Repeat):
            return self.repeat(node, following)
        assert isinstance(node, Anchor)
        return self.state(_END if node.at_end else _BEGIN, following, 0, 0)

    def repeat(self, node: Repeat, following: int) -> int:
        if node.high < 0:
            again = self.state(_REPEAT, following, 0, 0)
            self.others[again] = self.build(node.inner, again)
            if node.sign == "+":
                return self.others[again]
            entry = again
        else:
            entry = following
            for _ in range(node.high - node.low):
                # Each optional copy skips to the very end.
                entry = self.state(_REPEAT, following, self.build(node.inner, entry), 0)
        for _ in range(node.low):
            entry = self.build(node.inner, entry)
        return entry


@final
class Search:
    """A search of ``text`` that gives up with TimeoutError at ``deadline`` (of :func:`time.monotonic`)."""

    def __init__(self, machine: Machine, text: str, deadline: float) -> None:
        self.machine: Final = machine
        self.codes: Final = text.encode("latin-1")
        self.deadline: Final = deadline
        self.steps = 0
        self.begin = 0
        self.not_empty = False
        self.found = False
        self.longest = -1
        self.spans: list[int] = []
        unset: list[int] = [-1] * (2 * machine.groups + 2)
        self.current: Final = unset
        self.last_at: Final[list[int]] = [-1] * len(machine.kinds)
        self.rounds: Final[list[int]] = [0] * len(machine.kinds)

    def all(self) -> list[list[int]]:
        """All matches: start and end of the match, then of each group (-1: unset)."""
        found: list[list[int]] = []
        at = 0
        while at <= len(self.codes):
            match = self.first(at)
            if match is None:
                break
            found.append(match)
            at = match[1]
            while match is not None and match[0] == match[1]:
                # After an empty match: one that is not empty at the same place, else on from the next byte.
                self.not_empty = True
                match = self.at_place(at)
                self.not_empty = False
                if match is None:
                    at += 1
                else:
                    found.append(match)
                    at = match[1]
        return found

    def first(self, start: int) -> list[int] | None:
        """The first match that begins at ``start`` or later."""
        machine = self.machine
        for at in range(start, len(self.codes) + 1):
            if not machine.empty and (at == len(self.codes) or machine.first >> self.codes[at] & 1 == 0):
                continue
            match = self.at_place(at)
            if match is not None:
                return match
        return None

    def at_place(self, begin: int) -> list[int] | None:
        """The match that begins at ``begin``."""
        self.begin = begin
        self.longest = -1
        self.found = False
        self.walk(self.machine.start, begin)
        if not self.found:
            return None
        spans = self.spans
        spans[0] = begin
        spans[1] = self.longest
        return spans

    def walk(self, state: int, at: int) -> None:
        """Follows all that is to be followed from ``state`` at offset ``at``; leaves the result in the fields."""
        self.steps += 1
        if self.steps % _CHECK_EVERY == 0 and time.monotonic() > self.deadline:
            raise TimeoutError
        machine = self.machine
        kind = machine.kinds[state]
        following = machine.nexts[state]
        if kind == _CHAR:
            if at < len(self.codes) and machine.masks[state] >> self.codes[at] & 1:
                self.walk(following, at + 1)
        elif kind == _BOTH:
            self.walk(machine.others[state], at)
            found = self.found
            self.found = False
            self.walk(following, at)
            self.found = self.found or found
        elif kind == _REPEAT:
            self.once_more(state, at)
            if not self.found:
                self.walk(following, at)
        elif kind == _OPEN:
            index = 2 * machine.others[state]
            before = self.current[index]
            self.current[index] = at
            self.walk(following, at)
            self.current[index] = before
        elif kind == _CLOSE:
            index = 2 * machine.others[state] + 1
            before = self.current[index]
            self.current[index] = at
            self.walk(following, at)
            self.current[index] = before
        elif kind == _BEGIN:
            if at == 0:
                self.walk(following, at)
        elif kind == _END:
            if at == len(self.codes):
                self.walk(following, at)
        else:
            self.found = not self.not_empty or at > self.begin
            if self.found and at > self.longest:
                self.longest = at
                self.spans = self.current.copy()

    def once_more(self, state: int, at: int) -> None:
        """Goes round a repetition; without having moved on no more than twice."""
        inner = self.machine.others[state]
        if self.rounds[state] == 0 or self.last_at[state] != at:
            before = self.last_at[state]
            rounds = self.rounds[state]
            self.last_at[state] = at
            self.rounds[state] = 1
            self.walk(inner, at)
            self.last_at[state] = before
            self.rounds[state] = rounds
        elif self.rounds[state] < 2:
            self.rounds[state] += 1
            self.walk(inner, at)
            self.rounds[state] -= 1
