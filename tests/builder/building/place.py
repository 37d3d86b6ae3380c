"""A folder in which `tvix-build` runs, with a store of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "evaluator.building.cli"]


class Place:
    """A folder to build in, with a store of its own."""

    def __init__(self, folder: Path, packages: str) -> None:
        self.folder = folder
        self.store = folder / "store"
        (folder / "default.nix").write_text(packages)
        self.environ = {
            **os.environ,
            "TVIX_STORE": f"local:{self.store}",
            "NIX_CONFIG": "substituters =",
            "NIX_CONF_DIR": str(folder / "none"),
            "XDG_CONFIG_HOME": str(folder / "none"),
        }

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *words], cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stderr
        return done

    def built(self, *words: str) -> list[str]:
        return self.run(*words).stdout.splitlines()

    def read(self, link: str) -> str:
        return (self.folder / link).read_text()

    def leftovers(self) -> list[str]:
        builds = self.store / "builder" / "builds"
        return [path.name for path in builds.iterdir()] if builds.exists() else []
