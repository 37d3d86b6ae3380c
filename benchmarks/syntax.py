"""Reading Nix: one large file against C++ Nix, all of nixpkgs, keystrokes, memory.

    python -m benchmarks.syntax [--nixpkgs PATH] [--rounds 5] [--part large|keys|all|memory]… [--files N] [--json]

CPU time, user and system, of processes that do nothing else, so that what else the machine does counts little.

large   pkgs/top-level/all-packages.nix, read from disk and parsed in a fresh process, against `nix-instantiate --parse`
        of it, less what that takes for the file `1`; each round runs all contenders, medians.
keys    letters typed into an open document, each with the lines and the tree after it: in that file, then in other
        large files after something in them has been broken. All keystrokes of all rounds, percentiles.
all     all .nix files of nixpkgs, or a sample of --files, read from disk and parsed in one process.
memory  what the resident set grows by, by the trees of the large file, in a fresh process.

Plain Python (TVIX_PURE=1) does the same; its figures stand beside those of the compiled modules.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import find_nixpkgs, run
from benchmarks.numbers import median, percentile, table

PARTS = ("large", "keys", "all", "memory")
LARGE = Path("pkgs", "top-level", "all-packages.nix")
SEED = 2026
#: A file that keystrokes in broken text are measured in has this many bytes at least.
SIZE = 20_000
TREES = 10

TYPED = [
    "\n  foo = callPackage ../tools/foo { inherit (lib) bar; };",
    "\n  foo.bar = \"a${b}c\" + ''\n    d ${e.f}\n  '';",
    "\n  foo = { a, b ? 1, ... }: let c = [ a b ]; in if c == [ ] then { } else with b; [ c.d (e f) ];",
    "\n  # a comment that says = { something\n  inherit (foo) bar baz;",
]
BROKEN = ["{", "}", "(", ")", "[", "]", '"', "''", "${", "/*", "=", ";", " let ", " if ", "a.b.", "inherit (", "x = "]


def read(path: str | Path) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


# What the processes do that are measured.


def measure_large(path: str) -> dict[str, Any]:
    """Seconds for reading and parsing one file."""
    from evaluator.syntax.parser import parse

    parse("{ a = 1; }")
    start = time.process_time()
    source = parse(read(path))
    return {"seconds": time.process_time() - start, "problems": len(source.problems)}


def measure_all(paths: Sequence[str]) -> dict[str, Any]:
    """Seconds for reading and parsing files, one after the other."""
    from evaluator.syntax.parser import parse

    size = rejected = 0
    start = time.process_time()
    for path in paths:
        source = parse(read(path))
        size += len(source.text)
        rejected += source.fault is not None
    return {"seconds": time.process_time() - start, "characters": size, "rejected": rejected}


def measure_keys(paths: Sequence[str], broken: bool, seed: int) -> dict[str, Any]:
    """Seconds from a keystroke to lines and tree, in each of the files; ``broken``: something in it is, before."""
    from lsp.documents import Change, Document, spare_collector

    spare_collector()  # as the server does
    rng = random.Random(seed)
    found: list[float] = []
    faulty = 0
    for path in paths:
        document = Document("file:///x.nix", "/x.nix", 1, read(path))
        source = document.source
        if broken:
            at = document.lines.position(rng.randrange(len(document.text)))
            document.edit([Change(rng.choice(BROKEN), at, at)], 2)
            source = document.source
        for typed in TYPED:
            place = document.text.find(";\n", rng.randrange(len(document.text))) + 1
            for letter in typed:
                at = document.lines.position(place)
                start = time.process_time()
                document.edit([Change(letter, at, at)], 3)
                source = document.source
                found.append(time.process_time() - start)
                faulty += source.fault is not None
                place += 1
    return {"seconds": found, "faulty": faulty / len(found)}


def measure_memory(path: str) -> dict[str, Any]:
    """Bytes of memory for each byte of source that is held as a tree, its text included."""
    from evaluator.syntax.parser import parse

    kept = [parse(read(path))]  # what is allocated once
    gc.collect()
    before = resident()
    for _ in range(TREES):
        kept.append(parse(read(path)))
    gc.collect()
    return {"ratio": (resident() - before) / TREES / Path(path).stat().st_size, "trees": len(kept)}


def resident() -> int:
    """The resident set of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def child(what: str) -> None:
    """One measurement, in this process: arguments from standard input, the answer to standard output, as JSON."""
    given = json.load(sys.stdin)
    if what == "large":
        answer = measure_large(*given)
    elif what == "keys":
        answer = measure_keys(*given)
    elif what == "all":
        answer = measure_all(*given)
    else:
        answer = measure_memory(*given)
    json.dump(answer, sys.stdout)


def measured(what: str, pure: bool, *arguments: object) -> dict[str, Any]:
    """What a fresh process measures."""
    environment = {name: value for name, value in os.environ.items() if name != "TVIX_PURE"}
    if pure:
        environment["TVIX_PURE"] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.syntax", "--child", what],
        input=json.dumps(arguments), capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{what} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def nix_seconds(nix: str, path: Path) -> float:
    """CPU seconds of ``nix-instantiate --parse``."""
    return run([nix, "--parse", str(path)], os.environ).processor


# What is reported.


