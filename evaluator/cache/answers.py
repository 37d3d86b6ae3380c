"""Answers of the command line, used again.

::

    question = Question.of(arguments)
    known = question.recall()           # an Answer, or None: then evaluate, noting in a Reads what is read
    question.remember(reads, text)

``TVIX_EVAL_CACHE`` names another folder for the database, or says ``off``.
"""

from __future__ import annotations

import os
import sys
import zlib

from evaluator.cache.request import program_identity, request_key
from evaluator.cache.unchanged import unchanged
from evaluator.io.observation import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final, Protocol

    class Noted(Protocol):
        """What an evaluation noted (:class:`evaluator.io.reads.Reads`)."""

        @property
        def found(self) -> Mapping[str, str]: ...
        @property
        def said(self) -> Sequence[str]: ...
        @property
        def obstacle(self) -> str: ...


OFF_FLAG: Final = "--no-eval-cache"
VARIABLE: Final = "TVIX_EVAL_CACHE"
_FILE: Final = "answers.sqlite3"


class Answer:
    """The text that a request prints, and the lines that it says on standard error before."""

    def __init__(self, text: str, said: list[str]) -> None:
        self.text: Final = text
        self.said: Final = said


class Question:
    """A request that may have been answered before."""

    def __init__(self, arguments: Sequence[str], folder: str) -> None:
        self._arguments: Final = list(arguments)
        self._folder: Final = folder
        self._program: Final = program_identity()
        self._key: Final = request_key(arguments, self._program)

    @staticmethod
    def of(arguments: Sequence[str]) -> Question | None:
        """The request that a command line makes; None when the cache is not to be used."""
        if OFF_FLAG in arguments:
            return None
        try:
            folder = cache_folder()
            return Question(arguments, folder) if folder else None
        except (OSError, ValueError):
            return None

    def recall(self) -> Answer | None:
        """The answer that was given before, if everything that it depends on is unchanged."""
        from evaluator.cache.database import Database

        row = Database(os.path.join(self._folder, _FILE)).find(self._key)
        if row is None:
            return None
        try:
            if not unchanged(unpack(row.reads)):
                return None
            said = row.said.decode("utf-8", "surrogateescape")
            return Answer(row.text.decode("utf-8", "surrogateescape"), said.split("\0") if said else [])
        except (zlib.error, ValueError):
            return None

    def remember(self, reads: Noted, text: str) -> None:
        """Keeps an answer for the next time, if it can be known then that it still holds."""
        if reads.obstacle:
            return
        said = "\0".join(reads.said)
        if reads.said and (said.count("\0") != len(reads.said) - 1 or not said):
            return
        packed = pack(reads.found)
        if packed is None:
            return
        from evaluator.cache.database import Database, Row

        try:
            row = Row(packed, said.encode("utf-8", "surrogateescape"), text.encode("utf-8", "surrogateescape"))
            # Sources edited since this process started: its answer is not that of the program that is there now.
            if program_identity() != self._program or request_key(self._arguments, self._program) != self._key:
                return
        except (OSError, ValueError):
            return
        Database(os.path.join(self._folder, _FILE)).keep(self._key, row)


def cache_folder() -> str:
    """Where the database is; empty when it is switched off."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted:
        return "" if wanted == "off" else os.path.abspath(wanted)
    kernel: str = sys.platform
    if kernel == "linux":
        # What platformdirs answers (a test holds us to it); importing it takes as long as recalling an answer.
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not base.startswith("/"):
            base = os.path.expanduser("~/.cache")
        return os.path.join(base, "tvix-lsp") if base.startswith("/") else ""
    from platformdirs import user_cache_dir

    return user_cache_dir("tvix-lsp", appauthor=False)
