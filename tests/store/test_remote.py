"""A castore over gRPC: the same store on the other side, status codes, and servers that lie."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from store.backends.local.castore import LocalCastore
from store.backends.memory import MemoryCastore
from store.castore import nodes, path_info
from store.castore.nodes import Directory, DirectoryNode, FileNode, SymlinkNode
from store.castore.path_info import PathInfo
from store.castore.services import Castore, Corrupt, Missing, ReadOnly, Refused, Unreachable
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.paths import closure
from store.remote import messages
from store.remote.client import RemoteCastore
from store.remote.server import server

MakeTree = Callable[[Any], str]
TREE = {"a": "x", "b": {"c": ["x", "run"], "d": {"e": ["->", "../.."]}}, "large": "0123456789" * 200_000, "\udcff": ""}


@contextmanager
def serving(castore: Castore, *, writable: bool = True) -> Iterator[str]:
    made, port = server(castore, "127.0.0.1:0", writable=writable)
    made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.stop(None).wait()


def test_a_store_on_the_other_side(tmp_path: Path, make_tree: MakeTree) -> None:
    path = make_tree(TREE)
    with serving(LocalCastore(tmp_path / "far")) as target, open_store(f"grpc://{target}") as store:
        assert isinstance(store, CastoreStore)
        tree = store.add_path(path, "tree")
        text = store.add_text("text", b"see it", [tree.path])
        assert sorted(store.paths()) == sorted([tree.path, text.path])
        with local_store(str(tmp_path / "far")) as same, local_store(str(tmp_path / "near")) as near:
            assert same.query(tree.path) == store.query(tree.path) == tree
            assert b"".join(same.nar(tree)) == b"".join(store.nar(tree))
            assert near.add_path(path, "tree") == tree
            fresh = CastoreStore(RemoteCastore(target))
            assert b"".join(fresh.nar(tree)) == b"".join(near.nar(tree))
            assert fresh.tree(tree).names([b"b"]) == [b"c", b"d"]
            assert closure.copy(fresh, near, [text.path]).done == 1
            fresh.close()
        assert store.query("/nix/store/" + "0" * 32 + "-x") is None


def test_blobs_and_directories() -> None:
    with serving(MemoryCastore()) as target:
        remote = RemoteCastore(target)
        large = random.Random(1).randbytes(3_000_000)
        for data in (b"", b"small", large):
            digest = nodes.blake3(data)
            assert not remote.blobs.has(digest)
            assert remote.blobs.size(digest) is None
            assert remote.blobs.put([data[:5], data[5:]]) == (digest, len(data))
            assert remote.blobs.has(digest)
            assert remote.blobs.size(digest) == len(data)
            assert remote.blobs.read_whole(digest) == data
        assert len(remote.blobs.chunks(nodes.blake3(large))) > 1
        with pytest.raises(Missing):
            remote.blobs.read_whole(bytes(32))
        assert remote.directories.get(bytes(32)) is None
        node = Directory({}).node()
        with remote.transaction():
            for depth in range(12):
                node = remote.directories.put(
                    Directory({b"d": node, b"l": SymlinkNode(b"%d" % depth)}) if depth else Directory({})
                )
        again = RemoteCastore(target)
        root = again.directories.get(node.digest)
        assert root is not None and root.size() == node.size == 22
        for _ in range(11):
            child = root.entries[b"d"]
            assert isinstance(child, DirectoryNode)
            root = again.directories.get(child.digest)
            assert root is not None


def test_what_is_refused(make_tree: MakeTree) -> None:
    castore = MemoryCastore()
    store = CastoreStore(castore)
    tree = store.add_path(make_tree(TREE), "tree")
    with serving(castore) as target:
        remote = RemoteCastore(target)
        requests: list[tuple[Callable[[], object], str]] = [
            (lambda: remote.one(messages.BLOBS, "Stat", messages.field_1(b"short")), "a digest has 32 bytes, not 5"),
            (lambda: remote.one(messages.PATH_INFOS, "Get", messages.field_1(b"short")), "20 bytes, not 5"),
            (lambda: remote.one(messages.PATH_INFOS, "Put", b"\x0a\xff"), "not a path info"),
            (lambda: remote.into(messages.DIRECTORIES, "Put", iter([b"\x0a\x01x"])), "not a directory"),
            (lambda: remote.into(messages.DIRECTORIES, "Put", iter([])), "no directory was sent"),
            (
                lambda: remote.directories.put(Directory({b"d": DirectoryNode(bytes(32), 0)})),
                "was not sent before the one that holds it",
            ),
            (lambda: remote.path_infos.put(PathInfo(tree.path, bytes(32), 5, node=tree.node)), "the archive has"),
            (
                lambda: remote.path_infos.put(
                    PathInfo(tree.path, bytes(32), 5, ["/nix/store/" + "0" * 32 + "-x"], node=tree.node)
                ),
                "which is not here",
            ),
        ]
        for request, reason in requests:
            with pytest.raises(Refused, match=reason):
                request()
        with pytest.raises(Missing):
            remote.path_infos.put(PathInfo(tree.path, bytes(32), 5, node=FileNode(bytes(32), 1)))
        assert store.query(tree.path) == tree
    with serving(castore, writable=False) as target:
        remote = RemoteCastore(target)
        assert remote.path_infos.get(tree.path) == tree
        with pytest.raises(ReadOnly):
            remote.blobs.put_whole(b"x")
        with pytest.raises(ReadOnly):
            remote.path_infos.put(tree)
    with pytest.raises(Unreachable):
        RemoteCastore("127.0.0.1:9", timeout=5).path_infos.get(tree.path)


def test_a_deadline() -> None:
    def never(request: bytes, context: grpc.ServicerContext) -> bytes:
        over = threading.Event()
        context.add_callback(over.set)
        over.wait()
        return b""

    handlers: dict[str, Any] = {"Get": grpc.unary_unary_rpc_method_handler(never)}
    with lying(handlers, messages.PATH_INFOS) as target, pytest.raises(Unreachable, match=r"(?i)deadline"):
        RemoteCastore(target, timeout=0.3).path_infos.by_digest("0" * 32)


@contextmanager
def lying(handlers: dict[str, Any], service: str) -> Iterator[str]:
    made = grpc.server(ThreadPoolExecutor(2))
    made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = made.add_insecure_port("127.0.0.1:0")
    made.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        made.stop(None).wait()


def test_servers_that_lie() -> None:
    def out(*answers: bytes) -> Any:
        return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(answers))

    with lying({"Read": out(messages.field_1(b"other"))}, messages.BLOBS) as target, pytest.raises(Corrupt):
        RemoteCastore(target).blobs.read_whole(nodes.blake3(b"this"))
    other = Directory({b"x": SymlinkNode(b"y")})
    handlers = {"Get": out(other.encode())}
    with lying(handlers, messages.DIRECTORIES) as target, pytest.raises(Corrupt, match="not asked for"):
        RemoteCastore(target).directories.get(Directory({}).digest())
    with lying({"Get": out(b"\x0a")}, messages.DIRECTORIES) as target, pytest.raises(Corrupt, match="not a directory"):
        RemoteCastore(target).directories.get(Directory({}).digest())
    info = path_info.encode(PathInfo("/nix/store/" + "1" * 32 + "-x", bytes(32), 5, node=SymlinkNode(b"x")))
    answer: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: info)
    with lying({"Get": answer}, messages.PATH_INFOS) as target, pytest.raises(Corrupt, match="it tells about"):
        RemoteCastore(target).path_infos.by_digest("0" * 32)


def test_the_command_serves(tmp_path: Path, make_tree: MakeTree) -> None:
    command = [sys.executable, "-m", "store.command.cli", "serve", "--store", f"local:{tmp_path}/far"]
    arguments = ["--grpc", "127.0.0.1:0", "--grpc-writable", "--http", "127.0.0.1:0"]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            grpc_url, http_url = served.stdout.readline().strip(), served.stdout.readline().strip()
            with open_store(grpc_url) as store:
                assert isinstance(store, CastoreStore)
                tree = store.add_path(make_tree(TREE), "tree")
            with open_store(http_url) as cache:
                info = cache.query(tree.path)
                assert info is not None and b"".join(cache.tree(info).read([b"b", b"c"])) == b"run"
        finally:
            served.terminate()
