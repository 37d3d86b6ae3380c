"""Lines of logs as people read them: they do nothing to a terminal, and one line does not fill it.

Specification: ECMA-48, "Control Functions for Coded Character Sets", for what is left out.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 1000

_SEQUENCE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # a control sequence: colours, moving about, clearing
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # a text for the terminal: its title, its clipboard
    r"|[ -/]*[0-~]"
    r")?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


def readable(line: bytes, *, colours: bool = False, longest: int = 0) -> str:
    """``line`` without what only a terminal understands; what was written over is gone.

    ``colours``: those stay. ``longest``: so many characters are kept (0: all).
    """
    text = line.decode("utf-8", "replace")
    if not text.isprintable():
        text = text.rstrip("\r").rpartition("\r")[2]
        text = _SEQUENCE.sub(lambda found: found[0] if colours and _COLOUR.fullmatch(found[0]) else "", text)
        text = "".join(each for each in text if each in "\t\x1b" or unicodedata.category(each) != "Cc")
    if longest and len(text) > longest:
        return f"{text[:longest]}… ({len(text) - longest} more characters)"
    return text
