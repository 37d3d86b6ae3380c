"""``tvix-store mount``: a store as a read-only file system through FUSE, where libfuse is installed."""

from __future__ import annotations

import argparse
import errno
import os
import stat
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from store.castore.services import StoreError
from store.command.output import say_json
from store.composition import open_store
from store.paths.protocol import Entry, Store, Tree
from store.store_path import BadStorePath, base_name, check_base_name, to_bytes, to_text

_OPEN_FILES = 64
_TREES = 256


class StoreFiles:
    """What the file system answers. Paths begin with the base name of a store path."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trees: OrderedDict[str, Tree] = OrderedDict()
        self._open: dict[int, tuple[Iterator[bytes], bytearray]] = {}
        self._next = 1
        self._lock = Lock()

    def entry(self, path: str) -> Entry:
        """What is at ``path``; ``FileNotFoundError`` if nothing is."""
        if path == "/":
            return Entry("directory")
        tree, parts = self._find(path)
        found = tree.entry(parts)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return found

    def names(self, path: str) -> list[str]:
        """The names in the folder at ``path``."""
        if path == "/":
            return [base_name(place) for place in self._store.paths()]
        tree, parts = self._find(path)
        return [to_text(name) for name in tree.names(parts)]

    def open(self, path: str) -> int:
        """A handle of the file at ``path``."""
        tree, parts = self._find(path)
        with self._lock:
            handle = self._next
            self._next += 1
            self._open[handle] = (tree.read(parts), bytearray())
            return handle

    def read(self, handle: int, size: int, offset: int) -> bytes:
        """A part of an open file. What was passed on the way is kept until it is closed."""
        with self._lock:
            pieces, ready = self._open[handle]
            while len(ready) < offset + size:
                piece = next(pieces, None)
                if piece is None:
                    break
                ready += piece
            return bytes(ready[offset : offset + size])

    def close(self, handle: int) -> None:
        """Forget a handle."""
        with self._lock:
            self._open.pop(handle, None)

    def _find(self, path: str) -> tuple[Tree, list[bytes]]:
        name, *below = path.strip("/").split("/")
        with self._lock:
            tree = self._trees.get(name)
        if tree is None:
            try:
                check_base_name(name)
            except BadStorePath:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
            info = self._store.query(f"{self._store.store_dir}/{name}")
            if info is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            tree = self._store.tree(info)
            with self._lock:
                self._trees[name] = tree
                if len(self._trees) > _TREES:
                    self._trees.popitem(last=False)
        return tree, [to_bytes(part) for part in below]


def mount(options: argparse.Namespace) -> int:
    """Serve the file system until it is unmounted."""
    try:
        import mfusepy  # type: ignore[import-untyped]
    except (ImportError, OSError) as error:
        raise StoreError(
            f"mounting needs the package mfusepy and the system's libfuse ({error}); on Debian: apt install libfuse3-3"
        ) from None
    folder = Path(options.folder)
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder to mount on")
    with open_store(options.store) as store:
        files = StoreFiles(store)
        mounted = {"store": store.uri, "folder": str(folder)}
        operations = _operations(mfusepy, files, lambda: say_json(mounted) if options.json else None)
        settings: dict[str, Any] = {"foreground": True, "ro": True, "fsname": "tvix-store", "nothreads": True}
        if options.allow_other:
            settings["allow_other"] = True
        try:
            mfusepy.FUSE(operations, str(folder), **settings)
        except RuntimeError as error:
            raise StoreError(f"cannot mount on {folder} (is /dev/fuse there, and may you use it?): {error}") from None
    return 0


def _operations(fuse: Any, files: StoreFiles, on_mounted: Callable[[], None]) -> Any:
    def failed(error: Exception) -> Exception:
        code = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
        return fuse.FuseOSError(code)  # type: ignore[no-any-return]

    class Operations(fuse.Operations):  # type: ignore[misc]
        use_ns = True

        def init(self, path: str) -> None:
            on_mounted()
            sys.stdout.flush()

        def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
            try:
                entry = files.entry(path)
            except (OSError, StoreError) as error:
                raise failed(error) from None
            mode = {"directory": stat.S_IFDIR | 0o555, "symlink": stat.S_IFLNK | 0o777}.get(entry.kind)
            if mode is None:
                mode = stat.S_IFREG | (0o555 if entry.executable else 0o444)
            size = len(entry.target) if entry.kind == "symlink" else entry.size
            second = 1_000_000_000  # as in Nix's store: a second after the epoch
            return {
                "st_mode": mode,
                "st_size": size,
                "st_nlink": 1,
                "st_mtime": second,
                "st_ctime": second,
                "st_atime": second,
                "st_uid": 0,
                "st_gid": 0,
            }

        def readdir(self, path: str, fh: int) -> list[str]:
            try:
                return [".", "..", *files.names(path)]
            except (OSError, StoreError) as error:
                raise failed(error) from None

        def readlink(self, path: str) -> str:
            try:
                return to_text(files.entry(path).target)
            except (OSError, StoreError) as error:
                raise failed(error) from None

        def open(self, path: str, flags: int) -> int:
            try:
                return files.open(path)
            except (OSError, StoreError) as error:
                raise failed(error) from None

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            try:
                return files.read(fh, size, offset)
            except (OSError, StoreError) as error:
                raise failed(error) from None

        def release(self, path: str, fh: int) -> int:
            files.close(fh)
            return 0

    return Operations()
