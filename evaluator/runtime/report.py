"""Errors for people, in the form of current Nix: the trace, the message, the place with an excerpt, what was meant."""

from __future__ import annotations

from typing import Final

from evaluator.runtime.errors import ALWAYS, DETAIL, KEPT, EvalError, Frame
from evaluator.runtime.source import Place

_MARGIN: Final = " " * len("error: ")
_TRUNCATED: Final = "(stack trace truncated; use '--show-trace' to show the full, detailed trace)"
_FEW: Final = 5
"""So many repeated frames are shown rather than counted."""
_ROOM: Final = 3
"""A trace that is not asked for ends when it is longer; a frame with a place counts twice."""
_WIDEST: Final = 300
_MARK: Final = 20
"""So much of a long line is shown behind the column at least."""


def excerpt(place: Place) -> list[str]:
    """The line of a place with its neighbours, numbered, and a caret under the column."""
    text = place.file.text
    line, _ = place.file.line_column(place.start)
    lines = text.split("\n")
    begin = text.rfind("\n", 0, place.start) + 1
    column = place.start - begin
    # Of a very long line that part is shown which has the column in it.
    first = 0 if column < _WIDEST - _MARK else column - _WIDEST // 2
    shown: list[str] = []
    for number in (line - 1, line, line + 1):
        if not 1 <= number <= len(lines):
            continue
        content = lines[number - 1].rstrip("\r")
        left = first if number == line else 0
        mark = "…" if left else ""
        right = "…" if len(content) > left + _WIDEST else ""
        shown.append(f" {number:5}| {mark}{content[left : left + _WIDEST]}{right}")
        if number == line:
            pad = "".join(["\t" if char == "\t" else " " for char in text[begin + left : place.start]])
            shown.append(f"      | {' ' * len(mark)}{pad}^")
    return shown


def suggestion(error: EvalError) -> str:
    """ "Did you mean a, b or c?" or nothing."""
    names = error.suggestions()
    if not names:
        return ""
    if len(names) == 1:
        return f"Did you mean {names[0]}?"
    return f"Did you mean one of {', '.join(names[:-1])} or {names[-1]}?"


class _Trace:
    """The lines of a trace as they are put together, and how much room they have taken."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.taken = 0
        self.seen: set[str] = set()
        self.repeated: list[Frame] = []

    def show(self, frame: Frame) -> None:
        self.lines.append("")
        self.lines += f"… {frame.text}".split("\n")
        place = frame.place
        if place is not None:
            self.taken += 1
            self.lines.append(f"  at {place}:")
            self.lines += excerpt(place)

    def add(self, frame: Frame) -> None:
        """Shows a frame; one that was shown before waits for others like it."""
        key = f"{frame.place} {frame.text}"
        if key in self.seen:
            self.repeated.append(frame)
            return
        self.seen.add(key)
        self.end_repeated(0)
        self.taken += 1
        self.show(frame)

    def end_repeated(self, more: int) -> None:
        """Shows the frames that were shown before, or says how many they are (and ``more`` that were not kept)."""
        count = len(self.repeated) + more
        if count > _FEW:
            self.lines += ["", f"({count} duplicate frames omitted)"]
        else:
            for frame in self.repeated:
                self.show(frame)
        self.repeated = []


def _trace(error: EvalError, full: bool) -> list[str]:
    trace = _Trace()
    truncated = False
    innermost_from = len(error.trace()) - KEPT
    for index, frame in enumerate(reversed(error.trace())):
        if error.dropped and index == innermost_from:
            trace.end_repeated(error.dropped)
        if not frame.text or (frame.kind == DETAIL and not full):
            continue
        if not full and trace.taken > _ROOM:
            truncated = True
        if not truncated or frame.kind == ALWAYS:
            trace.add(frame)
    trace.end_repeated(0)
    if truncated:
        trace.lines += ["", _TRUNCATED]
    return trace.lines


def report(error: EvalError, trace: bool = False) -> str:
    """The whole report of an error; ``trace``: every step that led to it, not only the outermost few.

    Lines end without blanks, the last without a newline.
    """
    lines = _trace(error, trace)
    if lines:
        lines.append("")
        lines += f"error: {error.message}".split("\n")
    else:
        lines += error.message.split("\n")
    place = error.pinned
    if place is None and lines[0] != "" and error.place is not None:
        place = error.place  # without any trace the nearest place is better than none
    if place is not None:
        lines.append(f"at {place}:")
        lines += excerpt(place)
    meant = suggestion(error)
    if meant:
        while lines and not lines[-1]:
            lines.pop()
        lines.append(meant)
    while lines and not lines[-1].strip():
        lines.pop()
    shown = [f"error: {lines[0]}".rstrip()] + [(_MARGIN + line).rstrip() for line in lines[1:]]
    return "\n".join(shown)
