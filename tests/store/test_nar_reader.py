from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import nar_reader
from store.nar import NarError, NarWriter, write_nar
from store.nar_reader import END, ENTER, FILE, LEAVE, BytesSource, NarReader

#: A node as data: `bytes` is a file, ("x", bytes) an executable one, ("->", bytes) a link, a `dict` a directory.
Node = Any

NAMES = st.binary(min_size=1, max_size=9).filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 47})
LEAVES = st.one_of(
    st.binary(max_size=20),
    st.tuples(st.just("x"), st.binary(max_size=20)),
    st.tuples(st.just("->"), st.binary(min_size=1, max_size=20).filter(lambda target: 0 not in target)),
)
NODES = st.recursive(LEAVES, lambda nodes: st.dictionaries(NAMES, nodes, max_size=4), max_leaves=12)


def write_node(writer: NarWriter, node: Node) -> None:
    if isinstance(node, dict):
        writer.directory()
        for name in sorted(node):
            writer.entry(name)
            write_node(writer, node[name])
        writer.end_directory()
    elif isinstance(node, bytes):
        writer.regular(node)
    elif node[0] == "x":
        writer.regular(node[1], executable=True)
    else:
        writer.symlink(node[1])


def archive_of(node: Node) -> bytes:
    parts: list[bytes] = []
    writer = NarWriter(parts.append)
    write_node(writer, node)
    writer.finish()
    return b"".join(parts)


def read_node(reader: NarReader, event: int, step: int) -> Node:
    if event == ENTER:
        node = {}
        while (event := reader.next()) != LEAVE:
            name = reader.name
            node[name] = read_node(reader, event, step)
        return node
    if event == FILE:
        data = b"".join(iter(lambda: reader.contents(step), b""))
        assert len(data) == reader.size
        return ("x", data) if reader.executable else data
    return ("->", reader.target)


def node_of(archive: bytes, step: int = 1 << 20) -> Node:
    source = BytesSource(archive)
    reader = NarReader(lambda limit: source.read(min(limit, step)))
    node = read_node(reader, reader.next(), step)
    assert reader.next() == END
    reader.expect_end_of_source()
    assert reader.offset() == len(archive)
    return node


def words(*texts: str | bytes) -> bytes:
    parts = []
    for text in texts:
        data = text.encode() if isinstance(text, str) else text
        parts.append(len(data).to_bytes(8, "little") + data + b"\0" * (-len(data) % 8))
    return b"".join(parts)


@given(NODES, st.sampled_from([1, 3, 8, 100, 1 << 20]))
def test_what_was_written_is_read(node: Node, step: int) -> None:
    assert node_of(archive_of(node), step) == node


@given(NODES)
@settings(max_examples=60)
def test_what_was_unpacked_is_packed_the_same(tmp_path_factory: pytest.TempPathFactory, node: Node) -> None:
    place = str(tmp_path_factory.mktemp("unpacked") / "node")
    archive = archive_of(node)
    nar_reader.unpack(NarReader(BytesSource(archive).read), place)
    parts: list[bytes] = []
    write_nar(place, parts.append)
    assert b"".join(parts) == archive


