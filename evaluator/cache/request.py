"""What a request is, and the program that answers it: all that an answer depends on besides what evaluation reads."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder

from evaluator.io.observation import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

_FORMAT: Final = "1"
"""Of the keys and of what is stored under them; a new one makes all old answers unreachable."""

_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_ROOMS: Final = ("evaluator", "store", "builder")
_LIBRARIES: Final = ("regex", "msgspec", "mypy_extensions")
"""What evaluation computes with that is not ours: a new version may answer otherwise."""

_CONFIGURING: Final = ("NIX_", "TVIX_")
"""Environment variables that set things for the whole evaluation start so."""


def request_key(arguments: Sequence[str], program: str) -> bytes:
    """The key of the answer to a command line, here and now, from this ``program`` (:func:`program_identity`)."""
    fields = [_FORMAT, program, os.getcwd(), *_surroundings(), str(len(arguments)), *arguments]
    return blake2b("\0".join(fields).encode("utf-8", "surrogateescape"), digest_size=32).digest()


def _surroundings() -> Iterator[str]:
    system = os.uname() if hasattr(os, "uname") else None
    yield sys.platform if system is None else f"{system.sysname} {system.machine}"
    for stream in (sys.stdout, sys.stderr):  # what goes to a terminal may look different
        yield str(stream is not None and stream.isatty())
    for name in sorted(os.environ):
        if name.startswith(_CONFIGURING):
            yield f"{name}={os.environ[name]}"


def program_identity() -> str:
    """What tells this installation from another version, build or state of edited sources.

    Sources and compiled modules by their size and time stamps: reading them all would take longer than the answer.
    What was installed nobody edits (:mod:`store.compiled` says so, too): the list of its files stands for them.
    """
    hasher = blake2b(digest_size=20)
    hasher.update(f"{sys.version}\0{sys.executable}\0{_ROOT}\0".encode("utf-8", "surrogateescape"))
    with os.scandir(_ROOT) as entries:
        beside = sorted(entry.path for entry in entries if entry.name.startswith("tvix_lsp"))
    records = [path for path in (os.path.join(path, "RECORD") for path in beside) if os.path.exists(path)]
    if not records:
        for room in _ROOMS:
            _add_folder(hasher, os.path.join(_ROOT, room))
    for path in beside + records:
        _add(hasher, path, os.stat(path))
    for name in _LIBRARIES:
        spec = PathFinder.find_spec(name)
        if spec is not None and spec.origin is not None:
            _add(hasher, spec.origin, os.stat(spec.origin))
    return hasher.hexdigest()


def _add_folder(hasher: blake2b, folder: str) -> None:
    inner: list[str] = []
    found: list[tuple[str, os.stat_result]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name != "__pycache__":
                        inner.append(entry.path)
                else:
                    found.append((entry.path, entry.stat()))
    except FileNotFoundError:
        return
    found.sort()
    for path, status in found:
        _add(hasher, path, status)
    inner.sort()
    for path in inner:
        _add_folder(hasher, path)


def _add(hasher: blake2b, path: str, status: os.stat_result) -> None:
    identity = f"{path}\0{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\0"
    hasher.update(identity.encode("utf-8", "surrogateescape"))
