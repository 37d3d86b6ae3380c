"""The castore: canonical encodings against real protobuf, backends against each other, trees in and out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import chunking
from store.backends.local.castore import LocalCastore
from store.backends.memory import MemoryCastore
from store.castore import nodes, path_info, trees
from store.castore.nodes import Directory, DirectoryError, DirectoryNode, FileNode, Node, SymlinkNode
from store.castore.path_info import PathInfo, PathInfoError
from store.castore.services import Castore, Missing
from store.nar import NarWriter, write_nar
from store.nar_reader import BytesSource, NarReader

ROOT = Path(__file__).parents[2]
MakeTree = Callable[[Any], str]


@pytest.fixture(params=["memory", "local"])
def castore(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Castore]:
    store: Castore = MemoryCastore() if request.param == "memory" else LocalCastore(tmp_path / "store")
    yield store
    store.close()


# ---- encodings


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The classes that protobuf itself makes of our .proto files."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    out = tmp_path_factory.mktemp("proto") / "set"
    protos = ROOT / "store" / "protos"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", "--include_imports"]
    subprocess.run([*command, f"--descriptor_set_out={out}", "store.proto"], check=True, cwd=protos)
    found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in found.file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


NAMES = st.binary(min_size=1, max_size=200).filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 47})
DIGESTS = st.binary(min_size=32, max_size=32)
SIZES = st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1))
NODES: st.SearchStrategy[Node] = st.one_of(
    st.builds(FileNode, DIGESTS, SIZES, st.booleans()),
    st.builds(DirectoryNode, DIGESTS, SIZES),
    st.builds(SymlinkNode, st.binary(min_size=1, max_size=50).filter(lambda target: 0 not in target)),
)
DIRECTORIES = st.dictionaries(NAMES, NODES, max_size=8).map(Directory)


@given(directory=DIRECTORIES)
def test_directories_are_encoded_as_protobuf_does(messages: Callable[[str], Any], directory: Directory) -> None:
    message = messages("tvix.castore.v1.Directory")()
    for name, node in directory.entries.items():
        if isinstance(node, DirectoryNode):
            message.directories.add(name=name, digest=node.digest, size=node.size)
        elif isinstance(node, FileNode):
            message.files.add(name=name, digest=node.digest, size=node.size, executable=node.executable)
        else:
            message.symlinks.add(name=name, target=node.target)
    encoded = directory.encode()
    assert encoded == message.SerializeToString(deterministic=True)
    assert nodes.decode_directory(encoded) == directory


def test_published_digests() -> None:
    """The empty directory's digest is BLAKE3 of nothing (its test vector); a directory written out by hand."""
    empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert Directory({}).digest().hex() == nodes.blake3(b"").hex() == empty
    keep = Directory({b".keep": FileNode(bytes.fromhex(empty), 0)})
    assert keep.encode().hex() == "1229" + "0a052e6b656570" + "1220" + empty
    assert Directory({b"keep": keep.node(), b".keep": FileNode(bytes.fromhex(empty), 0)}).size() == 3


