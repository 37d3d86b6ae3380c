"""Reading a large file takes long: what is to be done now and then meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final


@final
class Interlude:
    """``pause`` is called between parts of a large text, if somebody has set it.

    What it raises ends the reading and comes out of it; nothing is left behind.
    """

    def __init__(self) -> None:
        self.pause: Callable[[], None] | None = None


INTERLUDE: Final = Interlude()
AT_ONCE: Final = 20_000
"""Tokens that are read without a pause: a few milliseconds."""
