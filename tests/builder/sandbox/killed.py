"""A build whose process is to be killed: ``python -m …killed FOLDER RUNTIME SECONDS``. Prints the log as it comes."""

from __future__ import annotations

import sys
from pathlib import Path

from builder.events import BuildEvent, LogLine
from builder.oci.runtimes import candidates
from tests.builder.sandbox.building import opened


def tell(event: BuildEvent) -> None:
    if isinstance(event, LogLine):
        print(event.line.decode(), flush=True)


if __name__ == "__main__":
    runtime = next(runtime for runtime in candidates() if runtime.name == sys.argv[2])
    with opened(Path(sys.argv[1]), runtime) as sandbox:
        sleep = f"sleep {sys.argv[3]}"
        sandbox.build(sandbox.derivation(f"(setsid {sleep} &); echo ready; {sleep}; echo again"), on_event=tell)
