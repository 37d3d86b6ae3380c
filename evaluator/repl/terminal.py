"""A conversation with a person at a terminal: history, completion, colour, several lines, progress."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, ThreadedCompleter
from prompt_toolkit.completion import Completion as Proposal
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.lexers import PygmentsLexer
from prompt_toolkit.styles import Style
from pygments.lexers.nix import NixLexer

from evaluator.limits import resident_megabytes
from evaluator.repl.commands import Quit, Talk, is_complete
from evaluator.repl.completion import completions
from evaluator.repl.pretty import Fragment
from evaluator.runtime.values import COUNTERS

if TYPE_CHECKING:
    from rich.status import Status

_STYLE: Final = Style.from_dict(
    {
        "prompt": "ansiblue bold",
        "name": "ansiblue",
        "string": "ansigreen",
        "number": "ansicyan",
        "constant": "ansicyan",
        "special": "ansimagenta",
        "error": "ansired",
        "pygments.keyword": "ansimagenta",
        "pygments.literal.string": "ansigreen",
        "pygments.literal.number": "ansicyan",
        "pygments.comment": "ansibrightblack",
        "pygments.name.builtin": "ansiblue",
    }
)
_PROMPT: Final = "nix> "
_PROGRESS_AFTER: Final = 0.5


class Progress:
    """A line that says that an evaluation is under way, once it takes a while."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._steps = 0
        self._status: Status | None = None

    def begin(self) -> None:
        self._begun = time.monotonic()
        self._steps = COUNTERS.forces

    def tick(self) -> None:
        """Called now and then while something is evaluated."""
        seconds = time.monotonic() - self._begun
        if seconds < _PROGRESS_AFTER:
            return
        text = f"evaluating: {seconds:.0f} s, {int(COUNTERS.forces - self._steps) / 1e6:.1f} million steps, "
        text += f"{resident_megabytes():.0f} MB  (Ctrl-C interrupts)"
        if self._status is None:
            from rich.console import Console
            from rich.status import Status

            self._status = Status(text, console=Console(stderr=True))
            self._status.start()
        else:
            self._status.update(text)

    def end(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class _Completer(Completer):
    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Proposal]:
        for found in completions(self._talk, document.text_before_cursor):
            yield Proposal(found.text, start_position=-found.replaces)


def history() -> History:
    """The lines of earlier conversations, in the user's folder for such things; of this one alone if it is closed."""
    from platformdirs import user_state_path

    try:
        folder = user_state_path("tvix-lsp", appauthor=False, ensure_exists=True)
        file = Path(folder, "repl-history")
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        return FileHistory(str(file))
    except OSError:
        return InMemoryHistory()


def converse(talk: Talk, progress: Progress) -> int:
    """Talks until the person leaves; the exit code."""
    session: PromptSession[str] = PromptSession(
        history=history(),
        completer=ThreadedCompleter(_Completer(talk)),
        complete_while_typing=False,
        lexer=PygmentsLexer(NixLexer),
        style=_STYLE,
        multiline=Condition(lambda: _goes_on(session)),
        prompt_continuation=" " * len(_PROMPT),
        enable_open_in_editor=True,
    )
    while True:
        try:
            line = session.prompt([("class:prompt", _PROMPT)])
        except KeyboardInterrupt:
            continue
        except EOFError:
            return 0
        try:
            if not answered(talk, progress, line):
                return 0
        except KeyboardInterrupt:
            progress.end()
        talk.tidy()


def _goes_on(session: PromptSession[str]) -> bool:
    """Whether Enter starts another line: something is missing, and the last line is not blank."""
    text = session.default_buffer.text
    return not is_complete(text) and not (text.endswith("\n") or text.rpartition("\n")[2].isspace())


def answered(talk: Talk, progress: Progress, line: str) -> bool:
    """Prints the answer to a line, or its failure; whether the conversation goes on."""
    progress.begin()
    try:
        fragments = talk.answer(line)
    except Quit:
        return False
    except BaseException as error:
        progress.end()
        text = talk.failure(error)
        if text:
            headline, newline, details = text.partition("\n")
            write([("class:error", headline), ("", newline + details + "\n")])
        return True
    progress.end()
    write(fragments)
    return True


def write(fragments: list[Fragment]) -> None:
    """Prints fragments in their colours."""
    rest: list[tuple[str, str]] = []
    for style, text in fragments:
        if style == "class:markdown":
            from rich.console import Console
            from rich.markdown import Markdown

            Console().print(Markdown(text))
        else:
            rest.append((style, text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")))
    sys.stdout.flush()
    print_formatted_text(FormattedText(rest), style=_STYLE, end="")
