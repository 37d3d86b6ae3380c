"""A user and group of this machine for each build that root runs: ids that belong to nobody, one build an id at a time.

The range is that of Nix's ``auto-allocate-uids`` (``start-id``, ``id-count``), which systemd leaves to containers, too.
An id is held by a lock (flock) on a file of its name in a folder that all of root's processes share, whatever store
they build for. Which one it is, is chance, so that nothing that a killed process left behind meets a later build.
``/run`` is empty when a machine starts.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START = 872415232
COUNT = 128 * 65536
LOCKS = Path("/run/tvix-lsp/ids")


def available(folder: Path = LOCKS) -> bool:
    """Whether this process may map any of the ids: they exist in its own user namespace, and it can hold them."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.access(folder, os.W_OK) and all(_reaches(f"/proc/self/{kind}_map") for kind in ("uid", "gid"))
    except OSError:
        return False


@contextmanager
def held(wanted: bool, folder: Path = LOCKS) -> Iterator[int | None]:
    """An id that no other build has until the end of the ``with``; None where none is wanted. Raises OSError."""
    if not wanted:
        yield None
        return
    while True:
        number = START + int.from_bytes(os.urandom(4), "little") % COUNT
        lock = folder / str(number)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(lock).st_ino == os.fstat(descriptor).st_ino:
                    break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    try:
        yield number
    finally:
        with suppress(FileNotFoundError):
            lock.unlink()
        os.close(descriptor)


def _reaches(file: str) -> bool:
    with open(file) as maps:
        return any(
            int(inside) <= START and int(inside) + int(size) >= START + COUNT
            for inside, _, size in (line.split() for line in maps)
        )
