"""``tvix-eval``: evaluates Nix expressions, with the flags of ``nix-instantiate``; ``tvix-eval repl`` talks,
``tvix-eval flake`` locks, ``tvix-eval registry`` says what the names of flakes mean.

What is imported here is imported even when the answer is known from before: next to nothing.
"""

from __future__ import annotations

import gc
import io
import os
import sys

from evaluator.cache.answers import OFF_FLAG, Answer, Question

TYPE_CHECKING = False  # importing typing would take longer than to find a known answer
if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluator.command.flags import Options
    from evaluator.io.reads import Reads

_BAD_USAGE = 1
_FAILED = 1
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """The command; answers its exit code: 0, 1 for an error, 130 when it was interrupted."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from store.streams import open_missing

        open_missing()
    if argv is None:
        # A process that evaluates once and ends: what it makes, it keeps.
        gc.disable()
    try:
        code = _run(sys.argv[1:] if argv is None else list(argv), only=argv is None)
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted by the user\n")
        if "evaluator.stores.building" in sys.modules:
            from evaluator.command.running import end_builds
            from evaluator.interrupts import ignore_interrupts

            ignore_interrupts()
            end_builds()
        code = _INTERRUPTED
    except OSError as error:
        from store.streams import explained

        said = explained(error)
        if said is None:
            raise
        sys.stderr.write(said + "\n")
        code = _FAILED
    if argv is None:
        # Freeing millions of values one by one takes as long as making them: leave that to the kernel.
        _end(code)
    return code


def _run(words: list[str], only: bool) -> int:
    if words[:1] == ["repl"]:
        from evaluator.repl.main import main as repl

        return repl(words[1:])
    if words[:1] == ["flake"]:
        from evaluator.command.flakes import main as flake

        _allow_any_bytes()
        return flake(words[1:], only)
    if words[:1] == ["registry"]:
        from evaluator.command.registries import main as registry

        _allow_any_bytes()
        return registry(words[1:], only)
    question = Question.of(words)
    known = None if question is None else question.recall()
    if known is not None:
        _repeat(known)
        return 0
    from evaluator.command.flags import UsageError, read, usage

    try:
        options = read([word for word in words if word != OFF_FLAG])
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'tvix-eval --help' for more information.\n")
        return _BAD_USAGE
    if options.doing == "help":
        print(usage())
        return 0
    if options.doing == "version":
        from evaluator.version import describe

        print(f"tvix-eval {describe()}")
        return 0
    from evaluator.command.running import evaluate

    _allow_any_bytes()
    return evaluate(options, lambda given: _answer(given, question, only), only)


def _answer(options: Options, question: Question | None, only: bool) -> None:
    """Prints the answers as they come, and keeps them for the next time. Raises EvalError."""
    from evaluator.command.answers import answers
    from evaluator.io.files import Files

    reads = _reads(options, question)
    printed: list[str] = []
    for text in answers(options, Files(reads), only):
        sys.stdout.write(text)
        printed.append(text)
    sys.stdout.flush()
    if question is not None and reads is not None:
        question.remember(reads, "".join(printed))


def _reads(options: Options, question: Question | None) -> Reads | None:
    """Where to note what is read; None when the answer is not kept: a warning about settings belongs to it, too."""
    if question is None or options.stdin or options.settings or options.doing == "parse":
        return None
    from evaluator.io.reads import Reads

    return Reads()


def _repeat(answer: Answer) -> None:
    for line in answer.said:
        sys.stderr.write(line + "\n")
    _allow_any_bytes()
    sys.stdout.write(answer.text)
    sys.stdout.flush()


def _allow_any_bytes() -> None:
    """Nix strings are bytes: what is not UTF-8 goes out as it came in."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _end(code: int) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
