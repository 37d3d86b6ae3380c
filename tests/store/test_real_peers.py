"""Beside real Nix (Debian's nix-bin 2.8): the same paths, each other's caches, each other's stores."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from store import drv_file
from store import store_path as sp
from store.backends.nix_store import NixStore
from store.castore.services import Refused
from store.command.serving import CacheServer
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.nar import nar_pieces, write_nar
from store.paths import closure
from store.paths.derivations import read_derivation
from store.paths.protocol import Store
from store.signatures import SecretKey

Nix = Callable[..., str]
MakeTree = Callable[[Any], str]

NEW_COMMANDS = ["nix", "--extra-experimental-features", "nix-command"]


def random_tree(chance: random.Random, depth: int = 0) -> Any:
    """Any tree: files, executables, links that lead nowhere, empty directories, odd names."""
    kind = chance.randrange(10 if depth < 4 else 7)
    if kind < 3:
        return "".join(chr(chance.randrange(1, 0x2FF)) for _ in range(chance.choice([0, 1, 7, 8, 9, 300])))
    if kind < 5:
        return ["x", "#!" + "x" * chance.randrange(20)]
    if kind < 7:
        return ["->", chance.choice(["a", "../..", "/nix/store", "\udcff\udc80", "x" * 300])]
    names = ["a", "A", "b-1", ".hidden", "ü", "\udcc3\udce8", "new\nline", '"', "\\", " ", "é" * 60, "~", "0", "😀"]
    return {name: random_tree(chance, depth + 1) for name in chance.sample(names, chance.randrange(0, 6))}


def test_paths_of_200_random_trees(nix: Nix, make_tree: MakeTree, tmp_path: Path) -> None:
    chance = random.Random(20)
    trees = [make_tree(random_tree(chance)) for _ in range(200)]
    theirs = nix("nix-store", "--store", f"local?root={tmp_path}/nix", "--add", *trees).split()
    with local_store(str(tmp_path / "ours")) as store:
        assert [store.add_path(tree).path for tree in trees] == theirs
        # And what both keep is the same.
        with open_store(f"nix:?root={tmp_path}/nix") as nix_store:
            assert sorted(nix_store.paths()) == sorted(store.paths()) == sorted(set(theirs))
            for path in theirs:
                mine, other = store.query(path), nix_store.query(path)
                assert mine is not None and other is not None
                assert mine.with_node(None) == other
                assert b"".join(store.nar(mine)) == b"".join(nix_store.nar(other))


@pytest.mark.parametrize("algo", ["md5", "sha1", "sha256", "sha512"])
def test_paths_of_flat_files(nix: Nix, make_tree: MakeTree, tmp_path: Path, algo: str) -> None:
    files = [make_tree(text) for text in ("", "text", ["x", "run"])]
    theirs = nix("nix-store", "--store", f"local?root={tmp_path}/nix", "--add-fixed", algo, *files).split()
    with local_store(str(tmp_path / "ours")) as store:
        assert [store.add_path(file, flat=algo).path for file in files] == theirs
        with open_store(f"nix:?root={tmp_path}/nix") as nix_store:
            for path in theirs:
                mine, other = store.query(path), nix_store.query(path)
                assert mine is not None and mine.with_node(None) == other


def test_a_dump_is_imported(nix: Nix, make_tree: MakeTree, tmp_path: Path) -> None:
    tree = make_tree({"a": "b", "c": {"d": ["x", "e"]}})
    dump = subprocess.Popen(["nix-store", "--dump", tree], stdout=subprocess.PIPE)
    store = f"local:{tmp_path}/store"
    command = [sys.executable, "-m", "store.command.cli", "import", "--store", store, "--name", Path(tree).name]
    path = subprocess.run(command, stdin=dump.stdout, capture_output=True, check=True, text=True).stdout.strip()
    assert dump.wait() == 0
    assert path == nix("nix-store", "--store", f"local?root={tmp_path}/nix", "--add", tree).strip()
    command[4:] = ["export", "--store", store, path]
    restored = tmp_path / "restored"
    exported = subprocess.run(
        [sys.executable, "-m", "store.command.cli", "export", "--store", store, path], capture_output=True, check=True
    )
    subprocess.run(["nix-store", "--restore", str(restored)], input=exported.stdout, check=True)
    assert b"".join(nar_pieces(str(restored))) == b"".join(nar_pieces(tree))


EXPRESSION = """
let
  dep = derivation { name = "dep"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ script ]; };
  script = builtins.toFile "script" "echo ${text} > $out";
  text = builtins.toFile "text" "some text";
  sub = builtins.toFile "sub" "refers to ${script} and ${text}";
