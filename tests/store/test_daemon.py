"""A running Nix daemon (nix-bin's), through its socket."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store import drv_file
from store.backends.daemon import DaemonStore
from store.castore.path_info import PathInfo
from store.castore.services import Refused, StoreError, Unreachable
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.paths import closure
from store.paths.archives import PiecesSource

Nix = Callable[..., str]
MakeTree = Callable[[Any], str]


@pytest.fixture
def daemon(nix: Nix, tmp_path: Path) -> Iterator[str]:
    """The socket of a daemon with an empty store of its own."""
    if shutil.which("nix-daemon") is None:
        pytest.skip("no nix-daemon")
    place = tmp_path / "socket"
    environment = {
        **os.environ,
        "NIX_DAEMON_SOCKET_PATH": str(place),
        "NIX_REMOTE": f"local?root={tmp_path}/nix",
        "NIX_CONFIG": "build-users-group =\nsubstituters =\nsandbox = true\nsandbox-fallback = false\n"
        "sandbox-paths = /bin/sh=/bin/busybox",
    }
    with subprocess.Popen(["nix-daemon"], env=environment, stderr=subprocess.PIPE) as process:
        started = threading.Event()
        for _ in range(300):
            if place.exists() or process.poll() is not None:
                break
            started.wait(0.05)
        yield str(place)
        process.terminate()


def test_a_daemons_store(daemon: str, make_tree: MakeTree, tmp_path: Path, nix: Nix) -> None:
    with local_store(str(tmp_path / "ours")) as ours, open_store(f"daemon:{daemon}?check-signatures=false") as theirs:
        tree = ours.add_path(make_tree({"a": "x" * 500_000, "b": {"c": ["->", "../a"]}}), "tree")
        text = ours.add_text("text", b"see " + tree.path.encode(), [tree.path])
        assert list(theirs.paths()) == []
        assert theirs.query(tree.path) is None
        assert theirs.by_digest(tree.path[11:43]) is None
        assert closure.copy(ours, theirs, [text.path]).done == 2
        assert sorted(theirs.paths()) == sorted(ours.paths())
        for info in (tree, text):
            found = theirs.query(info.path)
            assert found == info.with_node(None)
            assert theirs.by_digest(info.path[11:43]) == found
            assert b"".join(theirs.nar(found)) == b"".join(ours.nar(info))
        assert theirs.tree(tree).names([]) == [b"a", b"b"]
        with local_store(str(tmp_path / "back")) as back:
            assert closure.copy(theirs, back, [text.path]).done == 2
    store = f"local?root={tmp_path}/nix"
    assert "error" not in nix("nix-store", "--store", store, "--verify", "--check-contents", stderr=True)


def test_it_refuses(daemon: str, make_tree: MakeTree, tmp_path: Path) -> None:
    with local_store(str(tmp_path / "ours")) as ours, open_store(f"daemon:{daemon}?check-signatures=false") as theirs:
        tree = ours.add_path(make_tree({"a": "b" * 200_000}), "tree")
        archive = b"".join(ours.nar(tree))
        wrong = PathInfo(tree.path, bytes(32), tree.nar_size)
        for info, data in [(wrong, archive), (tree, archive[:-8]), (tree, archive + b"x")]:
            with pytest.raises(Refused):
                theirs.add(info, PiecesSource([data]).read)
            assert theirs.query(tree.path) is None
        assert theirs.add(tree, PiecesSource([archive]).read).nar_sha256 == tree.nar_sha256
        missing = PathInfo("/nix/store/" + "0" * 32 + "-x", bytes(32), 1)
        with pytest.raises(StoreError):
            b"".join(theirs.nar(missing))
        assert theirs.query(tree.path) is not None
    with open_store(f"daemon:{daemon}") as strict:
        unsigned = CastoreStore(ours.castore)
        assert unsigned.uri
        with pytest.raises(Refused, match="signature"):
            strict.add(
                PathInfo("/nix/store/" + "1" * 32 + "-y", tree.nar_sha256, tree.nar_size), PiecesSource([archive]).read
            )


def test_it_builds(daemon: str, nix: Nix, tmp_path: Path) -> None:
    expression = """derivation {
      name = "built"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo made > $out" ];
    }"""
    store = f"unix://{daemon}"
    drv = nix("nix-instantiate", "--store", store, "-E", expression).strip()
    theirs = DaemonStore(daemon)
    drv_info = theirs.query(drv)
    assert drv_info is not None
    out = drv_file.parse(b"".join(theirs.tree(drv_info).read([])), "built").outputs["out"].path
    assert theirs.query(out) is None
    try:
        theirs.build([f"{drv}!out"])
    except Refused as error:  # a store under another root cannot build everywhere
        pytest.skip(f"this Nix does not build here: {error}")
    info = theirs.query(out)
    assert info is not None and info.deriver == drv
    assert b"".join(theirs.tree(info).read([])) == b"made\n"
    theirs.close()


def test_what_answers_is_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no Nix daemon answers"):
        list(DaemonStore(str(tmp_path / "none")).paths())
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "other"))
    listener.listen()

    def answer() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(Unreachable, match=r"is no Nix daemon|hung up|reset|Broken pipe"):
        list(DaemonStore(str(tmp_path / "other")).paths())
    thread.join()
    listener.close()
