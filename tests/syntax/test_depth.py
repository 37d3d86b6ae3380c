"""100,000 levels of anything are an error with a place: compiled and plain, on threads with small stacks too.

A crash would take the process down, so each stack size has a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from evaluator.syntax.reader import MAX_DEPTH

LEVELS = 100_000

#: What is repeated, and what closes it.
NESTED = [
    ("(", ")"), ("[", "]"), ("[ -", "]"), ("x: ", ""), ("{a}: ", ""), ("{a?", "}:a"), ("- ", ""), ("!", ""),
    ("a ++ ", ""), ("a -> ", ""), ("a + ", ""), ("a // ", ""), ("f ", ""), ("(f ", ")"), ("f[", "]"), ('"${', '}"'),
    ("''${", "}''"), ("./a${", "}"), ("a.${", "}"), ("a.b or ", ""), ("a.b or [", "]"), ("a ? ${", "}"),
    ("with a; ", ""), ("with ", ";a"), ("assert a; ", ""), ("if a then b else ", ""), ("if a then ", " else b"),
    ("if ", " then a else b"), ("{${", "}=a;}"), ("a |> ", ""), ("a <| ", ""), ("''${\"${", "}\"}''"),
]  # fmt: skip

#: As above, with bindings: each of these is tried by itself, which takes longer.
BINDINGS = [
    ("{a=", ";}"), ("rec{a=", ";}"), ("let{body=", ";}"), ("let a=1; in ", ""), ("let a=", "; in a"),
    ("{ inherit (", ") a;}"), ("([{a=", ";}])"), ("{ a.b.c = ", "; }"),
]  # fmt: skip

SCRIPT = """
import json, sys, threading
from evaluator.syntax.context import context_at
from evaluator.syntax.cursor import path_at
from evaluator.syntax.incremental import edit
from evaluator.syntax.parser import parse

def work():
    for text, small in json.load(sys.stdin):
        source = parse(text)
        for offset in (0, len(text) // 2, len(text)):
            context_at(source, offset)
            path_at(source, offset)
        if small:
            source = edit(source, 0, 0, " ")
        print(json.dumps([[p.code, p.start, p.end] for p in source.problems]), flush=True)

threading.stack_size(int(sys.argv[1]) * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("alive")
"""


def problems(stack: int, texts: list[tuple[str, bool]]) -> list[list[tuple[str, int, int]]]:
    """The problems of each text, read (and edited, when so marked) on a thread with a stack of so many KiB."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(stack)], input=json.dumps(texts), capture_output=True, text=True, check=False
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0 and lines[-1:] == ["alive"], (
        run.returncode,
        texts[len(lines)][0][:40],
        run.stderr[-500:],
    )
    return [[(code, start, end) for code, start, end in json.loads(line)] for line in lines[:-1]]


def check(stack: int, texts: list[tuple[str, bool]]) -> None:
    for (text, _), found in zip(texts, problems(stack, texts), strict=True):
        places = [(start, end) for code, start, end in found if code == "nesting-too-deep"]
        assert len(places) == 1, (text[:40], found[:3])
        start, end = places[0]
        assert 0 < start < end <= MAX_DEPTH * 20


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stack", [512, 1024])
def test_nesting(stack: int) -> None:
    open_only = [(unit * LEVELS, True) for unit, _ in NESTED]
    closed = [(unit * LEVELS + "1" + closer * LEVELS, False) for unit, closer in NESTED]
    check(stack, open_only + closed if stack == 512 else open_only)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("unit, closer", BINDINGS)
def test_nesting_of_bindings(unit: str, closer: str) -> None:
    check(512, [(unit * LEVELS, False)])
    check(512, [(unit * 10_000 + "1" + closer * 10_000, True)])
    check(1024, [(unit * 10_000, True)])


def test_a_long_path_is_no_nesting() -> None:
    assert problems(512, [("a" + ".b" * LEVELS, True)]) == [[]]
