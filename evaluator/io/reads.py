"""What an evaluation read of the world and said meanwhile: noted as it happens, so that its answer can be used again
while all of that is unchanged (see :mod:`evaluator.cache`)."""

from __future__ import annotations

from typing import Final, final

_MOST_SAID: Final = 1 << 20


@final
class Reads:
    """The observations of one evaluation; ``obstacle`` says why its answer must not be used again (empty: it may)."""

    def __init__(self) -> None:
        self.found: Final[dict[str, str]] = {}
        self.said: Final[list[str]] = []
        self.obstacle = ""
        self._said = 0

    def note(self, kind: str, subject: str, value: str) -> None:
        """An observation (:mod:`evaluator.io.observation` lists them)."""
        key = kind + subject
        known = self.found.get(key)
        if known is None:
            self.found[key] = value
        elif known != value:
            self.refuse(f"'{subject}' changed meanwhile")

    def say(self, text: str) -> None:
        """A line that was printed on standard error and belongs to the answer: a trace, a warning."""
        self.said.append(text)
        self._said += len(text)
        if self._said > _MOST_SAID:
            self.refuse("it says too much")

    def refuse(self, reason: str) -> None:
        """The answer depends on something that cannot be looked at again."""
        if not self.obstacle:
            self.obstacle = reason
