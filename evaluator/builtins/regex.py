"""``match`` and ``split``: POSIX extended regular expressions."""

from __future__ import annotations

import re
from typing import Final, final

import regex

from evaluator.builtins.regex_syntax import BadPattern, TooBig, translate
from evaluator.builtins.strings import byte_view, from_byte_view
from evaluator.builtins.table import Builtin
from evaluator.runtime.coerce import as_string, as_string_no_context
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import NULL, force
from evaluator.session import Session

_TIMEOUT_SECONDS: Final = 10.0
_MOST_PATTERNS: Final = 4096


@final
class Matcher:
    """A compiled expression.

    Three engines share the work: ``re`` where its match is Nix's and it cannot run away; ``regex``, which can be
    stopped, where repetitions are nested; and ``regex`` looking for the longest match where alternatives overlap.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern: Final = pattern
        made = translate(byte_view(pattern))
        self.groups: Final = made.groups
        self.risky: Final = made.risky
        self.plain: Final = made.plain
        self.whole: Final = re.compile(made.pattern, re.DOTALL)
        self.text: Final = made.pattern

    def match(self, text: str) -> list[str | None] | None:
        """The groups of a match of the whole ``text`` (in byte view), None if it does not match."""
        if not self.risky:
            found = self.whole.fullmatch(text)
            if found is None:
                return None
            return list(found.groups())
        slow = regex.compile(self.text, regex.DOTALL).fullmatch(text, timeout=_TIMEOUT_SECONDS)
        return None if slow is None else list(slow.groups())

    def spans(self, text: str) -> list[list[int]]:
        """All matches in ``text`` (in byte view): start and end of the match, then of each group (-1: unset)."""
        found: list[list[int]] = []
        if self.plain and not self.risky:
            for match in self.whole.finditer(text):
                spans = [match.start(), match.end()]
                for group in range(1, self.groups + 1):
                    spans += match.span(group)
                found.append(spans)
            return found
        flags = regex.DOTALL if self.plain else regex.DOTALL | regex.POSIX
        for slow in regex.compile(self.text, flags).finditer(text, timeout=_TIMEOUT_SECONDS):
            spans = [slow.start(), slow.end()]
            for group in range(1, self.groups + 1):
                spans += slow.span(group)
            found.append(spans)
        return found


_MATCHERS: Final[dict[str, Matcher]] = {}


def matcher(pattern: str) -> Matcher:
    """The compiled expression; compiled once. Raises EvalError if it is none."""
    known = _MATCHERS.get(pattern)
    if known is None:
        try:
            known = Matcher(pattern)
        except TooBig:
            raise EvalError(f"memory limit exceeded by regular expression '{pattern}'") from None
        except (BadPattern, re.error):
            raise EvalError(f"invalid regular expression '{pattern}'") from None
        if len(_MATCHERS) >= _MOST_PATTERNS:
            _MATCHERS.clear()
        _MATCHERS[pattern] = known
    return known


def _too_slow(pattern: str) -> EvalError:
    return EvalError(f"regular expression '{pattern}' took longer than {_TIMEOUT_SECONDS:.0f} seconds on a string")


def match(session: Session, pattern: object, value: object) -> object:
    known = matcher(as_string_no_context(pattern))
    text = as_string(value)
    ascii = text.isascii()
    try:
        groups = known.match(text if ascii else byte_view(text))
    except TimeoutError:
        raise _too_slow(known.pattern) from None
    if groups is None:
        return NULL
    result: list[object] = []
    for group in groups:
        if group is None:
            result.append(NULL)
        else:
            result.append(group if ascii else from_byte_view(group))
    return result


def split(session: Session, pattern: object, value: object) -> object:
    known = matcher(as_string_no_context(pattern))
    value = force(value)
    text = as_string(value)
    ascii = text.isascii()
    if not ascii:
        text = byte_view(text)
    try:
        spans = known.spans(text)
    except TimeoutError:
        raise _too_slow(known.pattern) from None
    if not spans:
        return [value]
    result: list[object] = []
    at = 0
    for found in spans:
        before = text[at : found[0]]
        result.append(before if ascii else from_byte_view(before))
        groups: list[object] = []
        for index in range(2, len(found), 2):
            start = found[index]
            if start < 0:
                groups.append(NULL)
            else:
                group = text[start : found[index + 1]]
                groups.append(group if ascii else from_byte_view(group))
        result.append(groups)
        at = found[1]
    rest = text[at:]
    result.append(rest if ascii else from_byte_view(rest))
    return result


TABLE: Final[list[Builtin]] = [
    Builtin(
        "match",
        2,
        True,
        match,
        "match *regex* *s*\n\nIf the POSIX extended regular expression matches all of *s*, the list of what its groups "
        "matched, else null.",
    ),
    Builtin(
        "split",
        2,
        True,
        split,
        "split *regex* *s*\n\nThe parts of *s* that the expression does not match, with the list of groups of each "
        "match between them.",
    ),
]
