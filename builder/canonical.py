"""What files of a store object look like on disk: modes 0444 and 0555, times 1; and folders made and unmade so.

Specification: the Nix manual, "Store object" and "File system object": nothing of a file but its contents and whether
it is executable, no special files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from store.store_path import to_text


class NotCanonical(ValueError):
    """Something that no store object may hold; the text names it."""


def canonicalise(path: str, owner: tuple[int, int] | None = None) -> None:
    """Make the tree at ``path`` canonical, given to ``owner`` (user and group) if that is said.

    Raises :class:`NotCanonical` for set-id files, devices, pipes and sockets; links are left alone, wherever they
    point. Nobody else may write below ``path`` meanwhile.
    """
    for place, status in _walk(os.fsencode(path)):
        mode = status.st_mode
        link = stat.S_ISLNK(mode)
        if owner is not None:
            os.chown(place, owner[0], owner[1], follow_symlinks=False)
        if not link:
            if stat.S_ISREG(mode):
                if mode & (stat.S_ISUID | stat.S_ISGID):
                    raise NotCanonical(f"file '{to_text(place)}' has the set-user-id or set-group-id bit")
            elif not stat.S_ISDIR(mode):
                raise NotCanonical(f"file '{to_text(place)}' has an unsupported type: {_KINDS.get(stat.S_IFMT(mode))}")
            os.chmod(place, 0o555 if mode & stat.S_IXUSR or stat.S_ISDIR(mode) else 0o444)
        os.utime(place, (1, 1), follow_symlinks=False)


def remove_tree(path: str) -> None:
    """Remove the tree at ``path``, read-only folders too; nothing when it is not there."""
    root = os.fsencode(path)
    try:
        status = os.lstat(root)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(root)
        return
    _empty(root)


_KINDS = {
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def _walk(root: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every file from ``root`` on, folders after what is in them, however unreadable they were made."""
    status = os.lstat(root)
    stack = [(root, status, stat.S_ISDIR(status.st_mode))]
    while stack:
        place, status, unopened = stack.pop()
        if not unopened:
            yield place, status
            continue
        if status.st_mode & 0o700 != 0o700:
            os.chmod(place, 0o700)
        stack.append((place, status, False))
        with os.scandir(place) as entries:
            for entry in entries:
                below = entry.stat(follow_symlinks=False)
                stack.append((entry.path, below, stat.S_ISDIR(below.st_mode)))


def _empty(root: bytes) -> None:
    stack = [(root, False)]
    while stack:
        place, emptied = stack.pop()
        if emptied:
            os.rmdir(place)
            continue
        os.chmod(place, 0o700)
        stack.append((place, True))
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append((entry.path, False))
                else:
                    os.unlink(entry.path)
