"""What a line of a conversation means, and what is answered."""

from __future__ import annotations

import gc
import os
import re
import subprocess
from collections.abc import Callable
from typing import Final

from evaluator.command import asking
from evaluator.command.flags import Options
from evaluator.limits import Limits
from evaluator.provenance.origin import documentation, made
from evaluator.repl.bench import Bench
from evaluator.repl.engine import Answer, Engine
from evaluator.repl.pretty import PLAIN, Fragment, pretty
from evaluator.runtime.errors import EvalError, Interrupted
from evaluator.runtime.report import report
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, PathValue
from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR

HELP: Final = """\
  EXPR               evaluate the expression and print its value
  NAME = EXPR        bind the name to the expression
  :a, :add EXPR      bind the attributes of the set
  :b, :build EXPR    build the derivation and print where its outputs are
  :doc EXPR          print what is documented about the function or attribute
  :e, :edit EXPR     open the file where the package or function is defined in $EDITOR
  :env               print the names that are bound
  :l, :load FILE     bind the attributes of the set in the file, directory or <NAME>
  :lf FLAKE          bind the attributes of the flake: its outputs, inputs and the rest
  :p, :print EXPR    evaluate the expression and everything in it, and print that
  :q, :quit          leave (so does the end of the input, Ctrl-D)
  :r, :reload        forget what is bound and load the files again
  :t, :type EXPR     print the type of the value
  :te [true|false]   switch traces of errors on or off
  :?, :help          print this"""

_LONG: Final = {
    "add": "a",
    "build": "b",
    "edit": "e",
    "load": "l",
    "print": "p",
    "quit": "q",
    "reload": "r",
    "type": "t",
    "help": "?",
    "h": "?",
    "trace-enable": "te",
    "load-flake": "lf",
}
_LATER: Final = {
    "bl": "building with a link to the result",
    "i": "installing",
    "u": "a shell",
    "s": "a shell",
    "sh": "a shell",
    "log": "reading logs (tvix-build log DRV does so)",
}

_NEEDS: Final = {"l": "a file", "lf": "a flake: a folder, or an address like github:OWNER/REPO"}

COMMANDS: Final = (":a", ":b", ":doc", ":e", ":env", ":l", ":lf", ":p", ":q", ":r", ":t", ":te", ":?")

_BINDING: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_'-]*)\s*=(?!=)(.*)", re.DOTALL)
_COMMAND: Final = re.compile(r"\s*:([a-zA-Z-]+|\?)(?:\s+(.*)|)", re.DOTALL)
_KEYWORDS: Final = frozenset(["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"])


_MUCH: Final = 5_000_000
"""Objects made since the collector ran last: below that it is not worth a pause."""


class Quit(Exception):
    """The user wants to leave."""


def is_complete(text: str) -> bool:
    """Whether a text is a whole input: nothing that would follow it is missing.

    What is wrong in the middle is not mended by more lines, so it counts as whole.
    """
    command = _COMMAND.fullmatch(text)
    binding = None
    if command is not None:
        text = command[2] or ""
        if command[1] in ("l", "load", "lf", "load-flake"):
            return True
    else:
        binding = _BINDING.fullmatch(text)
        if binding is not None and binding[1] not in _KEYWORDS:
            text = _value_of(binding)
    if not text.strip():
        return command is not None or binding is None
    problems = [problem for problem in parse(text).problems if problem.severity == ERROR]
    end = len(text.rstrip())
    if any(problem.code in ("unterminated-string", "unterminated-comment") for problem in problems):
        return False
    return not problems or any(problem.start < end for problem in problems)


def _value_of(binding: re.Match[str]) -> str:
    """The expression of ``name = expression;``, whose semicolon is habit."""
    text = binding[2]
    return text.rstrip().removesuffix(";") if not parse(text).problems or text.rstrip().endswith(";") else text


