"""Where the features get values from: the evaluation worker behind a small interface.

The answers are the protocol's own plain data (:mod:`evaluator.service.protocol`). Offsets are absolute code points.
"""

from __future__ import annotations

from typing import Protocol

from evaluator.service.protocol import Answer, Target


class Values(Protocol):
    """Answers questions about one version of one document. No method raises, but for cancellation."""

    async def describe(self, target: Target) -> Answer:
        """The facts about a value."""

    async def members(self, target: Target, limit: int = 0) -> Answer:
        """The attributes of a value: all names, details for at most ``limit`` of them."""

    async def scope(self, path: str, offset: int) -> Answer:
        """The names that the ``with`` expressions around an offset bring in."""

    async def arguments(self, path: str) -> Answer:
        """The names that a caller of the file's outermost function could supply."""


class NoValues:
    """Knows nothing: for untrusted workspaces and wherever no worker is wanted."""

    async def describe(self, target: Target) -> Answer:
        return _UNKNOWN

    async def members(self, target: Target, limit: int = 0) -> Answer:
        return _UNKNOWN

    async def scope(self, path: str, offset: int) -> Answer:
        return _UNKNOWN

    async def arguments(self, path: str) -> Answer:
        return _UNKNOWN


_UNKNOWN = Answer(0, "unknown")
