"""What the names of flakes mean: registries, looked through one after the other.

Specification: the Nix manual, "nix registry". A registry is a JSON file ``{"version": 2, "flakes": [{"from": …, "to":
…, "exact": …}]}``. The user's comes first (``nix/registry.json`` among the user's settings), then the system's
(``/etc/nix/registry.json``), then the one that the setting ``flake-registry`` names, in the network mostly.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from builder.fetch.failure import FetchError
from builder.fetch.limits import Limits
from builder.fetch.memory import Memory
from builder.fetch.transfer import downloaded, is_local
from builder.settings import Settings

_MOST_STEPS = 100


@dataclass(frozen=True)
class Entry:
    """``before`` means ``after``; with ``exact`` only as it stands, without another branch or revision."""

    before: dict[str, object]
    after: dict[str, object]
    exact: bool


class Registries:
    """The registries of a user."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self._settings = settings
        self._limits = limits
        self._global: list[Entry] | None = None

    def lookup(self, items: dict[str, object]) -> dict[str, object]:
        """The input that ``items`` (of the type ``indirect``) means. Raises FetchError."""
        named = str(items.get("id"))
        if not self._settings.use_registries:
            raise FetchError(f"'{named}' is a name for a registry, and registries are not to be used; name an address")
        found = items
        for _ in range(_MOST_STEPS):
            if found.get("type") != "indirect":
                return found
            further = self._step(found)
            if further is None:
                raise FetchError(
                    f"cannot find flake 'flake:{named}' in the flake registries; name an address instead, like"
                    " 'github:OWNER/REPO', or add it to ~/.config/nix/registry.json"
                )
            found = further
        raise FetchError(f"cycle detected in flake registry for '{named}'")

    def _step(self, items: dict[str, object]) -> dict[str, object] | None:
        for registry in (self._own, self._everybodys):  # the last may be far away
            for entry in registry():
                after = _applied(entry, items)
                if after is not None:
                    return after
        return None

    def all(self) -> list[tuple[str, list[Entry]]]:
        """The registries by their kinds, those that count most first. Raises FetchError."""
        return [
            ("user", read_registry(user_registry())),
            ("system", read_registry(_system_registry())),
            ("global", self._everybodys()),
        ]

    def _own(self) -> list[Entry]:
        return read_registry(user_registry()) + read_registry(_system_registry())

    def _everybodys(self) -> list[Entry]:
        if self._global is None:
            url = self._settings.flake_registry
            self._global = [] if not url else _entries(self._downloaded(url), url)
        return self._global

    def _downloaded(self, url: str) -> str:
        if is_local(url):
            return _read(url.removeprefix("file://"))
        memory = Memory(self._limits.folder)
        known = memory.recall(kind="registry", url=url)
        if known is not None and (known[1] < self._limits.ttl or not self._limits.network):
            return str(known[0]["text"])
        with downloaded(url, self._limits) as download:
            assert download.path is not None
            text = download.path.read_text("utf-8", "replace")
        memory.remember({"text": text}, kind="registry", url=url)
        return text


def _applied(entry: Entry, items: dict[str, object]) -> dict[str, object] | None:
    """What ``items`` means by an entry; None if it is not about it."""
    if entry.exact:
        return dict(entry.after) if entry.before == items else None
    for name, value in entry.before.items():
        if items.get(name) != value:
            return None
    after = dict(entry.after)
    for name in ("ref", "rev", "dir"):
        if name in items and name not in entry.before:
            after[name] = items[name]
            if name == "rev" and after.get("type") in ("github", "gitlab", "sourcehut"):
                after.pop("ref", None)
    return after


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(f"cannot read the flake registry '{path}': {error}") from None


def user_registry() -> str:
    """The file that holds what names mean to the user."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "nix", "registry.json")


def _system_registry() -> str:
    return os.path.join(os.environ.get("NIX_CONF_DIR", "/etc/nix"), "registry.json")


def read_registry(path: str) -> list[Entry]:
    """What a registry says; nothing when there is none. Raises FetchError for a broken one."""
    return _entries(_read(path), path) if os.path.exists(path) else []


def write_registry(path: str, entries: list[Entry]) -> None:
    """Puts a registry in its place whole, as Nix writes it. Raises FetchError."""
    rows: list[dict[str, object]] = [
        {**({"exact": True} if entry.exact else {}), "from": entry.before, "to": entry.after} for entry in entries
    ]
    text = json.dumps({"flakes": rows, "version": 2}, indent=2, sort_keys=True)
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(f"{path}.tmp", "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(f"{path}.tmp", path)
    except OSError as error:
        raise FetchError(f"cannot write the flake registry '{path}': {error.strerror}") from None


def _entries(text: str, where: str) -> list[Entry]:
    try:
        found = json.loads(text)
        if found["version"] != 2:
            raise FetchError(f"the flake registry '{where}' has version {found['version']}; 2 is the one understood")
        return [Entry(dict(row["from"]), dict(row["to"]), row.get("exact") is True) for row in found["flakes"]]
    except (ValueError, LookupError, TypeError) as error:
        raise FetchError(f"the flake registry '{where}' is broken: {error}") from None
