"""Nix's configuration, as far as it is about substituting, building and fetching.

Specification: the Nix manual, "nix.conf". Read in this order, later ones winning: ``$NIX_CONF_DIR/nix.conf``
(``/etc/nix/nix.conf``), the user's files (``$NIX_USER_CONF_FILES``, else ``nix/nix.conf`` in ``$XDG_CONFIG_DIRS`` and
``$XDG_CONFIG_HOME``), the text in ``$NIX_CONFIG``, and what the command line says. ``extra-NAME`` adds to a list.
What is of no meaning here is passed over: other parts of Nix, and how to sandbox, for builds always are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from builder.configuration import configuration_files
from store.records import asdict, dataclass, field

_INCLUDES = 20  # deep: more is a circle

#: The key that https://cache.nixos.org signs with, as :mod:`store.signatures` has it.
_CACHE_KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="


class SettingsError(Exception):
    """A configuration that cannot be read; the text names the place and what would be right."""


@dataclass(frozen=True)
class Settings:
    """The settings by Nix's names (``_`` for ``-``). Times are in seconds, sizes in bytes, 0 is no limit."""

    substituters: tuple[str, ...] = ("https://cache.nixos.org/",)
    trusted_public_keys: tuple[str, ...] = (_CACHE_KEY,)
    require_sigs: bool = True
    substitute: bool = True
    always_allow_substitutes: bool = False
    connect_timeout: int = 0
    max_jobs: int = 1
    cores: int = 0
    timeout: int = 0
    max_silent_time: int = 0
    max_build_log_size: int = 0
    #: These three are no settings of Nix: memory, processes and bytes of output that a build may use.
    max_build_memory: int = 0
    max_build_processes: int = 0
    max_output_size: int = 0
    keep_going: bool = False
    keep_failed: bool = False
    keep_build_log: bool = True
    log_lines: int = 25
    allow_import_from_derivation: bool = True
    enforce_cores: bool = False
    system_features: tuple[str, ...] = ("benchmark", "big-parallel", "ca-derivations", "kvm", "nixos-test")
    access_tokens: tuple[str, ...] = ()
    allow_dirty: bool = True
    warn_dirty: bool = True
    accept_flake_config: bool = False
    restrict_eval: bool = False
    pure_eval: bool = False
    allowed_uris: tuple[str, ...] = ()
    download_attempts: int = 5
    stalled_download_timeout: int = 60
    tarball_ttl: int = 3600
    flake_registry: str = "https://channels.nixos.org/flake-registry.json"
    use_registries: bool = True
    netrc_file: str = ""


#: Names that settings have, or had.
_ALIASES = {
    "build-max-jobs": "max-jobs",
    "build-cores": "cores",
    "build-timeout": "timeout",
    "build-max-silent-time": "max-silent-time",
    "build-keep-log": "keep-build-log",
    "binary-caches": "substituters",
    "binary-cache-public-keys": "trusted-public-keys",
    "use-binary-caches": "substitute",
}

#: Settings in bytes, which may be written with a unit.
_SIZES = frozenset({"max-build-log-size", "max-build-memory", "max-output-size"})
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}

_DEFAULTS = {name.replace("_", "-"): value for name, value in asdict(Settings()).items()}


@dataclass
class _Reader:
    """Values as they are read, each turned into what its setting is."""

    values: dict[str, object] = field(default_factory=dict)

    def take(self, name: str, value: str, where: str) -> None:
        adding = name.startswith("extra-")
        bare = name.removeprefix("extra-") if adding else name
        bare = _ALIASES.get(bare, bare)
        if bare not in _DEFAULTS:
            return
        default = _DEFAULTS[bare]
        if isinstance(default, tuple):
            before = self.values.get(bare, default) if adding else ()
            assert isinstance(before, tuple)
            self.values[bare] = (*before, *(word for word in value.split() if word not in before))
        elif adding:
            raise SettingsError(f"{where}: '{bare}' is no list, so nothing can be added to it with '{name}'")
        elif isinstance(default, bool):
            self.values[bare] = _switch(bare, value, where)
        elif isinstance(default, str):
            self.values[bare] = value
        else:
            self.values[bare] = _number(bare, value, where)

    def read(self, text: str, where: str, folder: str, depth: int = 0) -> None:
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            here = f"{where}:{number}"
            if words[0] in ("include", "!include"):
                if len(words) != 2:
                    raise SettingsError(f"{here}: '{words[0]}' is followed by one path")
                if depth >= _INCLUDES:
                    raise SettingsError(f"{here}: files include each other more than {_INCLUDES} deep")
                self.file(os.path.join(folder, words[1]), here, words[0] == "!include", depth + 1)
            elif len(words) < 2 or words[1] != "=":
                raise SettingsError(f"{here}: a line is written NAME = VALUE, not '{line.strip()}'")
            else:
                self.take(words[0], " ".join(words[2:]), here)

    def file(self, path: str, asked_by: str, optional: bool, depth: int = 0) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            if optional:
                return
            raise SettingsError(f"{asked_by}: there is no file '{path}' (with '!include' it may be missing)") from None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from None
        self.read(text, path, os.path.dirname(path), depth)


def load(given: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings that hold, ``given`` being the command line's. Raises :class:`SettingsError`."""
    environ = os.environ if environ is None else environ
    reader = _Reader()
    for path in configuration_files(environ):
        reader.file(path, path, True)
    reader.read(environ.get("NIX_CONFIG", ""), "$NIX_CONFIG", os.getcwd())
    for name, value in (given or {}).items():
        reader.take(name, value, f"--option {name}")
    return Settings(**{name.replace("-", "_"): value for name, value in reader.values.items()})  # type: ignore[arg-type]


def _switch(name: str, value: str, where: str) -> bool:
    if value in ("true", "yes", "1"):
        return True
    if value in ("false", "no", "0"):
        return False
    raise SettingsError(f"{where}: '{name}' is true or false, not '{value}'")


def _number(name: str, value: str, where: str) -> int:
    if name == "max-jobs" and value == "auto":
        return os.cpu_count() or 1
    unit = _UNITS.get(value[-1:], 0) if name in _SIZES else 0
    digits = value[:-1] if unit else value
    if not digits.isascii() or not digits.isdigit():
        hint = " or auto" if name == "max-jobs" else ", with K, M, G or T after it or not" if name in _SIZES else ""
        raise SettingsError(f"{where}: '{name}' is a number{hint}, not '{value}'")
    return int(digits) << unit