in derivation {
  name = "top"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ sub ];
  inherit dep; src = %s;
}
"""


def closure_in(nix: Nix, root: Path, source: str) -> str:
    """A derivation with all its inputs in the chroot store `root`; its path."""
    store = f"local?root={root}"
    return nix("nix-instantiate", "--store", store, "-E", EXPRESSION % source).strip()


@pytest.mark.parametrize("compression", ["xz", "none", "zstd", "bzip2", "gzip"])
def test_we_substitute_from_a_cache_that_nix_wrote(
    nix: Nix, make_tree: MakeTree, tmp_path: Path, compression: str
) -> None:
    drv = closure_in(nix, tmp_path / "nix", make_tree({"src": {"main.c": "int main;"}}))
    cache = f"file://{tmp_path}/cache"
    keys = SecretKey.generate("real-1")
    (tmp_path / "secret").write_text(keys.to_text())
    store = f"local?root={tmp_path}/nix"
    options = f"compression={compression}&secret-key={tmp_path}/secret"
    nix(*NEW_COMMANDS, "--store", store, "copy", "--to", f"{cache}?{options}", drv, "--derivation")
    with local_store(str(tmp_path / "ours")) as ours:
        with open_store(cache) as theirs, pytest.raises(Refused, match="none of which is trusted"):
            closure.copy(theirs, ours, [drv])
        with open_store(f"{cache}?trusted={keys.public().to_text()}") as theirs:
            done = closure.copy(theirs, ours, [drv])
        with open_store(f"nix:?root={tmp_path}/nix") as theirs:
            expected = sorted(info.path for info in closure.closure(theirs, [drv]))
            assert sorted(ours.paths()) == sorted(done.copied) == expected
            assert len(expected) >= 6
            for path in expected:
                info = theirs.query(path)
                assert info is not None
                assert b"".join(ours.nar(info.with_node(None))) == b"".join(theirs.nar(info))
        assert ours.read_derivation(drv).path() == drv
        with open_store(f"nix:?root={tmp_path}/nix") as theirs:
            assert read_derivation(theirs, drv) == ours.read_derivation(drv)


@contextmanager
def serving(store: Store, **options: Any) -> Iterator[str]:
    settings = {"key": None, "token": None, "priority": 40, **options}
    server = CacheServer(("127.0.0.1", 0), store, **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fill(store: CastoreStore, make_tree: MakeTree) -> list[str]:
    """A chain of objects, each of which mentions those before it."""
    with store.transaction():
        tree = store.add_path(make_tree({"bin": {"run": ["x", "#!/bin/sh\n"]}, "l": ["->", "bin"], "e": {}}), "tree")
        text = store.add_text("text", f"see {tree.path}".encode(), [tree.path])
        last = store.add_text("last", f"see {text.path} and {tree.path}".encode(), [text.path, tree.path])
        large = store.add_path(make_tree({"large": os.urandom(2_000_000).hex()}), "large")
    return [last.path, large.path]


def test_nix_substitutes_from_us(nix: Nix, make_tree: MakeTree, tmp_path: Path) -> None:
    key = SecretKey.generate("ours-1")
    with local_store(str(tmp_path / "ours")) as store:
        paths = fill(store, make_tree)
        root = f"local?root={tmp_path}/nix"
        with serving(store, key=key) as url:
            options = ["--option", "substituters", url, "--option", "trusted-public-keys", key.public().to_text()]
            nix("nix-store", "--store", root, *options, "--realise", *paths)
            assert "error" not in nix("nix-store", "--store", root, "--verify", "--check-contents", stderr=True)
        requisites = nix("nix-store", "--store", root, "--query", "--requisites", *paths).split()
        assert sorted(requisites) == sorted(store.paths())
        with open_store(f"nix:?root={tmp_path}/nix") as theirs:
            for path in requisites:
                mine, other = store.query(path), theirs.query(path)
                assert mine is not None and other is not None
                assert (mine.nar_sha256, sorted(mine.references)) == (other.nar_sha256, sorted(other.references))
                assert other.signatures


def test_nix_refuses_what_we_did_not_sign(nix: Nix, make_tree: MakeTree, tmp_path: Path) -> None:
    with local_store(str(tmp_path / "ours")) as store:
        tree = store.add_path(make_tree({"a": "b"}), "tree")
        info = store.query(tree.path)
        assert info is not None
        info.ca = None  # now only a signature could vouch for it
        store.put_info(info)
        root = f"local?root={tmp_path}/nix"
        with serving(store) as url:
            failed = nix(*NEW_COMMANDS, "--store", root, "copy", "--from", url, tree.path, stderr=True)
        assert "signature" in failed
        key = SecretKey.generate("ours-1")
        with (
            serving(store, key=key) as url,
            open_store(url) as ours,
            pytest.raises(Refused, match="none of which is trusted"),
        ):
            ours.query(tree.path)


@pytest.mark.parametrize("compression", ["xz", "none"])
def test_nix_copies_to_us(nix: Nix, make_tree: MakeTree, tmp_path: Path, compression: str) -> None:
    drv = closure_in(nix, tmp_path / "nix", make_tree({"a": "b" * 100_000}))
    store = f"local?root={tmp_path}/nix"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login any password sesame\n")
    with local_store(str(tmp_path / "ours")) as ours:
        with serving(ours, token="sesame") as url:
            copy = [*NEW_COMMANDS, "--store", store, "copy", "--to", f"{url}?compression={compression}", drv]
            refused = nix(*copy, "--derivation", stderr=True)
            assert "401" in refused
            assert list(ours.paths()) == []
            nix(*copy, "--derivation", "--option", "netrc-file", str(tmp_path / "netrc"))
        assert ours.read_derivation(drv).path() == drv
        with open_store(f"nix:?root={tmp_path}/nix") as theirs:
            assert sorted(ours.paths()) == sorted(info.path for info in closure.closure(theirs, [drv]))


def test_we_copy_over_http(make_tree: MakeTree, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("sesame\n")
    with local_store(str(tmp_path / "one")) as one, local_store(str(tmp_path / "two")) as two:
        paths = fill(one, make_tree)
        with serving(two, token="sesame") as url:
            with open_store(f"{url}?token-file={tmp_path}/token&require-signatures=false") as target:
                assert closure.copy(one, target, paths).done == 4
            with open_store(f"{url}?require-signatures=false") as source, open_store("memory:") as three:
                closure.copy(source, three, paths)
                assert sorted(three.paths()) == sorted(one.paths()) == sorted(two.paths())
                info = source.query(paths[0])
                assert info is not None and b"".join(source.tree(info).read([])).startswith(b"see ")


def test_a_cache_that_we_wrote_is_read_by_nix(nix: Nix, make_tree: MakeTree, tmp_path: Path) -> None:
    key = SecretKey.generate("ours-1")
    (tmp_path / "secret").write_text(key.to_text())
    with local_store(str(tmp_path / "ours")) as store:
        paths = fill(store, make_tree)
        with open_store(f"file://{tmp_path}/cache?secret-key={tmp_path}/secret&compression=xz") as cache:
            closure.copy(store, cache, paths)
    root = f"local?root={tmp_path}/nix"
    keys = ["--option", "trusted-public-keys", key.public().to_text()]
    nix(*NEW_COMMANDS, "--store", root, *keys, "copy", "--from", f"file://{tmp_path}/cache", *paths)
    assert "error" not in nix("nix-store", "--store", root, "--verify", "--check-contents", stderr=True)


def test_archives_are_those_of_nix(nix: Nix, make_tree: MakeTree) -> None:
    chance = random.Random(21)
    for _ in range(20):
        tree = make_tree(random_tree(chance))
        dump = subprocess.run(["nix-store", "--dump", tree], capture_output=True, check=True).stdout
        parts: list[bytes] = []
        write_nar(tree, parts.append)
        assert b"".join(parts) == b"".join(nar_pieces(tree)) == dump


@pytest.mark.timeout(1500)
def test_derivations_of_nixpkgs(
    nix: Nix, nixpkgs: Path, nixpkgs_reference: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What Nix writes for 300 packages and all that they are made of, byte for byte."""
    attributes = [row["attr"] for row in nixpkgs_reference][:300]
    selected = "".join(f'(get "{attribute}") ' for attribute in attributes)
    expression = f"""
        let pkgs = import {nixpkgs} {{ system = "x86_64-linux"; config.allowUnfree = true; overlays = []; }};
            get = name: builtins.foldl' (set: key: set.${{key}}) pkgs (builtins.filter builtins.isString
              (builtins.split "\\\\." name));
            usable = package: (builtins.tryEval package.drvPath).success;
        in builtins.filter usable [ {selected} ]
    """
    (tmp_path / "all.nix").write_text(expression)
    store = f"local?root={tmp_path}/nix"
    nix("nix-instantiate", "--store", store, str(tmp_path / "all.nix"))
    with open_store(f"nix:?root={tmp_path}/nix") as theirs:
        assert isinstance(theirs, NixStore)
        drvs = [path for path in theirs.paths() if sp.is_derivation(path)]
        assert len(drvs) > 1000
        for path in drvs:
            data = (tmp_path / "nix" / path[1:]).read_bytes()
            drv = drv_file.parse(data, sp.name_of(path).removesuffix(".drv"))
            assert drv.to_bytes() == data
            assert drv.path() == path
        # All of it goes into our store as it is.
        with local_store(str(tmp_path / "ours")) as ours:
            some = random.Random(22).sample(drvs, 5)
            with ours.transaction():
                closure.copy(theirs, ours, some)
            for path in some:
                assert ours.read_derivation(path).path() == read_derivation(theirs, path).path() == path
