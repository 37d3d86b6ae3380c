"""A broken file of 338 KB, opened cold: wherever the fault is, the bindings beside it are there."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR
from evaluator.syntax.tree import Source
from tests.syntax.locality import Mutation, bindings, harm

SIZE = 338_000

#: What is left half-typed before a binding. A `/*` is among them only where nothing further on closes it: then it is
#: a comment like any other.
FAULTS = [
    "x = ", "x = lib.", "x = {", "x = [ a", "x = (f", 'x = "a', "x = ''\n    a", "x", "inherit (", "x = let a = 1;",
    "}", "};", "]", ")", "/* b", "x = a: ", "${", "=", "in", "then", "\n<<<<<<< HEAD", '"', "''", "x = f {\n    a = [",
    'x = "${', "x = if a", "x = { a, ", "a == b", "x = ''${a.", "with a; b", "let",
]  # fmt: skip


SHAPES = [
    "  packageN = callPackage ../tools/packageN { };\n",
    '  libraryN = callPackage ../libraries/N {\n    inherit (lib) aN;\n    a = [ "N" ] ++ [ "${b.c}" ];\n  };\n\n',
    "  # an alias\n  inherit (self.setN) aN bN;\n",
    "  setN = lib.recurse {\n    script = ''\n      echo ${lib.version}\n    '';\n    n = N;\n  };\n",
]


def generated() -> str:
    """A text of that size, shaped like a package set."""
    lines = ["# packages\n{ lib, callPackage, config, pkgs }:\n\nself: super:\n\nwith pkgs;\n\n{\n"]
    size = 0
    number = 0
    while size < SIZE:
        number += 1
        shape = SHAPES[number % len(SHAPES)]
        line = shape.replace("N", str(number))
        lines.append(line)
        size += len(line)
    return "".join([*lines, "}\n"])


def outermost(source: Source) -> list[int]:
    """Where the bindings of the outermost set start."""
    text = source.text
    return [start for inside, start, _ in bindings(source) if len(inside) < 2 and text[start - 3 : start] == "\n  "]


def check(what: str, text: str) -> None:
    whole = parse(text)
    assert not any(problem.severity == ERROR for problem in whole.problems)
    rng = random.Random(338)
    places = outermost(whole)
    assert len(places) > 1000
    least, effort, most = 1.0, 0.0, 0
    for fault in FAULTS:
        at = rng.choice(places)
        if fault.startswith("/*") and "*/" in text[at:]:
            at = max(place for place in places if "*/" not in text[place:])
        done = harm(whole, Mutation(at, at, fault + "\n  "))
        assert done.source.problems, fault
        least = min(least, done.named / done.beside)
        effort = max(effort, done.effort)
        most = max(most, len(done.source.problems))
    broken = text
    for at in sorted(rng.sample(places, 100), reverse=True):
        broken = f"{broken[:at]}{rng.choice([fault for fault in FAULTS if fault[:2] != '/*'])}\n  {broken[at:]}"
    after = parse(broken)
    written = Counter(text[start:end] for _, start, end in bindings(whole))
    share = (written & Counter(broken[start:end] for _, start, end in bindings(after))).total() / written.total()
    print(
        f"\n{what}, {len(text)} characters, {written.total()} bindings: at least {least:.2%} in their place after one "
        f"fault, {share:.2%} kept after 100; at most {most} problems; at most {effort:.2f} tokens made for one"
    )
    assert least >= 0.99
    assert share >= 0.98
    assert effort < 3
    assert most <= 6


@pytest.mark.timeout(600)
def test_generated() -> None:
    check("generated", generated())


@pytest.mark.timeout(600)
def test_all_packages(nixpkgs: Path) -> None:
    path = nixpkgs / "pkgs" / "top-level" / "all-packages.nix"
    check("all-packages.nix", path.read_bytes().decode("utf-8", "surrogateescape"))
