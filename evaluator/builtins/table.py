"""How a family of built-in functions declares its members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final


@final
class Builtin:
    """One built-in function.

    ``run(session, argument, …)`` takes ``arity`` arguments: forced when ``strict``, else values or
    thunks; it answers a value or thunk. ``doc`` is Markdown for hover: the first line names the arguments.
    """

    def __init__(self, name: str, arity: int, strict: bool, run: Callable[..., object], doc: str) -> None:
        self.name: Final = name
        self.arity: Final = arity
        self.strict: Final = strict
        self.run: Final = run
        self.doc: Final = doc
