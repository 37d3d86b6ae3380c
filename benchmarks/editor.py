"""What a person at an editor waits for, in a package file of nixpkgs.

    python -m benchmarks.editor [--nixpkgs PATH] [--rounds 5] [--requests 50] [--json]

Each round starts a server afresh, opens pkgs/by-name/he/hello/package.nix and takes the time from process start to the
first completion after `lib.licenses.` that lists `gpl3Plus`, which only evaluation can know. The last round's server is
then asked for hover, definition and completion at several places in turn: medians and 95th percentiles. An answer
without the evaluated value counts as a failure, however fast it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.contenders import find_nixpkgs, tvix_command
from benchmarks.numbers import median, percentile, table

GIVE_UP = 120.0  # seconds until a first answer


@dataclass(frozen=True)
class Question:
    """A request at a place of the text: `after` is what stands before the cursor, `expect` must be in the answer."""

    method: str
    after: str
    expect: str


FIRST = Question("completion", "lib.licenses.", '"gpl3Plus"')

WARM = [
    FIRST,
    Question("completion", "lib.", '"licenses"'),
    Question("completion", "stdenv.", '"mkDerivation"'),
    Question("hover", "  std", "stdenv-linux"),
    Question("hover", 'pname = "hello";\n  vers', "2.12"),
    Question("hover", "lib.licenses.gpl3", "GPL-3.0-or-later"),
    Question("definition", "= fetch", "build-support/fetchurl/default.nix"),
    Question("definition", "lib.licen", "/lib/"),
    Question("definition", "stdenv.mkDer", "make-derivation.nix"),
]


def position(text: str, after: str) -> tuple[int, int]:
    """Line and character, from 0, of the place behind the first occurrence."""
    offset = text.index(after) + len(after)
    line = text.count("\n", 0, offset)
    return line, offset - (text.rfind("\n", 0, offset) + 1)


def ask(client: Client, file: Path, text: str, question: Question) -> tuple[float, bool]:
    """Seconds until the answer came, and whether it was the evaluated one."""
    line, character = position(text, question.after)
    start = time.perf_counter()
    answer = client.at(question.method, file, line, character)
    return time.perf_counter() - start, question.expect in json.dumps(answer)


def memory(process: int) -> float:
    """Megabytes of the process and all its children, shared pages divided among them. Linux only; 0 elsewhere."""
    total = 0
    for one in [process, *descendants(process)]:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def descendants(process: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for thread in Path(f"/proc/{process}/task").iterdir():
            if thread.name != str(process):
                children += (thread / "children").read_text().split()
    except OSError:
        return
    for child in children:
        yield int(child)
        yield from descendants(int(child))


def first_answer(client: Client, file: Path, text: str, start: float) -> float:
    """Seconds from `start` until the first evaluated completion. RuntimeError when none comes."""
    client.initialize(file.parent)
    client.open(file, text)
    while time.perf_counter() - start < GIVE_UP:
        if ask(client, file, text, FIRST)[1]:
            return time.perf_counter() - start
    raise RuntimeError(f"no evaluated completion in {GIVE_UP:.0f} seconds")


def warm(client: Client, file: Path, text: str, requests: int) -> dict[str, Any]:
    """Each question in turn: seconds by method, and the questions that got no evaluated answer."""
    seconds: dict[str, list[float]] = {}
    missed: list[str] = []
    for question in WARM:  # the first time may evaluate something new
        if not ask(client, file, text, question)[1]:
            missed.append(f"{question.method} after {question.after!r} lacks {question.expect!r}")
    for _ in range(requests):
        for question in WARM:
            seconds.setdefault(question.method, []).append(ask(client, file, text, question)[0])
    return {"seconds": seconds, "missed": missed}


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.editor", description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--nixpkgs", default="", help="a nixpkgs checkout (default: $NIXPKGS)")
    parser.add_argument("--rounds", type=int, default=5, help="how often a server is started")
    parser.add_argument("--requests", type=int, default=50, help="how often each warm question is asked")
    parser.add_argument("--log", type=Path, default=None, help="where the server's messages go")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(argv)
    nixpkgs = find_nixpkgs(arguments.nixpkgs)
    file = nixpkgs / "pkgs" / "by-name" / "he" / "hello" / "package.nix"
    text = file.read_text()
    # No configuration at all: the server has to see by itself which nixpkgs the file belongs to.
    environment = {name: value for name, value in os.environ.items() if name not in ("NIX_PATH", "NIXPKGS")}
    command = [*tvix_command("tvix-lsp"), "--stdio"]

    firsts: list[float] = []
    answers: dict[str, Any] = {}
    megabytes = 0.0
    for round_ in range(arguments.rounds):
        start = time.perf_counter()
        with Client(command, environment, arguments.log) as client:
            firsts.append(first_answer(client, file, text, start))
            if round_ == arguments.rounds - 1:
                answers = warm(client, file, text, arguments.requests)
                megabytes = memory(client.process.pid)

    result = {
        "first_completion_seconds": {"median": round(median(firsts), 2), "all": [round(one, 2) for one in firsts]},
        "warm_milliseconds": {
            method: {"p50": milliseconds(median(taken)), "p95": milliseconds(percentile(taken, 95))}
            for method, taken in answers["seconds"].items()
        },
        "megabytes": round(megabytes),
        "missed": answers["missed"],
    }
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"process start to first evaluated completion: {median(firsts):.2f} s (median of {len(firsts)})")
        print(f"server and worker, warm: {megabytes:.0f} MB\n")
        rows = [
            [method, str(figures["p50"]), str(figures["p95"])]
            for method, figures in result["warm_milliseconds"].items()
        ]
        print(table(["warm, milliseconds", "p50", "p95"], rows))
        for line in answers["missed"]:
            print(f"NOT EVALUATED: {line}")
    return 1 if answers["missed"] else 0


if __name__ == "__main__":
    sys.exit(main())
