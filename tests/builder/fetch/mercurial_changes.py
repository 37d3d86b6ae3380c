"""Mercurial repositories that tests make."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Changes:
    """A repository that grows by commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hg("init", str(path), folder=path.parent)

    def hg(self, *words: str, folder: Path | None = None) -> str:
        command = ["hg", "--config", "ui.username=nobody", *words]
        done = subprocess.run(command, cwd=folder or self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Answers the revision."""
        for name, text in files.items():
            (self.path / name).write_text(text)
        self.hg("commit", "--quiet", "--addremove", "--message", "change", "--date", "1000000000 0")
        return self.hg("log", "-r", ".", "--template", "{node}")
