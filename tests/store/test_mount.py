"""`tvix-store mount`, through the kernel: read, list, follow links, look at modes, be refused writing, unmount."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.composition import local_store
from store.nar import nar_pieces

MakeTree = Callable[[Any], str]
LARGE = random.Random(1).randbytes(1_500_000).hex()
TREE = {
    "bin": {"run": ["x", "#!/bin/sh\necho ran\n"], "again": ["->", "run"]},
    "empty": {},
    "large": LARGE,
    "up": ["->", "../outside"],
    "\udcff name": "odd",
}


@pytest.fixture
def mounted(tmp_path: Path, make_tree: MakeTree) -> Iterator[tuple[Path, str]]:
    """A mounted store, and the base name of what is in it."""
    pytest.importorskip(
        "mfusepy", reason="the package mfusepy or the system's libfuse is missing", exc_type=ImportError
    )
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse is not there, or not for us: nothing can be mounted")
    if shutil.which("fusermount3") is None and shutil.which("fusermount") is None:
        pytest.skip("no fusermount (Debian: apt-get install fuse3): nothing can be unmounted")
    with local_store(str(tmp_path / "store")) as store:
        path = store.add_path(make_tree(TREE), "tree").path
        store.add_text("text", b"some text")
    folder = tmp_path / "mounted"
    folder.mkdir()
    command = [sys.executable, "-m", "store.command.cli", "mount", "--store", f"local:{tmp_path}/store", str(folder)]
    command += ["--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as mount:
        assert mount.stdout is not None
        said = ""
        while not said.rstrip().endswith("}") and (line := mount.stdout.readline()):
            said += line
        if not said:
            assert mount.stderr is not None
            said = mount.stderr.read()
            if "not permitted" in said:
                pytest.skip(f"mounting is not permitted here: {said.strip()}")
            pytest.fail(said)
        assert json.loads(said)["folder"] == str(folder)
        try:
            yield folder, path.rpartition("/")[2]
        finally:
            if folder.is_mount():
                unmount(folder)
            assert mount.wait(200) == 0


def unmount(folder: Path) -> None:
    command = shutil.which("fusermount3") or shutil.which("fusermount") or "fusermount"
    subprocess.run([command, "-u", str(folder)], check=True)


def test_a_mounted_store(mounted: tuple[Path, str]) -> None:
    folder, name = mounted
    tree = folder / name
    # The whole tree, as anything that reads files sees it.
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([name, *folder_names(folder, "-text")])
    assert sorted(os.listdir(os.fsencode(tree))) == [b"bin", b"empty", b"large", b"up", b"\xff name"]
    assert (tree / "large").read_text() == LARGE
    assert (tree / "\udcff name").read_text() == "odd"
    assert list((tree / "empty").iterdir()) == []
    assert os.readlink(tree / "bin" / "again") == "run"
    assert os.readlink(tree / "up") == "../outside"
    assert (tree / "bin" / "again").read_text() == "#!/bin/sh\necho ran\n"
    # In the middle, backwards, past the end.
    with open(tree / "large", "rb") as file:
        for at in (2_500_000, 17, len(LARGE) - 5, len(LARGE) + 5):
            file.seek(at)
            assert file.read(10) == LARGE[at : at + 10].encode()
    # What is not there.
    for missing in (tree / "none", folder / "no-store-path", folder / ("0" * 32 + "-x")):
        assert not missing.exists()
    with pytest.raises(NotADirectoryError):
        os.listdir(tree / "large")


def folder_names(folder: Path, suffix: str) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.name.endswith(suffix)]


def test_modes_and_times(mounted: tuple[Path, str]) -> None:
    folder, name = mounted
    tree = folder / name
    for path, mode in [
        (tree, stat.S_IFDIR | 0o555),
        (tree / "large", stat.S_IFREG | 0o444),
        (tree / "bin" / "run", stat.S_IFREG | 0o555),
        (tree / "up", stat.S_IFLNK | 0o777),
    ]:
        found = path.lstat()
        assert found.st_mode == mode
        assert found.st_mtime == 1  # as in Nix's store
    assert (tree / "large").stat().st_size == len(LARGE)
    assert subprocess.run([tree / "bin" / "run"], capture_output=True, check=True).stdout == b"ran\n"


def test_nothing_can_be_written(mounted: tuple[Path, str]) -> None:
    folder, name = mounted
    attempts: list[Callable[[], object]] = [
        lambda: (folder / name / "large").write_text("x"),
        lambda: (folder / name / "new").write_text("x"),
        lambda: (folder / name / "new").mkdir(),
        lambda: (folder / name / "large").unlink(),
        lambda: (folder / name / "large").chmod(0o777),
        lambda: (folder / name / "large").rename(folder / "other"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError) as caught:
            attempt()
        assert caught.value.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSYS)


def test_archives_of_what_is_mounted(mounted: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = mounted
    with local_store(str(tmp_path / "store")) as store:
        for path in store.paths():
            info = store.query(path)
            assert info is not None
            assert b"".join(nar_pieces(str(folder / path.rpartition("/")[2]))) == b"".join(store.nar(info))


def test_unmounting_ends_the_command(mounted: tuple[Path, str]) -> None:
    folder, _ = mounted
    unmount(folder)
    assert not folder.is_mount()
    assert list(folder.iterdir()) == []