class Talk:
    """One conversation: answers its lines. ``tick`` is called now and then while an evaluation goes on."""

    def __init__(self, options: Options, tick: Callable[[], None] | None = None) -> None:
        self._options: Final = options
        self._engine: Final = Engine(lambda: asking.heed_depth(options))
        self._tick: Final = tick
        self._trace = options.show_trace
        self.bench: Final = self._now(lambda: Bench(options))

    def _now(self, work: Callable[[], Answer]) -> Answer:
        return self._engine.run(work, Limits(self._options.max_seconds, self._options.max_memory), self._tick)

    def aside(self, work: Callable[[], Answer], seconds: float) -> Answer:
        """What ``work`` answers on the evaluation's thread, from another thread, if it takes no longer than that."""
        return self._engine.aside(work, Limits(seconds))

    # --- answers ---------------------------------------------------------------------------------

    def answer(self, line: str) -> list[Fragment]:
        """What a line gives. Raises Quit; EvalError, RecursionError, MemoryError, Interrupted as evaluation does."""
        command = _COMMAND.fullmatch(line)
        if command is not None:
            name = _LONG.get(command[1], command[1])
            return self._command(name, (command[2] or "").strip())
        if not line.strip():
            return []
        binding = _BINDING.fullmatch(line)
        if binding is not None and binding[1] not in _KEYWORDS:
            name, text = binding[1], _value_of(binding)
            self._now(lambda: self.bench.bind(name, text))
            return []
        return [*self._now(lambda: pretty(self.bench.evaluate(line))), _NEWLINE]

    def _command(self, name: str, text: str) -> list[Fragment]:
        if name in _LATER:
            return _said(f"{_LATER[name]} is not among what this conversation can do")
        if name == "q":
            raise Quit
        if name == "?":
            return _said(HELP)
        if name == "r":
            return _said(*(_added(count, given) for given, count in self._now(self.bench.reload)))
        if name == "te":
            self._trace = text != "false" if text else not self._trace
            return _said(f"traces of errors are {'on' if self._trace else 'off'}")
        if name == "env":
            return _said(" ".join(sorted(self.bench.names())) or "nothing is bound yet")
        needing: dict[str, Callable[[str], list[Fragment]]] = {
            "b": lambda given: _said(*_built(self._now(lambda: self.bench.build(given)))),
            "a": lambda given: _said(_added(self._now(lambda: self.bench.add_expression(given)))),
            "l": lambda given: _said(_added(self._now(lambda: self.bench.load(given)))),
            "lf": lambda given: _said(_added(self._now(lambda: self.bench.load_flake(given)))),
            "t": lambda given: _said(self._now(lambda: type_name(self.bench.evaluate(given)))),
            "p": lambda given: [*self._now(lambda: pretty(self.bench.evaluate(given), deep=True)), _NEWLINE],
            "doc": self._documentation,
            "e": self._edit,
        }
        if name not in needing:
            raise EvalError(f"unknown command ':{name}'; ':?' lists those that there are")
        if not text:
            raise EvalError(f"':{name}' needs {_NEEDS.get(name, 'an expression')}")
        return needing[name](text)

    def _documentation(self, text: str) -> list[Fragment]:
        def find() -> str:
            value = self.bench.evaluate(text)
            found = documentation(self.bench.session, value, self.bench.place_of(text))
            if not found:
                raise EvalError("there is no documentation for this value")
            return found

        return [("class:markdown", self._now(find)), _NEWLINE]

    def _edit(self, text: str) -> list[Fragment]:
        def find() -> tuple[str, int]:
            value = self.bench.evaluate(text)
            if isinstance(value, PathValue):
                return self.bench.session.files.expression_file(value.path), 1
            place = made(self.bench.session, value) if not _is_plain_set(value) else None
            place = place or self.bench.place_of(text) or made(self.bench.session, value)
            if place is None or not place.file.is_real():
                raise EvalError("nothing tells in which file this was defined")
            return place.file.path, place.file.line_column(place.start)[0]

        path, line = self._now(find)
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        import shlex

        try:
            subprocess.run([*shlex.split(editor), f"+{line}", path], check=False)
        except (OSError, ValueError) as error:
            raise EvalError(f"cannot start the editor '{editor}' (from $EDITOR): {error}") from None
        return []

    def tidy(self) -> None:
        """Looks for garbage when there may be much; between two answers nobody waits for it."""
        if gc.get_count()[0] > _MUCH:
            gc.collect()
            # What is left is the package set, mostly: it will not be looked at again.
            gc.freeze()

    # --- errors ----------------------------------------------------------------------------------

    def failure(self, error: BaseException) -> str:
        """What to say about an exception of :meth:`answer`; raises what is none of evaluation's."""
        if isinstance(error, EvalError):
            return report(error, self._trace)
        if isinstance(error, Interrupted):
            return f"error: {error.reason}"
        if isinstance(error, RecursionError):
            return "error: stack overflow; max-call-depth exceeded"
        if isinstance(error, MemoryError):
            return "error: out of memory"
        if isinstance(error, KeyboardInterrupt):
            return ""
        raise error


_NEWLINE: Final = (PLAIN, "\n")


def _said(*lines: str) -> list[Fragment]:
    return [(PLAIN, line + "\n") for line in lines]


def _added(count: int, given: str = "") -> str:
    return f"Added {count} variable{'' if count == 1 else 's'}{' from ' + given if given else ''}."


def _built(outputs: list[tuple[str, str]]) -> list[str]:
    return ["", "This derivation produced the following outputs:", *(f"  {name} -> {path}" for name, path in outputs)]


def _is_plain_set(value: object) -> bool:
    return isinstance(value, Attrs) and not value.has("type") and not value.has("__functor")
