"""``match`` and ``split``: POSIX extended regular expressions."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, final

from evaluator.builtins.regex_search import Machine, Search
from evaluator.builtins.regex_syntax import (
    ALL_BYTES,
    Anchor,
    BadPattern,
    Chars,
    Either,
    Group,
    Node,
    Repeat,
    Sequence,
    TooBig,
    parse,
)
from evaluator.builtins.strings import byte_view, from_byte_view
from evaluator.builtins.table import Builtin
from evaluator.code.coerce import as_string, as_string_no_context
from evaluator.runtime.bulk import let_go, own_list
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import COUNTERS, NULL, force, refuel, spend
from evaluator.session import Session

if TYPE_CHECKING:
    import regex

_TIMEOUT_SECONDS: Final = 10.0
_MOST_PATTERNS: Final = 4096
_LONG_TEXT: Final = 100_000
"""Characters from which even a pattern that never goes astray is left to ``regex``, which lets other threads run."""


def python_pattern(node: Node) -> str:
    """The expression as Python spells it, for DOTALL."""
    if isinstance(node, Chars):
        return _class_text(node.mask)
    if isinstance(node, Sequence):
        texts: list[str] = []
        for part in node.parts:
            text = python_pattern(part)
            texts.append("(?:" + text + ")" if isinstance(part, Either) else text)
        return "".join(texts)
    if isinstance(node, Group):
        return "(" + python_pattern(node.inner) + ")"
    if isinstance(node, Either):
        return python_pattern(node.left) + "|" + python_pattern(node.right)
    if isinstance(node, Repeat):
        inner = python_pattern(node.inner)
        if not isinstance(node.inner, Chars) and not isinstance(node.inner, Group):
            inner = "(?:" + inner + ")"
        if node.sign != "{":
            return inner + node.sign
        return inner + (f"{{{node.low},}}" if node.high < 0 else f"{{{node.low},{node.high}}}")
    assert isinstance(node, Anchor)
    return "\\Z" if node.at_end else "\\A"


def _class_text(mask: int) -> str:
    """A set of bytes as a character class."""
    if mask == ALL_BYTES:
        return "."
    if mask == 0:
        return "(?!)"
    negated = mask >> 255 & 1 == 1
    rest = ALL_BYTES & ~mask if negated else mask
    body: list[str] = []
    low = 0
    while rest >> low:
        if rest >> low & 1 == 0:
            low += 1
            continue
        high = low
        while rest >> (high + 1) & 1:
            high += 1
        body.append(_byte(low))
        if high > low:
            if high > low + 1:
                body.append("-")
            body.append(_byte(high))
        low = high + 1
    if len(body) == 1 and not negated:
        return body[0]
    return ("[^" if negated else "[") + "".join(body) + "]"


def _byte(code: int) -> str:
    char = chr(code)
    return char if code < 128 and char.isalnum() else f"\\x{code:02x}"


def _with_time_limit(text: str) -> regex.Pattern[str]:
    # Loading that library takes longer than many an evaluation, and few expressions need it.
    import regex

    return regex.compile(text, regex.DOTALL)


@final
class Matcher:
    """A compiled expression.

    Three engines share the work. ``re`` finds Nix's match whenever the whole text has to match, or at any place at
    most one alternative can. Where a choice is repeated, in which backtracking can get lost, ``regex`` does the
    same under a time limit. For a search with overlapping alternatives there is a machine of our own.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern: Final = pattern
        expression = parse(byte_view(pattern))
        self.groups: Final = expression.groups
        text = python_pattern(expression.root)
        self.quick: Final = re.compile(text, re.DOTALL)
        self.text: Final = text
        self.careful: regex.Pattern[str] | None = _with_time_limit(text) if expression.root.risky else None
        self.machine: Final = None if expression.clear else Machine(expression)

    def match(self, text: str, seconds: float = _TIMEOUT_SECONDS) -> list[str | None] | None:
        """The groups of a match of the whole ``text`` (in byte view), None if it does not match.

        Raises TimeoutError when it takes longer than ``seconds``.
        """
        careful = self._for(text)
        if careful is None:
            found = self.quick.fullmatch(text)
            return None if found is None else list(found.groups())
        slow = careful.fullmatch(text, timeout=seconds)
        return None if slow is None else list(slow.groups())

    def spans(self, text: str, seconds: float = _TIMEOUT_SECONDS) -> list[list[int]]:
        """All matches in ``text`` (in byte view): start and end of the match, then of each group (-1: unset).

        Raises TimeoutError when it takes longer than ``seconds``.
        """
        machine = self.machine
        if machine is not None:
            return Search(machine, text, time.monotonic() + seconds).all()
        found: list[list[int]] = []
        careful = self._for(text)
        if careful is None:
            for match in self.quick.finditer(text):
                spend(1)
                spans = [match.start(), match.end()]
                for group in range(1, self.groups + 1):
                    spans += match.span(group)
                found.append(spans)
            return found
        for slow in careful.finditer(text, timeout=seconds):
            spend(1)
            spans = [slow.start(), slow.end()]
            for group in range(1, self.groups + 1):
                spans += slow.span(group)
            found.append(spans)
        return found

    def _for(self, text: str) -> regex.Pattern[str] | None:
        """What to leave ``text`` to, if not to ``re``."""
        if self.careful is None and len(text) > _LONG_TEXT:
            self.careful = _with_time_limit(self.text)
        return self.careful


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


def _seconds() -> float:
    """How long a match may take: not longer than the evaluation as a whole."""
    deadline = COUNTERS.deadline
    if not deadline:
        return _TIMEOUT_SECONDS
    return max(0.001, min(_TIMEOUT_SECONDS, deadline - time.monotonic()))


def _too_slow(pattern: str) -> EvalError:
    refuel()  # perhaps it is the evaluation whose time is over
    return EvalError(f"regular expression '{pattern}' took longer than {_TIMEOUT_SECONDS:.0f} seconds on a string")


def match(session: Session, pattern: object, value: object) -> object:
    known = matcher(as_string_no_context(pattern, "while evaluating the first argument passed to builtins.match"))
    text = as_string(value, "while evaluating the second argument passed to builtins.match")
    ascii = text.isascii()
    try:
        groups = known.match(text if ascii else byte_view(text), _seconds())
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
    known = matcher(as_string_no_context(pattern, "while evaluating the first argument passed to builtins.split"))
    text = as_string(value, "while evaluating the second argument passed to builtins.split")
    value = force(value)
    ascii = text.isascii()
    if not ascii:
        text = byte_view(text)
    try:
        spans = known.spans(text, _seconds())
    except TimeoutError:
        raise _too_slow(known.pattern) from None
    if not spans:
        return [value]
    result: list[object] = []
    at = 0
    for found in spans:
        spend(1)
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
    let_go(spans)
    rest = text[at:]
    result.append(rest if ascii else from_byte_view(rest))
    return own_list(result)


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
