"""Errors stay local, and no text makes much work: every truncation, thousands of mutations, hostile repetition.

The counts are printed (pytest -s). TVIX_SEED makes other mutations, TVIX_LOCALITY another number of them.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import pytest

from evaluator.syntax.context import context_at
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.parser import parse
from store import compiled
from tests.syntax.checks import check_tree
from tests.syntax.locality import Harm, Mutation, harm, mutation

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = int(os.environ.get("TVIX_SEED", "2026"))
COUNT = int(os.environ.get("TVIX_LOCALITY", "2000"))
LARGEST = 40_000

#: Tokens made for one of the text, at most, however the text is broken: read strictly, tolerantly, and what was tried.
MOST_EFFORT = 8.0


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def own_files(largest: int = LARGEST) -> list[Path]:
    return [path for path in sorted((ROOT / "examples").rglob("*.nix")) if path.stat().st_size <= largest]


@pytest.mark.timeout(600)
def test_every_truncation_at_a_token_keeps_all_bindings_before_it() -> None:
    count = beside = 0
    for path in own_files(4000):
        text = text_of(path)
        whole = parse(text)
        lexer = Lexer(text, 0, len(text), False)
        lexer.run()
        for end in lexer.ends:
            done = harm(whole, Mutation(end, len(text), ""))
            assert done.kept == done.named == done.beside, (path, end)
            check_tree(done.source)
            context_at(done.source, end)
            count += 1
            beside += done.beside
    print(f"\n{count} truncations, all of {beside} bindings kept")
    assert count > 10_000


def mutate(paths: Sequence[Path], count: int) -> list[Harm]:
    """What that many mutations do that break a text."""
    rng = random.Random(SEED)
    whole = [parse(text_of(path)) for path in paths]
    found: list[Harm] = []
    for _ in range(count):
        before = rng.choice(whole)
        change = mutation(rng, before.text)
        done = harm(before, change)
        check_tree(done.source)
        context_at(done.source, change.start + len(change.new))
        if done.source.problems:
            found.append(done)
    return found


def check_harm(what: str, found: Sequence[Harm], count: int) -> None:
    """Print how local the faults have stayed; a floor for each figure, a little under what it is."""
    beside = sum(done.beside for done in found)
    kept = sum(done.kept for done in found) / beside
    named = sum(done.named for done in found) / beside
    harmless = sum(done.kept == done.beside for done in found) / len(found)
    effort = max(done.effort for done in found)
    print(
        f"\n{what}: {len(found)} of {count} mutations break a text, with {beside} bindings beside them: "
        f"{kept:.2%} kept, {named:.2%} in their place; all kept after {harmless:.2%}; "
        f"at most {effort:.2f} tokens made for one"
    )
    assert len(found) > count // 3
    assert kept > 0.99
    assert named > 0.95
    assert harmless > 0.96
    assert effort < MOST_EFFORT


@pytest.mark.timeout(600)
def test_mutations_of_our_own_files() -> None:
    check_harm("examples", mutate(own_files(), COUNT), COUNT)


@pytest.mark.timeout(600)
def test_mutations_of_nixpkgs(nixpkgs: Path) -> None:
    paths = [path for path in sorted(nixpkgs.rglob("*.nix")) if path.is_file() and path.stat().st_size < LARGEST]
    check_harm("nixpkgs", mutate(random.Random(SEED).sample(paths, 600), COUNT), COUNT)


HOSTILE = [
    "(", "[", "{a=", "x: ", "let a=1; in ", "let a=", "- ", "a ++ ", "f ", '"${', "''${", "a.b or ", "with a; ",
    "if a then b else ", "{ inherit (", "{a?", "{${", "{ { ", "{a ", "{a,", "a ? b ? ", "assert ", "/*", "/**\n", "a=",
    "a.", "a.\n", "[ a;", "}", "};", "};\n", ")", ";", '"', "''", "{a=1;}", "a@", "\"\n", "''\n", "''\n  a = 1;\n",
    'x = "${', "${", "${a.\n", '"${a.\n', "''${a.\n", "let ", "a = {\n", "a = [\n", "a = [\n  b = 1;\n", "a = ''\n",
    'a = "b;\n', "a = \"]]]];\n", "a = b\n", "  a = b,\n", "a b\n", "<<<<<<< a\n", "=======\n", "{ a; b,\n", "{ lib;\n",
    "  inherit (a\n", "rec {\n", " {\n  a = 1;\n}\n", "in\n", "then ", "else ", "a == b;\n", "\"a = 1;\n", "x = {a}; ",
    "]", "f = { a, b }\n",
]  # fmt: skip


#: The most that has been seen is 33 tokens and 203 calls for a character (`a=a=a=…`), whatever the length.
TOKENS_A_CHARACTER = 40
CALLS_A_CHARACTER = 250


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("around", ["{}", "{{\n  z = 1;\n{}\n  y = 2;\n}}\n"], ids=["alone", "in a set"])
def test_work_grows_with_the_text_not_with_its_square(unit: str, around: str) -> None:
    """So much work for a character and no more, however long the text: tokens, and calls where they can be counted."""
    for size in (2_000, 24_000):
        text = around.format(unit * (size // len(unit)))
        assert parse(text).effort < TOKENS_A_CHARACTER * len(text)
    if compiled.mode() == compiled.PLAIN:
        text = around.format(unit * (6_000 // len(unit)))
        assert calls(lambda: parse(text)) < CALLS_A_CHARACTER * len(text)


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, those of C included."""
    count = 0

    def note(frame: FrameType, event: str, what: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