def nested(field: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((field << 3 | 2, len(body))) + body


NAME = b"\x0a\x01a"
DIGEST = b"\x12\x20" + bytes(32)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x12", "ends inside a number"),
        (b"\x12\x05\x0a\x01", "longer than its message"),
        (b"\x11" + bytes(8), "a field of kind 1"),
        (nested(4), "unknown kind 4"),
        (nested(2, NAME, DIGEST, b"\x28\x01"), "unknown field 5"),
        (nested(2, NAME, DIGEST, b"\x18" + b"\xff" * 10), "over 64 bits"),
        (nested(2, NAME, DIGEST, b"\x1a\x00"), "bytes where a number belongs"),
        (nested(2, b"\x08\x01"), "a number where bytes belong"),
        (nested(2, NAME, DIGEST, b"\x18\x00"), "canonical"),  # a default written out
        (nested(2, NAME, DIGEST, b"\x18\x81\x00"), "canonical"),  # a long varint
        (nested(2, DIGEST, NAME), "canonical"),  # fields in another order
        (nested(2, NAME, b"\x12\x01x"), "a digest of 1 bytes"),
        (nested(2, b"\x0a\x01/", DIGEST), "invalid file name '/'"),
        (nested(2, b"\x0a\x02..", DIGEST), "invalid file name '..'"),
        (nested(2, DIGEST), "invalid file name ''"),
        (nested(3, NAME), "invalid target ''"),
        (nested(3, NAME, b"\x12\x01b") * 2, "a name stands twice"),
        (nested(2, NAME, DIGEST) + nested(3, NAME, b"\x12\x01b"), "a name stands twice"),
        (nested(3, b"\x0a\x01b\x12\x01x") + nested(3, NAME, b"\x12\x01x"), "canonical"),  # not sorted
        (nested(3, NAME, b"\x12\x01x") + nested(2, b"\x0a\x01b", DIGEST), "canonical"),  # links before files
    ],
)
def test_other_encodings_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(DirectoryError, match=reason):
        nodes.decode_directory(data)


BASES = st.tuples(
    st.text("0123456789abcdfghijklmnpqrsvwxyz", min_size=32, max_size=32),
    st.text("abcXYZ019+-._?=", min_size=1, max_size=20),
).map("-".join)
PATHS = BASES.map(lambda base: "/nix/store/" + base)
SIGNATURES = st.binary(min_size=64, max_size=64).map(lambda data: "key-1:" + nodes_base64(data))


def nodes_base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode()


INFOS = st.builds(
    PathInfo,
    path=PATHS,
    nar_sha256=DIGESTS,
    nar_size=st.integers(0, 2**63),
    references=st.lists(PATHS, unique=True, max_size=4).map(sorted),
    deriver=st.none() | PATHS.map(lambda path: path + ".drv"),
    signatures=st.lists(SIGNATURES, max_size=2),
    ca=st.none() | st.sampled_from(["fixed:r:sha256:" + "0" * 52, "text:sha256:" + "1" * 52, "fixed:md5:" + "0" * 26]),
    node=NODES,
)


@given(info=INFOS)
def test_path_infos_are_encoded_as_protobuf_does(messages: Callable[[str], Any], info: PathInfo) -> None:
    encoded = path_info.encode(info)
    assert path_info.decode(encoded) == info
    message = messages("tvix.store.v1.PathInfo").FromString(encoded)
    assert message.SerializeToString(deterministic=True) == encoded
    assert [f"/nix/store/{name}" for name in message.narinfo.reference_names] == info.references
    kind = message.node.WhichOneof("node")
    assert f"/nix/store/{getattr(message.node, kind).name.decode()}" == info.path
    assert len(message.narinfo.signatures) == len(info.signatures)


@given(info=INFOS, chance=st.randoms(use_true_random=False))
def test_damaged_path_infos_do_not_crash(info: PathInfo, chance: random.Random) -> None:
    encoded = bytearray(path_info.encode(info))
    encoded[chance.randrange(len(encoded))] ^= 1 << chance.randrange(8)
    with contextlib.suppress(PathInfoError):
        path_info.decode(bytes(encoded))


# ---- chunks


def test_chunks_are_what_was_put_together_in_any_pieces() -> None:
    chance = random.Random(5)
    data = chance.randbytes(4_000_000)
    expected = list(chunking.chunks([data]))
    assert b"".join(expected) == data
    assert all(chunking.MINIMUM <= len(chunk) <= chunking.MAXIMUM for chunk in expected[:-1])
    assert 400_000 < len(data) / len(expected) < 700_000
    pieces = []
    at = 0
    while at < len(data):
        pieces.append(data[at : at + chance.choice([1, 1000, 70_000, 1_500_000])])
        at += len(pieces[-1])
    assert list(chunking.chunks(pieces)) == expected
    assert list(chunking.chunks([])) == [b""]
    assert list(chunking.chunks([data[: chunking.WHOLE]])) == [data[: chunking.WHOLE]]
    assert len(list(chunking.chunks([data[: chunking.WHOLE + 1]]))) > 1


