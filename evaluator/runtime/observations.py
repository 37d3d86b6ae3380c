"""Observed calls: for each lambda the first few environments that its body ran in.

They are how the editor knows what a file's arguments are: whoever called the file's function
has left the environment here.
"""

from __future__ import annotations

from typing import Final, final

from evaluator.runtime.source import SourceFile
from evaluator.runtime.values import Env


@final
class CallLog:
    """The environments in which one lambda's body ran, the first ``limit`` of them."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.environments: Final[list[Env]] = []

    def record(self, env: Env) -> bool:
        """Notes a call; answers whether the log is full now."""
        self.environments.append(env)
        return len(self.environments) >= self.limit


@final
class Observations:
    """All call logs of a session, by file and by the offset at which the lambda starts."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self._logs: Final[dict[SourceFile, dict[int, CallLog]]] = {}

    def log(self, file: SourceFile, start: int) -> CallLog | None:
        """The log for a lambda; None where calls are not observed."""
        if self.limit == 0:
            return None
        logs = self._logs.get(file)
        if logs is None:
            logs = {}
            self._logs[file] = logs
        log = logs.get(start)
        if log is None:
            log = CallLog(self.limit)
            logs[start] = log
        elif len(log.environments) >= log.limit:
            return None
        return log

    def calls(self, file: SourceFile, start: int) -> list[Env]:
        """The environments seen for the lambda at absolute offset ``start``; empty if it was never called."""
        logs = self._logs.get(file)
        if logs is None:
            return []
        log = logs.get(start)
        return [] if log is None else log.environments

    def counts(self) -> tuple[int, int]:
        """How many lambdas were seen to be called, and how many of their calls are remembered."""
        lambdas = 0
        calls = 0
        for logs in self._logs.values():
            for log in logs.values():
                calls += len(log.environments)
                lambdas += 1 if log.environments else 0
        return lambdas, calls

    def forget(self, file: SourceFile) -> None:
        """Drops what is known of a file (its text was replaced)."""
        self._logs.pop(file, None)

    def clear(self) -> None:
        self._logs.clear()
