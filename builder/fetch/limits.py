"""What a fetch may take and may do."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.fetch.failure import Cancelled, Offline


def default_folder() -> Path:
    """Where the user's downloads, clones and the memory of them are."""
    import platformdirs

    return platformdirs.user_cache_path("tvix-lsp", appauthor=False) / "fetched"


@dataclass(frozen=True)
class Limits:
    """Times are in seconds, sizes in bytes.

    ``network``: whether other machines may be asked; ``offline_remedy`` says what to do where they may not.
    ``stall``: so long may nothing come. ``total``: so long may one download take (None: no limit). ``ttl``: so long
    what is not pinned is not looked at again. ``folder`` holds caches; ``netrc`` is a file with passwords
    ($NETRC, else ``~/.netrc``, if None); ``tokens`` are sent to the hosts that they are for, as ``Authorization``.
    """

    network: bool = True
    offline_remedy: str = ""
    max_bytes: int = 16 << 30
    max_unpacked: int = 64 << 30
    max_entries: int = 5_000_000
    connect: float = 15.0
    stall: float = 60.0
    total: float | None = None
    attempts: int = 5
    pause: float = 0.25
    ttl: int = 3600
    folder: Path = field(default_factory=default_folder)
    netrc: Path | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    cancel: threading.Event = field(default_factory=threading.Event, compare=False)

    def require_network(self, url: str) -> None:
        """Raises :class:`Offline` unless other machines may be asked."""
        if not self.network:
            raise Offline(url, self.offline_remedy)

    def check(self) -> None:
        """Raises :class:`Cancelled` when nobody waits any more."""
        if self.cancel.is_set():
            raise Cancelled("interrupted")

    def rest(self, attempt: int) -> None:
        """Waits before the next attempt, longer each time; raises :class:`Cancelled`."""
        self.cancel.wait(self.pause * 2**attempt)
        self.check()

    def deadline(self) -> float | None:
        """When a download that starts now must be done, by the monotonic clock."""
        return None if self.total is None else time.monotonic() + self.total
