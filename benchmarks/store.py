"""The store beside Nix: adding trees, archives, copying; time, processor time, memory, size on disk.

    python -m benchmarks.store [--nixpkgs PATH] [--second PATH] [--megabytes 1000] [--huge] [--runs 3] [--json]

Each figure is the median of runs that alternate between the two, whole processes on both sides. `--megabytes` is the
size of a generated tree of large files, `--tree` any other tree; `--second` another checkout, to see what it adds to
the store; `--huge` adds a file of 4 GB of random bytes, for the memory it takes. Without Nix only ours is measured. All
of it happens under $TMPDIR; figures appear on stderr as they are found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.contenders import Used, run
from benchmarks.numbers import median, table
from store import compiled

OURS = [sys.executable, "-m", "store.command.cli"]
DUMP = "import os, sys; from store.nar import write_nar; write_nar(sys.argv[1], sys.stdout.buffer.write)"
HASH = "import sys; from store.nar import nar_sha256; print(nar_sha256(sys.argv[1]).hex())"


def measured(command: Sequence[str], before: Callable[[], None] | None = None) -> Used:
    """Run a command to its end; `before` is not counted. A failure ends the benchmark."""
    if before is not None:
        before()
    environment = {**os.environ, "NIX_CONFIG": "build-users-group =\nsubstituters ="}
    try:
        return run(command, environment, folder=None, heard=False)
    except RuntimeError as error:
        raise SystemExit(str(error)) from None


def large_tree(place: Path, megabytes: int) -> None:
    """Files of 1 to 50 MB; half of their bytes are random, half is text."""
    chance = random.Random(1)
    place.mkdir()
    left = megabytes
    number = 0
    while left > 0:
        size = min(left, chance.choice([1, 3, 10, 50]))
        with open(place / f"file{number}", "wb") as file:
            for _ in range(size):
                text = f"{chance.randrange(1 << 40)} some text\n".encode() * 25_000
                file.write(chance.randbytes(500_000) + text[:500_000])
        left -= size
        number += 1


class Bench:
    """The figures by their names."""

    def __init__(self, place: Path, runs: int, with_nix: bool) -> None:
        self.place = place
        self.runs = runs
        self.with_nix = with_nix
        self.rows: dict[str, dict[str, Used]] = {}
        self.sizes: dict[str, int] = {}

    def gone(self, name: str) -> Callable[[], None]:
        """What removes a folder of ours."""
        return lambda: _remove(self.place / name)

    def compare(self, name: str, ours: Sequence[str], nix: Sequence[str], fresh: Sequence[str] = ()) -> None:
        """Alternate between the two; the folders `fresh` are removed before each run."""

        def before() -> None:
            for folder in fresh:
                _remove(self.place / folder)

        found: dict[str, list[Used]] = {"ours": [], "nix": []}
        for _ in range(self.runs):
            found["ours"].append(measured(ours, before))
            if self.with_nix and nix:
                found["nix"].append(measured(nix, before))
        self.rows[name] = {side: _median(used) for side, used in found.items() if used}
        print(name, {side: f"{used.seconds:.2f} s" for side, used in self.rows[name].items()}, file=sys.stderr)

    def as_json(self) -> dict[str, object]:
        """The figures as plain data."""
        rows = {name: {side: _figures(used) for side, used in sides.items()} for name, sides in self.rows.items()}
        machine = {"processors": os.cpu_count(), "load": os.getloadavg()}
        return {"mode": compiled.mode(), "runs": self.runs, "machine": machine, "figures": rows, "bytes": self.sizes}

    def as_table(self) -> str:
        """The figures for people."""
        lines = []
        for name, sides in self.rows.items():
            ours, nix = sides["ours"], sides.get("nix")
            times, more = (
                (_ratio(ours.seconds, nix.seconds), _ratio(ours.processor, nix.processor)) if nix else ("", "")
            )
            theirs = [f"{nix.seconds:.2f}", f"{nix.processor:.2f}", f"{nix.megabytes:.0f}"] if nix else ["", "", ""]
            lines.append([name, f"{ours.seconds:.2f}", theirs[0], times, f"{ours.processor:.2f}", theirs[1], more,
                          f"{ours.megabytes:.0f}", theirs[2]])  # fmt: skip
        header = ["", "ours s", "Nix s", "times", "ours CPU", "Nix CPU", "times", "ours MB", "Nix MB"]
        sizes = "\n".join(f"{name}: {size / 1e6:.1f} MB" for name, size in self.sizes.items())
        return f"{table(header, lines)}\n\n{sizes}"


def measure(options: argparse.Namespace, place: Path) -> Bench:
    """Everything that the options ask for."""
    bench = Bench(place, options.runs, shutil.which("nix-store") is not None)
    ours, nix = f"local:{place}/ours", f"local?root={place}/nix"
    python = [sys.executable, "-c"]
    trees: dict[str, str] = {}
    if options.nixpkgs:
        trees["nixpkgs"] = str(options.nixpkgs)
    for tree in options.tree:
        trees[Path(tree).name] = tree
    if options.megabytes:
        large_tree(place / "large", options.megabytes)
        trees[f"{options.megabytes} MB in large files"] = str(place / "large")
    for name, tree in trees.items():
        # Into the page cache:
        measured(["nix-hash", "--type", "sha256", tree] if bench.with_nix else [*python, HASH, tree])
        bench.compare(f"hash {name}", [*python, HASH, tree], ["nix-hash", "--type", "sha256", tree])
        bench.compare(f"dump {name}", [*python, DUMP, tree], ["nix-store", "--dump", tree])
        add_ours, add_nix = [*OURS, "add", "--store", ours, tree], ["nix-store", "--store", nix, "--add", tree]
        bench.compare(f"add {name}", add_ours, add_nix, fresh=["ours", "nix"])
        measured(add_ours, bench.gone("ours"))
        path = subprocess.run(add_ours, capture_output=True, text=True, check=True).stdout.strip()
        if bench.with_nix:
            measured(add_nix, bench.gone("nix"))
        bench.sizes[f"{name}, in the store"] = _size(place / "ours")
        bench.compare(f"add {name} again", add_ours, add_nix)
        copy_ours = [*OURS, "copy", "--quiet", "--store", ours, "--to", f"file://{place}/cache?compression=none", path]
        copy_nix = ["nix", "--extra-experimental-features", "nix-command", "--store", nix, "copy", "--to"]
        to_nix = [*copy_nix, f"file://{place}/cache?compression=none", path]
        bench.compare(f"copy {name} to a cache", copy_ours, to_nix, fresh=["cache"])
        copy_ours = [*OURS, "copy", "--quiet", "--store", ours, "--to", f"local:{place}/ours2", path]
        to_nix = [*copy_nix, f"local?root={place}/nix2", "--no-check-sigs", path]
        bench.compare(f"copy {name} to another store", copy_ours, to_nix, fresh=["ours2", "nix2"])
        for folder in ("cache", "ours2", "nix2"):
            _remove(place / folder)
    if options.second and options.nixpkgs:
        measured([*OURS, "add", "--store", ours, str(options.nixpkgs)], bench.gone("ours"))
        before = _size(place / "ours")
        measured([*OURS, "add", "--store", ours, str(options.second)])
        bench.sizes["a second checkout adds"] = _size(place / "ours") - before
    if options.huge:
        huge = place / "huge"
        chance = random.Random(2)
        with open(huge, "wb") as file:
            for _ in range(1000):
                file.write(chance.randbytes(1 << 22))
        huge_ours, huge_nix = (
            [*OURS, "add", "--store", ours, str(huge)],
            ["nix-store", "--store", nix, "--add", str(huge)],
        )
        bench.compare("add a file of 4 GB", huge_ours, huge_nix, fresh=["ours", "nix"])
    return bench


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nixpkgs", default=os.environ.get("NIXPKGS"), help="default: $NIXPKGS")
    parser.add_argument("--second", type=Path)
    parser.add_argument("--tree", action="append", default=[], metavar="PATH", help="another tree to measure with")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--huge", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tvix-store-bench-") as folder:
        bench = measure(options, Path(folder))
        print(json.dumps(bench.as_json(), indent=2) if options.json else bench.as_table())
        for name in ("nix", "nix2"):
            _remove(Path(folder) / name)
    return 0


def _median(found: list[Used]) -> Used:
    return Used(
        median(used.seconds for used in found),
        median(used.processor for used in found),
        max(used.megabytes for used in found),
    )


def _figures(used: Used) -> dict[str, float]:
    return {"seconds": used.seconds, "processor": used.processor, "megabytes": used.megabytes}


def _ratio(ours: float, nix: float) -> str:
    return f"{ours / nix:.2f}" if nix else ""


def _size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file() and path.name != "reserve")


def _remove(place: Path) -> None:
    if place.exists():
        # Nix's store is not writable.
        subprocess.run(["chmod", "-R", "u+w", str(place)], check=True)
        shutil.rmtree(place)


if __name__ == "__main__":
    raise SystemExit(main())
