"""Wall time and peak memory of evaluating one attribute of nixpkgs, against C++ Nix.

    python -m benchmarks.hello [--nixpkgs PATH] [--attr hello.drvPath] [--rounds 5] [--json]

Every round runs each contender once, so that a slow moment of the machine hits all of them: nix-instantiate, tvix-eval
compiled, tvix-eval as plain Python (TVIX_PURE=1). Reported are medians, and ratios to nix-instantiate. Caches are warm:
one round goes before those that count.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import Contender, find_nixpkgs, tvix_command
from benchmarks.numbers import median, table


def contenders(nixpkgs: Path, attribute: str) -> list[Contender]:
    arguments = [str(nixpkgs), "-A", attribute]
    environment = {name: value for name, value in os.environ.items() if name != "TVIX_PURE"}
    tvix = [*tvix_command("tvix-eval"), "--no-eval-cache"]  # every file parsed, everything evaluated
    version = subprocess.run([*tvix, "--version"], capture_output=True, text=True, env=environment, check=True).stdout
    found = []
    if nix := shutil.which("nix-instantiate"):
        found.append(Contender("nix-instantiate", [nix, "--eval", "--readonly-mode", *arguments], environment))
    else:
        print("no nix-instantiate here: no ratios", file=sys.stderr)
    if "compiled" in version:
        found.append(Contender("tvix-eval, compiled", [*tvix, *arguments], environment))
    else:
        print(f"this installation is not compiled: {version.strip()}", file=sys.stderr)
    found.append(Contender("tvix-eval, plain Python", [*tvix, *arguments], {**environment, "TVIX_PURE": "1"}))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hello", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--attr", default="hello.drvPath")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    measured = contenders(find_nixpkgs(arguments.nixpkgs), arguments.attr)

    try:
        answers = {one.name: one.run() for one in measured}
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    if len(set(answers.values())) != 1:
        print(f"the answers differ: {answers}", file=sys.stderr)
        return 1
    for one in measured:
        one.forget()
    for _ in range(arguments.rounds):
        for one in measured:
            one.run()

    base = measured[0] if measured[0].name == "nix-instantiate" else None
    results = [
        {
            "name": one.name,
            "seconds": round(median(one.seconds), 3),
            "seconds_best": round(min(one.seconds), 3),
            "megabytes": round(median(one.megabytes), 1),
            "time_ratio": round(median(one.seconds) / median(base.seconds), 2) if base else None,
            "memory_ratio": round(median(one.megabytes) / median(base.megabytes), 2) if base else None,
        }
        for one in measured
    ]
    if arguments.json:
        print(json.dumps({"attr": arguments.attr, "rounds": arguments.rounds, "results": results}, indent=2))
        return 0
    print(f"{arguments.attr}: {answers[measured[0].name]}   ({arguments.rounds} rounds, medians)\n")
    header = ["", "seconds", "best", "MB peak", "time / nix", "memory / nix"]
    print(table(header, [[str(cell) if cell is not None else "-" for cell in result.values()] for result in results]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
