from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import hashes, nar
from store import store_path as sp
from store.nar import NarError, NarWriter

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "store" / "trees.json").read_text())
MakeTree = Callable[[Any], str]


def token(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data + b"\0" * (-len(data) % 8)


def archive(*words: bytes) -> bytes:
    return b"".join(token(word) for word in (b"nix-archive-1", *words))


def dumped(path: str, keep: nar.Filter | None = None) -> bytes:
    parts: list[bytes] = []
    size = nar.write_nar(path, parts.append, keep)
    assert size == sum(map(len, parts))
    return b"".join(parts)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_hashes_and_paths_are_those_of_nix(vector: dict[str, Any], make_tree: MakeTree) -> None:
    path = make_tree(vector["tree"])
    assert nar.nar_sha256(path).hex() == vector["nar"]
    assert sp.source_path("tree", vector["nar"]) == vector["path"]
    if "flat" in vector:
        flat = hashes.hash_file("sha256", path)
        assert sp.fixed_output_path("tree", False, flat) == vector["flat"]
    asked: list[list[str]] = []

    def keep(entry: str, kind: str) -> bool:
        asked.append([entry.removeprefix(path), kind])
        return not entry.endswith("skipped") and kind != "symlink"

    assert sp.source_path("tree", nar.nar_sha256(path, keep).hex()) == vector["filtered"]
    assert asked == vector["asked"]


def test_the_format_written_out(make_tree: MakeTree) -> None:
    path = make_tree({"b": ["x", "#!"], "a": "", "l": ["->", "a"], "d": {}})
    assert dumped(path) == archive(
        *[b"(", b"type", b"directory"],
        *[b"entry", b"(", b"name", b"a", b"node", b"(", b"type", b"regular", b"contents", b"", b")", b")"],
        *[b"entry", b"(", b"name", b"b", b"node", b"(", b"type", b"regular", b"executable", b"", b"contents", b"#!"],
        *[b")", b")"],
        *[b"entry", b"(", b"name", b"d", b"node", b"(", b"type", b"directory", b")", b")"],
        *[b"entry", b"(", b"name", b"l", b"node", b"(", b"type", b"symlink", b"target", b"a", b")", b")"],
        b")",
    )


def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "big").write_bytes(data)
    largest = 0

    def sink(piece: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(piece))

    assert dumped(str(tmp_path / "big")) == archive(b"(", b"type", b"regular", b"contents", data, b")")
    nar.write_nar(str(tmp_path / "big"), sink)
    assert 0 < largest < 1_000_000


def test_a_deep_tree_is_no_deep_recursion(tmp_path: Path) -> None:
    paths = [str(tmp_path) + "/d" * depth for depth in range(1, 1201)]
    try:
        for path in paths:
            os.mkdir(path)
        assert dumped(str(tmp_path)).count(token(b"directory")) == 1201
    finally:
        # pytest would remove it with shutil.rmtree, which does recurse.
        for path in reversed(paths):
            os.rmdir(path)


def test_what_is_left_out_is_neither_entered_nor_read(make_tree: MakeTree) -> None:
    path = make_tree({"in": {"a": "1"}, "out": {"b": "2"}})
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(path)  # a socket's name must be short
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    asked: list[tuple[str, str]] = []

    def keep(entry: str, kind: str) -> bool:
        asked.append((os.path.relpath(entry, path), kind))
        return kind != "unknown" and not entry.endswith("/out")

    written = dumped(path, keep)
    assert asked == [("in", "directory"), ("in/a", "regular"), ("out", "directory"), ("socket", "unknown")]
    assert token(b"b") not in written
    with pytest.raises(NarError, match=f"file '{path}/socket' has an unsupported type"):
        dumped(path)


def test_what_cannot_be_read_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        dumped(str(tmp_path / "absent"))


def test_a_file_that_has_less_than_it_says_is_refused() -> None:
    file = Path("/sys/kernel/mm/transparent_hugepage/enabled")  # a page by its size, a line when it is read
    if not file.is_file() or file.stat().st_size <= len(file.read_bytes()):
        pytest.skip("no file here is shorter than its size says")
    with pytest.raises(NarError, match="became shorter while it was read"):
        nar.nar_sha256(str(file))
    with pytest.raises(NarError, match="became shorter while it was read"):
        list(nar.nar_pieces(str(file)))


def test_an_error_in_the_filter_comes_through(make_tree: MakeTree) -> None:
    def keep(entry: str, kind: str) -> bool:
        raise KeyError(entry)

    with pytest.raises(KeyError):
        dumped(make_tree({"a": ""}), keep)


names = st.binary(min_size=1, max_size=5).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
trees = st.recursive(
    st.binary(max_size=20).map(sp.to_text)
    | st.binary(max_size=9).map(lambda data: ["x", sp.to_text(data)])
    | names.map(lambda target: ["->", sp.to_text(target)]),
    lambda children: st.dictionaries(names.map(sp.to_text), children, max_size=4),
    max_leaves=12,
)


def put(writer: NarWriter, tree: Any) -> None:
    if isinstance(tree, dict):
        writer.directory()
        for name in sorted(map(sp.to_bytes, tree)):
            writer.entry(name)
            put(writer, tree[sp.to_text(name)])
        writer.end_directory()
    elif isinstance(tree, list) and tree[0] == "->":
        writer.symlink(sp.to_bytes(tree[1]))
    else:
        writer.regular(sp.to_bytes(tree[1] if isinstance(tree, list) else tree), isinstance(tree, list))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees)
def test_a_tree_in_memory_and_on_disk_make_one_archive(make_tree: MakeTree, tree: Any) -> None:
    parts: list[bytes] = []
    writer = NarWriter(parts.append)
    put(writer, tree)
    assert writer.finish() == sum(map(len, parts))
    path = make_tree(tree)
    assert dumped(path) == b"".join(parts)
    assert nar.nar_sha256(path) == hashlib.sha256(b"".join(parts)).digest()


def opened(*names: bytes) -> NarWriter:
    writer = NarWriter(lambda data: None)
    writer.directory()
    for name in names:
        writer.entry(name)
        writer.regular(b"")
    return writer


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0"])
def test_names_that_cannot_be_are_refused(name: bytes) -> None:
    with pytest.raises(NarError, match="invalid file name"):
        opened().entry(name)


def test_entries_must_be_sorted_and_unique() -> None:
    for name in [b"b", b"a", b"B"]:
        with pytest.raises(NarError, match="is not sorted"):
            opened(b"b").entry(name)
    opened(b"b").entry(b"\xff")


def test_pieces_out_of_order_are_refused() -> None:
    with pytest.raises(NarError, match="a node without an entry"):
        opened().regular(b"")
    with pytest.raises(NarError, match="an entry outside a directory"):
        NarWriter(lambda data: None).entry(b"a")
    with pytest.raises(NarError, match="unfinished archive"):
        opened().finish()
    with pytest.raises(NarError, match="unfinished archive"):
        NarWriter(lambda data: None).finish()
    done = opened()
    done.end_directory()
    with pytest.raises(NarError, match="no directory to end"):
        done.end_directory()
    with pytest.raises(NarError, match="a node without an entry"):
        done.symlink(b"x")
    for target in [b"", b"a\0"]:
        with pytest.raises(NarError, match="cannot point to"):
            NarWriter(lambda data: None).symlink(target)
