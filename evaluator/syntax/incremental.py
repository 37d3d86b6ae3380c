"""From one tree to the next: only what an edit touches is read again.

The reading of :mod:`evaluator.syntax.parser` is done anew, but where it comes to bindings that are solid (see
:mod:`evaluator.syntax.reuse`) and lie outside of the edit, it takes them from the tree before. A solid binding depends
on its own text alone, so the new tree is the very one that :func:`~evaluator.syntax.parser.parse` gives, whatever the
text was before and is now.
"""

from __future__ import annotations

from typing import Final

from evaluator.syntax.lexer import Lexer
from evaluator.syntax.parser import parse, read
from evaluator.syntax.reuse import Collector, Reading
from evaluator.syntax.tree import Fault, Source

#: Shorter texts are read whole: looking for what to keep would cost as much.
_SHORT: Final = 300
#: How far around an edit tokens are compared, to see whether the reading goes as it went (code points).
_NEAR: Final = 4000
_BLANK: Final = " \t\r\n"


def edit(source: Source, start: int, end: int, new: str) -> Source:
    """What ``source`` becomes when ``new`` takes the place of ``[start, end)`` (absolute code points) of its text.

    The answer is equal to that of :func:`~evaluator.syntax.parser.parse`, positions included, and shares with
    ``source`` what the edit has not touched.
    """
    old = source.text
    start = max(0, min(start, len(old)))
    end = max(start, min(end, len(old)))
    return reread(source, f"{old[:start]}{new}{old[end:]}", start, end)


def reread(source: Source, text: str, start: int, end: int) -> Source:
    """As :func:`edit`, where the new text is there already: it differs from that of ``source`` in ``[start, end)``."""
    old = source.text
    shift = len(text) - len(old)
    if len(text) < _SHORT or _stopped(source):
        return parse(text)
    clean = end
    if _indent(old, end) != _indent(text, end + shift):
        # How far the line of the edit is indented says what its openers may hold: what starts on it is read again.
        line = old.find("\n", end)
        clean = line if line >= 0 else len(old)
    reading = Reading(source.comments, source.problems)
    collector = Collector(reading, start, clean, shift)
    collector.add(source.root, 0)
    checked = [] if reading.has_repeats() else collector.large
    found = read(text, collector.runs(), checked, _same_fault(source, text, start, end, shift))
    return parse(text) if found is None else found


def _same_fault(source: Source, text: str, start: int, end: int, shift: int) -> Fault | None:
    """Where reading ``text`` strictly ends if that is where it ended before the edit; None where that is not known."""
    fault = source.fault
    if fault is None or start >= fault.reach:
        return fault
    if end >= fault.place:
        return None
    # The edit lies before the fault. Reading goes as it went if all tokens are of the kinds they were.
    around = 0
    for place in reversed(fault.inside):
        if start <= place <= end:
            return None
        if place < start:
            around = place
    if start - around > _NEAR:
        return None
    if not _same_kinds(source.text[around : end + _NEAR], text, around, end, fault.place, shift):
        return None
    inside = [place if place < end else place + shift for place in fault.inside]
    return Fault(fault.place + shift, fault.reach + shift, inside, fault.too_high)


def _same_kinds(old: str, text: str, around: int, end: int, fault: int, shift: int) -> bool:
    """Whether the tokens of ``old``, a piece that stood at ``around``, are of the same kinds in ``text``.

    That is up to a token behind ``end``, where the edit ended, that starts at the same place, after a blank, and not
    behind the ``fault``.
    """
    before = Lexer(old, 0, len(old), False)
    before.run()
    now = Lexer(text[around : end + shift + _NEAR], 0, len(old) + shift, False)
    now.run()
    for index in range(min(len(before.kinds), len(now.kinds)) - 1):
        start = before.starts[index]
        if before.kinds[index] != now.kinds[index] or start > fault - around:
            return False
        if start > end - around and now.starts[index] == start + shift and old[start - 1] in _BLANK:
            return True
    return False


def _indent(text: str, offset: int) -> int:
    """How many blanks the line of ``offset`` starts with."""
    line = text.rfind("\n", 0, offset) + 1
    i = line
    while i < len(text) and text[i] in " \t":
        i += 1
    return i - line


def _stopped(source: Source) -> bool:
    """Whether reading ended before the text did."""
    for problem in source.problems:  # any() would make a generator here
        if problem.code == "nesting-too-deep":
            return True
    return False