@pytest.mark.parametrize("kind", ["random", "text", "binary"])
def test_an_insertion_changes_few_chunks(kind: str) -> None:
    chance = random.Random(6)
    if kind == "random":
        data = chance.randbytes(3_000_000)
    elif kind == "text":
        words = ["stdenv", "mkDerivation", "{", "}", "=", '"', "fetchurl", "\n", "  ", "sha256", "lib", ";"]
        data = " ".join(chance.choices(words, k=600_000)).encode()
    else:
        data = b"".join(chance.randrange(5000).to_bytes(4, "little") for _ in range(700_000))
    before = set(chunking.chunks([data]))
    at = len(data) // 3
    after = list(chunking.chunks([data[:at] + b"inserted" + data[at:]]))
    assert len([chunk for chunk in after if chunk not in before]) <= 3


# ---- backends


def test_blobs(castore: Castore) -> None:
    large = random.Random(1).randbytes(5_000_000)
    blobs = castore.blobs
    for data in [b"", b"small", large[: chunking.WHOLE], large]:
        digest = nodes.blake3(data)
        assert not blobs.has(digest)
        assert blobs.size(digest) is None
        with pytest.raises(Missing):
            blobs.read_whole(digest)
        assert blobs.put([data[:10], data[10:]]) == (digest, len(data))
        assert blobs.put_whole(data) == digest
        assert blobs.has(digest)
        assert blobs.size(digest) == len(data)
        assert blobs.read_whole(digest) == b"".join(blobs.read(digest)) == data
        assert sum(size for _, size in blobs.chunks(digest)) == len(data)
        assert (len(blobs.chunks(digest)) > 1) == (len(data) > chunking.WHOLE)
    assert max(len(piece) for piece in blobs.read(nodes.blake3(large))) <= chunking.MAXIMUM


def test_an_empty_blob_alone(castore: Castore) -> None:
    digest = castore.blobs.put_whole(b"")
    assert castore.blobs.read_whole(digest) == b""
    assert castore.blobs.size(digest) == 0


def test_what_a_transaction_wrote_can_be_read_in_it(castore: Castore) -> None:
    large = random.Random(2).randbytes(3_000_000)
    with castore.transaction():
        digests = [castore.blobs.put_whole(data) for data in (b"a", large)]
        node = castore.directories.put(Directory({b"a": FileNode(digests[0], 1)}))
        assert [castore.blobs.size(digest) for digest in digests] == [1, len(large)]
        assert castore.directories.get(node.digest) is not None
        assert castore.blobs.read_whole(digests[1]) == large
        assert castore.blobs.read_whole(digests[0]) == b"a"
    assert [castore.blobs.has(digest) for digest in digests] == [True, True]


@given(infos=st.lists(INFOS, max_size=5, unique_by=lambda info: info.path[:44]))
def test_path_infos_in_memory(infos: list[PathInfo]) -> None:
    check_path_infos(MemoryCastore(), infos)


def test_path_infos(castore: Castore) -> None:
    digest = bytes(32)
    infos = [
        PathInfo(f"/nix/store/{'0' * 31}{number}-x", digest, number, node=SymlinkNode(b"x")) for number in range(5)
    ]
    check_path_infos(castore, infos)
    castore.path_infos.put(PathInfo(infos[0].path, digest, 99, node=SymlinkNode(b"y")))
    found = castore.path_infos.get(infos[0].path)
    assert found is not None and found.nar_size == 99
    assert castore.path_infos.get(infos[0].path + "y") is None


def check_path_infos(castore: Castore, infos: list[PathInfo]) -> None:
    assert list(castore.path_infos.list()) == []
    for info in infos:
        assert castore.path_infos.get(info.path) is None
        castore.path_infos.put(info)
        assert castore.path_infos.get(info.path) == castore.path_infos.by_digest(info.path[11:43]) == info
    assert list(castore.path_infos.list()) == sorted(infos, key=lambda info: info.path)


