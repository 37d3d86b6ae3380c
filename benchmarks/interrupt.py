"""How long after Ctrl-C `tvix-eval` is gone.

    python -m benchmarks.interrupt [--nixpkgs PATH] [--only WORDS] [--times 5] [--json]

Each program goes on for very long. Some time after it has begun (a different time in each round) its process gets
SIGINT; measured is until it has said so, and until it has ended. Where memory was taken by gigabytes the kernel
needs a while to take it back, which is in the second figure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.contenders import find_nixpkgs
from benchmarks.lateness import MANY, SYSTEM
from benchmarks.numbers import percentile, table

FOREVER: Final = "builtins.genericClosure { startSet = [ { key = 0; } ]; operator = i: let key = i.key + 1; in "

#: Expressions that take very long, but for those that evaluate nixpkgs.
PROGRAMS: Final[dict[str, str]] = {
    "calls": "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 60",
    "list by doubling": "let f = l: builtins.seq (builtins.length l) (f (l ++ l)); in f [ 1 2 3 4 ]",
    "list of thunks by doubling": "let f = l: builtins.seq (builtins.length l) (f (map (x: x) l ++ l)); in f [ 1 2 ]",
    "string by doubling": 'let f = t: builtins.seq (builtins.stringLength t) (f (t + t)); in f "abc"',
    "string by interpolation": 'let f = t: builtins.seq (builtins.stringLength t) (f "${t}${t}"); in f "abc"',
    "set by //": (
        "let f = n: s: builtins.seq (s ? a) (f (n + 1) (s // builtins.listToAttrs "
        "(builtins.genList (i: { name = toString (n * 1000 + i); value = i; }) 1000))); in f 0 { }"
    ),
    "genericClosure": f"{FOREVER} [ {{ inherit key; }} ]; }}",
    "sort of numbers": (
        f"{FOREVER} builtins.deepSeq (builtins.sort builtins.lessThan {MANY}) [ {{ inherit key; }} ]; }}"
    ),
    "sort by a function": (
        f"{FOREVER} builtins.deepSeq (builtins.sort (a: b: b < a) {MANY}) [ {{ inherit key; }} ]; }}"
    ),
    "filter of a built-in": (
        f"let l = {MANY}; in {FOREVER} builtins.deepSeq (builtins.filter builtins.isInt l) [ {{ inherit key; }} ]; }}"
    ),
    "concatStringsSep": (
        f"let l = map toString {MANY}; in "
        f'{FOREVER} builtins.seq (builtins.concatStringsSep "," l) [ {{ inherit key; }} ]; }}'
    ),
    "toJSON": f"let l = {MANY}; in {FOREVER} builtins.seq (builtins.toJSON l) [ {{ inherit key; }} ]; }}",
    "regular expression": (
        'builtins.match "(a|a?)*(a|aa)+b" (builtins.concatStringsSep "" (builtins.genList (x: "a") 500))'
    ),
    "split": f'let t = toString {MANY}; in {FOREVER} builtins.seq (builtins.split " " t) [ {{ inherit key; }} ]; }}',
    "hello": "(import NIXPKGS { }).hello.drvPath",
    "NixOS system": SYSTEM,
    "every package": "builtins.mapAttrs (n: v: (builtins.tryEval (v.drvPath or 1)).value) (import NIXPKGS { })",
}


def measure(command: list[str], seconds: float) -> tuple[float, float] | None:
    """Milliseconds until it has said so and until it has ended; None when it had ended before."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        assert run.stderr is not None
        if run.stderr.readline() != b"trace: begun\n":
            raise RuntimeError(run.stderr.read().decode(errors="replace"))
        try:
            run.wait(seconds)
            return None
        except subprocess.TimeoutExpired:
            pass
        start = time.perf_counter()
        run.send_signal(signal.SIGINT)
        while (said := run.stderr.readline()).startswith(b"evaluation warning: "):
            pass
        first = time.perf_counter() - start
        run.wait()
        last = time.perf_counter() - start
        if said != b"error: interrupted by the user\n" or run.returncode != 130:
            if run.returncode == 0:
                return None
            raise RuntimeError(f"{run.returncode}: {said.decode(errors='replace')}")
        return first * 1000, last * 1000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.interrupt", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--only", default="", help="only programs with this in their name")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    nixpkgs: Path = find_nixpkgs(arguments.nixpkgs)
    evaluate = [sys.executable, "-m", "evaluator.cli", "--no-eval-cache", "--strict", "--max-memory", "6000", "-E"]

    rows = []
    everything: list[tuple[float, float]] = []
    for name, program in PROGRAMS.items():
        if arguments.only not in name:
            continue
        found = []
        for turn in range(arguments.times):
            text = f'builtins.trace "begun" ({program.replace("NIXPKGS", str(nixpkgs))})'
            one = measure([*evaluate, text], 0.05 + 1.1 * turn / arguments.times)
            if one is not None:
                found.append(one)
        everything += found
        rows.append(row(name, found))
        if not arguments.json:
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    rows.append(row("all of them", everything))
    header = ["", "times", "said p50", "p95", "max", "ended p50", "p95", "max"]
    if arguments.json:
        print(json.dumps([dict(zip(["name", *header[1:]], one, strict=True)) for one in rows], indent=2))
    else:
        print("Milliseconds after SIGINT.\n")
        print(table(header, rows))
    return 0


def row(name: str, found: list[tuple[float, float]]) -> list[str]:
    if not found:
        return [name, "0", *["-"] * 6]
    said = [one[0] for one in found]
    ended = [one[1] for one in found]
    figures = [f(times) for times in (said, ended) for f in (_half, _most, max)]
    return [name, str(len(found)), *(f"{figure:.0f}" for figure in figures)]


def _half(values: Sequence[float]) -> float:
    return percentile(values, 50)


def _most(values: Sequence[float]) -> float:
    return percentile(values, 95)


if __name__ == "__main__":
    os.environ.pop("TVIX_PURE", None)
    sys.exit(main())
