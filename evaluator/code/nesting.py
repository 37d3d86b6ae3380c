"""Expressions nested in each other without a call or thunk between them, which would count the depth."""

from __future__ import annotations

from typing import Final, final

from evaluator.runtime.source import Place
from evaluator.runtime.values import COUNTERS, Code, Env, overflow

NESTED_AT_MOST: Final = 16
"""So many levels of nested expressions share one step of depth: what a step takes of the stack is bounded by it."""


@final
class Nested(Code):
    """An expression deep inside another: one step deeper."""

    def __init__(self, code: Code) -> None:
        self.code: Final = code

    def place(self) -> Place | None:
        return self.code.place()

    def eval(self, env: Env) -> object:
        counters = COUNTERS
        depth = counters.depth
        if depth > counters.max_depth:
            raise overflow()
        counters.depth = depth + 1
        value = self.code.eval(env)
        counters.depth = depth
        return value

    def thunk(self, env: Env) -> object:
        return self.code.thunk(env)
