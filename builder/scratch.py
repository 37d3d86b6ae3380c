"""Folders for work under way, that the next process removes if this one is killed.

    ROOT/NAME/         one piece of work
    ROOT/NAME.lock     locked (flock) as long as its process lives

A folder whose lock can be had belongs to nobody: it is an orphan.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builder.canonical import remove_tree


class Scratch:
    """One folder. It goes away at the end of the ``with`` that made it."""

    def __init__(self, path: Path) -> None:
        self.path = path


class ScratchFolders:
    """The folders under ``root``, which is made with mode 0700 when it is needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def folder(self, before: Callable[[Path], None] | None = None) -> Iterator[Scratch]:
        """A new empty folder with mode 0700. ``before`` is called with it just before it is removed."""
        path, descriptor = self._locked()
        lock = path.with_suffix(".lock")
        try:
            path.mkdir(mode=0o700)
            try:
                yield Scratch(path)
            finally:
                if before is not None:
                    before(path)
                remove_tree(str(path))
        finally:
            with suppress(FileNotFoundError):
                lock.unlink()
            os.close(descriptor)

    def _locked(self) -> tuple[Path, int]:
        """The name of a new folder and its lock."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            path = self.root / os.urandom(6).hex()
            lock = path.with_suffix(".lock")
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if lock.exists():
                return path, descriptor
            os.close(descriptor)  # somebody swept it before it was locked

    def sweep(self, before: Callable[[Path], None] | None = None) -> list[Path]:
        """Remove the orphans; ``before`` is called with each of them before. Answers which they were."""
        if not self.root.is_dir():
            return []
        swept: list[Path] = []
        for lock in sorted(self.root.glob("*.lock")):
            with suppress(FileNotFoundError):
                descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                    continue
                try:
                    path = lock.with_suffix("")
                    if path.is_dir():
                        if before is not None:
                            before(path)
                        remove_tree(str(path))
                        swept.append(path)
                    lock.unlink()
                finally:
                    os.close(descriptor)
        return swept
