"""``tvix-eval`` prints what ``nix-instantiate`` prints, byte for byte, and ends as it does."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evaluator.cli import main
from evaluator.command.flags import Options, UsageError, read
from tests.evaluator.case_files import CASES
from tests.evaluator.evaluating import NIX_ENVIRONMENT

FILE = CASES / "command" / "commands.txt"
TREE = CASES / "command" / "tree"


@dataclass
class Command:
    """A command line with what it must print."""

    line: int
    arguments: list[str]
    stdin: str = ""
    stdout: str = ""
    code: int = 0
    differs: str = ""
    lines: list[str] = field(default_factory=list)


def commands() -> list[Command]:
    found: list[Command] = []
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        mark, text = line[:2], line[2:].lstrip(" ") if line.startswith(("$", "~~", "?")) else line[2:]
        if mark == "$ ":
            found.append(Command(number, shlex.split(text)))
        elif mark == "< ":
            found[-1].stdin += text + "\n"
        elif line.startswith(">~ "):
            found[-1].stdout += line[3:]
        elif mark == "> ":
            found[-1].stdout += text.replace("@TREE@", str(TREE)) + "\n"
        elif mark == "? ":
            found[-1].code = int(text)
        elif mark == "~~":
            found[-1].differs = text.partition(":")[0]
        elif line and not line.startswith("#"):
            raise ValueError(f"{FILE}:{number}: what is this?")
    return found


COMMANDS = commands()


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NIX_ENVIRONMENT, "TVIX_EVAL_CACHE": "off"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(TREE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"line {command.line}")
@pytest.mark.usefixtures("surroundings")
def test_prints(command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(command.stdin.encode())))
    code = main(command.arguments)
    said = capsys.readouterr()
    assert said.out == command.stdout, said.err
    assert code == command.code, said.err
    if code:
        assert said.err.startswith("error:")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"line {command.line}")
def test_nix_prints_the_same(command: Command, nix_instantiate: str) -> None:
    arguments = [word for word in command.arguments if word != "--instantiate"]
    found = subprocess.run(
        # --readonly-mode comes first: last it would be the value of a flag that lacks one.
        [nix_instantiate, "--readonly-mode", *arguments],
        cwd=TREE,
        env={**os.environ, **NIX_ENVIRONMENT},
        input=command.stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == command.code, found.stderr
    if command.differs == "newlines":
        assert found.stdout.replace("\n", "") == command.stdout.replace("\n", "")
    elif command.differs != "output":
        assert found.stdout == command.stdout


# --- what Nix 2.8 does not have ----------------------------------------------------------------------


@pytest.mark.usefixtures("surroundings")
def test_raw(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    assert main(["--raw", "-E", f"builtins.readFile {tmp_path}/bytes"]) == 0
    assert capsysbinary.readouterr().out == b"\xff\n"
    assert main(["--raw", "-E", "1"]) == 1


@pytest.mark.usefixtures("surroundings")
def test_values_are_printed_without_asking_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-E", "1 + 1"]) == 0
    assert capsys.readouterr().out == "2\n"


@pytest.mark.usefixtures("surroundings")
def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tvix-eval ")
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(flag in said for flag in ("--strict", "--instantiate", "--max-seconds", "tvix-eval repl"))


@pytest.mark.usefixtures("surroundings")
def test_what_is_said_may_be_more_or_too_much(capsys: pytest.CaptureFixture[str]) -> None:
    text = 'builtins.traceVerbose "more" (builtins.warn "careful" 1)'
    assert main(["-E", text]) == 0
    assert capsys.readouterr().err == "evaluation warning: careful\n"
    assert main(["--trace-verbose", "-E", text]) == 0
    assert capsys.readouterr().err == "trace: more\nevaluation warning: careful\n"
    assert main(["--abort-on-warn", "-E", text]) == 1
    said = capsys.readouterr().err
    assert said.startswith("evaluation warning: careful\n") and "as abort-on-warn is set" in said
    assert main(["--abort-on-warn", "-E", f"builtins.tryEval ({text})"]) == 1


@pytest.mark.parametrize(
    ("words", "warning"),
    [
        (["--option", "no-such", "x"], "unknown setting 'no-such'"),
        (["--option", "pure-eval", "maybe"], "Boolean setting 'pure-eval' has invalid value 'maybe'"),
        (
            ["--allow-unsafe-native-code-during-evaluation"],
            "'allow-unsafe-native-code-during-evaluation' is not supported yet",
        ),
        (["--no-pure-eval", "--option", "cores", "2", "--extra-experimental-features", "x"], ""),
    ],
)
@pytest.mark.usefixtures("surroundings")
def test_settings(words: list[str], warning: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "-E", "1"]) == 0
    said = capsys.readouterr()
    assert said.out == "1\n"
    assert warning in said.err if warning else not said.err


@pytest.mark.usefixtures("surroundings")
def test_the_search_path_of_the_environment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIX_PATH", f"a=https://example.org/x.tar.gz:channel:nixos-unstable:b={TREE}:/c")
    assert main(["--strict", "--json", "-E", 'map (e: e.prefix + "|" + e.path) __nixPath']) == 0
    assert capsys.readouterr().out == (
        f'["a|https://example.org/x.tar.gz","|channel:nixos-unstable","b|{TREE}","|/c"]\n'
    )
    assert main(["--json", "--strict", "--option", "nix-path", "x=/y", "-E", "map (e: e.path) __nixPath"]) == 0
    assert capsys.readouterr().out == '["/y"]\n'


def test_reading_flags() -> None:
    options = read(["-vA", "a", "x", "--arg", "n", "-1", "-", "y", "--no-http2", "--max-seconds", "1.5", "-I", "q"])
    assert isinstance(options, Options)
    assert options.attributes == ["a"]
    assert options.operands == ["x", "y"]
    assert options.arguments == [("n", "-1", False)]
    assert options.stdin
    assert options.settings == {"http2": "false"}
    assert options.max_seconds == 1.5
    assert options.search_path == ["q"]


@pytest.mark.parametrize(
    "words",
    [["--nope"], ["-Z"], ["--arg", "a"], ["--max-seconds", "x"], ["--max-seconds", "0"], ["--max-memory", "-1"]],
)
def test_bad_usage(words: list[str]) -> None:
    with pytest.raises(UsageError):
        read(words)