TREE = {
    "a": "text",
    "b": ["x", "#!/bin/sh\n"],
    "c": {"d": {"e": ["->", "../../a"], "empty": {}}, "same": "text"},
    "odd \udcff\n": "odd",
    "z": ["->", "/nowhere"],
}


def test_trees_in_and_out(castore: Castore, make_tree: MakeTree, tmp_path: Path) -> None:
    path = make_tree({**TREE, "large": "0123456789" * 300_000})
    parts: list[bytes] = []
    size = write_nar(path, parts.append)
    archive = b"".join(parts)
    found = trees.ingest_path(path, castore)
    assert (found.nar_sha256, found.nar_size) == (hashlib.sha256(archive).digest(), size)
    assert b"".join(trees.nar_of(found.node, castore)) == archive
    assert trees.ingest_nar(NarReader(BytesSource(archive).read), castore) == found.node
    trees.checkout(found.node, castore, str(tmp_path / "out"))
    parts.clear()
    write_nar(str(tmp_path / "out"), parts.append)
    assert b"".join(parts) == archive
    places = [place for place, _, _ in trees.walk(found.node, castore)]
    assert places == sorted(places, key=lambda place: place.split(b"/"))
    assert b"/c/d/e" in places
    assert trees.lookup(found.node, [b"c", b"d", b"e"], castore) == SymlinkNode(b"../../a")
    assert trees.lookup(found.node, [b"c", b"nothing", b"e"], castore) is None
    assert isinstance(found.node, DirectoryNode)
    assert found.node.size == len(places) - 1


def test_filters_and_single_nodes(castore: Castore, make_tree: MakeTree) -> None:
    def keep(path: str, kind: str) -> bool:
        return kind != "symlink" and not path.endswith("/d")

    for tree in [TREE, "file", ["x", "run"], ["->", "target"], {}]:
        path = make_tree(tree)
        parts: list[bytes] = []
        write_nar(path, parts.append, keep)
        found = trees.ingest_path(path, castore, keep)
        assert found.nar_sha256 == hashlib.sha256(b"".join(parts)).digest()
        assert b"".join(trees.nar_of(found.node, castore)) == b"".join(parts)


def test_a_deep_tree(castore: Castore) -> None:
    parts: list[bytes] = []
    writer = NarWriter(parts.append)
    for _ in range(3000):
        writer.directory()
        writer.entry(b"d")
    writer.symlink(b"end")
    for _ in range(3000):
        writer.end_directory()
    writer.finish()
    with castore.transaction():
        node = trees.ingest_nar(NarReader(BytesSource(b"".join(parts)).read), castore)
    assert b"".join(trees.nar_of(node, castore)) == b"".join(parts)
    assert isinstance(node, DirectoryNode) and node.size == 3000


def test_contents_are_kept_once_and_small(tmp_path: Path, make_tree: MakeTree) -> None:
    text = "".join(chr(97 + number % 26) + str(number) for number in range(200_000))
    path = make_tree({"one": text, "two": text, "three": {"four": text + "!"}})
    store = LocalCastore(tmp_path / "store")
    found = trees.ingest_path(path, store)
    store.close()
    used = sum(file.stat().st_size for file in (tmp_path / "store" / "packs").iterdir())
    assert 0 < used < found.nar_size / 4


def test_nothing_is_left_of_a_transaction_that_failed(tmp_path: Path) -> None:
    store = LocalCastore(tmp_path / "store")
    data = os.urandom(2_000_000)
    with pytest.raises(RuntimeError), store.transaction():
        store.blobs.put_whole(data)
        raise RuntimeError("broken off")
    assert not store.blobs.has(nodes.blake3(data))
    assert list((tmp_path / "store" / "packs").iterdir()) == []
    assert store.blobs.put_whole(data) == nodes.blake3(data)
