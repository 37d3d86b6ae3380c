"""What the tests of flakes share: a world of their own (store, caches, settings, registry), both evaluators in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builder.fetch.repositories import Repository


@dataclass
class Done:
    """What a command printed on its two outputs, and its exit code."""

    out: str
    err: str
    code: int


class World:
    """A folder with everything in it: ``tvix`` runs our command there, ``nix`` the reference implementation."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.registry = root / "home" / ".config" / "nix" / "registry.json"
        self.registry.parent.mkdir(parents=True)
        self.register()
        # Tests must not go abroad: what asks for another machine meets nobody.
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("NIX_", "GIT_", "XDG_"))},
            "HOME": str(root / "home"),
            "XDG_CACHE_HOME": str(root / "cache"),
            "TVIX_STORE": f"local:{root}/store",
            "TVIX_EVAL_CACHE": str(root / "answers"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "NIX_PATH": "",
            "NIX_CONF_DIR": str(root / "none"),
            "NIX_CONFIG": (
                "experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\n"
                f"flake-registry = {self.registry}\n"
            ),
            "https_proxy": "http://127.0.0.1:9",
        }

    def register(self, **names: str) -> None:
        """Writes the registry: names, and the Git repositories that they mean."""
        rows = [
            {"from": {"type": "indirect", "id": name}, "to": {"type": "git", "url": url}} for name, url in names.items()
        ]
        self.registry.write_text(json.dumps({"version": 2, "flakes": rows}))

    def repository(self, name: str, flake: str = "", **files: str) -> Repository:
        """A repository with one commit: ``flake`` is its flake.nix, ``@`` in files stands for this folder."""
        found = Repository(self.root / name)
        if flake:
            files["flake.nix"] = flake
        found.commit(**{key: text.replace("@", str(self.root)) for key, text in files.items()})
        return found

    def folder(self, name: str, **files: str) -> Path:
        """A folder with files that were changed long ago."""
        top = self.root / name
        for key, text in files.items():
            place = top / key.replace("__", "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text.replace("@", str(self.root)))
        for place in sorted(top.rglob("*")):
            os.utime(place, (1_500_000_000, 1_500_000_000))
        os.utime(top, (1_500_000_000, 1_500_000_000))
        return top

    def tvix(self, *words: str, cwd: Path | None = None, ok: bool = True) -> Done:
        """Runs ``tvix-eval``."""
        return self._run([sys.executable, "-m", "evaluator.cli", *words], cwd, ok)

    def build(self, *words: str, cwd: Path | None = None, ok: bool = True) -> Done:
        """Runs ``tvix-build``."""
        return self._run([sys.executable, "-m", "evaluator.building.cli", *words], cwd, ok)

    def nix(self, *words: str, cwd: Path | None = None, ok: bool = True) -> Done:
        """Runs ``nix``."""
        return self._run(["nix", "--store", f"local?root={self.root}/nix", *words], cwd, ok)

    def nix_instantiate(self, *words: str) -> Done:
        """Runs ``nix-instantiate``."""
        return self._run(["nix-instantiate", "--store", f"local?root={self.root}/nix", *words], None, False)

    def _run(self, words: list[str], cwd: Path | None, ok: bool) -> Done:
        done = subprocess.run(words, cwd=cwd or self.root, env=self.environment, capture_output=True, check=False)
        found = Done(done.stdout.decode(), done.stderr.decode(), done.returncode)
        assert found.code == 0 or not ok, found.err
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    if shutil.which("git") is None:
        pytest.skip("no git here (Debian: apt-get install git)")
    return World(tmp_path)


@pytest.fixture
def reference(world: World) -> World:
    """The same, where there is a Nix to compare with."""
    if shutil.which("nix") is None:
        pytest.skip("no Nix to compare with (Debian: apt-get install nix-bin)")
    return world
