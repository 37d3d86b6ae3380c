"""What it costs to remember how functions were called, and where values come from.

    python -m benchmarks.observing [--nixpkgs PATH] [--attr hello.drvPath] [--rounds 7] [--json]

One process for each evaluation, in turns: with no calls remembered, and with as many of each lambda as the editor's
worker asks for. Reported are medians of the processor time, peak memory, how many calls were remembered, and the ratio.
Positions of attributes are kept always, for `unsafeGetAttrPos` needs them: what they cost is in both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.numbers import median, table

#: Evaluates in a process of its own and prints seconds, megabytes, lambdas and calls remembered.
_PROGRAM = """
import gc, json, resource, sys, time
from evaluator.opening import open_session
from evaluator.code.functions import call
from evaluator.entry import select_path
from evaluator.io.files import Files
from evaluator.runtime.values import EMPTY_ATTRS
from evaluator.thread import evaluation_thread

nixpkgs, attribute, observe = sys.argv[1], sys.argv[2], int(sys.argv[3])
gc.disable()

def work():
    session = open_session(Files(), observe=observe)
    start = time.process_time()
    select_path(call(session.import_file(nixpkgs), EMPTY_ATTRS), attribute, EMPTY_ATTRS)
    seconds = time.process_time() - start
    lambdas, calls = session.local_observations.counts()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([seconds, peak, lambdas, calls]))

evaluation_thread(work).join()
"""


def measure(nixpkgs: str, attribute: str, observe: int) -> list[float]:
    """Seconds, megabytes, lambdas and calls of one evaluation. CalledProcessError if it fails."""
    command = [sys.executable, "-c", _PROGRAM, nixpkgs, attribute, str(observe)]
    found: list[float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    from evaluator.provenance.generation import OBSERVED_CALLS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.observing")
    parser.add_argument("--nixpkgs", default=os.environ.get("NIXPKGS", ""))
    parser.add_argument("--attr", default="hello.drvPath")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if not options.nixpkgs:
        parser.error("give --nixpkgs, or set NIXPKGS")
    rounds: dict[int, list[list[float]]] = {0: [], OBSERVED_CALLS: []}
    for count in range(options.rounds + 1):
        for observe, found in rounds.items():
            measured = measure(options.nixpkgs, options.attr, observe)
            if count:  # the first round warms the caches
                found.append(measured)
    medians = {observe: [median(column) for column in zip(*found, strict=True)] for observe, found in rounds.items()}
    ratio = medians[OBSERVED_CALLS][0] / medians[0][0]
    if options.json:
        print(
            json.dumps({"attribute": options.attr, "ratio": ratio, "observed": {str(k): v for k, v in medians.items()}})
        )
        return 0
    rows = [
        [f"{observe} calls of each", f"{row[0]:.3f} s", f"{row[1]:.0f} MB", f"{row[2]:.0f}", f"{row[3]:.0f}"]
        for observe, row in medians.items()
    ]
    print(table(["remembered", "processor", "peak", "lambdas", "calls"], rows))
    print(f"\nratio {ratio:.3f} (at most 1.10 is wanted)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
