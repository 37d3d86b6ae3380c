"""The builder beside nix-build: one empty build, a hundred of them at -j 2, an evaluation that imports what it builds.

    python -m benchmarks.builder [--runs 5] [--only NAME] [--json]

Whole processes on both sides, alternating; each run builds what nobody has built before. Each side has a store
of its own under $TMPDIR, no substituters, and a sandbox with busybox as /bin/sh. Shown are medians of the time by the
clock and of the processor time of all processes; the machine's other work shows in the first, so the smallest is there,
too. `nothing to do` is what is left when it is built already: starting, evaluating, looking.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Used, run
from benchmarks.numbers import median, table
from store import compiled

OURS = [sys.executable, "-c", "from evaluator.building.cli import main; main()", "--no-out-link"]
OUR_EVALUATION = [sys.executable, "-c", "from evaluator.cli import main; main()"]

_EMPTY = (
    'derivation {{ name = "empty-{0}"; tag = "{1}"; system = builtins.currentSystem; builder = "/bin/sh"; '
    'args = [ "-c" "echo > $out" ]; }}'
)


def one(tag: str) -> str:
    """A build that does nothing."""
    return _EMPTY.format("one", tag)


def hundred(tag: str) -> str:
    """A hundred of them, none needing another."""
    return f"map (number: {_EMPTY.format('${toString number}', tag)}) (builtins.genList (number: number) 100)"


def imported(tag: str) -> str:
    """An evaluation that needs what a build makes."""
    generated = _EMPTY.format("generated", tag).replace("echo > $out", "echo 42 > $out")
    return f"import ({generated}) + 1"


@dataclass
class Case:
    """What is measured: an expression for each run, flags, and whether it is evaluated or built."""

    name: str
    expression: Callable[[str], str]
    flags: list[str]
    evaluates: bool = False
    again: bool = False  # the same once more is what is measured


CASES = [
    Case("empty build", one, []),
    Case("nothing to do", one, [], again=True),
    Case("100 empty builds -j 2", hundred, ["-j", "2"]),
    Case("import from derivation", imported, [], evaluates=True),
]


class Bench:
    """Both sides with their stores."""

    def __init__(self, place: Path) -> None:
        shell = shutil.which("busybox")
        if shell is None:
            raise SystemExit("the sandbox needs a static /bin/sh: apt-get install busybox-static")
        settings = ["substituters =", "build-users-group =", "sandbox = true", "sandbox-fallback = false"]
        settings.append(f"sandbox-paths = /bin/sh={shell}")
        self.environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "NIX_CONFIG": "\n".join(settings),
            "TVIX_STORE": f"local:{place}/ours",
        }
        self.nix_store = ["--store", f"local?root={place}/nix"]
        self._count = 0

    def tag(self) -> str:
        """One that was not there before."""
        self._count += 1
        return f"{os.getpid()}-{self._count}"

    def command(self, case: Case, side: str) -> list[str]:
        """The command line without the expression."""
        if side == "ours":
            start = [*OUR_EVALUATION, "--read-write-mode", "--no-eval-cache"] if case.evaluates else OURS
            return [*start, *case.flags, "-E"]
        if case.evaluates:
            return ["nix-instantiate", "--eval", "--read-write-mode", *self.nix_store, *case.flags, "-E"]
        return ["nix-build", "--no-out-link", *self.nix_store, *case.flags, "-E"]

    def run(self, case: Case, side: str) -> Used:
        """One run; what fails ends the benchmark."""
        command = [*self.command(case, side), case.expression(self.tag())]
        if case.again:
            self._timed(command)
        return self._timed(command)

    def _timed(self, command: list[str]) -> Used:
        try:
            return run(command, self.environ, folder=None, heard=False)
        except RuntimeError as error:
            raise SystemExit(str(error)) from None


def measure(bench: Bench, cases: list[Case], runs: int, sides: list[str]) -> dict[str, dict[str, list[Used]]]:
    """The runs of each side for each case, the first of each left out."""
    found: dict[str, dict[str, list[Used]]] = {}
    for case in cases:
        used: dict[str, list[Used]] = {side: [] for side in sides}
        for number in range(runs + 1):
            for side in sides:
                once = bench.run(case, side)
                if number:
                    used[side].append(once)
        found[case.name] = used
        shown = {side: f"{median([each.seconds for each in used[side]]) * 1000:.0f} ms" for side in sides}
        print(case.name, shown, file=sys.stderr)
    return found


def _milliseconds(values: list[float], pick: Callable[[list[float]], float]) -> float:
    return pick(values) * 1000


def as_rows(found: dict[str, dict[str, list[Used]]]) -> list[dict[str, object]]:
    """The figures as plain data, in milliseconds; `ratio` is ours by theirs."""
    rows: list[dict[str, object]] = []
    for name, used in found.items():
        row: dict[str, object] = {"name": name}
        for side, runs in used.items():
            row[side] = {
                "median": round(_milliseconds([each.seconds for each in runs], median), 1),
                "least": round(_milliseconds([each.seconds for each in runs], min), 1),
                "processor": round(_milliseconds([each.processor for each in runs], median), 1),
            }
        if "nix" in used:
            for pick, label in ((median, "ratio"), (min, "ratio of the least")):
                ours, nix = (_milliseconds([each.seconds for each in used[side]], pick) for side in ("ours", "nix"))
                row[label] = round(ours / nix, 2)
        rows.append(row)
    return rows


def as_table(rows: list[dict[str, object]]) -> str:
    """The figures for people."""
    lines = []
    for row in rows:
        cells = [str(row["name"])]
        for side in ("ours", "nix"):
            figures = row.get(side)
            names = ("median", "least", "processor")
            cells += [f"{figures[name]:.0f}" if isinstance(figures, dict) else "" for name in names]
        lines.append([*cells, str(row.get("ratio", "")), str(row.get("ratio of the least", ""))])
    header = ["ms", "ours", "least", "CPU", "Nix", "least", "CPU", "times", "least"]
    return table(header, lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="benchmarks.builder", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", metavar="NAME", help="one of: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in (None, case.name)]
    if not cases:
        parser.error(f"there is no '{options.only}'; there are {', '.join(case.name for case in CASES)}")
    sides = ["ours", "nix"] if shutil.which("nix-build") else ["ours"]
    place = Path(tempfile.mkdtemp(prefix="tvix-builder-"))
    try:
        rows = as_rows(measure(Bench(place), cases, options.runs, sides))
    finally:
        subprocess.run(["chmod", "-R", "u+w", place], check=False)
        shutil.rmtree(place, ignore_errors=True)
    if options.json:
        print(json.dumps({"mode": compiled.mode(), "runs": options.runs, "results": rows}))
    else:
        print(f"{compiled.mode()}, {options.runs} runs each\n\n{as_table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
