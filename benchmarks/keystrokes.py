"""What a keystroke costs in the server while builds run in the background.

    python -m benchmarks.keystrokes [--keystrokes 200] [--builds 2] [--json]

A file that imports what derivations make is opened, with builds allowed; each build keeps a processor busy to the end.
Meanwhile one character after the other is typed into another file of 330 kB. Counted is the time from sending a
change to the diagnostics of that very version, less the moment of quiet that the server waits for on purpose. First
the same without builds. Medians and 95th percentiles; and the processor's time that the server takes for each, which
does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.numbers import median, percentile
from lsp.server import QUIET_SECONDS

_LINES = 6000
_PATIENCE = 60.0
_BUSY = "while :; do :; done"


def large_text() -> str:
    """A file of 330 kB that is being typed into."""
    lines = [f'  attribute{n} = {{ name = "n{n}"; value = [ {n} "x" ]; }};' for n in range(_LINES)]
    return "\n".join(["{", *lines, "  typed = x;", "}", ""])


def importing(builds: int) -> str:
    """A file that imports what so many derivations make, which takes forever."""
    made = (
        f'import (derivation {{ name = "busy-@"; system = builtins.currentSystem; builder = "/bin/sh"; '
        f'args = [ "-c" "{_BUSY}" ]; }})'
    )
    return "{\n" + "".join(f"  v{n} = {made.replace('@', str(n))};\n" for n in range(builds)) + "}\n"


class Typist:
    """Types into a document, and waits for what the server says of each version."""

    def __init__(self, client: Client, file: Path) -> None:
        text = large_text()
        self._client = client
        self._uri = file.as_uri()
        before = text[: text.index("typed = x;")]
        self._line = before.count("\n")
        self._column = len("  typed = x")
        self._version = 1
        client.open(file, text)
        self._published(1)

    def key(self) -> float:
        """Seconds that a keystroke takes."""
        self._version += 1
        place = {"line": self._line, "character": self._column}
        self._column += 1
        change = {"range": {"start": place, "end": place}, "text": "y"}
        document = {"uri": self._uri, "version": self._version}
        begun = time.perf_counter()
        self._client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
        self._published(self._version)
        return time.perf_counter() - begun - QUIET_SECONDS

    def _published(self, version: int) -> None:
        wait_for(lambda: any(self._is_about(each, version) for each in reversed(self._client.notifications)))

    def _is_about(self, notification: dict[str, Any], version: int) -> bool:
        params = notification["params"]
        is_diagnostics = notification["method"] == "textDocument/publishDiagnostics"
        return bool(is_diagnostics and params["uri"] == self._uri and params.get("version") == version)


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns when it holds. Raises TimeoutError."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.0002)


def processes(words: str) -> int:
    """How many processes have these words in their command lines."""
    count = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                count += words in (folder / "cmdline").read_text()
            except OSError:
                continue
    return count


def processor_seconds(pid: int) -> float:
    """The processor's time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(builds: int, keystrokes: int) -> tuple[list[float], float]:
    """Seconds of each keystroke while so many builds run, and those that the server's process took on the whole."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        environment = {
            **os.environ,
            "TVIX_STORE": f"local:{folder}/store",
            "NIX_CONFIG": f"substituters =\nmax-jobs = {max(builds, 1)}",
        }
        with Client([sys.executable, "-m", "lsp.cli", "--stdio"], environment) as client:
            client.initialize(folder, {"builds": "always"})
            if builds:
                (folder / "default.nix").write_text(importing(builds))
                client.open(folder / "default.nix", importing(builds))
                wait_for(lambda: processes(_BUSY) >= builds)
            typist = Typist(client, folder / "large.nix")
            for _ in range(10):
                typist.key()
            before = processor_seconds(client.process.pid)
            times = [typist.key() for _ in range(keystrokes)]
            return times, processor_seconds(client.process.pid) - before


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keystrokes", description=__doc__)
    parser.add_argument("--keystrokes", type=int, default=200)
    parser.add_argument("--builds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    results = []
    for builds in (0, options.builds):
        found, taken = measure(builds, options.keystrokes)
        times = [seconds * 1000 for seconds in found]
        results.append(
            {
                "builds": builds,
                "median": round(median(times), 2),
                "p95": round(percentile(times, 95), 2),
                "processor": round(taken * 1000 / options.keystrokes, 2),
            }
        )
    if options.json:
        print(json.dumps(results))
    else:
        for row in results:
            text = "{builds} builds: median {median} ms, p95 {p95} ms, processor {processor} ms a keystroke"
            print(text.format(**row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
