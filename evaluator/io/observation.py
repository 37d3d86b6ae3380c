"""How an evaluation's reads are written down.

An observation is a *kind*, a *subject* and the *value* that was seen:

========== ============== ===================================================================================
kind       subject        value
========== ============== ===================================================================================
ENVIRON    variable       ``=VALUE``, or empty when it is not set
EXISTS     path           ``1`` when something is there (a dangling symbolic link counts), else ``0``
DIRECTORY  path           ``1`` when it leads to a directory, else ``0``
KIND       path           as ``readFileType`` says; empty when nothing is there
LINK       path           the target of the symbolic link
REAL       path           the path with all symbolic links followed
NAMES      path           digest of the directory's names and their kinds
SOURCE     path           size and digest of a regular file that is not reached through a link of that name
CONTENT    path           size and digest of a regular file, symbolic links followed
FILE       path           ``x`` for an executable, else ``-``; size and digest of a regular file that is no link
TREE       path           SHA-256 of the archive (NAR) of what is there
STORED     URL of a store the store paths that are in it, joined with ``//``
SIEVED     path//digest   SHA-256 of the archive without what a filter left out, ``//``, the paths that it left
                          out (below the path, joined with ``//``); the digest is of all that the filter was asked
========== ============== ===================================================================================

Files are told apart by content, never by time stamps: these lie (an editor that restores them, two writes within one
tick of the file system's clock, memory-mapped writes), and reading costs little.
"""

from __future__ import annotations

import os
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

try:  # the module behind hashlib.blake2b: hashlib itself would load all of OpenSSL
    from _blake2 import blake2b as blake2b
except ImportError:  # pragma: no cover
    from hashlib import blake2b as blake2b

ENVIRON: Final = "e"
EXISTS: Final = "x"
DIRECTORY: Final = "d"
KIND: Final = "k"
LINK: Final = "l"
REAL: Final = "r"
NAMES: Final = "n"
SOURCE: Final = "s"
CONTENT: Final = "c"
FILE: Final = "p"
TREE: Final = "t"
SIEVED: Final = "f"
STORED: Final = "i"

#: What is cheap to look at first.
ORDER: Final = (
    ENVIRON + EXISTS + DIRECTORY + KIND + LINK + REAL + NAMES + SOURCE + CONTENT + FILE + TREE + SIEVED + STORED
)

_DIGEST_BYTES: Final = 20
_MARKS: Final = {"regular": "/-", "directory": "/d", "symlink": "/l", "unknown": "/?"}


def digest(data: bytes) -> str:
    """What tells contents apart."""
    return blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()


def content_value(data: bytes) -> str:
    """The value of a CONTENT or SOURCE observation."""
    return f"{len(data)}:{digest(data)}"


def environ_value(value: str | None) -> str:
    """The value of an ENVIRON observation."""
    return "" if value is None else "=" + value


def names_value(entries: Mapping[str, str]) -> str:
    """The value of a NAMES observation: ``entries`` are names with their kinds."""
    lines = [name + _MARKS[kind] for name, kind in entries.items()]
    lines.sort()
    return digest("\0".join(lines).encode("utf-8", "surrogateescape"))


def scan(path: str) -> dict[str, str]:
    """The entries of a directory with their kinds. Raises OSError."""
    entries: dict[str, str] = {}
    with os.scandir(path) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                entries[entry.name] = "directory"
            elif entry.is_file(follow_symlinks=False):
                entries[entry.name] = "regular"
            elif entry.is_symlink():
                entries[entry.name] = "symlink"
            else:
                entries[entry.name] = "unknown"
    return entries


class Sieve:
    """Stands between the writer of an archive and the filter that it asks, and notes what was asked and answered."""

    def __init__(self, root: str, keep: Callable[[str, str], bool]) -> None:
        self._keep: Final = keep
        self._skip: Final = len(root) + 1
        self._hasher: Final = blake2b(digest_size=_DIGEST_BYTES)
        self.left_out: Final[list[str]] = []

    def asked(self, path: str, kind: str) -> bool:
        """The filter's answer."""
        kept = self._keep(path, kind)
        below = path[self._skip :]
        self._hasher.update(f"{below}\0{kind}\0{kept}\0".encode("utf-8", "surrogateescape"))
        if not kept:
            self.left_out.append(below)
        return kept

    def answers(self) -> str:
        """Digest of all questions and answers, in their order."""
        return self._hasher.hexdigest()


def pack(found: Mapping[str, str]) -> bytes | None:
    """Observations (kind and subject -> value) as bytes; None for what cannot be written down."""
    groups: dict[str, list[str]] = {kind: [] for kind in ORDER}
    for key, value in found.items():
        kind = key[0]
        subject = key[1:]
        if kind == EXISTS and value == "1" and (SOURCE + subject in found or CONTENT + subject in found):
            continue  # said by the other
        groups[kind] += (key, value)
    fields = [field for kind in ORDER for field in groups[kind]]
    text = "\0".join(fields)
    if text.count("\0") != max(len(fields) - 1, 0):
        return None
    try:
        return zlib.compress(text.encode("utf-8", "surrogateescape"), 1)
    except UnicodeEncodeError:
        return None


def unpack(data: bytes) -> list[str]:
    """The observations of :func:`pack`: kind with subject, value, and so on. Raises zlib.error, ValueError."""
    text = zlib.decompress(data).decode("utf-8", "surrogateescape")
    return text.split("\0") if text else []
