"""A conversation with what is no terminal: lines come in, answers go out, nothing else is printed."""

from __future__ import annotations

import sys

from evaluator.repl.commands import Quit, Talk, is_complete
from evaluator.repl.pretty import Fragment, text_of


def converse(talk: Talk) -> int:
    """Answers standard input until it ends; the exit code. Errors go to standard error and end nothing."""
    pending = ""
    for line in sys.stdin:
        pending += line
        # A blank line gives up waiting for the rest.
        if is_complete(pending.rstrip("\n")) or not line.strip():
            text, pending = pending, ""
            if not said(talk, text.rstrip("\n")):
                return 0
    if pending.strip():
        said(talk, pending)
    return 0


def said(talk: Talk, text: str) -> bool:
    """Prints the answer to a text, or its failure; whether the conversation goes on."""
    try:
        write(talk.answer(text))
    except Quit:
        return False
    except BaseException as error:
        complain(talk.failure(error))
    return True


def write(fragments: list[Fragment]) -> None:
    sys.stdout.write(text_of(fragments))
    sys.stdout.flush()


def complain(text: str) -> None:
    if text:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
