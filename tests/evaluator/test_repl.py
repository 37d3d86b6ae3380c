"""``tvix-eval repl``: what is typed and what is answered, through a pipe and once through a terminal."""

from __future__ import annotations

import io
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.cli import main
from evaluator.command.flags import Options, read
from evaluator.repl.commands import Quit, Talk, is_complete
from evaluator.repl.completion import completions, selected
from evaluator.repl.pretty import text_of
from evaluator.runtime.errors import EvalError, Interrupted


@pytest.fixture
def talk() -> Talk:
    return Talk(Options())


def answer(talk: Talk, *lines: str) -> str:
    return "".join(text_of(talk.answer(line)) for line in lines)


# --- values ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("1 + 1", "2"),
        ('"a\n" + "b"', '"a\\nb"'),
        ("[ ]", "[ ]"),
        ("{ }", "{ }"),
        ("[ 1 ]", "[ 1 ]"),
        ("{ a = null; }", "{ a = null; }"),
        ("[ [ 1 ] ]", "[\n  [ ... ]\n]"),
        ("{ a = 1.5; b = { c = 1; }; }", "{\n  a = 1.5;\n  b = { ... };\n}"),
        ('{ b = throw "no"; a = true; }', "{\n  a = true;\n  b = «error: no»;\n}"),
        ("x: x", "«lambda @ «repl»:1:1»"),
        ("let f = x: x; in f", "«lambda f @ «repl»:1:9»"),
        ("builtins.add", "«primop add»"),
        ("builtins.add 1", "«partially applied primop add»"),
        ('{ "a b" = [ ]; }', '{\n  "a b" = [ ];\n}'.replace("{\n  ", "{ ").replace(";\n}", "; }")),
        ("rec { a = { inherit a; }; }.a", "{\n  a = «repeated»;\n}"),
        ('builtins.genList (n: throw "x") 101 ++ [ 1 ]', "[\n" + "  …\n" * 101 + "  1\n]"),
    ],
)
def test_values(talk: Talk, expression: str, shown: str) -> None:
    assert answer(talk, expression) == shown + "\n"


def test_derivations_go_by_their_path(talk: Talk) -> None:
    text = '{ a = derivation { name = "n"; system = "s"; builder = "b"; }; b = 1; }'
    assert re.fullmatch(r"\{\n  a = «derivation /nix/store/\w{32}-n.drv»;\n  b = 1;\n\}\n", answer(talk, text))


def test_print_goes_all_the_way(talk: Talk) -> None:
    assert answer(talk, ":p { a.b.c = [ (1 + 1) ]; }") == "{\n  a = {\n    b = {\n      c = [ 2 ];\n    };\n  };\n}\n"


# --- commands ----------------------------------------------------------------------------------------


def test_bindings(talk: Talk) -> None:
    assert answer(talk, "x = 1", "f = y: x + y;", "x = 10", "f 1", "x") == "2\n10\n"
    assert answer(talk, 'lazy = throw "not yet"', "1") == "1\n"
    with pytest.raises(EvalError, match="not yet"):
        answer(talk, "lazy")
    assert answer(talk, "1 == 1", "let a = 1; in a") == "true\n1\n"


def test_types_and_documentation(talk: Talk, tmp_path: Path) -> None:
    assert answer(talk, ":t { }", ":type 1.0") == "a set\na float\n"
    assert answer(talk, ":doc builtins.length").startswith("length *")
    (tmp_path / "lib.nix").write_text("{\n  /** Twice *x*. */\n  twice = x: x + x;\n  other = 1;\n}\n")
    assert answer(talk, f"lib = import {tmp_path}/lib.nix", ":doc lib.twice") == "Twice *x*.\n"
    with pytest.raises(EvalError, match="no documentation"):
        answer(talk, ":doc lib.other")


def test_loading(talk: Talk, tmp_path: Path) -> None:
    file = tmp_path / "default.nix"
    file.write_text("{ a ? 1 }: { inherit a; b = a + 1; }")
    assert answer(talk, f":l {tmp_path}", "b") == "Added 2 variables.\n2\n"
    assert answer(talk, ":a { c = b; }", "c", ":env") == "Added 1 variable.\n2\na b c\n"
    file.write_text("{ a ? 5 }: { inherit a; b = a + 1; d = 0; }")
    assert answer(talk, "loose = 1", ":r", "c", ":env").endswith("from { c = b; }.\n6\na b c d\n")
    file.write_text("{")
    with pytest.raises(EvalError):
        answer(talk, ":r")
    file.write_text("{ b = 7; }")
    assert answer(talk, ":reload", "c").endswith("7\n")


