"""Asks ``tvix-eval`` things, within this process, and tells whether it knew the answer from before."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from evaluator.cache.answers import VARIABLE, Answer, Question
from evaluator.cli import main
from evaluator.thread import evaluation_thread

# Raises Python's recursion limit for good, which hypothesis would complain about in the middle of a test.
evaluation_thread(lambda: None).join()


@dataclass(frozen=True)
class Reply:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Asker:
    """Asks with the cache in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._knew = False

    def knew(self) -> bool:
        """Whether the last reply was known from before."""
        return self._knew

    def ask(self, *words: str) -> Reply:
        """The reply to a command line."""
        self._knew = False
        recall = Question.recall

        def spying(question: Question) -> Answer | None:
            known = recall(question)
            self._knew = known is not None
            return known

        out, err = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, {VARIABLE: str(self.folder)}),
            patch.object(Question, "recall", spying),
            patch("evaluator.cache.answers.program_identity", lambda: "this one"),  # sources may be edited meanwhile
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main(list(words))
        return Reply(code, out.getvalue(), err.getvalue())

    def afresh(self, *words: str) -> Reply:
        """The reply without the cache."""
        return self.ask("--no-eval-cache", *words)


@contextlib.contextmanager
def variables(given: dict[str, str | None]) -> Iterator[None]:
    """Environment variables set, or (None) not set, for a while."""
    with patch.dict(os.environ):
        for name, value in given.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        yield


@contextlib.contextmanager
def in_folder(folder: Path) -> Iterator[None]:
    """``folder`` is the current one for a while."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
