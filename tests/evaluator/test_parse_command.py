"""``tvix-eval --parse``: one line as Nix prints it, or the error that Nix would stop at."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from evaluator.cli import main
from evaluator.io.files import ParsedFile
from evaluator.lowering.undefined import undefined_name
from evaluator.names import GLOBALS
from evaluator.runtime.source import SourceFile
from evaluator.syntax.parser import parse


def test_expression(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--parse", "-E", "x: x.b or 0 - 1 < 2"]) == 0
    assert capsys.readouterr().out == "(x: (__lessThan (__sub (x).b or (0) 1) 2))\n"


def test_paths_start_where_the_text_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text("./a")
    for argument in (tmp_path, tmp_path / "default.nix"):
        assert main(["--parse", str(argument)]) == 0
        assert capsys.readouterr().out == f"{tmp_path}/a\n"
    assert main(["--parse", "-E", "./a"]) == 0
    assert capsys.readouterr().out == f"{os.getcwd()}/a\n"


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{ b = 1; a = [ 2 ]; }")))
    assert main(["--parse", "-"]) == 0
    assert capsys.readouterr().out == "{ a = [ (2) ]; b = 1; }\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1 + 1")))
    assert main(["-"]) == 0
    assert capsys.readouterr().out == "2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{ a = 1 }", "expected `;`"), ("x: y", "undefined variable 'y'"), ("{ a = 1; a = 2; }", "already defined")],
)
def test_errors(capsys: pytest.CaptureFixture[str], text: str, message: str) -> None:
    assert main(["--parse", "-E", text]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err


def test_missing_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--parse", str(tmp_path / "nothing.nix")]) == 1
    assert "nothing.nix" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a b.c or d", ["a", "b", "d"]),
        ("x: y: x y z", ["z"]),
        ("{ a, b ? a, c ? e, ... } @ args: args.b d", ["e", "d"]),
        ("let a = b; b = a; in a c", ["c"]),
        ("{ a = b; b = 1; }", ["b"]),
        ("rec { a = b; b = c; }", ["c"]),
        ("let { a = b; body = a; }", ["b"]),
        ("rec { inherit a; b = a; }", ["a"]),
        ("let inherit (a) b; a = { }; in b", []),
        ("x: { inherit x y; inherit (z) w; }", ["y", "z"]),
        ("with a; b", ["a"]),
        ("x: with x; a (with b; c)", []),
        ("rec { ${a} = b; a = 1; }", ["b"]),
        ("map builtins.toString [ true null __add __curPos ]", []),
        ('x: "${x} ${y}" + ./${z}', ["y", "z"]),
    ],
)
def test_undefined_names(text: str, names: list[str]) -> None:
    known: dict[str, object] = dict.fromkeys(GLOBALS | {"__add"})
    for name in names:
        found = undefined_name(ParsedFile(SourceFile("«string»", text), parse(text), (0, 0, 0)), known)
        assert found is not None
        assert found.pinned is not None
        assert found.message == f"undefined variable '{name}'"
        assert text[found.pinned.start : found.pinned.end] == name
        known[name] = None
    assert undefined_name(ParsedFile(SourceFile("«string»", text), parse(text), (0, 0, 0)), known) is None


def test_undefined_names_however_deep() -> None:
    text = "1 + " * 2_000 + "y"
    found = undefined_name(ParsedFile(SourceFile("«string»", text), parse(text), (0, 0, 0)), {})
    assert found is not None
    assert found.message == "undefined variable 'y'"
