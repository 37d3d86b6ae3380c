"""What came of a large download before the connection or the process broke off, kept for the next attempt.

    FOLDER/KEY    the first bytes of the file that KEY stands for: its URL, size and entity tag

Nothing is trusted here: whoever reads verifies the whole, and a download that came to its end is forgotten. One process
at a time continues a file; others download it for themselves.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

#: Smaller files are downloaded again.
LARGE = 1 << 23
_PIECE = 1 << 18
_OLD = 7 * 24 * 3600  # seconds after which nobody comes back for one


def default_folder() -> Path:
    """Where they are: the platform's folder for a user's caches."""
    import platformdirs

    return platformdirs.user_cache_path("tvix-lsp") / "downloads"


class Partial:
    """The beginning of one download; to be closed. ``size`` is how many bytes there are."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path
        self.size = os.fstat(descriptor).st_size

    def pieces(self) -> Iterator[bytes]:
        """What there is."""
        at = 0
        while at < self.size and (piece := os.pread(self._descriptor, min(_PIECE, self.size - at), at)):
            at += len(piece)
            yield piece
        self.size = at

    def add(self, data: bytes) -> None:
        """Keep more; not where there is no room for it."""
        if self._descriptor >= 0:
            try:
                os.pwrite(self._descriptor, data, self.size)
                self.size += len(data)
            except OSError:
                self.forget()

    def forget(self) -> None:
        """It is not needed any more."""
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave it for the next attempt."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def partial(folder: Path, url: str, size: int, tag: str) -> Partial | None:
    """What there is of a download, maybe nothing yet; None when it cannot be kept, or another process is at it."""
    path = folder / hashlib.sha256(f"{url}\n{size}\n{tag}".encode()).hexdigest()[:32]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_old(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    found = Partial(descriptor, path)
    if os.fstat(descriptor).st_nlink == 0 or found.size >= size:  # another process has just come to its end
        found.forget()
        return None
    return found


def _remove_old(folder: Path) -> None:
    now = time.time()
    for entry in os.scandir(folder):
        with suppress(OSError):
            if now - entry.stat(follow_symlinks=False).st_mtime > _OLD:
                os.unlink(entry.path)