@given(NODES, st.randoms(use_true_random=False))
@settings(max_examples=300)
def test_what_is_accepted_is_what_would_be_written(node: Node, chance: random.Random) -> None:
    """Changed archives are refused, or are the one and only archive of something else."""
    archive = bytearray(archive_of(node))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(archive))
        kind = chance.randrange(4)
        if kind == 0:
            archive[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del archive[at : at + 8 * chance.randint(1, 3)]
        elif kind == 2:
            other = chance.randrange(len(archive))
            archive[at:at] = archive[other : other + 8 * chance.randint(1, 6)]
        else:
            archive = archive[:at]
        if not archive:
            break
    try:
        found = node_of(bytes(archive))
    except NarError:
        return
    assert archive_of(found) == bytes(archive)


EMPTY = ["(", "type", "regular", "contents", "", ")"]


def directory(*entries: list[str | bytes]) -> list[str | bytes]:
    found: list[str | bytes] = ["(", "type", "directory"]
    for name, *node in entries:
        found += ["entry", "(", "name", name, "node", *node, ")"]
    return [*found, ")"]


MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "unexpected end"),
    "other magic": (words("nix-archive-2", *EMPTY), "expected 'nix-archive-1'"),
    "no node": (words("nix-archive-1"), "unexpected end"),
    "not a node": (words("nix-archive-1", "["), "expected a node"),
    "unknown type": (words("nix-archive-1", "(", "type", "socket", ")"), "neither a file, a link nor a directory"),
    "no contents": (words("nix-archive-1", "(", "type", "regular", ")"), "neither a file"),
    "executable with a value": (
        words("nix-archive-1", "(", "type", "regular", "executable", "1", "contents", "", ")"),
        "neither a file",
    ),
    "executable after contents": (
        words("nix-archive-1", "(", "type", "regular", "contents", "", "executable", "", ")"),
        "end of a file",
    ),
    "contents twice": (
        words("nix-archive-1", "(", "type", "regular", "contents", "a", "contents", "b", ")"),
        "end of a file",
    ),
    "type twice": (words("nix-archive-1", "(", "type", "regular", "type", "regular", "contents", "", ")"), "neither"),
    "padding of contents": (words("nix-archive-1", *EMPTY[:4]) + b"\1" + b"\0" * 7 + b"x\0\0\1\0\0\0\0", "zeros"),
    "padding of a name": (
        words("nix-archive-1", "(", "type", "directory", "entry", "(", "name") + b"\1" + b"\0" * 7 + b"a\0\0\0\0\0\0\1",
        "padding that is not zeros",
    ),
    "length past the end": (words("nix-archive-1", *EMPTY[:4]) + b"\x09" + b"\0" * 7 + b"x" * 8, "unexpected end"),
    "enormous length": (words("nix-archive-1", *EMPTY[:4]) + b"\xff" * 8, "a length of 18446744073709551615"),
    "enormous name": (
        words("nix-archive-1", "(", "type", "directory", "entry", "(", "name") + b"\0\0\0\0\1\0\0\0",
        "a file name of 4294967296 bytes is longer than 255",
    ),
    "long target": (words("nix-archive-1", "(", "type", "symlink", "target", "a" * 4096, ")"), "longer than 4095"),
    "empty target": (words("nix-archive-1", "(", "type", "symlink", "target", "", ")"), "invalid target ''"),
    "NUL in a target": (words("nix-archive-1", "(", "type", "symlink", "target", b"a\0b", ")"), "invalid target"),
    "no target": (words("nix-archive-1", "(", "type", "symlink", ")"), "neither"),
    "empty name": (words("nix-archive-1", *directory(["", *EMPTY])), "invalid file name ''"),
    "dot": (words("nix-archive-1", *directory([".", *EMPTY])), "invalid file name '.'"),
    "dot dot": (words("nix-archive-1", *directory(["..", *EMPTY])), "invalid file name '..'"),
    "slash": (words("nix-archive-1", *directory(["../etc/passwd", *EMPTY])), "invalid file name '../etc/passwd'"),
    "NUL in a name": (words("nix-archive-1", *directory([b"a\0", *EMPTY])), "invalid file name"),
    "name twice": (words("nix-archive-1", *directory(["a", *EMPTY], ["a", *EMPTY])), "'a' stands twice"),
    "a link, then through it": (
        words(
            "nix-archive-1",
            *directory(["a", "(", "type", "symlink", "target", "/", ")"], ["a", *directory(["b", *EMPTY])]),
        ),
        "'a' stands twice",
    ),
    "unsorted": (words("nix-archive-1", *directory(["b", *EMPTY], ["a", *EMPTY])), "'a' stands out of order"),
    "unsorted bytes": (words("nix-archive-1", *directory([b"\xff", *EMPTY], ["a", *EMPTY])), "out of order"),
    "entry without a node": (
        words("nix-archive-1", "(", "type", "directory", "entry", "(", "name", "a", ")"),
        "'node'",
    ),
    "node before name": (
        words("nix-archive-1", "(", "type", "directory", "entry", "(", "node", *EMPTY, "name", "a", ")", ")"),
        "an entry or the end of a directory",
    ),
    "entry not closed": (
        words("nix-archive-1", "(", "type", "directory", "entry", "(", "name", "a", "node", *EMPTY, "entry"),
        "the end of an entry",
    ),
    "not closed": (words("nix-archive-1", "(", "type", "directory"), "unexpected end"),
    "more after the end": (words("nix-archive-1", *EMPTY, "("), "more bytes after the end"),
    "a byte after the end": (words("nix-archive-1", *EMPTY) + b"\0", "more bytes after the end"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_archives_are_refused(case: str) -> None:
    data, reason = MALFORMED[case]
    for step in (1, 7, 1 << 20):
        source = BytesSource(data)
        with pytest.raises(NarError) as caught:
            nar_reader.check(lambda limit, source=source, step=step: source.read(min(limit, step)))  # type: ignore[misc]
        assert reason in str(caught.value)


def test_every_truncation_is_refused() -> None:
    archive = archive_of({b"a": b"12345", b"b": {b"c": ("x", b""), b"d": ("->", b"target")}})
    for size in range(len(archive)):
        with pytest.raises(NarError, match="unexpected end"):
            nar_reader.check(BytesSource(archive[:size]).read)


def test_contents_may_be_left_or_taken_in_part() -> None:
    archive = archive_of({b"a": b"0123456789", b"b": b"rest", b"c": b""})
    reader = NarReader(BytesSource(archive).read)
    assert [reader.next(), reader.next()] == [ENTER, FILE]
    assert reader.contents(4) == b"0123"
    assert reader.next() == FILE
    assert (reader.name, reader.whole_file(), reader.contents()) == (b"b", b"rest", b"")
    assert [reader.next(), reader.next(), reader.next()] == [FILE, LEAVE, END]


def test_deep_nesting_takes_no_stack(tmp_path: Path) -> None:
    depth = 100_000
    opening = words("nix-archive-1") + words("(", "type", "directory", "entry", "(", "name", "d", "node") * depth
    archive = opening + words(*EMPTY) + words(")", ")") * depth
    assert nar_reader.check(BytesSource(archive).read) == len(archive)


def test_a_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    data = os.urandom(2_000_001)
    (tmp_path / "big").write_bytes(data)
    with open(tmp_path / "nar", "wb") as file:
        write_nar(str(tmp_path / "big"), file.write)
    asked: list[int] = []
    with open(tmp_path / "nar", "rb", buffering=0) as archive:

        def source(limit: int) -> bytes:
            asked.append(limit)
            return archive.read(limit)

        nar_reader.unpack(NarReader(source), str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == data
    assert max(asked) <= nar_reader.CHUNK


def test_unpacking_lands_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError):
        nar_reader.unpack(NarReader(BytesSource(archive_of({b"a": b""})).read), str(tmp_path / "there"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        nar_reader.unpack(NarReader(BytesSource(archive_of(b"x")).read), str(tmp_path / "link"))
    assert not (tmp_path / "elsewhere").exists()
