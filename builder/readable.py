"""Lines of logs as people read them: they do nothing to a terminal, and one line does not fill it.

Specification: ECMA-48, "Control Functions for Coded Character Sets", for what is left out.
"""

from __future__ import annotations

import re

LONGEST = 1000

_SEQUENCE = (
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # a control sequence: colours, moving about, clearing
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # a text for the terminal: its title, its clipboard
    r"|[ -/]*[0-~]"
    r")?"
)
_COLOUR = r"\x1b\[[0-9;:]*m"


def readable(line: bytes, *, colours: bool = False, longest: int = 0) -> str:
    """``line`` without what only a terminal understands; what was written over is gone.

    ``colours``: those stay. ``longest``: so many characters are kept (0: all).
    """
    text = line.decode("utf-8", "replace")
    if not text.isprintable():
        import unicodedata

        text = text.rstrip("\r").rpartition("\r")[2]
        text = re.sub(_SEQUENCE, lambda found: found[0] if colours and re.fullmatch(_COLOUR, found[0]) else "", text)
        text = "".join(each for each in text if each in "\t\x1b" or unicodedata.category(each) != "Cc")
    if longest and len(text) > longest:
        return f"{text[:longest]}… ({len(text) - longest} more characters)"
    return text
