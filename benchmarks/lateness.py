"""How late another thread's timer is while the evaluator works: whether compiled code gives the interpreter up.

    python -m benchmarks.lateness [--nixpkgs PATH] [--only WORDS] [--rounds 3] [--json]

Each case runs in a process of its own, on an evaluation thread, while the main thread sleeps 5 ms again and again and
looks by how much it was late. That counts what other processes do to the machine as well (``nothing`` is the machine
itself), so there is a second figure: the processor time of the evaluation between two of the moments at which it lets
others have the interpreter. (Libraries that let others have it themselves, for hashes and long regular expressions,
look worse in it than they are.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.contenders import find_nixpkgs
from benchmarks.numbers import percentile, table

TICK: Final = 0.005
_LEAST: Final = 20  # ticks
SYSTEM: Final = """
(import NIXPKGS/nixos/lib/eval-config.nix {
  system = "x86_64-linux";
  modules = [ {
    boot.loader.grub.device = "/dev/sda";
    fileSystems."/" = { device = "/dev/sda1"; fsType = "ext4"; };
    services.openssh.enable = true;
    system.stateVersion = "26.05";
  } ];
}).config.system.build.toplevel.drvPath
"""
MANY: Final = "(builtins.genList (x: x) 1000000)"
NAMED: Final = "(builtins.listToAttrs (builtins.genList (n: { name = toString n; value = n; }) 100000))"
TEXTS: Final = f"(map toString {MANY})"

#: Expressions; NIXPKGS stands for the folder.
CASES: Final[dict[str, str]] = {
    "nothing": "1",
    "hello": "(import NIXPKGS { }).hello.drvPath",
    "firefox": "(import NIXPKGS { }).firefox.drvPath",
    "NixOS system": SYSTEM,
    "names of packages": "builtins.length (builtins.attrNames (import NIXPKGS { }))",
    "read of all-packages.nix": "builtins.isFunction (import NIXPKGS/pkgs/top-level/all-packages.nix)",
    "calls": "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 27",
    "genList, foldl'": f"builtins.foldl' (a: b: a + b) 0 {MANY}",
    "foldl' of a built-in": f"builtins.foldl' builtins.add 0 {MANY}",
    "map, filter, length": f"builtins.length (builtins.filter (x: x > 5) (map (x: x + 1) {MANY}))",
    "filter of a built-in": f"builtins.length (builtins.filter builtins.isInt {MANY})",
    "all, any": f"builtins.all builtins.isInt {MANY} && !builtins.any builtins.isString {MANY}",
    "elem": f"builtins.elem (-1) {MANY}",
    "concatMap": f"builtins.length (builtins.concatMap (x: [ x x ]) {MANY})",
    "concatLists": "builtins.length (builtins.concatLists (builtins.genList (x: [ x ]) 1000000))",
    "++": f"builtins.length ({MANY} ++ {MANY} ++ {MANY})",
    "tail": f"let f = n: l: if n == 0 then builtins.length l else f (n - 1) (builtins.tail l); in f 100 {MANY}",
    "partition": f"builtins.length (builtins.partition (x: builtins.bitAnd x 1 == 0) {MANY}).right",
    "groupBy": (
        f"builtins.length (builtins.attrNames (builtins.groupBy (x: toString (builtins.bitAnd x 1023)) {MANY}))"
    ),
    "sort, a function": "builtins.head (builtins.sort (a: b: a < b) (builtins.genList (x: 300000 - x) 300000))",
    "sort, lessThan": f"builtins.head (builtins.sort builtins.lessThan (map (x: builtins.bitXor x 341) {MANY}))",
    "sort of texts": f"builtins.head (builtins.sort builtins.lessThan {TEXTS})",
    "equal lists": f"{MANY} == {MANY}",
    "equal sets": f"{NAMED} == {NAMED}",
    "attrNames, attrValues": f"let s = {NAMED}; in builtins.length (builtins.attrNames s ++ builtins.attrValues s)",
    "mapAttrs": f"builtins.length (builtins.attrNames (builtins.mapAttrs (n: v: v + 1) {NAMED}))",
    "removeAttrs, intersectAttrs": (
        f'let s = {NAMED}; in builtins.length (builtins.attrNames (builtins.intersectAttrs (removeAttrs s [ "5" ]) s))'
    ),
    "//": f"builtins.length (builtins.attrNames ({NAMED} // {{ a = 1; }} // {NAMED}))",
    "catAttrs, zipAttrsWith": (
        "let l = builtins.genList (x: { a = x; b = x; }) 500000; in "
        'builtins.length (builtins.catAttrs "a" l) + builtins.length (builtins.zipAttrsWith (n: vs: vs) l).b'
    ),
    "genericClosure": (
        "builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; "
        "operator = x: if x.key > 300000 then [ ] else [ { key = x.key + 1; } ]; })"
    ),
    "deepSeq": f"builtins.deepSeq {NAMED} 1",
    "concatStringsSep": f'builtins.stringLength (builtins.concatStringsSep "," {TEXTS})',
    "toString of a list": f"builtins.stringLength (toString {MANY})",
    "replaceStrings": f'builtins.stringLength (builtins.replaceStrings [ "1" "2" ] [ "one" "two" ] (toString {MANY}))',
    "toJSON": f"builtins.stringLength (builtins.toJSON {{ a = {NAMED}; b = {TEXTS}; }})",
    "fromJSON": f"builtins.length (builtins.fromJSON (builtins.toJSON {MANY}))",
    "fromJSON of sets": (
        "builtins.length (builtins.fromJSON (builtins.toJSON "
        "(builtins.genList (x: { a = x; b = toString x; }) 200000)))"
    ),
    "toXML": f"builtins.stringLength (builtins.toXML {TEXTS})",
    "match": (f'builtins.length (builtins.filter (t: builtins.match "([0-9]+)7|(9*)" t != null) {TEXTS})'),
    "match of one long text": f'builtins.match "([0-9 ]+)x" (toString {MANY}) == null',
    "split": f'builtins.length (builtins.split "[ ]+" (toString {MANY}))',
    "hashString": f'builtins.hashString "sha256" (toString {MANY})',
    "string by doubling": ('let f = n: t: if n == 0 then builtins.stringLength t else f (n - 1) (t + t); in f 27 "x"'),
    "list by doubling": ("let f = n: l: if n == 0 then builtins.length l else f (n - 1) (l ++ l); in f 24 [ 1 ]"),
    "freed thunk chain": (
        "builtins.seq (builtins.foldl' (a: b: [ (builtins.head a + b) ]) [ 0 ] (builtins.genList (x: x) 300000)) 1"
    ),
}


Found = dict[str, float | list[float]]


def measure(expression: str) -> Found:
    """Evaluates it while the main thread's timer ticks. Answers the seconds that it took, and in milliseconds by how
    much each tick was late, and the processor time from one pause of the evaluation to the next."""
    from evaluator.io.files import Files
    from evaluator.opening import open_session
    from evaluator.runtime.errors import EvalError
    from evaluator.runtime.values import COUNTERS
    from evaluator.thread import evaluation_thread, stop_collector
    from evaluator.turns import TURNS

    stop_collector()
    session = open_session(Files())
    ticking = threading.Event()
    took = 0.0
    holds: list[float] = []
    last = 0.0

    def pause() -> None:
        nonlocal last
        hold = time.thread_time() - last
        if hold > 0.001:
            holds.append(hold * 1000)
        TURNS.pause()
        last = time.thread_time()

    def work() -> None:
        nonlocal took, last
        ticking.wait()
        begun = time.perf_counter()
        COUNTERS.pause = pause
        last = time.thread_time()
        try:
            session.expression(expression, "/")
        except EvalError as error:
            print(error.message, file=sys.stderr)
            os._exit(1)
        pause()
        took = time.perf_counter() - begun

    late: list[float] = []

    def tick(alive: Callable[[], bool]) -> None:
        while alive() or len(late) < _LEAST:
            ticking.set()
            due = time.perf_counter() + TICK
            time.sleep(TICK)
            late.append((time.perf_counter() - due) * 1000)

    thread: threading.Thread = evaluation_thread(work)
    tick(thread.is_alive)
    thread.join()
    return {"seconds": took, "late": late, "holds": holds}


def row(name: str, found: Found) -> list[str]:
    late, holds, seconds = found["late"], found["holds"], found["seconds"]
    assert isinstance(late, list) and isinstance(holds, list) and isinstance(seconds, float)
    figures = [percentile(late, 50), percentile(late, 99), max(late), max(holds, default=0.0)]
    return [name, f"{seconds:.2f}", str(len(late)), *(f"{figure:.1f}" for figure in figures)]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lateness", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--only", default="", help="only cases with this in their name")
    parser.add_argument("--case", default="", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    nixpkgs: Path = find_nixpkgs(arguments.nixpkgs)
    if arguments.case:
        print(json.dumps(measure(CASES[arguments.case].replace("NIXPKGS", str(nixpkgs)))), flush=True)
        os._exit(0)  # freeing everything takes long

    rows = []
    for name in CASES:
        if arguments.only not in name:
            continue
        all_found: Found = {"seconds": 0.0, "late": [], "holds": []}
        for _ in range(arguments.rounds):
            command = [sys.executable, "-m", "benchmarks.lateness", "--nixpkgs", str(nixpkgs), "--case", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}: {done.stderr[-300:]}", file=sys.stderr)
                continue
            found = json.loads(done.stdout)
            for key, value in found.items():
                known = all_found[key]
                all_found[key] = known + value if isinstance(known, list) else max(known, value)
        if not all_found["late"]:
            continue
        rows.append(row(name, all_found))
        if not arguments.json:
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    header = ["", "seconds", "ticks", "late p50", "p99", "max", "kept at most"]
    if arguments.json:
        print(json.dumps([dict(zip(["name", *header[1:]], one, strict=True)) for one in rows], indent=2))
    else:
        print(
            "Milliseconds by which a 5 ms timer is late, and for which the evaluation kept the interpreter to itself.\n"
        )
        print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
