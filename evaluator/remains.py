"""Large lists and sets that nobody holds any more are taken apart piece by piece.

Python frees a list in one go: a million thunks take a tenth of a second, in which no other thread and no signal gets
its turn. So what is large is held here as well, and once this is all that holds it, a piece of it goes each time the
evaluation pauses.

Never compiled: counting who holds a thing is exact only in plain Python.
"""

from __future__ import annotations

import sys
from typing import Final

LARGE: Final = 20_000
"""Elements from which a list or dict is worth it."""

_PIECE: Final = 32_000  # elements; freed in two or three milliseconds
_ALONE: Final = 2  # what `getrefcount` says of a thing that only one list holds


class Remains:
    """What is large, alive or not."""

    def __init__(self) -> None:
        self._lists: Final[list[list[object]]] = []
        self._dicts: Final[list[dict[str, object]]] = []

    def watch_list(self, items: list[object]) -> None:
        """Holds a list that was just made."""
        self._lists.append(items)

    def watch_dict(self, items: dict[str, object]) -> None:
        """Holds a dict that was just made."""
        self._dicts.append(items)

    def sweep(self) -> bool:
        """Frees a piece of what nobody else holds; whether there was any."""
        left = _PIECE
        lists = self._lists
        for index in range(len(lists) - 1, -1, -1):
            if sys.getrefcount(lists[index]) <= _ALONE:
                dead = lists[index]
                if len(dead) > left:
                    del dead[-left:]
                    return True
                left -= len(dead)
                del lists[index], dead
        dicts = self._dicts
        for index in range(len(dicts) - 1, -1, -1):
            if sys.getrefcount(dicts[index]) <= _ALONE:
                gone = dicts[index]
                if len(gone) > left:
                    for _ in range(left):
                        gone.popitem()
                    return True
                left -= len(gone)
                del dicts[index], gone
        return left < _PIECE

    def drain(self) -> None:
        """Frees all that nobody else holds, in pieces, and forgets the rest: that is freed in one go one day."""
        while self.sweep():
            pass
        self._lists.clear()
        self._dicts.clear()


REMAINS: Final = Remains()
