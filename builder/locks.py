"""One build per derivation, one fetch per path, among all threads and processes that use a store: a file for each,
locked while it is made.

The kernel lets go of a lock when its process ends, however that happens. Whoever gets a lock must look again whether
there is still something to do. Files are removed by their last holder; one that a killed process leaves is empty, and
goes with the next build of that derivation, or fetch of that path.
"""

from __future__ import annotations

import fcntl
import os
import threading
from contextlib import suppress
from types import TracebackType

from store.castore.services import StoreError

_LOOK = 0.02  # seconds until a lock is tried for again


class BuildLock:
    """A lock that was got; let go with :meth:`release` or at the end of ``with``."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it. Nothing happens the second time."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.unlink(self._path)  # while it is held: nobody can have got it meanwhile
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> BuildLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Locks:
    """The locks of one store, as files in ``folder`` (made when the first is wanted)."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def attempt(self, name: str) -> BuildLock | None:
        """The lock called ``name`` (a file name) if nobody has it, here or elsewhere. Raises ``StoreError``."""
        path = os.path.join(self.folder, f"{name}.lock")
        try:
            while True:
                descriptor = self._open(path)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    return None
                except BaseException:
                    os.close(descriptor)
                    raise
                if _is_still(path, descriptor):
                    return BuildLock(path, descriptor)
                os.close(descriptor)  # removed by who had it: the next one is another file
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {error.strerror}") from error

    def wait(self, name: str, stop: threading.Event) -> BuildLock | None:
        """:meth:`attempt` until it is got; None when ``stop`` is set before."""
        while (lock := self.attempt(name)) is None:
            if stop.wait(_LOOK):
                return None
        return lock

    def _open(self, path: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            return os.open(path, flags, 0o600)


def _is_still(path: str, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
