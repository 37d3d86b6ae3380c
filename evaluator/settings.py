"""Nix's settings, as ``--option NAME VALUE`` changes them: their names, and what those mean that mean something here.

Specification: the Nix manual, "nix.conf"; versions 2.8 to 2.31.
"""

from __future__ import annotations

from typing import Final

#: Settings that are on or off: ``--NAME`` and ``--no-NAME`` set them, too.
SWITCHES: Final = frozenset(
    """
    abort-on-warn accept-flake-config allow-dirty allow-dirty-locks allow-import-from-derivation
    allow-new-privileges allow-symlinked-store allow-unsafe-native-code-during-evaluation always-allow-substitutes
    auto-allocate-uids auto-optimise-store builders-use-substitutes compress-build-log debugger-on-trace
    debugger-on-warn enforce-determinism eval-cache eval-profiler fallback filter-syscalls fsync-metadata
    fsync-store-paths http2 impersonate-linux-26 json-log-path-append keep-build-log keep-derivations
    keep-env-derivations keep-failed keep-going keep-outputs lazy-trees preallocate-contents print-missing
    pure-eval require-drop-supplementary-groups require-sigs restrict-eval run-diff-hook sandbox-fallback
    show-trace substitute sync-before-registering trace-function-calls trace-import-from-derivation trace-verbose
    trust-tarballs-from-git-forges use-case-hack use-cgroups use-registries use-sqlite-wal
    use-xdg-base-directories warn-dirty
    """.split()
)

#: Settings that take any other value; ``extra-NAME`` adds to those that are lists.
_OTHERS: Final = frozenset(
    """
    access-tokens allowed-impure-host-deps allowed-uris allowed-users bash-prompt bash-prompt-prefix
    bash-prompt-suffix build-dir build-hook build-poll-interval build-users-group builders
    commit-lock-file-summary commit-lockfile-summary connect-timeout cores diff-hook download-attempts
    download-buffer-size download-speed eval-profile-file eval-profiler-frequency eval-system
    experimental-features extra-platforms flake-registry gc-reserved-space hashed-mirrors http-connections
    id-count ignored-acls json-log-path log-lines max-build-log-size max-call-depth max-free max-jobs
    max-silent-time max-substitution-jobs min-free min-free-check-interval nar-buffer-size
    narinfo-cache-negative-ttl narinfo-cache-positive-ttl netrc-file nix-path nix-shell-always-looks-for-shell-nix
    nix-shell-shebang-arguments-relative-to-script plugin-files post-build-hook pre-build-hook repeat sandbox
    sandbox-build-dir sandbox-dev-shm-size sandbox-paths secret-key-files stalled-download-timeout start-id store
    substituters system system-features tarball-ttl timeout trusted-public-keys trusted-substituters trusted-users
    upgrade-nix-store-path-url user-agent-suffix warn-large-path-threshold warn-short-path-literals
    """.split()
)

#: What only this builder has: bounds of what a build may use.
_OURS: Final = frozenset({"enforce-cores", "max-build-memory", "max-build-processes", "max-output-size"})

#: What evaluation cannot do yet: better said than overlooked.
_MISSING: Final = frozenset(["allow-unsafe-native-code-during-evaluation"])


def is_setting(name: str) -> bool:
    """Whether there is a setting of that name (``extra-`` before it or not)."""
    return name in SWITCHES or name in _OTHERS or name in _OURS or name.removeprefix("extra-") in _OTHERS


def warnings(settings: dict[str, str]) -> list[str]:
    """What is to be said about settings that are unknown, have no such value, or are not heeded."""
    said: list[str] = []
    for name, value in settings.items():
        if not is_setting(name):
            said.append(f"warning: unknown setting '{name}'")
        elif name in SWITCHES and value not in ("true", "false", "yes", "no", "1", "0"):
            said.append(f"warning: error: Boolean setting '{name}' has invalid value '{value}'")
        elif name == "max-call-depth" and not value.isdecimal():
            said.append(f"warning: error: setting '{name}' has invalid value '{value}'")
        elif name in _MISSING and is_on(settings, name):
            said.append(f"warning: the setting '{name}' is not supported yet: evaluation goes on without it")
    return said


def is_on(settings: dict[str, str], name: str) -> bool:
    """Whether a switch was switched on."""
    return settings.get(name, "") in ("true", "yes", "1")