def test_arguments_and_search_path(tmp_path: Path) -> None:
    (tmp_path / "here.nix").write_text("{ a }: { b = a; }")
    talk = Talk(read(["-I", f"x={tmp_path}", "--arg", "a", "1 + 1"]))
    assert answer(talk, ":l <x/here.nix>", "b") == "Added 1 variable.\n2\n"


def test_editing(talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib.nix").write_text("{\n  f =\n    x: x;\n  v = 1;\n}\n")
    said = tmp_path / "said"
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(said))}\n')
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"{editor} -x")
    answer(talk, f"lib = import {tmp_path}/lib.nix", ":e lib.f", ":e lib.v", f":e {tmp_path}/lib.nix")
    name = f"{tmp_path}/lib.nix"
    assert said.read_text().splitlines() == [f"-x +2 {name}", f"-x +4 {name}", f"-x +1 {name}"]
    with pytest.raises(EvalError, match="nothing tells"):
        answer(talk, ":e 1")


def test_what_it_cannot_do(talk: Talk) -> None:
    assert ":b, :build EXPR" in answer(talk, ":?")
    assert "is not among what this conversation can do" in answer(talk, ":bl 1")


def test_a_flake_is_loaded(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "flake.nix").write_text("{ outputs = { self }: { answer = 42; }; }")
    assert "added" in answer(talk, f":lf {tmp_path}").lower()
    assert answer(talk, "answer").strip() == "42"
    (tmp_path / "flake.nix").write_text("{ outputs = { self }: { answer = 43; }; }")
    assert answer(talk, ":r", "answer").strip().endswith("43")
    with pytest.raises(EvalError, match="not part of a flake"):
        answer(talk, ":lf /")


@pytest.mark.parametrize(
    ("line", "message"), [(":zz", "unknown command"), (":t", "needs an expression"), (":l", "a file")]
)
def test_mistaken_commands(talk: Talk, line: str, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        talk.answer(line)


def test_quitting_and_traces(talk: Talk) -> None:
    assert answer(talk, ":te true") == "traces of errors are on\n"
    with pytest.raises(EvalError) as found:
        talk.answer('(x: throw x) "no"')
    assert "from call site" in talk.failure(found.value)
    with pytest.raises(Quit):
        talk.answer(":q")


def test_limits_of_each_evaluation() -> None:
    talk = Talk(read(["--max-seconds", "0.2"]))
    endless = "let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 60"
    with pytest.raises(Interrupted, match=r"longer than 0\.2 seconds"):
        talk.answer(endless)
    assert answer(talk, "1") == "1\n"


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "x = 1",
        "x = 1;",
        "1 + )",
        "{ a = ; }",
        ":p 1",
        ":l [",
        ":?",
        "",
        "a }",
        '"a" b',
        "let a = 1; in a",
        "{ a = 1; }",
    ],
)
def test_whole_inputs(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize(
    "text",
    [
        "1 +",
        "x =",
        "x = [",
        "x = { a = 1;",
        "{ a = 1;",
        "let a = 1;",
        '"a',
        "''\n a",
        "/* a",
        "x:",
        ":p [ 1",
        "if a then b",
    ],
)
def test_inputs_that_go_on(text: str) -> None:
    assert not is_complete(text)


# --- completion --------------------------------------------------------------------------------------


def proposed(talk: Talk, before: str) -> list[str]:
    return [before[: len(before) - found.replaces] + found.text for found in completions(talk, before)]


def test_completion(talk: Talk, tmp_path: Path) -> None:
    answer(talk, 'set = { alpha.beta = 1; "two words" = 2; fails = throw "x"; }', "f = x: { given = x; }")
    assert proposed(talk, "set") == ["set"]
    assert proposed(talk, "1 + builtins.attrNam") == ["1 + builtins.attrNames"]
    assert proposed(talk, "[ set.") == ['[ set."two words"', "[ set.alpha", "[ set.fails"]
    assert proposed(talk, "set.alpha.") == ["set.alpha.beta"]
    assert proposed(talk, "(f 1).g") == ["(f 1).given"]
    assert proposed(talk, "{ a = 1; }.") == ["{ a = 1; }.a"]
    assert proposed(talk, "set.fails.") == []
    assert proposed(talk, "undefined.x") == []
    assert ":doc" in proposed(talk, ":d")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.nix").write_text("1")
    assert proposed(talk, f"import {tmp_path}/f") == [f"import {tmp_path}/file.nix", f"import {tmp_path}/folder/"]
    assert proposed(talk, f":l {tmp_path}/fi") == [f":l {tmp_path}/file.nix"]


def test_completion_of_the_search_path(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    talk = Talk(read(["-I", f"nixpkgs={tmp_path}", "-I", str(tmp_path)]))
    assert proposed(talk, "import <") == ["import <lib/", "import <nixpkgs>"]
    assert proposed(talk, "import <nixpkgs/l") == ["import <nixpkgs/lib/"]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("a", "a"),
        ("1 + a.b", "a.b"),
        ("x (f 1).c", "(f 1).c"),
        ('a."b c".d', 'a."b c".d'),
        ("[ 1 ]", "[ 1 ]"),
        ("1 +", ""),
        ("", ""),
        ("a.", ""),
        (")", ""),
    ],
)
def test_what_is_selected_from(text: str, expression: str) -> None:
    assert selected(text) == expression


