"""Git repositories made for tests, with times and names that are always the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "file",
}
FIRST = 1_577_836_800
DAY = 86_400


class Repository:
    """A repository with a working tree in ``path``. Commits are a day apart."""

    def __init__(self, path: Path, branch: str = "master") -> None:
        self.path = path
        self.url = f"file://{path}"
        self.commits = 0
        path.mkdir(parents=True)
        self.git("init", "-q", f"--initial-branch={branch}")

    def git(self, *words: str) -> str:
        date = f"{FIRST + (self.commits - 1) * DAY} +0000"
        environment = {**os.environ, **ENVIRONMENT, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(["git", *words], cwd=self.path, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def write(self, **files: str) -> None:
        """Writes files: ``a__b="text"`` is ``a/b``."""
        for name, text in files.items():
            place = self.path / name.replace("__", "/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def commit(self, **files: str) -> str:
        """Commits everything that is there, and these files; the revision."""
        self.write(**files)
        self.git("add", "-A")
        self.commits += 1
        self.git("commit", "-q", "--allow-empty", "-m", f"commit {self.commits}")
        return self.git("rev-parse", "HEAD")

    def bare(self, path: Path) -> Path:
        """A bare copy that a web server may show."""
        self.git("clone", "-q", "--bare", str(self.path), str(path))
        self.git("-C", str(path), "update-server-info")
        return path
