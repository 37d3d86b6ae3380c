"""Whether the world is still as an evaluation read it."""

from __future__ import annotations

import os
import stat

from evaluator.io.observation import (
    CONTENT,
    DIRECTORY,
    ENVIRON,
    EXISTS,
    FILE,
    KIND,
    LINK,
    NAMES,
    REAL,
    SIEVED,
    SOURCE,
    STORED,
    TREE,
    Sieve,
    content_value,
    environ_value,
    names_value,
    scan,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

# A pipe that took the file's place must neither block nor lose what is in it.
_FOLLOW: Final = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
_SELF: Final = _FOLLOW | getattr(os, "O_NOFOLLOW", 0)


def unchanged(observations: list[str]) -> bool:
    """Whether all observations (kind with subject, value, …) hold now. What cannot be looked at does not hold."""
    looks: dict[str, Callable[[str, str], bool]] = {
        ENVIRON: _environ,
        EXISTS: _exists,
        DIRECTORY: _directory,
        KIND: _kind,
        LINK: _link,
        REAL: _real,
        NAMES: _names,
        SOURCE: _source,
        CONTENT: _content,
        FILE: _file,
        TREE: _tree,
        SIEVED: _sieved,
        STORED: _in_store,
    }
    fields = iter(observations)
    try:
        for key in fields:
            if not looks[key[0]](key[1:], next(fields)):
                return False
    except (OSError, ValueError, LookupError, StopIteration):
        return False
    return True


def _environ(name: str, value: str) -> bool:
    return environ_value(os.environ.get(name)) == value


def _exists(path: str, value: str) -> bool:
    return os.path.lexists(path) == (value == "1")


def _directory(path: str, value: str) -> bool:
    return os.path.isdir(path) == (value == "1")


def _kind(path: str, value: str) -> bool:
    return kind_of(path) == value


def kind_of(path: str) -> str:
    """ "regular", "directory", "symlink", "unknown"; "" when nothing is there."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    if stat.S_ISREG(mode):
        return "regular"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "unknown"


def _link(path: str, value: str) -> bool:
    return os.readlink(path) == value


def _real(path: str, value: str) -> bool:
    return os.path.realpath(path) == value


def _names(path: str, value: str) -> bool:
    return names_value(scan(path)) == value


def _source(path: str, value: str) -> bool:
    return _same_file(os.open(path, _SELF), value)


def _content(path: str, value: str) -> bool:
    return _same_file(os.open(path, _FOLLOW), value)


def _file(path: str, value: str) -> bool:
    descriptor = os.open(path, _SELF)
    executable = os.fstat(descriptor).st_mode & stat.S_IXUSR != 0
    return _same_file(descriptor, value[1:]) and executable == value.startswith("x")


def _same_file(descriptor: int, value: str) -> bool:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        size = int(value[: value.index(":")])
        data = os.read(descriptor, size + 1)
        while len(data) < size:  # a file of /proc comes in pieces
            more = os.read(descriptor, size + 1 - len(data))
            if not more:
                return False
            data += more
        return len(data) == size and content_value(data) == value
    finally:
        os.close(descriptor)


def _tree(path: str, value: str) -> bool:
    from store.nar import nar_sha256

    return nar_sha256(path).hex() == value


def _sieved(subject: str, value: str) -> bool:
    from store.nar import nar_sha256

    path, _, answers = subject.rpartition("//")
    expected, *below = value.split("//")
    left_out = {f"{path}/{name}" for name in below}

    def keep(entry: str, kind: str) -> bool:
        return entry not in left_out

    sieve = Sieve(path, keep)
    return nar_sha256(path, sieve.asked).hex() == expected and sieve.answers() == answers


def _in_store(url: str, value: str) -> bool:
    from evaluator.stores.access import in_store

    return in_store(url, value.split("//"))
