"""What names mean while code is made: one level for each let, function, recursive set and ``with``."""

from __future__ import annotations

from typing import Final, final


@final
class Scope:
    """One level of the environment: names and their slots.

    Without ``slots`` it is the level of a ``with``, which stands at ``start``.
    """

    def __init__(self, parent: Scope | None, slots: dict[str, int] | None, start: int = 0) -> None:
        self.parent: Final = parent
        self.slots: Final = slots
        self.start: Final = start


def bound(scope: Scope | None, name: str) -> bool:
    """Whether a let, a function or a recursive set around an expression binds the name."""
    while scope is not None:
        if scope.slots is not None and name in scope.slots:
            return True
        scope = scope.parent
    return False
