"""Evaluates expressions for tests, and asks Nix the same where it is installed."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError, Frame
from evaluator.runtime.printer import show
from evaluator.runtime.report import suggestion
from evaluator.runtime.source import Place
from evaluator.session import Session
from evaluator.thread import evaluation_thread
from tests.evaluator.case_files import Case

NIX_ENVIRONMENT = {
    "HOME": "/homeless",
    "NIX_PATH": "",
    "NIX_CONF_DIR": "/nonexistent",
    "NIX_CONFIG": "substituters =\nexperimental-features = nix-command flakes\n",
}


@dataclass
class Answer:
    """What evaluating gave: ``value`` as printed, or the error's ``message`` and ``place`` (line:column in ``file``).

    The place is that nearest to the message in a report. ``frames`` are the trace's, outermost first, and ``meant``
    what is said to have been meant.
    """

    value: str | None = None
    message: str | None = None
    place: str = "-"
    file: str = ""
    frames: list[str] = field(default_factory=list)
    meant: str = ""


def shown(place: Place) -> str:
    """A place as cases name it: line:column, after the file's name where it is in a file."""
    line, column = place.file.line_column(place.start)
    return f"{os.path.basename(place.file.path)}:{line}:{column}" if place.file.is_real() else f"{line}:{column}"


def frame_text(frame: Frame) -> str:
    """A frame as cases name it, on one line."""
    text = re.sub(r"\n +", " / ", frame.text)
    return text if frame.place is None else f"{text} @ {shown(frame.place)}"


def evaluate(expression: str, directory: str = "/", session: Session | None = None) -> Answer:
    """The value of an expression with everything in it, or the error."""
    answer = Answer()

    def work() -> None:
        try:
            used = open_session(Files()) if session is None else session
            value = used.expression(expression, directory)
            deep_force(value)
            answer.value = show(value)
        except EvalError as error:
            answer.message = error.message
            place = error.where()
            if place is not None:
                line, column = place.file.line_column(place.start)
                answer.place = f"{line}:{column}"
                answer.file = os.path.basename(place.file.path) if place.file.is_real() else ""
            answer.frames = [frame_text(frame) for frame in reversed(error.trace())]
            answer.meant = suggestion(error)
        except RecursionError:
            answer.message = "recursion"
        except BaseException as error:
            answer.message = f"{type(error).__name__}: {error}"

    evaluation_thread(work).join()
    return answer


def nix_values(nix: str, expressions: list[str], directory: str = "/") -> list[str]:
    """What Nix prints for expressions that all have a value."""
    if not expressions:
        return []
    found = subprocess.run(
        [nix, "--readonly-mode", "--eval", "--strict", "-E", *expressions],
        cwd=directory,
        env={**os.environ, **NIX_ENVIRONMENT},
        capture_output=True,
        check=False,
    )
    text = found.stdout.decode("utf-8", "surrogateescape")
    lines = text.removesuffix("\n").split("\n")
    assert found.returncode == 0, found.stderr.decode("utf-8", "replace")
    return lines


def nix_error(nix: str, expression: str, directory: str = "/") -> Answer:
    """The error that Nix gives for an expression."""
    found = subprocess.run(
        [nix, "--readonly-mode", "--eval", "--strict", "-E", expression],
        cwd=directory,
        env={**os.environ, **NIX_ENVIRONMENT},
        capture_output=True,
        check=False,
    )
    if found.returncode == 0:
        return Answer(value=found.stdout.decode("utf-8", "surrogateescape").removesuffix("\n"))
    text = re.sub("\x1b\\[[0-9;]*m", "", found.stderr.decode("utf-8", "surrogateescape"))
    message = ""
    place = "-"
    for line in text.split("\n"):
        if line.startswith("error: "):
            message = line[7:]
        elif line.startswith("       at ") and place == "-":
            at = re.search(r":(\d+:\d+):?$", line)
            place = at.group(1) if at else "?"
    return Answer(message=message, place=place)


def check(case: Case) -> None:
    """That a case gives its value, or its error where it should."""
    answer = evaluate(case.expression, case.directory)
    if case.value is not None:
        assert answer.value == case.value, answer.message
    else:
        assert answer.value is None
        if case.message:
            assert answer.message == case.message
    if case.place is not None:
        assert answer.place == case.place


def check_values_with_nix(nix: str, cases: list[Case]) -> None:
    """That Nix answers the values of these cases, too, but where a case says that it differs."""
    same = [case for case in cases if case.value is not None and not case.differs]
    found = nix_values(nix, [case.expression for case in same], cases[0].directory)
    wrong = [f"{case.name}: {value}" for case, value in zip(same, found, strict=True) if case.value != value]
    assert wrong == []


def check_error_with_nix(nix: str, case: Case) -> None:
    """That Nix gives the error of this case, too, but for what the case says to differ."""
    found = nix_error(nix, case.expression, case.directory)
    if "value" in case.differs:
        assert found.value is not None
        return
    assert found.value is None
    if case.message and "message" not in case.differs:
        assert found.message == case.message
    if case.place is not None and "place" not in case.differs:
        assert found.place == case.place
