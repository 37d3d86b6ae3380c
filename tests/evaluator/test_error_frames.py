"""What the editor gets of an error: from the real worker, over its pipe, every step with file and range."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import pytest

from evaluator.service.protocol import (
    Answer,
    Configure,
    Describe,
    Document,
    FromWorker,
    Location,
    Target,
    ToWorker,
    TraceFrame,
    read_frame,
    write_frame,
)

TEXT = """\
let
  double = x: x * 2;
  sizes = { small = double 1; large = double "much"; };
  deep = { a = { b = throw "inside"; }; };
in
{
  one = sizes.large;
  two = deep.a.b;
  three = builtins.addErrorContext "while testing" deep.a.b;
  four = sizes.lage;
  five = import ./other.nix;
  six = nothing;
}
"""

OTHER = """\
# Another file.
builtins.head [ ]
"""


class Asked:
    """A worker that has a document open."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.path = str(folder / "default.nix")
        self.other = str(folder / "other.nix")
        self.send(Configure((str(folder),)))
        self.send(Document(self.path, 1, TEXT.encode()))

    def send(self, message: ToWorker) -> None:
        write_frame(cast("BinaryIO", self.process.stdin), msgspec.msgpack.encode(message))

    def error(self, expression: str) -> Answer:
        """The answer about the expression, which must be that it fails."""
        start = TEXT.index(expression)
        self.send(Describe(1, Target(self.path, start, start + len(expression)), 60_000))
        while True:
            payload = read_frame(cast("BinaryIO", self.process.stdout))
            assert payload is not None
            message: FromWorker = msgspec.msgpack.decode(payload, type=FromWorker)
            if isinstance(message, Answer):
                assert message.state == "error", message
                return message


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Asked]:
    (tmp_path / "default.nix").write_text(TEXT)
    (tmp_path / "other.nix").write_text(OTHER)
    with subprocess.Popen(
        [sys.executable, "-m", "evaluator.service"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Asked(process, tmp_path)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(200) == 0


def there(location: Location | None, text: str = TEXT) -> str:
    """The text of the range."""
    assert location is not None
    assert location.line == text.count("\n", 0, location.start)
    assert location.column == location.start - (text.rfind("\n", 0, location.start) + 1)
    return text[location.start : location.end]


def frame(answer: Answer, text: str) -> TraceFrame:
    return next(frame for frame in answer.frames if frame.text == text)


def test_ranges_of_what_was_being_done(worker: Asked) -> None:
    answer = worker.error("sizes.large")
    assert answer.message == 'expected an integer but found a string: "much"'
    assert there(answer.at) == "*"
    texts = [(frame.text, frame.kind) for frame in answer.frames]
    assert texts == [
        ("while evaluating the first argument of the multiplication", "step"),
        ("while calling the 'mul' builtin", "step"),
        ("while calling 'double'", "call"),
        ("from call site", "call"),
        ("from the definition of 'large'", "step"),
        ("while evaluating the attribute 'large'", "step"),
    ]
    assert there(frame(answer, "while calling 'double'").at) == "x: x * 2"
    assert there(frame(answer, "from call site").at) == 'double "much"'
    assert there(frame(answer, "from the definition of 'large'").at) == "large"
    assert there(frame(answer, "while evaluating the attribute 'large'").at) == "large"
    assert {found.at.path for found in answer.frames if found.at is not None} == {worker.path}


def test_selection_through_sets(worker: Asked) -> None:
    answer = worker.error("deep.a.b")
    assert answer.message == "inside"
    assert there(answer.at) == 'throw "inside"'
    assert there(frame(answer, "from the definition of 'b'").at) == "b"


def test_what_was_said_on_purpose(worker: Asked) -> None:
    answer = worker.error('builtins.addErrorContext "while testing" deep.a.b')
    assert frame(answer, "while testing").kind == "context"


def test_names_that_may_have_been_meant(worker: Asked) -> None:
    answer = worker.error("sizes.lage")
    assert answer.meant == ("large",)
    assert there(answer.at) == "lage"


def test_frames_in_other_files(worker: Asked) -> None:
    answer = worker.error("import ./other.nix")
    found = frame(answer, "while calling the 'head' builtin")
    assert found.at is not None
    assert found.at.path == worker.other
    assert there(found.at, OTHER) == "builtins.head [ ]"
    assert there(frame(answer, "while calling the 'import' builtin").at) == "import ./other.nix"


def test_a_name_that_nothing_binds_spoils_nothing_else(worker: Asked) -> None:
    assert worker.error("nothing").message == "undefined variable 'nothing'"
    assert worker.error("deep.a.b").message == "inside"
