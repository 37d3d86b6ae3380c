"""The reference implementation with a store of its own, building in its sandbox."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from store.composition import open_store
from store.paths.closure import copy
from tests.builder.sandbox.building import Sandbox

CORES = 2
_OPTIONS = {
    "substituters": "",
    "build-users-group": "",
    "sandbox": "true",
    "sandbox-paths": "/bin/sh=/bin/busybox",
    "sandbox-fallback": "false",
    "cores": str(CORES),
}


class Nix:
    """Nix, as it is installed, with its store under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, check: bool = True) -> str:
        """What a command prints."""
        options = [part for name, value in _OPTIONS.items() for part in ("--option", name, value)]
        done = subprocess.run(
            [*command, "--store", f"local?root={self.root}", *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "A_VARIABLE_OF_THE_MACHINE": "value"},
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stderr}")
        return done.stdout

    def instantiate(self, file: Path, *attributes: str) -> list[str]:
        """The derivations in ``file``, or those of ``attributes``."""
        chosen = [part for name in attributes for part in ("-A", name)]
        return [path.partition("!")[0] for path in self.run("nix-instantiate", str(file), *chosen).split()]

    def realise(self, *drv_paths: str) -> list[str]:
        """Build, as far as it goes; the paths of all outputs that are there."""
        return self.run("nix-store", "--realise", "--keep-going", *drv_paths, check=False).split()

    def hashes(self, paths: list[str]) -> dict[str, tuple[str, list[str]]]:
        """The hash of each path's archive, and what it refers to."""
        if not paths:
            return {}
        hashes = self.run("nix-store", "--query", "--hash", *paths).split()
        return {
            path: (digest, sorted(self.run("nix-store", "--query", "--references", path).split()))
            for path, digest in zip(paths, hashes, strict=True)
        }

    def real(self, path: str) -> Path:
        """Where a store path lies on disk."""
        return self.root / path.lstrip("/")

    def give(self, sandbox: Sandbox, drv_path: str) -> None:
        """Copy a derivation and all that it needs to be built into ``sandbox``."""
        with open_store(f"nix:?root={self.root}") as theirs:
            copy(theirs, sandbox.store, [drv_path])
