"""Archives: every kind that Nix unpacks, with its modes and times, and those that mean harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from builder.fetch import FetchError, Limits
from builder.fetch.archives import unpack
from builder.fetch.keeping import Fetched
from builder.fetch.url import fetch_tarball
from store.castore import trees
from store.castore.nodes import FileNode, SymlinkNode
from store.castore.trees import nar_of
from store.composition.castore_store import CastoreStore
from store.hashes import hash_bytes
from store.nar import nar_sha256
from store.store_path import source_path

#: (name, kind, contents or target, mode)
Entry = tuple[str, str, str, int]

TREE: list[Entry] = [
    ("top", "dir", "", 0o755),
    ("top/file", "file", "hello\n", 0o644),
    ("top/run", "file", "#!/bin/sh\n", 0o755),
    ("top/group", "file", "only others may run it", 0o677),
    ("top/sub", "dir", "", 0o700),
    ("top/sub/ü", "file", "", 0o600),
    ("top/link", "link", "../../outside", 0o777),
    ("top/hard", "hard", "top/run", 0o644),
]

KINDS = {"dir": tarfile.DIRTYPE, "file": tarfile.REGTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE}
KINDS |= {"char": tarfile.CHRTYPE, "block": tarfile.BLKTYPE, "pipe": tarfile.FIFOTYPE}


def tar(entries: list[Entry], form: int = tarfile.PAX_FORMAT, time: int = 1_600_000_000) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for count, (name, kind, contents, mode) in enumerate(entries):
            info = tarfile.TarInfo(name)
            info.type = KINDS[kind]
            info.mode = mode
            info.mtime = time + count
            data = contents.encode() if kind == "file" else b""
            info.size = len(data)
            if kind in ("link", "hard"):
                info.linkname = contents
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(entries: list[Entry]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, kind, contents, mode in entries:
            info = zipfile.ZipInfo(name + "/" if kind == "dir" else name, (2020, 9, 13, 12, 26, 40))
            info.create_system = 3
            types = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK, "pipe": stat.S_IFIFO}
            info.external_attr = (types[kind] | mode) << 16
            archive.writestr(info, contents)
    return out.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
    "zstd in frames": lambda data: zstandard.compress(data[:700]) + zstandard.compress(data[700:]),
    "gzip in members": lambda data: gzip.compress(data[:700]) + gzip.compress(data[700:]),
}


@pytest.fixture
def fetch(store: CastoreStore, limits: Limits, tmp_path: Path) -> Callable[[bytes], Fetched]:
    def fetched(data: bytes) -> Fetched:
        path = tmp_path / "archive"
        path.write_bytes(data)
        return fetch_tarball(store, f"file://{path}", "source", None, limits)

    return fetched


def expected_tree(folder: Path) -> Path:
    root = folder / "expected"
    for name, kind, contents, mode in TREE:
        place = root / name
        if kind == "dir":
            place.mkdir(parents=True)
        elif kind == "link":
            place.symlink_to(contents)
        else:
            place.write_text("#!/bin/sh\n" if kind == "hard" else contents)
            place.chmod(0o755 if kind == "hard" else mode)
    return root / "top"


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
@pytest.mark.parametrize("packed", PACKED)
def test_a_tar_file_is_the_tree_in_it(
    fetch: Callable[[bytes], Fetched], store: CastoreStore, tmp_path: Path, packed: str, form: int
) -> None:
    found = fetch(PACKED[packed](tar(TREE, form)))
    assert found.info.nar_sha256 == nar_sha256(str(expected_tree(tmp_path)))
    assert found.info.path == source_path("source", found.info.nar_sha256.hex())
    assert found.last_modified == 1_600_000_000
    assert hash_bytes("sha256", b"".join(store.nar(found.info))) == found.info.nar_hash()


def test_a_zip_file_is_the_tree_in_it(fetch: Callable[[bytes], Fetched], tmp_path: Path) -> None:
    entries = [entry for entry in TREE if entry[1] != "hard"]
    expected = expected_tree(tmp_path)
    (expected / "hard").unlink()
    assert fetch(zipped(entries)).info.nar_sha256 == nar_sha256(str(expected))


def test_folders_need_not_be_named(fetch: Callable[[bytes], Fetched], store: CastoreStore) -> None:
    found = fetch(tar([("./top/a/b/c", "file", "x", 0o644), ("top//a/d", "file", "y", 0o644)]))
    tree = store.tree(found.info)
    assert b"".join(tree.read([b"a", b"b", b"c"])) == b"x"
    assert tree.names([b"a"]) == [b"b", b"d"]
    assert found.last_modified == 1_600_000_001


def test_several_things_at_the_top_stay_where_they_are(fetch: Callable[[bytes], Fetched], store: CastoreStore) -> None:
    found = fetch(tar([("a", "file", "x", 0o644), ("b/c", "file", "y", 0o644)]))
    assert store.tree(found.info).names([]) == [b"a", b"b"]


def test_long_names_and_large_files(fetch: Callable[[bytes], Fetched], store: CastoreStore) -> None:
    name = "top/" + "/".join(["x" * 200] * 5)
    large = "abcdefgh" * 400_000
    tree = store.tree(fetch(tar([(name, "file", "x", 0o644), ("top/large", "file", large, 0o644)])).info)
    assert b"".join(tree.read([part.encode() for part in name.split("/")[1:]])) == b"x"
    assert b"".join(tree.read([b"large"])) == large.encode()


def test_a_later_entry_takes_the_place_of_an_earlier(fetch: Callable[[bytes], Fetched], store: CastoreStore) -> None:
    found = fetch(tar([("top/a", "file", "one", 0o644), ("top/a", "file", "two", 0o755), ("top", "dir", "", 0o755)]))
    assert b"".join(store.tree(found.info).read([b"a"])) == b"two"


def test_symbolic_links_are_data_wherever_they_point(store: CastoreStore, limits: Limits, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(tar([("top/a", "link", "/etc/passwd", 0o777), ("top/b", "link", "../../..", 0o777)]))
    node = unpack(path, store.castore, limits, "x").node
    assert trees.lookup(node, [b"a"], store.castore) == SymlinkNode(b"/etc/passwd")
    assert trees.lookup(node, [b"b"], store.castore) == SymlinkNode(b"../../..")


HARMFUL: dict[str, tuple[list[Entry], str]] = {
    "up": ([("top/../../etc/passwd", "file", "x", 0o644)], "leads out of the archive"),
    "up at the start": ([("../x", "file", "x", 0o644)], "leads out of the archive"),
    "absolute": ([("/etc/passwd", "file", "x", 0o644)], "absolute path"),
    "through a link": (
        [("top/a", "link", "/etc", 0o777), ("top/a/passwd", "file", "x", 0o644)],
        "goes through 'a', which is a symbolic link",
    ),
    "a folder over a link": ([("top/a", "link", "/etc", 0o777), ("top/a", "dir", "", 0o755)], "symbolic link"),
    "through a file": ([("top/a", "file", "", 0o644), ("top/a/b", "file", "x", 0o644)], "which is a file"),
    "a file over a folder": ([("top/a", "dir", "", 0o755), ("top/a", "file", "x", 0o644)], "a folder already"),
    "hard link up": ([("top/a", "hard", "../../etc/passwd", 0o644)], "no file before it"),
    "hard link to the machine": ([("top/a", "hard", "/etc/passwd", 0o644)], "no file before it"),
    "hard link to a folder": ([("top/b", "dir", "", 0o755), ("top/a", "hard", "top/b", 0o644)], "no file before it"),
    "hard link forwards": ([("top/a", "hard", "top/b", 0o644), ("top/b", "file", "", 0o644)], "no file before it"),
    "set-user-id": ([("top/a", "file", "x", 0o4755)], "set-user-id"),
    "set-group-id": ([("top/a", "file", "x", 0o2755)], "set-user-id"),
    "character device": ([("top/a", "char", "", 0o644)], "a device"),
    "block device": ([("top/a", "block", "", 0o644)], "a device"),
    "pipe": ([("top/a", "pipe", "", 0o644)], "a device"),
    "long name": ([("top/" + "x" * 256, "file", "", 0o644)], "no possible file name"),
    "no name": ([("./", "file", "x", 0o644)], "has no name"),
    "deep": ([("a/" * 2000 + "b", "file", "x", 0o644)], "more than 1000 folders deep"),
    "empty": ([], "nothing in it"),
    "long link": ([("top/a", "link", "x" * 5000, 0o777)], "no possible path"),
}


@pytest.mark.parametrize("harm", HARMFUL)
def test_what_means_harm_is_refused(
    fetch: Callable[[bytes], Fetched], store: CastoreStore, tmp_path: Path, harm: str
) -> None:
    entries, said = HARMFUL[harm]
    with pytest.raises(FetchError, match=said) as caught:
        fetch(tar(entries))
    assert str(tmp_path / "archive") in str(caught.value)
    assert list(store.paths()) == []


@pytest.mark.parametrize("harm", ["up", "absolute", "through a link", "set-user-id", "pipe"])
def test_what_means_harm_is_refused_of_zip_files_too(fetch: Callable[[bytes], Fetched], harm: str) -> None:
    entries, said = HARMFUL[harm]
    with pytest.raises(FetchError, match=said):
        fetch(zipped(entries))


def test_groups_of_folders_do_not_matter(fetch: Callable[[bytes], Fetched], store: CastoreStore) -> None:
    found = fetch(tar([("top", "dir", "", 0o2755), ("top/a", "file", "x", 0o644)]))
    assert store.tree(found.info).names([]) == [b"a"]


@pytest.mark.parametrize("packed", ["gzip", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damage_is_seen(fetch: Callable[[bytes], Fetched], packed: str, damage: str) -> None:
    contents = "".join(str(number * number) for number in range(4000))
    data = bytearray(PACKED[packed](tar([("top/a", "file", contents, 0o644)])))
    if damage == "cut":
        del data[len(data) * 2 // 3 :]
    else:
        data[len(data) // 2] ^= 0xFF
        data[len(data) // 2 + 1] ^= 0xFF
    with pytest.raises(FetchError, match="broken"):
        fetch(bytes(data))


@pytest.mark.parametrize("at", [512, 1024, 1536])
def test_a_broken_header_is_not_taken_for_the_end(fetch: Callable[[bytes], Fetched], at: int) -> None:
    data = bytearray(tar([(f"top/{name}", "dir", "", 0o755) for name in "abcde"], tarfile.USTAR_FORMAT))
    data[at + 148] ^= 1  # in its checksum
    with pytest.raises(FetchError, match="broken"):
        fetch(bytes(data))


def test_bombs_are_refused_before_they_are_kept(store: CastoreStore, limits: Limits, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(tar([("top/a", "file", "0" * 5_000_000, 0o644)])))
    with pytest.raises(FetchError, match="more than 1000000 bytes, which is the limit"):
        unpack(path, store.castore, replace(limits, max_unpacked=1_000_000), "bomb")
    path.write_bytes(tar([(f"top/{number}", "dir", "", 0o755) for number in range(200)]))
    with pytest.raises(FetchError, match="more than 100 entries"):
        unpack(path, store.castore, replace(limits, max_entries=100), "bomb")


def test_a_zip_file_that_lies_about_sizes_is_refused(store: CastoreStore, limits: Limits, tmp_path: Path) -> None:
    data = bytearray(zipped([("top/a", "file", "0" * 100_000, 0o644)]))
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        offset = data.index(signature) + at
        data[offset : offset + 4] = (10).to_bytes(4, "little")
    path = tmp_path / "lying.zip"
    path.write_bytes(data)
    with pytest.raises(FetchError, match=r"broken|instead of"):
        unpack(path, store.castore, limits, "lying")


def test_the_archive_of_what_was_unpacked_is_what_is_said(
    fetch: Callable[[bytes], Fetched], store: CastoreStore
) -> None:
    found = fetch(tar(TREE))
    assert found.info.node is not None
    archive = b"".join(nar_of(found.info.node, store.castore))
    assert (len(archive), hash_bytes("sha256", archive).digest) == (found.info.nar_size, found.info.nar_sha256)
    node = trees.lookup(found.info.node, [b"hard"], store.castore)
    assert isinstance(node, FileNode) and node.executable
