"""``tvix-eval``: evaluates Nix expressions, with the flags of ``nix-instantiate``.

What is imported here is imported even when the answer is known from before: next to nothing.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluator.cache.answers import OFF_FLAG, Answer, Question

if TYPE_CHECKING:
    import argparse

    from evaluator.io.files import Files
    from evaluator.io.reads import Reads
    from evaluator.session import Session


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="tvix-eval",
        description="Evaluates Nix expressions; prints the value on standard output as Nix does.",
        epilog="examples:  tvix-eval -E '1 + 1'    tvix-eval ~/nixpkgs -A hello.drvPath    "
        "tvix-eval -I nixpkgs=~/nixpkgs --strict --json -E '(import <nixpkgs> {}).hello.meta.license'",
    )
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="a file, or a directory with a default.nix (default: .); - is stdin"
    )
    parser.add_argument("-E", "--expr", metavar="EXPR", help="evaluate this expression instead of a file")
    parser.add_argument(
        "-A", "--attr", metavar="ATTR", action="append", default=[], help="select this attribute path of the value"
    )
    parser.add_argument(
        "-I", metavar="PATH", dest="include", action="append", default=[], help="search path entry: NAME=PATH or PATH"
    )
    parser.add_argument(
        "--arg", nargs=2, metavar=("NAME", "EXPR"), action="append", default=[], help="an argument for functions"
    )
    parser.add_argument(
        "--argstr", nargs=2, metavar=("NAME", "TEXT"), action="append", default=[], help="the same, a string"
    )
    parser.add_argument("--eval", action="store_true", help="accepted for compatibility; evaluating is what this does")
    parser.add_argument("--parse", action="store_true", help="print the syntax tree as Nix does, evaluate nothing")
    parser.add_argument("--strict", action="store_true", help="evaluate everything inside the value, too")
    parser.add_argument("--json", action="store_true", help="print the value as JSON")
    parser.add_argument("--show-trace", action="store_true", help="print all steps that led to an error")
    parser.add_argument("--readonly-mode", action="store_true", help="accepted for compatibility; nothing is written")
    parser.add_argument(OFF_FLAG, action="store_true", help="evaluate, even if the answer is known from before")
    parser.add_argument("--version", action="store_true", help="print the version")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; answers its exit code."""
    given = sys.argv[1:] if argv is None else list(argv)
    question = Question.of(given)
    known = None if question is None else question.recall()
    if known is not None:
        _print(known)
        return _ended(0, argv is None)
    arguments = _parser().parse_args(given)
    if arguments.version:
        from evaluator.version import describe

        print(f"tvix-eval {describe()}")
        return 0
    from evaluator.thread import evaluation_thread, stop_collector

    stop_collector()
    code = 1

    def work() -> None:
        nonlocal code
        code = _evaluate(arguments, question)

    evaluation_thread(work).join()
    return _ended(code, argv is None)


def _ended(code: int, at_once: bool) -> int:
    """Ends the process, or answers the code for somebody else to end it."""
    sys.stdout.flush()
    sys.stderr.flush()
    if at_once:
        # Freeing millions of values one by one takes as long as making them: leave that to the kernel.
        os._exit(code)
    return code


def _print(answer: Answer) -> None:
    for line in answer.said:
        sys.stderr.write(line + "\n")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # bytes that are not UTF-8 go out as they came in
    sys.stdout.write(answer.text + "\n")
    sys.stdout.flush()


def _evaluate(arguments: argparse.Namespace, question: Question | None) -> int:
    from evaluator.io.reads import Reads
    from evaluator.runtime.errors import EvalError, Interrupted
    from evaluator.runtime.report import report

    reads = None if question is None or arguments.parse or arguments.file == "-" else Reads()
    try:
        text = _tree(arguments) if arguments.parse else _answer(arguments, reads)
        _print(Answer(text, []))
        if question is not None and reads is not None:
            question.remember(reads, text)
    except EvalError as error:
        sys.stderr.write(report(error, arguments.show_trace) + "\n")
        return 1
    except Interrupted as stop:
        sys.stderr.write(f"error: {stop.reason}\n")
        return 1
    except RecursionError:
        sys.stderr.write("error: stack overflow; max-call-depth exceeded\n")
        return 1
    return 0


def _tree(arguments: argparse.Namespace) -> str:
    """What ``--parse`` prints."""
    from evaluator.io.files import Files, ParsedFile, syntax_fault
    from evaluator.runtime.errors import UndefinedVariable
    from evaluator.runtime.source import Place, SourceFile
    from evaluator.syntax.parser import parse
    from evaluator.syntax.printer import show
    from evaluator.undefined import undefined_names

    directory = os.getcwd()
    given = _expression(arguments)
    if given is not None:
        text, name = given
        parsed = ParsedFile(SourceFile(name, text), parse(text), (0, 0, 0))
    else:
        files = Files()
        path = files.expression_file(_file(_session(arguments, files), arguments.file, directory))
        parsed = files.parse(path)
        directory = os.path.dirname(path)
    fault = syntax_fault(parsed)
    if fault is not None:
        raise fault
    for use in undefined_names(parsed.source):
        raise UndefinedVariable(f"undefined variable '{use.name}'", Place(parsed.file, use.start, use.end))
    return show(parsed.source, directory, os.path.expanduser("~"))


def _answer(arguments: argparse.Namespace, reads: Reads | None) -> str:
    from evaluator.builtins.control import deep_force
    from evaluator.builtins.json import to_json
    from evaluator.entry import apply_arguments, select_path
    from evaluator.io.files import Files
    from evaluator.runtime.printer import show
    from evaluator.runtime.values import Attrs

    session = _session(arguments, Files(reads))
    here = os.getcwd()
    expression = _expression(arguments)
    if expression is not None:
        value = session.expression(expression[0], here, expression[1])
    else:
        value = session.import_file(_file(session, arguments.file, here))
    items: dict[str, object] = {}
    for name, text in arguments.arg:
        items[name] = session.expression(text, here, f"«--arg {name}»")
    for name, text in arguments.argstr:
        items[name] = text
    given = Attrs(items, None)
    answers: list[str] = []
    for path in arguments.attr or [""]:
        selected = select_path(apply_arguments(value, given), path, given)
        if arguments.strict:
            deep_force(selected)
        answers.append(to_json(session, selected) if arguments.json else show(selected))
    return "\n".join(answers)


def _expression(arguments: argparse.Namespace) -> tuple[str, str] | None:
    """The text given on the command line or on stdin, and its name in errors; None when a file is meant."""
    if arguments.expr is not None:
        return arguments.expr, "«string»"
    if arguments.file == "-":
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), "«stdin»"
    return None


def _session(arguments: argparse.Namespace, files: Files) -> Session:
    from evaluator.session import Session, search_path_entries

    entries = arguments.include + os.environ.get("NIX_PATH", "").split(":")
    return Session(files, search_path_entries(entries))


def _file(session: Session, given: str | None, here: str) -> str:
    """The path to import for a FILE argument, which may be ``<name>`` as well."""
    from evaluator.runtime.coerce import canonical

    text = given or "./default.nix"
    if text.startswith("<") and text.endswith(">"):
        return session.find_file(text[1:-1])
    return canonical(os.path.join(here, text))


if __name__ == "__main__":
    sys.exit(main())
