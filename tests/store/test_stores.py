"""Stores: the same behaviour from all that can be written to, combinators, URLs and files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.backends.local.castore import LocalCastore
from store.backends.memory import MemoryCastore
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Missing, ReadOnly, Refused, StoreError, Unreachable
from store.combinators.cached import Cached
from store.combinators.first_of import FirstOf
from store.combinators.signing import Signing
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.composition.urls import open_url
from store.derivation import Derivation, DerivationHashes, Output
from store.nar import NarError, write_nar
from store.nar_reader import BytesSource
from store.paths import closure
from store.paths.archives import PiecesSource
from store.paths.protocol import Store
from store.signatures import SecretKey
from store.store_path import BadStorePath, source_path, text_path

MakeTree = Callable[[Any], str]

TREE = {"bin": {"run": ["x", "#!/bin/sh\n"], "link": ["->", "run"]}, "doc": "text " * 1000, "\udcfe": "odd"}


def archive_of(path: str) -> bytes:
    parts: list[bytes] = []
    write_nar(path, parts.append)
    return b"".join(parts)


def info_of(archive: bytes, name: str = "tree", references: list[str] | None = None) -> PathInfo:
    digest = hashlib.sha256(archive).digest()
    refs = references or []
    return PathInfo(source_path(name, digest.hex(), refs), digest, len(archive), refs)


@pytest.fixture(params=["memory", "local", "none", "xz", "zstd", "bzip2", "gzip", "obstore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    kind = request.param
    if kind == "memory":
        found = open_url("memory:")
    elif kind == "local":
        found = open_url(f"local:{tmp_path}/local")
    elif kind == "obstore":
        from obstore.store import MemoryStore

        from store.backends.binary_cache import BinaryCache
        from store.backends.transports import ObjectTransport

        found = BinaryCache(ObjectTransport(MemoryStore(), "memory://"), "memory://", require_signatures=False)
    else:
        found = open_url(f"file://{tmp_path}/cache?compression={kind}&require-signatures=false&write-listing=true")
    yield found
    found.close()


def test_objects_come_back(store: Store, make_tree: MakeTree) -> None:
    archive = archive_of(make_tree(TREE))
    first = info_of(archive)
    assert store.query(first.path) is None
    kept = store.add(first, BytesSource(archive).read)
    second = info_of(archive, "second", [first.path])
    second.deriver = "/nix/store/" + "0" * 32 + "-x.drv"
    store.add(second, PiecesSource([archive[:1000], archive[1000:]]).read)
    assert store.add(first, BytesSource(b"not read again").read) == kept
    assert sorted(store.paths()) == sorted([first.path, second.path])
    for info in (first, second):
        found = store.query(info.path)
        assert found is not None
        assert found.with_node(None) == info
        assert store.by_digest(info.path[11:43]) == found
        assert b"".join(store.nar(found)) == archive
    tree = store.tree(kept)
    assert tree.names([]) == [b"bin", b"doc", b"\xfe"]
    assert tree.names([b"bin"]) == [b"link", b"run"]
    assert b"".join(tree.read([b"doc"])) == b"text " * 1000
    script = tree.entry([b"bin", b"run"])
    link = tree.entry([b"bin", b"link"])
    assert script is not None and (script.kind, script.size, script.executable) == ("regular", 10, True)
    assert link is not None and (link.kind, link.target) == ("symlink", b"run")
    assert tree.entry([b"bin", b"nothing"]) is None
    assert tree.entry([b"bin", b"run", b"below"]) is None
    root = tree.entry([])
    assert root is not None and root.kind == "directory"
    with pytest.raises(Missing):
        b"".join(tree.read([b"bin"]))


def test_what_is_not_as_announced_is_refused(store: Store, make_tree: MakeTree) -> None:
    archive = archive_of(make_tree(TREE))
    good = info_of(archive)
    wrong_hash = PathInfo(good.path, bytes(32), good.nar_size)
    too_small = PathInfo(good.path, good.nar_sha256, good.nar_size - 8)
    too_large = PathInfo(good.path, good.nar_sha256, good.nar_size + 8)
    for info, data, reason in [
        (wrong_hash, archive, "has the hash sha256:"),
        (too_small, archive, f"goes on after {good.nar_size - 8} bytes"),
        (too_large, archive, f"has {good.nar_size} bytes, not {good.nar_size + 8}"),
        (good, archive[:-8], "unexpected end"),
        (good, archive.replace(b"bin", b"../"), "invalid file name '../'"),
        (good, archive + b"\0", "goes on after|more bytes"),
        (info_of(archive, "x", ["/nix/store/" + "0" * 32 + "-x"]), archive, "which is not in"),
    ]:
        with pytest.raises(Refused, match=reason):
            store.add(info, BytesSource(data).read)
        assert store.query(info.path) is None
    with pytest.raises(BadStorePath):
        store.add(PathInfo("/gnu/store/" + "0" * 32 + "-x", bytes(32), 0), BytesSource(b"").read)
    assert list(store.paths()) == []


def test_paths_texts_and_derivations(tmp_path: Path, make_tree: MakeTree) -> None:
    with local_store(str(tmp_path / "store")) as store:
        path = make_tree(TREE)
        tree = store.add_path(path, "tree")
        assert tree.path == info_of(archive_of(path)).path
        assert store.add_path(path, "tree") == tree
        part = store.add_path(path, "tree", keep=lambda place, kind: kind != "symlink")
        assert part.path != tree.path and store.tree(part).names([b"bin"]) == [b"run"]
        script = store.add_text("script", b"exec " + tree.path.encode(), [tree.path])
        assert script.path == text_path("script", b"exec " + tree.path.encode(), [tree.path])
        assert store.tree(script).entry([]) is not None
        drv = Derivation("x", {"out": Output()}, {}, {tree.path, script.path}, "s", "/b", [], {"name": "x", "out": ""})
        hashes = DerivationHashes(load=store.read_derivation)
        drv_path = hashes.instantiate(drv)
        assert store.add_derivation(drv) == drv_path
        assert store.read_derivation(drv_path) == drv
        # Another evaluation finds it through the store.
        user = Derivation("y", {"out": Output()}, {drv_path: {"out"}}, set(), "s", "/b", [], {"out": ""})
        user_path = DerivationHashes(load=store.read_derivation).instantiate(user)
        store.add_derivation(user)
        found = [info.path for info in closure.closure(store, [user_path])]
        assert set(found) == {tree.path, script.path, drv_path, user_path}
        assert found.index(tree.path) < found.index(script.path) < found.index(drv_path) < found.index(user_path)
        with pytest.raises(Corrupt, match="not a derivation"):
            store.read_derivation(script.path)
        with pytest.raises(Missing):
            store.read_derivation("/nix/store/" + "0" * 32 + "-x.drv")
        with pytest.raises(Refused, match="which is not in"):
            store.add_text("t", b"", ["/nix/store/" + "0" * 32 + "-x"])
        with pytest.raises(BadStorePath):
            store.add_path(path, "bad/name")
        with pytest.raises(FileNotFoundError):
            store.add_path(path + "-missing")
        with pytest.raises(NarError):
            store.add_path("/dev/null")


@pytest.mark.parametrize("algo", ["md5", "sha1", "sha256", "sha512"])
def test_flat_files(tmp_path: Path, make_tree: MakeTree, algo: str) -> None:
    store = CastoreStore(MemoryCastore())
    plain = store.add_path(make_tree("contents"), "f", flat=algo)
    assert store.add_path(make_tree(["x", "contents"]), "f", flat=algo) == plain  # addressed the same
    assert plain.ca is not None and plain.ca.startswith(f"fixed:{algo}:")
    with pytest.raises(Refused, match="not a regular file"):
        store.add_path(make_tree({}), "d", flat=algo)


def chain(store: CastoreStore, count: int) -> list[str]:
    paths: list[str] = []
    with store.transaction():
        for number in range(count):
            refs = [paths[other] for other in {number // 2, number - 1, number - 3} if 0 <= other < number]
            paths.append(store.add_text(f"t{number}", f"text {number}".encode(), refs).path)
    return paths


def test_closures_are_copied_whole_and_resumed(store: Store) -> None:
    source = CastoreStore(MemoryCastore())
    paths = chain(source, 40)
    seen: list[int] = []
    part = closure.copy(source, store, [paths[10]])
    assert 0 < part.done < 12
    rest = closure.copy(source, store, [paths[-1]], on_progress=lambda progress: seen.append(progress.done))
    assert rest.done + part.done == 40 and rest.skipped == part.done
    assert seen == list(range(1, rest.done + 1))
    assert sorted(store.paths()) == sorted(paths)
    assert closure.copy(source, store, paths).done == 0
    with pytest.raises(Missing):
        closure.copy(source, store, ["/nix/store/" + "0" * 32 + "-x"])


def test_copying_one_without_its_references(tmp_path: Path) -> None:
    source = CastoreStore(MemoryCastore())
    paths = chain(source, 3)
    with pytest.raises(Refused, match="refers to"):
        closure.copy(source, CastoreStore(MemoryCastore()), [paths[2]], closed=False)


class Broken(CastoreStore):
    def query(self, path: str) -> PathInfo | None:
        raise Unreachable("no answer")

    def by_digest(self, digest: str) -> PathInfo | None:
        raise Unreachable("no answer")


def test_a_cache_in_front() -> None:
    far, near = CastoreStore(MemoryCastore()), CastoreStore(MemoryCastore())
    paths = chain(far, 5)
    both = Cached(near, far)
    info = both.query(paths[4])
    assert info is not None and near.query(paths[4]) is None
    assert b"".join(both.nar(info)) == b"".join(far.nar(info))
    assert sorted(near.paths()) == sorted(path.path for path in closure.closure(far, [paths[4]]))
    assert b"".join(both.tree(info).read([])) == b"text 4"
    assert sorted(both.paths()) == sorted(paths)
    gone = Cached(near, Broken(MemoryCastore()))
    assert gone.query(paths[4]) is not None
    with pytest.raises(Unreachable):
        gone.query("/nix/store/" + "0" * 32 + "-x")


def test_the_first_that_has_it() -> None:
    one, two = CastoreStore(MemoryCastore()), CastoreStore(MemoryCastore())
    mine, yours = one.add_text("a", b"mine").path, two.add_text("b", b"yours").path
    both = FirstOf([Broken(MemoryCastore()), one, two])
    for path, text in [(mine, b"mine"), (yours, b"yours")]:
        info = both.query(path)
        assert info is not None and both.by_digest(path[11:43]) == info
        assert b"".join(both.tree(info).read([])) == text
        assert text in b"".join(both.nar(info))
    with pytest.raises(Unreachable):  # perhaps the one that does not answer has it
        both.query("/nix/store/" + "0" * 32 + "-x")
    assert FirstOf([one, two]).query("/nix/store/" + "0" * 32 + "-x") is None
    assert sorted(FirstOf([one, two]).paths()) == sorted([mine, yours])
    with pytest.raises(StoreError, match="is for the store"):
        FirstOf([one, CastoreStore(MemoryCastore(), "/gnu/store")])


def test_signing_on_write(tmp_path: Path) -> None:
    key = SecretKey.generate("mine-1")
    source = CastoreStore(MemoryCastore())
    path = source.add_text("a", b"text").path
    target = CastoreStore(MemoryCastore())
    closure.copy(source, Signing(target, key), [path])
    info = target.query(path)
    assert info is not None and key.public().verifies(info.fingerprint(), info.signatures[0])
    assert source.query(path) != info


def test_urls(tmp_path: Path) -> None:
    for url, uri in [
        (f"local:{tmp_path}/a%20b", f"local:{tmp_path}/a b"),
        ("memory:", "memory:"),
        (f"file://{tmp_path}/cache?compression=none", f"file://{tmp_path}/cache"),
        ("https://example.org/cache?timeout=3", "https://example.org/cache"),
    ]:
        with open_store(url) as store:
            assert store.uri == uri
            assert store.store_dir == "/nix/store"
    for url, reason in [
        ("locl:/x", "did you mean 'local:'"),
        ("/x", "known are local:"),
        ("local://host/x", "local:/FOLDER"),
        ("file://host/x", "file:///FOLDER"),
        ("file:x", "file:///FOLDER"),
        ("http:///x", "names no host"),
        (f"file://{tmp_path}?compresion=xz", "did you mean 'compression'"),
        (f"file://{tmp_path}?compression=lz4", "unknown compression 'lz4'"),
        (f"file://{tmp_path}?require-signatures=maybe", "true or false"),
        (f"file://{tmp_path}?level=x", "is a number"),
        (f"file://{tmp_path}?trusted=x", "NAME:BASE64"),
        (f"file://{tmp_path}?secret-key={tmp_path}/none", "No such file"),
        (f"nix:?root={tmp_path}", "no Nix store here"),
    ]:
        with pytest.raises(StoreError, match=reason.replace("?", r"\?")):
            open_url(url)


def test_files(tmp_path: Path) -> None:
    key = SecretKey.generate("mine-1")
    (tmp_path / "key").write_text(key.to_text())
    file = tmp_path / "stores.toml"
    file.write_text(f"""
        use = "signed"
        [stores.disk]
        url = "local:{tmp_path}/disk"
        [stores.cache]
        url = "file://{tmp_path}/cache?compression=none"
        trusted = ["{key.public().to_text()}"]
        write-listing = true
        [stores.all]
        first-of = ["cache", "disk"]
        [stores.fast]
        near = "disk"
        far = "all"
        [stores.signed]
        sign = "cache"
        secret-key = "key"
    """)
    source = CastoreStore(LocalCastore(tmp_path / "source"))
    path = source.add_text("a", b"text").path
    with open_store(str(file)) as store:
        closure.copy(source, store, [path])
        assert store.query(path) is not None
    source.close()
    file.write_text(file.read_text().replace('use = "signed"', 'use = "fast"'))
    with open_store(str(file)) as store:
        info = store.query(path)
        assert info is not None and info.signatures
        assert b"".join(store.tree(info).read([])) == b"text"
    with local_store(str(tmp_path / "disk")) as store:
        assert store.query(path) is not None
    for text, reason in [
        ("", "no [stores.NAME]"),
        ("[stores.a]\nurl='memory:'\n[stores.b]\nurl='memory:'", 'use = "NAME" must say'),
        ("use='b'\n[stores.a]\nurl='memory:'", "there is no [stores.b]"),
        ("[stores.a]\nnear='a'\nfar='a'", "made of itself: a -> a"),
        ("[stores.a]\nfar='a'", "needs url, first-of"),
        ("[stores.a]\nurl='memory:'\ntrusted='x'", "unknown option 'trusted'"),
        ("[stores.a]\nfirst-of=[]", "needs one at least"),
        ("x=1\n[stores.a]\nurl='memory:'", "unknown 'x'"),
        ("[", "stores.toml:"),
    ]:
        file.write_text(text)
        with pytest.raises(StoreError) as caught:
            open_url(str(file))
        assert reason in str(caught.value)


def test_what_cannot_be_written(tmp_path: Path, make_tree: MakeTree) -> None:
    from store.backends.binary_cache import BinaryCache
    from store.backends.transports import FolderTransport

    archive = archive_of(make_tree("x"))
    cache = BinaryCache(FolderTransport(str(tmp_path)), "x", writable=False)
    with pytest.raises(ReadOnly):
        cache.add(info_of(archive), BytesSource(archive).read)
