"""``tvix-lsp check``: the diagnostics of files and folders, for continuous integration and pre-commit hooks.

Nothing of the protocol is imported, so it starts fast; many files are shared out among processes. What it prints does
not depend on their number.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evaluator.syntax.parser import parse
from evaluator.syntax.positions import UTF32, LineIndex
from evaluator.syntax.problems import ERROR, HINT, INFORMATION, WARNING, Problem
from lsp.findings import FORMATS, Finding, Range
from lsp.ide.diagnostics import UnknownCode, diagnostics, selected

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

OK: Final = 0
FOUND_ERRORS: Final = 1
BAD_USAGE: Final = 2
INTERRUPTED: Final = 130

# Folders that hold no sources of the project.
_SKIPPED: Final = frozenset([".git", ".hg", ".svn", ".jj", ".direnv", "node_modules"])

_CHUNK: Final = 64  # files that a process takes at once
_WORTH_PROCESSES: Final = 256  # files: starting processes takes as long as checking these
_SHOW_PROGRESS_AFTER: Final = 1.0  # seconds


class BadPath(ValueError):
    """A path on the command line that cannot be checked; the message says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one chunk of files gave; ``unreadable`` are messages."""

    files: int
    findings: list[Finding]
    unreadable: list[str]


def main(words: Sequence[str]) -> int:
    """The command; answers its exit code: 1 when there are errors, 2 for a wrong command line or an unreadable file."""
    options = _parser().parse_args(words)
    try:
        codes = selected(name for names in options.select for name in names.split(",") if name)
        files = list(files_below(options.paths))
    except (UnknownCode, BadPath) as error:
        print(f"tvix-lsp check: {error}", file=sys.stderr)
        return BAD_USAGE
    started = time.monotonic()
    findings: list[Finding] = []
    unreadable: list[str] = []
    try:
        with contextlib.closing(_check_all(files, codes, options.jobs)) as chunks, _Progress(len(files)) as progress:
            for checked in chunks:
                findings += checked.findings
                unreadable += checked.unreadable
                progress.advance(checked.files, time.monotonic() - started)
    except KeyboardInterrupt:
        return INTERRUPTED
    _print(FORMATS[options.format](findings))
    for message in unreadable:
        print(f"tvix-lsp check: {message}", file=sys.stderr)
    if options.format == "text":
        print(_summary(len(files), findings), file=sys.stderr)
    if unreadable:
        return BAD_USAGE
    return FOUND_ERRORS if any(finding.severity == ERROR for finding in findings) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tvix-lsp check",
        description="Print what is wrong with Nix files. The exit code is 1 when there are errors.",
        epilog="docs/diagnostics has a page for each code.",
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder with all .nix files below it")
    parser.add_argument(
        "--select", action="append", default=[], metavar="CODE,…", help="only these codes or groups (syntax)"
    )
    parser.add_argument("--format", choices=list(FORMATS), default="text", help="how to print it (default: text)")
    parser.add_argument(
        "-j", "--jobs", type=_positive, default=_cores(), metavar="N", help="processes to use (default: all cores)"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of processes, got {text!r}")
    return int(text)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def files_below(paths: Iterable[str]) -> Iterator[str]:
    """The files that paths stand for: themselves, and all ``.nix`` files below folders, each once, in a fixed order.

    Symbolic links to folders are not followed. Raises :class:`BadPath` for a path that is not there.
    """
    seen: set[str] = set()
    for path in paths:
        if not os.path.exists(path):
            raise BadPath(f"{path}: there is no such file or folder")
        for file in _nix_files(path) if os.path.isdir(path) else [path]:
            name = os.path.normpath(file)
            if name not in seen:
                seen.add(name)
                yield name


def _nix_files(folder: str) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        for name in sorted(names):
            file = os.path.join(here, name)
            if name.endswith(".nix") and os.path.isfile(file):
                yield file


# --- checking ------------------------------------------------------------------------------------


def check_file(path: str, codes: frozenset[str]) -> list[Finding]:
    """The diagnostics of a file that are among ``codes``. Raises OSError."""
    with open(path, "rb") as file:
        text = file.read().decode("utf-8", "surrogateescape")
    source = parse(text)
    if not source.problems:
        return []
    lines = LineIndex(text, UTF32)
    return [_finding(path, problem, lines) for problem in diagnostics(source) if problem.code in codes]


def _finding(path: str, problem: Problem, lines: LineIndex) -> Finding:
    related = None
    if problem.related_start >= 0:
        related = _range(lines, problem.related_start, problem.related_end)
    fix = None
    if problem.fix is not None:
        edits = tuple((_range(lines, edit.start, edit.end), edit.text) for edit in problem.fix.edits)
        fix = (problem.fix.title, edits)
    place = _range(lines, problem.start, problem.end)
    return Finding(path, place, problem.code, problem.severity, problem.message, related, fix)


def _range(lines: LineIndex, start: int, end: int) -> Range:
    line, column = lines.position(start)
    end_line, end_column = lines.position(end)
    return Range(line + 1, column + 1, end_line + 1, end_column + 1)


def _check_chunk(task: tuple[list[str], frozenset[str]]) -> Checked:
    files, codes = task
    findings: list[Finding] = []
    unreadable: list[str] = []
    for file in files:
        try:
            findings += check_file(file, codes)
        except OSError as error:
            unreadable.append(f"{file}: {error.strerror or error}")
    return Checked(len(files), findings, unreadable)


def _check_all(files: list[str], codes: frozenset[str], jobs: int) -> Generator[Checked, None, None]:
    """Chunks of files, in order."""
    tasks = [(files[at : at + _CHUNK], codes) for at in range(0, len(files), _CHUNK)]
    jobs = min(jobs, len(tasks))
    if jobs <= 1 or len(files) < _WORTH_PROCESSES:
        yield from map(_check_chunk, tasks)
        return
    from concurrent.futures import ProcessPoolExecutor

    pool = ProcessPoolExecutor(jobs, initializer=_ignore_interrupts)
    try:
        yield from pool.map(_check_chunk, tasks)
    finally:
        pool.shutdown(cancel_futures=True)  # waits for the chunks at hand, a moment


def _ignore_interrupts() -> None:
    """Ctrl-C is for the process that started the others."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- printing ------------------------------------------------------------------------------------


class _Progress:
    """A bar on a terminal, once it takes longer than a moment."""

    def __init__(self, total: int) -> None:
        self._total: Final = total
        self._wanted: Final = sys.stderr.isatty()
        self._done = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, files: int, seconds: float) -> None:
        """So many more files are done, after so much time."""
        self._done += files
        if self._bar is None and self._wanted and seconds > _SHOW_PROGRESS_AFTER:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("checking", total=self._total)
            self._bar.start()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)


def _print(text: str) -> None:
    """On stdout; bytes that are not UTF-8 (in names of files) go out as they came in."""
    sys.stdout.flush()
    try:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever read it has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _summary(files: int, findings: Sequence[Finding]) -> str:
    severities = [finding.severity for finding in findings]
    words = {ERROR: "error", WARNING: "warning", INFORMATION: "note", HINT: "hint"}
    counts = [_count(severities.count(severity), word) for severity, word in words.items() if severity in severities]
    return f"{_count(files, 'file')} checked: {', '.join(counts) or 'nothing is wrong'}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
