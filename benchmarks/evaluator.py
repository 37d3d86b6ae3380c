"""Programs of many kinds, evaluated by C++ Nix and by tvix-eval in turn: time, processor time, peak memory, ratios.

    python -m benchmarks.evaluator [--nixpkgs PATH] [--rounds 5] [--only NAME,…] [--json]

hello, firefox and a NixOS system come from nixpkgs, the others from `benchmarks/programs`. Process start is included;
no answer comes from a cache but those of "again", which is a second run of the same through the evaluation cache (in a
folder of its own). Every round runs each contender once, after one round that does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import Contender, find_nixpkgs, tvix_command
from benchmarks.numbers import median, table

PROGRAMS = Path(__file__).resolve().parent / "programs"
OF_NIXPKGS = {"hello": "hello.drvPath", "firefox": "firefox.drvPath"}
WITH_NIXPKGS = ("nixos", "modules")
ALONE = ("overlays", "fib", "folds")


def programs(nixpkgs: Path | None) -> dict[str, list[str]]:
    """What to evaluate: the arguments for both evaluators, by name."""
    found: dict[str, list[str]] = {}
    if nixpkgs is not None:
        found.update({name: [str(nixpkgs), "-A", attribute] for name, attribute in OF_NIXPKGS.items()})
        for name in WITH_NIXPKGS:
            found[name] = [str(PROGRAMS / f"{name}.nix"), "--argstr", "nixpkgs", str(nixpkgs)]
    found.update({name: [str(PROGRAMS / f"{name}.nix")] for name in ALONE})
    return found


def measure(name: str, arguments: list[str], rounds: int) -> dict[str, object]:
    """Medians of one program. RuntimeError if a contender fails or the answers differ."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(name, arguments, rounds, folder)


def _measure(name: str, arguments: list[str], rounds: int, cache: str) -> dict[str, object]:
    flags = ["--eval", "--strict"]
    environment = {key: value for key, value in os.environ.items() if key != "TVIX_PURE"}
    ours = Contender("tvix-eval", [*tvix_command("tvix-eval"), "--no-eval-cache", *flags, *arguments], environment)
    kept = {**environment, "XDG_CACHE_HOME": cache}
    contenders = [ours, Contender("again", [*tvix_command("tvix-eval"), *flags, *arguments], kept)]
    if nix := shutil.which("nix-instantiate"):
        contenders.append(Contender("nix-instantiate", [nix, "--readonly-mode", *flags, *arguments], environment))
    answers = {contender.run() for contender in contenders}
    if len(answers) != 1:
        raise RuntimeError(f"{name}: the answers differ: {answers}")
    for contender in contenders:
        contender.forget()
    for _ in range(rounds):
        for contender in contenders:
            contender.run()
    row: dict[str, object] = {"name": name}
    for contender in contenders:
        row[contender.name] = {
            "seconds": round(median(contender.seconds), 3),
            "processor": round(median(contender.processor), 3),
            "megabytes": round(median(contender.megabytes), 1),
        }
    if nix:
        nix_one = contenders[2]
        row["ratios"] = {
            "seconds": round(median(ours.seconds) / median(nix_one.seconds), 2),
            "processor": round(median(ours.processor) / median(nix_one.processor), 2),
            "megabytes": round(median(ours.megabytes) / median(nix_one.megabytes), 2),
        }
    return row


def printed(rows: Sequence[dict[str, object]]) -> str:
    """The figures as a table: ours / theirs, and the ratio."""
    lines = []
    for row in rows:
        cells = [str(row["name"])]
        for unit in ("seconds", "processor", "megabytes"):
            for contender in ("tvix-eval", "nix-instantiate", "ratios"):
                figures = row.get(contender)
                cells.append(str(figures[unit]) if isinstance(figures, dict) else "-")
        again = row["again"]
        cells.append(str(again["seconds"]) if isinstance(again, dict) else "-")
        lines.append(cells)
    header = ["", "s", "Nix", "ratio", "cpu s", "Nix", "ratio", "MB", "Nix", "ratio", "again s"]
    return table(header, lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluator", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS; without one: less)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="names of programs, separated by commas")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    nixpkgs = find_nixpkgs(arguments.nixpkgs) if arguments.nixpkgs or os.environ.get("NIXPKGS") else None
    if nixpkgs is None:
        print("no nixpkgs: give --nixpkgs PATH or set NIXPKGS for the programs that need it", file=sys.stderr)
    every = programs(nixpkgs)
    chosen = [name for name in arguments.only.split(",") if name] or list(every)
    if unknown := [name for name in chosen if name not in every]:
        print(f"no such program: {', '.join(unknown)}; there are {', '.join(every)}", file=sys.stderr)
        return 2
    rows = []
    for name in chosen:
        try:
            rows.append(measure(name, every[name], arguments.rounds))
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps({"rounds": arguments.rounds, "results": rows}, indent=2) if arguments.json else printed(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
