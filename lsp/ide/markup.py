"""A hover as text: Markdown for editors that show it, plain text for terminals and the others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lsp.ide.types import Hover, Link

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|])")


def markdown(hover: Hover, uri: Callable[[Link], str]) -> str:
    """The hover as Markdown; ``uri`` says where a link leads."""
    parts: list[str] = []
    if hover.code:
        fence = "```"
        while fence in hover.code:
            fence += "`"
        parts.append(f"{fence}nix\n{hover.code}\n{fence}")
    if hover.about:
        parts.append(_escaped(hover.about))
    if hover.doc:
        parts.append(hover.doc)
    lines = [f"{label}: {text if '://' in text else _escaped(text)}" for label, text in hover.facts]
    lines += [f"{label} [{_escaped(link.label)}]({uri(link)})" for label, link in hover.places]
    if lines:
        parts.append("  \n".join(lines))
    parts += [f"*{_escaped(note)}*" for note in hover.notes]
    return "\n\n".join(parts)


def plain(hover: Hover) -> str:
    """The hover as plain text."""
    lines = [f"{label}: {text}" for label, text in hover.facts]
    lines += [f"{label} {link.label}" for label, link in hover.places]
    parts = [hover.code, hover.about, hover.doc, "\n".join(lines), *(f"({note})" for note in hover.notes)]
    return "\n\n".join(part for part in parts if part)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