# --- the command -------------------------------------------------------------------------------------


def test_through_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = 'x = [\n  1\n]\nx\nbroken +\n\n"still here"\nthrow "oh"\n:q\nnever\n'
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert main(["repl", "-E", "{ a = 1; }"]) == 0
    said = capsys.readouterr()
    assert said.out == 'Added 1 variable.\n[ 1 ]\n"still here"\n'
    assert said.err.count("error: ") == 2
    assert main(["repl", "--nonsense"]) == 1
    assert main(["repl", "--help"]) == 0


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt_through_a_pipe() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "evaluator.cli", "repl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(
        'builtins.trace "begun" (let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 60)\n'
    )
    process.stdin.flush()
    assert process.stderr.readline() == "trace: begun\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "error: interrupted by the user\n"
    out, err = process.communicate("1 + 1\n", timeout=200)
    assert (out, err, process.returncode) == ("2\n", "", 0)


class Terminal:
    """The command on a pseudo-terminal of its own."""

    def __init__(self, state: Path) -> None:
        import pty

        environment = {**os.environ, "TERM": "xterm-256color", "XDG_STATE_HOME": str(state), "HOME": str(state)}
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.execve(sys.executable, [sys.executable, "-m", "evaluator.cli", "repl"], environment)
        self.text = ""

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def expect(self, pattern: str, seconds: float = 200) -> None:
        """Waits until the pattern is on the screen, below what was expected before."""
        until = time.monotonic() + seconds
        while True:
            plain = re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])", "", self.text)
            found = re.search(pattern, plain)
            if found is not None:
                self.text = plain[found.end() :]
                return
            ready, _, _ = select.select([self.screen], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"{pattern!r} is not in {plain!r}"
            data = os.read(self.screen, 65536)
            if b"\x1b[6n" in data:
                os.write(self.screen, b"\x1b[1;1R")  # where the cursor is: prompt_toolkit asks
            self.text += data.decode("utf-8", "replace")

    def expect_end(self) -> None:
        """Waits until the command has closed its screen."""
        try:
            while os.read(self.screen, 65536):
                pass
        except OSError:  # that is how Linux says it
            pass


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    if os.name != "posix":
        pytest.skip("no pseudo-terminals")
    found = Terminal(tmp_path)
    yield found
    os.kill(found.process, signal.SIGKILL)
    os.waitpid(found.process, 0)
    os.close(found.screen)


def test_at_a_terminal(terminal: Terminal, tmp_path: Path) -> None:
    terminal.expect("nix> ")
    terminal.type("1 + 1\r")
    terminal.expect(r"\s2\s")
    terminal.expect("nix> ")
    # Enter goes on where something is missing.
    terminal.type("[ 1\r2 ]\r")
    terminal.expect(r"\[\s+1\s+2\s+\]")
    terminal.expect("nix> ")
    terminal.type("builtins.attrNam\t")
    terminal.expect("(?s)attrNam.*es")  # only what is new gets drawn
    terminal.type(" { word = 1; }\r")
    terminal.expect(r'\[ "word" \]')
    terminal.expect("nix> ")
    terminal.type("let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 60\r")
    terminal.expect("evaluating: .*Ctrl-C")
    terminal.type("\x03")
    terminal.expect("interrupted by the user")
    terminal.expect("nix> ")
    terminal.type("builtins.nope\r")
    terminal.expect("attribute 'nope' missing")
    terminal.expect("nix> ")
    terminal.type("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\r")  # five lines up: the first
    terminal.expect(r"\s2\s")
    terminal.expect("nix> ")
    terminal.type("\x04")
    terminal.expect_end()
    history = tmp_path / "tvix-lsp" / "repl-history"
    assert "builtins.attrNames { word = 1; }" in history.read_text()
