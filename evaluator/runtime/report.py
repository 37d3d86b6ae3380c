"""Errors for people: message, place, an excerpt with a caret, the trace, what may have been meant."""

from __future__ import annotations

from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import Place

_INDENT = "       "


def excerpt(place: Place) -> str:
    """The line of a place with its neighbours and a caret under the column."""
    text = place.file.text
    line, _ = place.file.line_column(place.start)
    lines = text.split("\n")
    begin = text.rfind("\n", 0, place.start) + 1
    shown: list[str] = []
    for number in (line - 1, line, line + 1):
        if not 1 <= number <= len(lines):
            continue
        content = lines[number - 1].rstrip("\r")
        if len(content) > 300:
            content = content[:300] + "…"
        shown.append(f"{_INDENT}{number:6}| {content}".rstrip())
        if number == line:
            column = place.start - begin
            pad = "".join("\t" if char == "\t" else " " for char in text[begin : begin + min(column, 300)])
            shown.append(f"{_INDENT}      | {pad}^")
    return "\n".join(shown)


def _at(place: Place) -> str:
    return f"{_INDENT}at {place}:\n\n{excerpt(place)}"


def suggestion(error: EvalError) -> str:
    """ "Did you mean a, b or c?" or nothing."""
    names = error.suggestions
    if not names:
        return ""
    if len(names) == 1:
        return f"Did you mean {names[0]}?"
    return f"Did you mean one of {', '.join(names[:-1])} or {names[-1]}?"


def report(error: EvalError, trace: bool = False) -> str:
    """The whole report of an error; with ``trace`` every frame, outermost first, else a word on how to get it."""
    parts: list[str] = []
    frames = [frame for frame in reversed(error.frames) if frame.text or frame.place is not None]
    if trace:
        for frame in frames:
            lines = f"{_INDENT}… {frame.text}"
            if frame.place is not None:
                lines += f"\n\n{_at(frame.place)}"
            parts.append(lines)
    headline = f"error: {error.message}" if not parts else f"{_INDENT}error: {error.message}"
    parts.append(headline)
    if error.place is not None:
        parts.append(_at(error.place))
    meant = suggestion(error)
    if meant:
        parts.append(_INDENT + meant)
    if not trace and len(frames) > 1:
        parts.append(f"{_INDENT}(use '--show-trace' to see the {len(frames)} steps that led here)")
    if trace and len(parts) > 1:
        return "error:\n" + "\n\n".join(parts)
    return "\n\n".join(parts)
