"""The same texts through C++ Nix: what it accepts is accepted, what it rejects is a problem, strings are equal.

Undefined variables, which ``nix-instantiate --parse`` reports too, are none of this
layer's business. Pipe operators and NUL are left out: 2.8 knows no pipes and ends a
text at a NUL.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR
from evaluator.syntax.strings import parts
from evaluator.syntax.tree import Interpolation, ListExpr, Node, Source, Str
from tests.syntax.case_files import cases_in

ROOT = Path(__file__).resolve().parent.parent.parent


def accepted(source: Source) -> bool:
    return not any(problem.severity == ERROR for problem in source.problems)


def nix_accepts(nix_instantiate: str, path: Path, text: str) -> bool:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    run = subprocess.run(
        [nix_instantiate, "--parse", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    return run.returncode == 0 or "undefined variable" in run.stderr


@pytest.mark.parametrize("name", ["expressions", "strings", "broken"])
def test_cases_are_accepted_alike(name: str, nix_instantiate: str, tmp_path: Path) -> None:
    for case in cases_in(name):
        if "pipe" in "".join(case.problems):
            continue
        theirs = nix_accepts(nix_instantiate, tmp_path / "case.nix", case.text)
        assert accepted(parse(case.text)) == theirs, case.title


TOKENS = [
    "{", "}", "[", "]", "(", ")", ";", ":", ",", ".", "=", "@", "?", "!", "+", "-", "*", "/", "<", ">", '"',
    "''", "${", "$",
    "a", "b", "x", "let", "in", "inherit", "if", "then", "else", "with", "assert", "rec", "or", "1", "0",
    ".5", "1.5", "./a",
    "a/b", "~/c", "<n>", "//", "++", "->", "&&", "||", "...", "==", "!=", "<=", "a = 1;", "a.b = 2;",
    "{ a = 1; }", "{ }",
    "{ b }", "{ b ? 1 }:", "{...}:", "b:", "a:b", '"s"', "''t''", '"${a}"', "(1)", "[ 1 ]", " ", "\n",
    "#c\n", "/*c*/", "~",
    "_", "'", "\\", "e5", "%", "-a", "+a", "/${", "${a}", "x/", "if a then b else", "let a=1; in", "with a;",
    "inherit a;",
]  # fmt: skip


def random_texts(rng: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        yield "a: b: x: " + "".join(rng.choice(TOKENS) + rng.choice(["", " "]) for _ in range(rng.randrange(1, 9)))


def mutations(rng: random.Random, count: int) -> Iterator[str]:
    files = sorted((ROOT / "examples").rglob("*.nix"))
    for _ in range(count):
        text = rng.choice(files).read_text(encoding="utf-8")
        at = rng.randrange(len(text) + 1)
        if rng.random() < 0.5:
            yield text[:at] + rng.choice(TOKENS) + text[at:]
        else:
            yield text[:at] + text[at + rng.choice([1, 1, 2, 5]) :]


@pytest.mark.parametrize("kind", ["tokens", "mutations"])
def test_random_texts_are_accepted_alike(kind: str, nix_instantiate: str, tmp_path: Path) -> None:
    rng = random.Random(8)
    texts = random_texts(rng, 150) if kind == "tokens" else mutations(rng, 80)
    verdicts = set()
    for text in texts:
        ours = accepted(parse(text))
        assert ours == nix_accepts(nix_instantiate, tmp_path / "random.nix", text), text
        verdicts.add(ours)
    assert verdicts == {True, False}


PIECES = ["a", " ", "  ", "\n", "\n  ", "\t", "$", "$$", "\\n", "\\t", "\\\\", '\\"', "''$", "'''", "''\\n",
    "''\\t", "''\\ ", "'",
          "\r\n", "\r", "é", "${\"x\"}", "${''  y''}", "{", "\\${", "''${"]  # fmt: skip


def is_literal(node: Node) -> bool:
    """Whether the node is a string with nothing but strings in it."""
    return isinstance(node, Str) and all(is_literal(p.expr) for p in node.parts if isinstance(p, Interpolation))


def string_literals(rng: random.Random, count: int) -> list[str]:
    """Literals that are complete and accepted."""
    found: list[str] = []
    while len(found) < count:
        body = "".join(rng.choice(PIECES) for _ in range(rng.randrange(0, 9)))
        quote = rng.choice(['"', "''", "''"])
        literal = quote + body + quote
        source = parse(literal)
        if is_literal(source.root) and not source.problems and source.root.end == len(literal):
            found.append(literal)
    return found


def test_strings_say_the_same(nix_instantiate: str, tmp_path: Path) -> None:
    literals = string_literals(random.Random(5), 1500)
    text = "[\n" + "\n".join(literals) + "\n]"
    source = parse(text)
    assert not source.problems
    assert isinstance(source.root, ListExpr)
    assert len(source.root.items) == len(literals)
    path = tmp_path / "strings.nix"
    path.write_bytes(text.encode())
    run = subprocess.run(
        [nix_instantiate, "--eval", "--strict", "--json", str(path)], capture_output=True, text=True, check=True
    )

    def value(node: Str) -> str:
        pieces = []
        for part in parts(text, node, 0):
            if part.interpolation is None:
                pieces.append(part.text)
            else:
                assert isinstance(part.interpolation.expr, Str)
                pieces.append(value(part.interpolation.expr))
        return "".join(pieces)

    for literal, node, theirs in zip(literals, source.root.items, json.loads(run.stdout), strict=True):
        assert isinstance(node, Str)
        assert value(node) == theirs, literal
