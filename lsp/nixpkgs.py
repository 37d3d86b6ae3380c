"""Finds nixpkgs without being told, and the search path for ``<…>``.

In this order: the workspace itself, when it (or a folder above it) is shaped like nixpkgs; flake.lock; npins and niv
sources; NIX_PATH; channels. Only what is on this machine already counts: nothing is fetched, nothing is run.
A pinned archive counts when the store has the path that its hash leads to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

STORE: Final = "/nix/store"
PROFILES: Final = "/nix/var/nix/profiles"
_FILES_AT_MOST: Final = 4 << 20  # a lock file larger than that is none


@dataclass(frozen=True)
class Machine:
    """What discovery looks at besides the workspace; tests give their own."""

    env: Mapping[str, str]
    home: str
    store: str = STORE
    profiles: str = PROFILES

    @staticmethod
    def here() -> Machine:
        """The machine that this process runs on."""
        return Machine(dict(os.environ), os.path.expanduser("~"), os.environ.get("NIX_STORE_DIR", STORE))


@dataclass(frozen=True)
class Found:
    """A nixpkgs checkout and how it was found, in words."""

    path: str
    reason: str


def find(starts: Sequence[str], machine: Machine) -> Found | None:
    """The nixpkgs for a workspace whose folders (or, without any, whose file) are ``starts``; absolute paths."""
    for places in (_workspaces(starts), _pinned(starts, machine), _on_search_path(machine), _channels(machine)):
        for found in places:
            if is_nixpkgs(found.path):
                return Found(os.path.realpath(found.path), found.reason)
    return None


def is_nixpkgs(path: str) -> bool:
    """Whether a folder is shaped like nixpkgs: ``default.nix``, a library in ``lib`` and packages in ``pkgs``."""
    root = Path(path)
    try:
        return (
            (root / "default.nix").is_file()
            and (root / "lib" / "default.nix").is_file()
            and any((root / "pkgs" / name).is_dir() for name in ("top-level", "by-name"))
        )
    except (OSError, ValueError):
        return False


def enclosing(path: str) -> str | None:
    """The nixpkgs checkout that a file or folder lies in, if any."""
    place = Path(path)
    return next((str(folder) for folder in (place, *place.parents) if is_nixpkgs(str(folder))), None)


def search_path(machine: Machine) -> list[str]:
    """The entries for ``<…>`` in Nix's order: NIX_PATH, or the defaults where that is not set."""
    if "NIX_PATH" in machine.env:
        return split_search_path(machine.env["NIX_PATH"])
    root = f"{machine.profiles}/per-user/root/channels"
    entries = [*_channel_folders(machine), f"nixpkgs={root}/nixpkgs", root]
    return [entry for entry in entries if os.path.exists(entry.partition("=")[2] or entry)]


def split_search_path(text: str) -> list[str]:
    """The entries of a NIX_PATH; a colon inside ``https://`` or after ``flake:``/``channel:`` separates nothing."""
    entries: list[str] = []
    for piece in text.split(":"):
        scheme = entries[-1].rpartition("=")[2] if entries else ""
        if entries and (piece.startswith("//") or scheme in ("flake", "channel")):
            entries[-1] += f":{piece}"
        else:
            entries.append(piece)
    return [entry for entry in entries if entry]


# --- the places ----------------------------------------------------------------------------------


def _workspaces(starts: Sequence[str]) -> Iterator[Found]:
    for start in starts:
        if (root := enclosing(start)) is not None:
            yield Found(root, "the workspace itself")


def _pinned(starts: Sequence[str], machine: Machine) -> Iterator[Found]:
    for start in starts:
        for folder in (Path(start), *Path(start).parents):
            if (lock := _read_json(folder / "flake.lock")) is not None:
                for path in _flake_inputs(lock, folder, machine):
                    yield Found(path, f"{folder / 'flake.lock'}")
            if (pins := _read_json(folder / "npins" / "sources.json")) is not None:
                for path in _sources(pins.get("pins"), "hash", ("source",), machine):
                    yield Found(path, f"{folder / 'npins' / 'sources.json'}")
            if (sources := _read_json(folder / "nix" / "sources.json")) is not None:
                for path in _sources(sources, "sha256", ("nixpkgs-src", "source"), machine):
                    yield Found(path, f"{folder / 'nix' / 'sources.json'}")


def _on_search_path(machine: Machine) -> Iterator[Found]:
    for entry in search_path(machine) if "NIX_PATH" in machine.env else []:
        prefix, equals, path = entry.rpartition("=")
        if equals and prefix == "nixpkgs":
            yield Found(path, "NIX_PATH")
        elif not equals:
            yield Found(os.path.join(path, "nixpkgs"), "NIX_PATH")


def _channels(machine: Machine) -> Iterator[Found]:
    for folder in (*_channel_folders(machine), f"{machine.profiles}/per-user/root/channels"):
        for name in ("nixpkgs", "nixos"):
            yield Found(os.path.join(folder, name), f"the channel {os.path.join(folder, name)}")


def _channel_folders(machine: Machine) -> list[str]:
    state = machine.env.get("XDG_STATE_HOME") or os.path.join(machine.home, ".local", "state")
    return [os.path.join(machine.home, ".nix-defexpr", "channels"), os.path.join(state, "nix", "defexpr", "channels")]


# --- lock files ----------------------------------------------------------------------------------


def _flake_inputs(lock: dict[str, Any], folder: Path, machine: Machine) -> Iterator[str]:
    """Where the input called nixpkgs lies on this machine; any other nixpkgs of the lock file after it."""
    nodes = lock.get("nodes")
    if not isinstance(nodes, dict):
        return
    root = nodes.get(lock.get("root", "root"))
    inputs = root.get("inputs") if isinstance(root, dict) else None
    names = [inputs.get("nixpkgs")] if isinstance(inputs, dict) else []
    names += [name for name in nodes if str(name).startswith("nixpkgs")]
    for name in names:
        node = nodes.get(name) if isinstance(name, str) else None
        locked = node.get("locked") if isinstance(node, dict) else None
        if not isinstance(locked, dict):
            continue
        if locked.get("type") == "path" and isinstance(locked.get("path"), str):
            yield str(folder / locked["path"])
        if isinstance(locked.get("narHash"), str):
            yield from _in_store(locked["narHash"], ("source",), machine)


def _sources(pins: object, field: str, names: tuple[str, ...], machine: Machine) -> Iterator[str]:
    pin = pins.get("nixpkgs") if isinstance(pins, dict) else None
    if isinstance(pin, dict) and isinstance(pin.get(field), str):
        yield from _in_store(pin[field], names, machine)


def _in_store(digest: str, names: tuple[str, ...], machine: Machine) -> Iterator[str]:
    """The store paths, as far as they are there, of an unpacked archive with this hash."""
    from store import hashes, store_path  # only a pinned workspace needs them

    try:
        expected = hashes.parse(digest, None if "-" in digest or ":" in digest else "sha256")
        paths = [store_path.fixed_output_path(name, True, expected, machine.store) for name in names]
    except ValueError:
        return
    yield from (path for path in paths if os.path.isdir(path))


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > _FILES_AT_MOST:
            return None
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
