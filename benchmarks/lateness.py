"""How late another thread's timer is while the evaluator works: whether compiled code gives the interpreter up.

    python -m benchmarks.lateness [--nixpkgs PATH] [--only WORDS] [--rounds 3] [--json]

Each case runs in a process of its own, on an evaluation thread, while the main thread sleeps 5 ms again and again. Two
figures for each time that it wakes up: by how much it was late, and how much processor time this process used
between when it was due and when it ran. The first counts what other processes did to the machine as well, the second
does not (but all that the evaluation did). ``nothing`` is the machine itself.
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

from benchmarks.hello import find_nixpkgs
from benchmarks.numbers import percentile, table

TICK: Final = 0.005
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
NAMED: Final = f"(builtins.listToAttrs (map (n: {{ name = toString n; value = n; }}) {MANY}))"
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
    "groupBy": f"builtins.length (builtins.attrNames (builtins.groupBy toString {MANY}))",
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
    "match of one long text": f'builtins.match "([0-9]+ )*7" (toString {MANY}) == null',
    "split": f'builtins.length (builtins.split "[ ]+" (toString {MANY}))',
    "hashString": f'builtins.hashString "sha256" (toString {MANY})',
    "string by doubling": ('let f = n: t: if n == 0 then builtins.stringLength t else f (n - 1) (t + t); in f 27 "x"'),
    "list by doubling": ("let f = n: l: if n == 0 then builtins.length l else f (n - 1) (l ++ l); in f 24 [ 1 ]"),
    "freed thunk chain": (
        "builtins.length [ (builtins.foldl' (a: b: [ (builtins.head a + b) ]) [ 0 ] (builtins.genList (x: x) 300000)) ]"
    ),
}


def measure(expression: str) -> dict[str, float | list[float]]:
    """Evaluates it while the main thread's timer ticks: what it took, and for each tick how late it was, in ms."""
    from evaluator.builtins.install import open_session
    from evaluator.io.files import Files
    from evaluator.thread import evaluation_thread, stop_collector

    stop_collector()
    session = open_session(Files())
    ticking = threading.Event()
    took = 0.0

    def work() -> None:
        nonlocal took
        ticking.wait()
        begun = time.perf_counter()
        session.expression(expression, "/")
        took = time.perf_counter() - begun

    late: list[float] = []
    used: list[float] = []
    at_least = 20

    def tick(alive: Callable[[], bool]) -> None:
        while alive() or len(late) < at_least:
            ticking.set()
            busy = time.process_time()
            due = time.perf_counter() + TICK
            time.sleep(TICK)
            after = time.perf_counter() - due
            late.append(after * 1000)
            # What was used while it slept as it should is not known apart: it is at most the time it slept.
            used.append(max(0.0, min(after, time.process_time() - busy - TICK)) * 1000)

    thread: threading.Thread = evaluation_thread(work)
    tick(thread.is_alive)
    thread.join()
    if not took:
        raise RuntimeError("it failed")
    return {"seconds": took, "late": late, "used": used}


def row(name: str, found: dict[str, float | list[float]]) -> list[str]:
    late, used, seconds = found["late"], found["used"], found["seconds"]
    assert isinstance(late, list) and isinstance(used, list) and isinstance(seconds, float)
    figures = [percentile(late, 50), percentile(late, 99), max(late), percentile(used, 99), max(used)]
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
        all_found: dict[str, float | list[float]] = {"seconds": 0.0, "late": [], "used": []}
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
        rows.append(row(name, all_found))
        if not arguments.json:
            print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    header = ["", "seconds", "ticks", "late p50", "p99", "max", "own p99", "max"]
    if arguments.json:
        print(json.dumps([dict(zip(["name", *header[1:]], one, strict=True)) for one in rows], indent=2))
    else:
        print("Milliseconds by which a 5 ms timer is late; `own`: of them, those that this process was computing.\n")
        print(table(header, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
