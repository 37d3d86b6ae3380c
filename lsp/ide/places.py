"""Where values come from: the places of an answer, best first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from evaluator.service.protocol import Facts, Location
from lsp.ide.types import FileRange, Link

_COMPONENTS: Final = 4


def place(location: Location) -> FileRange:
    """A location of the worker as a place."""
    return FileRange(location.path, location.start, location.end)


def origin(facts: Facts, *, through: bool = False) -> Location | None:
    """Where somebody who asks for the definition of a value wants to go.

    A function or derivation: to where it is made (its lambda, its call), unless the attribute that holds it is in the
    very same file: then its name there says more. Anything else: to the attribute. With ``through`` (arguments of a
    file: the attribute is just a line in some list of packages) sets lead to where they are made, too.
    """
    made, defined = facts.made, facts.defined
    if made is None or defined is None:
        return made or defined
    if facts.kind in ("function", "derivation") or (through and facts.kind == "set"):
        return defined if defined.path == made.path else made
    return defined


def link(location: Location, roots: Sequence[str]) -> Link:
    """A location with a short name to show: relative to the first of the roots that it lies in."""
    return Link(f"{shown(location.path, roots)}:{location.line + 1}", place(location), location.line + 1)


def shown(path: str, roots: Sequence[str]) -> str:
    """A path, short: relative to the innermost root around it, else its last few components."""
    around = [root for root in roots if path.startswith(root.rstrip(os.sep) + os.sep)]
    if around:
        return os.path.relpath(path, max(around, key=len))
    parts = path.split(os.sep)
    return path if len(parts) <= _COMPONENTS + 1 else os.sep.join(["…", *parts[-_COMPONENTS:]])


def file_of(path: str) -> str | None:
    """The file that a path literal leads to: a folder stands for its ``default.nix``. None when it is not there."""
    try:
        if os.path.isdir(path):
            path = os.path.join(path, "default.nix")
        return path if os.path.isfile(path) else None
    except (OSError, ValueError):
        return None


def absolute(written: str, of_file: str) -> str:
    """The path that a path literal without interpolation means in a file."""
    if written.startswith("~/"):
        return os.path.normpath(os.path.expanduser(written))
    return os.path.normpath(os.path.join(os.path.dirname(of_file), written))
