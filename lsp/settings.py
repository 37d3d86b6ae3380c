"""What a user may set: the client's settings over a checked-in ``.tvix-lsp.toml`` over what is found by itself.

Nothing needs to be set. A value of the wrong type is left out and reported, it never stops the server.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from evaluator.service.protocol import Configure
from lsp import nixpkgs

FILE_NAME: Final = ".tvix-lsp.toml"

#: Files whose change can change what :func:`from_file` and :func:`configuration` say.
SOURCES: Final = (FILE_NAME, "flake.lock", "npins/sources.json", "nix/sources.json")

#: The client's settings live under this name (``workspace/configuration``, ``didChangeConfiguration``).
SECTION: Final = "tvix-lsp"


#: Nothing; what the user allows, one by one (the default); whatever is needed, in a workspace that is trusted.
BUILDS: Final = ("never", "ask", "always")


@dataclass(frozen=True)
class Settings:
    """Empty means: find it yourself. Paths are absolute."""

    nixpkgs: str = ""
    search_path: tuple[str, ...] = ()
    system: str = ""
    #: Seconds that hover, definition and completion wait for a value.
    budget: float = 3.0
    #: False: nothing is evaluated, answers come from the text alone.
    trusted: bool = True
    #: What may be built when a value can only be read out of what a derivation makes: one of :data:`BUILDS`.
    builds: str = ""


def from_client(values: object, base: str) -> tuple[Settings, list[str]]:
    """Settings from ``initializationOptions`` or a configuration section, and complaints about what is wrong in it.

    Names are camelCase (``searchPath``); relative paths belong to the folder ``base``.
    """
    if values is None:
        return Settings(), []
    if not isinstance(values, Mapping):
        return Settings(), [f"settings: expected an object, got {type(values).__name__}"]
    inner = values.get(SECTION)
    return _read(inner if isinstance(inner, Mapping) else values, base, "settings", trust=True)


def from_file(folders: Sequence[str]) -> tuple[Settings, list[str]]:
    """Settings of the nearest ``.tvix-lsp.toml`` in one of the folders or above, and complaints about it.

    It cannot grant trust, nor let everything be built: it comes with the workspace.
    """
    for folder in folders:
        for parent in (Path(folder), *Path(folder).parents):
            path = parent / FILE_NAME
            try:
                text = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            try:
                values = tomllib.loads(text)
            except tomllib.TOMLDecodeError as error:
                return Settings(), [f"{path}: {error}"]
            return _read(values, str(parent), str(path), trust=False)
    return Settings(), []


def merge(first: Settings, second: Settings) -> Settings:
    """``first``, with what it leaves empty taken from ``second``."""
    merged = first
    if not first.nixpkgs:
        merged = replace(merged, nixpkgs=second.nixpkgs)
    if not first.search_path:
        merged = replace(merged, search_path=second.search_path)
    if not first.system:
        merged = replace(merged, system=second.system)
    if first.budget == Settings.budget:
        merged = replace(merged, budget=second.budget)
    if not first.builds or second.builds == "never":
        merged = replace(merged, builds=second.builds)
    return replace(merged, trusted=first.trusted and second.trusted)


def configuration(settings: Settings, roots: Sequence[str], machine: nixpkgs.Machine) -> tuple[Configure, str]:
    """What the worker is told, and a line for the log that says which nixpkgs it is and why.

    ``<nixpkgs>`` is the one that is set; where none is, what the search path says, and where that has none the one
    that was found.
    """
    entries = list(settings.search_path) or nixpkgs.search_path(machine)
    if settings.nixpkgs:
        path, reason = settings.nixpkgs, f"nixpkgs: {settings.nixpkgs} (set)"
    elif (found := nixpkgs.find(roots, machine)) is not None:
        path, reason = found.path, f"nixpkgs: {found.path} ({found.reason})"
    else:
        path, reason = "", "nixpkgs: none found"
    if path:
        entries.insert(0 if settings.nixpkgs else len(entries), f"nixpkgs={path}")
    return Configure(tuple(roots), path, tuple(entries), settings.system, settings.builds or "ask"), reason


def _read(values: Mapping[Any, Any], base: str, origin: str, *, trust: bool) -> tuple[Settings, list[str]]:
    settings = Settings()
    complaints: list[str] = []
    for key, value in values.items():
        name = str(key).replace("_", "").replace("-", "").lower()
        if value is None or value == "":
            continue
        if name == "nixpkgs" and isinstance(value, str):
            settings = replace(settings, nixpkgs=_absolute(value, base))
        elif name == "searchpath" and isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            settings = replace(settings, search_path=tuple(_entry(entry, base) for entry in value))
        elif name == "system" and isinstance(value, str):
            settings = replace(settings, system=value)
        elif name == "budget" and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            settings = replace(settings, budget=float(value))
        elif name == "trusted" and isinstance(value, bool) and (trust or not value):
            settings = replace(settings, trusted=value)
        elif name == "builds" and value in BUILDS and (trust or value != "always"):
            settings = replace(settings, builds=str(value))
        elif name in ("nixpkgs", "searchpath", "system", "budget", "trusted", "builds"):
            complaints.append(f"{origin}: {key} = {value!r} is not usable")
    return settings, complaints


def _entry(entry: str, base: str) -> str:
    name, equals, path = entry.rpartition("=")
    return f"{name}{equals}{_absolute(path, base)}"


def _absolute(path: str, base: str) -> str:
    """An absolute path; what is a URL or the like stays."""
    if "://" in path or path.startswith(("flake:", "channel:")):
        return path
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))