def report_large(modes: Sequence[bool], nixpkgs: Path, rounds: int) -> dict[str, Any]:
    path = nixpkgs / LARGE
    nix = shutil.which("nix-instantiate")
    ours: dict[bool, list[float]] = {pure: [] for pure in modes}
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        smallest = Path(folder) / "one.nix"
        smallest.write_text("1\n")
        for number in range(-1, rounds):  # the first does not count
            net = nix_seconds(nix, path) - nix_seconds(nix, smallest) if nix else 0.0
            taken = {pure: measured("large", pure, str(path))["seconds"] for pure in modes}
            if number >= 0:
                theirs.append(net)
                for pure, seconds in taken.items():
                    ours[pure].append(seconds)
    found: dict[str, Any] = {"bytes": path.stat().st_size}
    if nix:
        found["nix_ms"] = milliseconds(median(theirs))
    for pure, seconds_of in ours.items():
        found[name_of(pure)] = {"ms": milliseconds(median(seconds_of))}
        if nix:
            found[name_of(pure)]["ratio"] = round(median(seconds_of) / median(theirs), 2)
    return found


def report_keys(modes: Sequence[bool], nixpkgs: Path, files: Sequence[Path], rounds: int) -> dict[str, Any]:
    rng = random.Random(SEED)
    large = [path for path in files if path.stat().st_size >= SIZE] or [nixpkgs / LARGE]
    chosen = [str(path) for path in rng.sample(large, min(len(large), 40))]
    found: dict[str, Any] = {"files": len(chosen)}
    for pure in modes:
        one: list[float] = []
        other: list[float] = []
        faulty: list[float] = []
        for number in range(rounds if not pure else 1):
            one += measured("keys", pure, [str(nixpkgs / LARGE)] * 3, False, SEED + number)["seconds"]
            answer = measured("keys", pure, chosen, True, SEED + number)
            other += answer["seconds"]
            faulty.append(answer["faulty"])
        found[name_of(pure)] = {
            "keystrokes": len(one) + len(other),
            "large_p50_ms": milliseconds(percentile(one, 50)),
            "large_p95_ms": milliseconds(percentile(one, 95)),
            "broken_p50_ms": milliseconds(percentile(other, 50)),
            "broken_p95_ms": milliseconds(percentile(other, 95)),
            "broken_p99_ms": milliseconds(percentile(other, 99)),
            "rejected_by_nix": f"{100 * median(faulty):.0f} %",
        }
    return found


def report_all(modes: Sequence[bool], files: Sequence[Path], rounds: int) -> dict[str, Any]:
    paths = [str(path) for path in files]
    found: dict[str, Any] = {"files": len(paths)}
    for pure in modes:
        answers = [measured("all", pure, paths) for _ in range(rounds if not pure else 1)]
        found[name_of(pure)] = {
            "seconds": round(median([answer["seconds"] for answer in answers]), 2),
            "megabytes_a_second": round(
                median([answer["characters"] / answer["seconds"] for answer in answers]) / 1e6, 1
            ),
            "rejected": answers[0]["rejected"],
        }
    return found


def report_memory(modes: Sequence[bool], nixpkgs: Path) -> dict[str, Any]:
    return {
        name_of(pure): {"bytes_for_each_of_source": round(measured("memory", pure, str(nixpkgs / LARGE))["ratio"], 1)}
        for pure in modes
    }


def name_of(pure: bool) -> str:
    return "plain Python" if pure else "compiled"


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)


def shown(part: str, found: dict[str, Any]) -> str:
    """A part's figures as a table: one column for each way to run."""
    modes = [mode for mode in ("compiled", "plain Python") if mode in found]
    about = ", ".join(f"{name} {value}" for name, value in found.items() if name not in modes)
    rows = [[name, *(str(found[mode].get(name, "-")) for mode in modes)] for name in found[modes[0]]]
    if len(modes) == 2:
        for row in rows:
            one, other = (found[mode].get(row[0]) for mode in modes)
            both = isinstance(one, int | float) and isinstance(other, int | float) and one
            row.append(f"{other / one:.2f}" if both else "-")
    return table([f"{part} ({about})" if about else part, *modes, "plain / compiled"][: len(rows[0])], rows)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.syntax", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", action="append", choices=PARTS, help="only this (may be given several times)")
    parser.add_argument("--files", type=int, default=0, help="how many files of nixpkgs (default: all)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.child:
        child(arguments.child)
        return 0
    nixpkgs = find_nixpkgs(arguments.nixpkgs)
    parts = arguments.part or PARTS
    files = sorted(path for path in nixpkgs.rglob("*.nix") if path.is_file())
    if arguments.files:
        files = sorted(random.Random(SEED).sample(files, min(len(files), arguments.files)))
    from store import compiled

    modes = [False, True] if compiled.mode() == compiled.COMPILED else [True]
    if len(modes) == 1:
        print("this installation is not compiled", file=sys.stderr)

    results: dict[str, Any] = {}
    try:
        for part in parts:
            if part == "large":
                results[part] = report_large(modes, nixpkgs, arguments.rounds)
            elif part == "keys":
                results[part] = report_keys(modes, nixpkgs, files, arguments.rounds)
            elif part == "all":
                results[part] = report_all(modes, files, arguments.rounds)
            else:
                results[part] = report_memory(modes, nixpkgs)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps({"rounds": arguments.rounds, "results": results}, indent=2))
        return 0
    print("\n\n".join(shown(part, found) for part, found in results.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
