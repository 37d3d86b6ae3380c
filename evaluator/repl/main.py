"""``tvix-eval repl``: the command."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from evaluator.command.flags import UsageError, read

USAGE = """\
usage: tvix-eval repl [FLAG]... [FILE]...        bind the attributes of the sets in Nix files, and talk
       tvix-eval repl [FLAG]... -E [EXPR]...     the same of sets given as expressions

Understands the flags of tvix-eval that concern evaluation: -I, --arg, --argstr, --option, --show-trace,
--max-seconds and --max-memory (of each evaluation). Type :? for the commands."""


def main(words: Sequence[str]) -> int:
    """Talks until the input ends; the exit code."""
    try:
        options = read(words)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'tvix-eval repl --help' for more information.\n")
        return 1
    if options.doing == "help":
        print(USAGE)
        return 0
    from evaluator.command.running import complain
    from evaluator.repl.commands import Talk
    from evaluator.settings import warnings

    for warning in warnings(options.settings):
        complain(warning)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from evaluator.repl import terminal

        progress = terminal.Progress()
        talk = Talk(options, progress.tick)
        print("Welcome. An expression is answered with its value; :? lists the commands.")
        for text in options.operands:
            terminal.answered(talk, progress, _load(text, options.expressions))
        return terminal.converse(talk, progress)
    from evaluator.repl import piped

    talk = Talk(options)
    for text in options.operands:
        piped.said(talk, _load(text, options.expressions))
    return piped.converse(talk)


def _load(text: str, is_expression: bool) -> str:
    return f":{'a' if is_expression else 'l'} {text}"
