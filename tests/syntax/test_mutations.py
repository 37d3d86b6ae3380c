"""Real files, broken at random: accepted and rejected as by C++ Nix 2.8, every difference with a cause that is known.

TVIX_MUTATIONS=2000 makes as many of them (of nixpkgs, if NIXPKGS names one); TVIX_SEED another choice. The counts by
cause are printed (pytest -s).
"""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR
from tests.conftest import find_nixpkgs
from tests.syntax.test_against_nix import TOKENS

ROOT = Path(__file__).resolve().parent.parent.parent
COUNT = int(os.environ.get("TVIX_MUTATIONS", "150"))
SEED = int(os.environ.get("TVIX_SEED", "2026"))
LARGEST = 40_000


def texts() -> list[str]:
    """Files to break: a sample of nixpkgs where there is one, else the examples."""
    nixpkgs = find_nixpkgs()
    root = nixpkgs if nixpkgs is not None else ROOT / "examples"
    files = [path for path in sorted(root.rglob("*.nix")) if path.is_file() and path.stat().st_size < LARGEST]
    chosen = random.Random(SEED).sample(files, min(len(files), COUNT))
    return [path.read_bytes().decode("utf-8", "surrogateescape") for path in chosen]


def mutated(rng: random.Random, text: str) -> str:
    """One edit somewhere: something typed, something deleted, stretches swapped, a line doubled, the end cut off."""
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(6)
    if kind <= 1:
        return text[:at] + rng.choice(TOKENS) + text[at:]
    if kind == 2:
        return text[:at] + text[at + rng.choice([1, 1, 2, 5, 30]) :]
    if kind == 3:
        other = min(len(text), at + rng.randrange(1, 20))
        last = min(len(text), other + rng.randrange(1, 20))
        return text[:at] + text[other:last] + text[at:other] + text[last:]
    if kind == 4:
        lines = text.split("\n")
        number = rng.randrange(len(lines))
        return "\n".join([*lines[: number + 1], *lines[number:]])
    return text[:at]


def verdict(nix_instantiate: str, path: Path, text: str) -> tuple[bool, str]:
    """Whether Nix accepts the form of a text, and its first error."""
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    run = subprocess.run(
        [nix_instantiate, "--parse", str(path)], capture_output=True, text=True, errors="replace", check=False
    )
    path.unlink()
    said = next((line for line in run.stderr.splitlines() if line.startswith("error")), "")
    return run.returncode == 0 or said.startswith("error: undefined variable"), said


def cause(text: str, ours: bool, said: str) -> str:
    """Why the verdicts differ; empty when it is not known."""
    codes = {problem.code for problem in parse(text).problems}
    if "\0" in text:
        return "NUL: 2.8 reads no further than it"
    if ours and codes & {"experimental-pipe"}:
        return "pipe operators: newer than 2.8"
    if ours and "already defined" in said:
        return "sets in sets are merged since 2.26"
    return ""


@pytest.mark.timeout(1800)
def test_verdicts_are_those_of_nix(nix_instantiate: str, tmp_path: Path) -> None:
    rng = random.Random(SEED)
    sources = texts()
    broken = [mutated(rng, rng.choice(sources)) for _ in range(COUNT)]
    paths = [tmp_path / f"{number}.nix" for number in range(COUNT)]
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(verdict, [nix_instantiate] * COUNT, paths, broken))
    counts: Counter[str] = Counter()
    unexplained: list[tuple[bool, str, str]] = []
    for text, (accepted, said) in zip(broken, theirs, strict=True):
        ours = not any(problem.severity == ERROR for problem in parse(text).problems)
        if ours == accepted:
            counts["accepted by both" if ours else "rejected by both"] += 1
            continue
        why = cause(text, ours, said)
        counts[why or "NOT EXPLAINED"] += 1
        if not why:
            unexplained.append((ours, said, text))
    print(f"\n{COUNT} mutated files, seed {SEED}:")
    for why, count in counts.most_common():
        print(f"{count:6} {why}")
    assert not unexplained
    assert counts["accepted by both"] and counts["rejected by both"]
