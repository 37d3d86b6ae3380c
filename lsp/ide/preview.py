"""Previews of values, laid out to be read: a set or list that is long gets a line for each of its parts."""

from __future__ import annotations

from typing import Final

_WIDTH: Final = 76
_OPENERS: Final = "{[(«"
_CLOSERS: Final = "}])»"


def laid_out(label: str, preview: str) -> str:
    """``label = preview`` (just the preview when there is no label), on one line if it is short."""
    start = f"{label} = " if label else ""
    if len(start) + len(preview) <= _WIDTH or "\n" in preview:
        return start + preview
    if preview.startswith("{ ") and preview.endswith(" }"):
        parts = _parts(preview[2:-2], ";")
    elif preview.startswith("[ ") and preview.endswith(" ]"):
        parts = _parts(preview[2:-2], " ")
    else:
        return start + preview
    return f"{start}{preview[0]}\n" + "".join(f"  {part}\n" for part in parts) + preview[-1]


def _parts(text: str, separator: str) -> list[str]:
    """The text, cut behind each separator that is in no bracket and no string."""
    parts: list[str] = []
    depth = start = 0
    quoted = escaped = False
    for index, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped = character == "\\"
            quoted = character != '"'
        elif character == '"':
            quoted = True
        elif character in _OPENERS:
            depth += 1
        elif character in _CLOSERS:
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start : index + 1].strip())
            start = index + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]
