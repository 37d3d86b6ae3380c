"""What the store's tests share: trees on disk from plain data, and the reference implementation's commands."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("store", deadline=None)  # machines may be busy; the time is nobody's business here
settings.load_profile("store")

#: A tree as data: a `dict` is a directory, a `str` the text of a file, a list ["x", text] an executable file and
#: ["->", target] a symbolic link. Names and texts are text as everywhere in the project (surrogateescape).
Tree = Any


def build_tree(path: bytes, tree: Tree) -> None:
    if isinstance(tree, dict):
        os.mkdir(path)
        for name, child in tree.items():
            build_tree(path + b"/" + name.encode("utf-8", "surrogateescape"), child)
    elif isinstance(tree, list) and tree[0] == "->":
        os.symlink(tree[1].encode("utf-8", "surrogateescape"), path)
    else:
        text = tree[1] if isinstance(tree, list) else tree
        with open(path, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        os.chmod(path, 0o744 if isinstance(tree, list) else 0o655)  # only the owner's execute bit counts


@pytest.fixture
def make_tree(tmp_path: Path) -> Callable[[Tree], str]:
    """Builds a tree in a new folder and answers its path."""
    count = iter(range(1 << 30))

    def make(tree: Tree) -> str:
        path = tmp_path / f"tree{next(count)}"
        build_tree(os.fsencode(path), tree)
        return str(path)

    return make


@pytest.fixture(scope="session")
def nix() -> Callable[..., str]:
    """Runs a command of the reference implementation: `nix("nix-hash", "--type", …)` is its stdout."""
    if shutil.which("nix-instantiate") is None:
        pytest.skip("no Nix to compare with (Debian: apt-get install nix-bin); the frozen vectors are still checked")

    def run(*command: str, stderr: bool = False) -> str:
        environment = {**os.environ, "NIX_STORE_DIR": "/nix/store", "NIX_CONFIG": "build-users-group =\nsubstituters ="}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        if done.returncode != 0 and not stderr:
            raise AssertionError(f"{command}: {done.stderr.decode(errors='replace')}")
        return (done.stderr if stderr else done.stdout).decode("utf-8", "surrogateescape")

    return run
