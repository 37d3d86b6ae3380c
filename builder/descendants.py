"""What a process has started, and what that has started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")


def descendants(pid: int, proc: Path = PROC) -> Iterator[int]:
    """The processes below a process, parents first; ``proc`` is where the kernel shows them (proc(5))."""
    pending = [pid]
    while pending:
        with suppress(OSError):
            for task in (proc / str(pending.pop()) / "task").iterdir():
                with suppress(OSError):
                    for child in (task / "children").read_text().split():
                        yield int(child)
                        pending.append(int(child))
