"""Side by side with Nix, where it is installed: the frozen vectors are still what it says, and fresh input.

`TVIX_FREEZE=1` writes the vectors anew instead of comparing them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import drv_file, hashes, nar
from store import store_path as sp
from store.derivation import Derivation, DerivationHashes

DATA = Path(__file__).parents[1] / "data"
FREEZE = os.environ.get("TVIX_FREEZE") == "1"
Nix = Callable[..., str]
MakeTree = Callable[[Any], str]

TEXTS = ["", "abc", "The quick brown fox jumps over the lazy dog", "é\n" * 40]
TREES: dict[str, Any] = {
    "empty-file": "",
    "seven-bytes": "1234567",
    "eight-bytes": "12345678",
    "executable": ["x", "#!/bin/sh\n"],
    "link": ["->", "/does/not/exist"],
    "empty-directory": {},
    "nested": {
        "a": {"b": {"c": "x" * 9, "skipped": {"not": "seen"}}, "l": ["->", "b/c"]},
        "z": ["x", "y"],
        "skipped": "",
    },
    "order": {"a": "1", "A": "2", "a-": "3", "a.b": "4", "a0": {"x": ""}, "é": "5", "~": "6", " ": "7"},
    "odd-names": {"\udcff\udc80": "bytes", "￿": "", "new\nline": ["->", "\udcfe"], '"\\$': "", "😀": {}},
}


def frozen(file: Path, current: object) -> object:
    """What `file` holds; first written anew when asked to."""
    if FREEZE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(current, indent=1) + "\n")
    return json.loads(file.read_text())


def evaluate(nix: Nix, expression: str) -> Any:
    command = ["nix-instantiate", "--readonly-mode", "--eval", "--strict", "--json", "-E", expression]
    return json.loads(nix(*command))


def test_hashes(nix: Nix, tmp_path: Path) -> None:
    vectors = []
    for algo in ["md5", "sha1", "sha256", "sha512"]:
        for text in TEXTS:
            file = tmp_path / "text"
            file.write_text(text)
            vector = {"algo": algo, "text": text}
            vector["base16"] = nix("nix-hash", "--flat", "--type", algo, str(file)).strip()
            vector["nix32"] = nix("nix-hash", "--to-base32", "--type", algo, vector["base16"]).strip()
            for spelling in ["base64", "sri"]:
                command = ["nix", "--extra-experimental-features", "nix-command", "hash", f"to-{spelling}"]
                vector[spelling] = nix(*command, "--type", algo, vector["base16"]).strip()
            vectors.append(vector)
    assert vectors == frozen(DATA / "store" / "hashes.json", vectors)


def test_trees(nix: Nix, make_tree: MakeTree) -> None:
    keep = 'p: t: builtins.trace "asked:${p}:${t}:" (builtins.match ".*skipped" p == null && t != "symlink")'
    vectors = []
    for name, tree in TREES.items():
        path = make_tree(tree)
        whole = f'builtins.path {{ path = {path}; name = "tree"; }}'
        vector = {"name": name, "tree": tree, "nar": nix("nix-hash", "--type", "sha256", path).strip()}
        vector["path"] = evaluate(nix, whole)
        filtered = f'builtins.path {{ path = {path}; name = "tree"; filter = {keep}; }}'
        vector["filtered"] = evaluate(nix, filtered)
        traced = nix("nix-instantiate", "--readonly-mode", "--eval", "-E", filtered, stderr=True)
        asked = traced.split("trace: asked:")[1:]
        vector["asked"] = [line.removeprefix(path).rsplit(":", 2)[:2] for line in asked]
        if isinstance(tree, str):
            vector["flat"] = evaluate(nix, f'builtins.path {{ path = {path}; name = "tree"; recursive = false; }}')
        vectors.append(vector)
    assert vectors == frozen(DATA / "store" / "trees.json", vectors)


def instantiated(nix: Nix, store: Path, *arguments: str) -> dict[str, bytes]:
    """All derivations that `nix-instantiate` writes into a new store, by their paths."""
    nix("nix-instantiate", "--store", f"local?root={store}", "--read-write-mode", *arguments)
    folder = store / "nix" / "store"
    return {f"/nix/store/{file.name}": file.read_bytes() for file in folder.iterdir() if file.suffix == ".drv"}


def test_derivations_of_the_cases(nix: Nix, tmp_path: Path) -> None:
    folder = DATA / "drv"
    features = ["--option", "experimental-features", "ca-derivations impure-derivations"]
    written = instantiated(nix, tmp_path, *features, str(folder / "cases.nix"))
    if FREEZE:
        for old in folder.glob("*.drv"):
            old.unlink()
        for path, data in written.items():
            (folder / sp.base_name(path)).write_bytes(data)
    assert written == {f"/nix/store/{file.name}": file.read_bytes() for file in folder.glob("*.drv")}


def test_derivations_of_nixpkgs(nix: Nix, nixpkgs: Path, tmp_path: Path) -> None:
    written = instantiated(
        nix, tmp_path, str(nixpkgs), "-A", "hello", "-A", "ripgrep", "-A", "python3Packages.requests"
    )
    assert len(written) > 300
    parsed: dict[str, Derivation] = {}
    for path, data in written.items():
        drv = drv_file.parse(data, sp.name_of(path).removesuffix(".drv"))
        assert drv.to_bytes() == data
        assert drv.path() == path
        parsed[path] = drv
    known = DerivationHashes(load=parsed.__getitem__)
    for drv in parsed.values():
        known.check_paths(drv)


def random_tree(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(6 if depth < 3 else 4)
    text = sp.to_text(chance.randbytes(chance.choice([0, 1, 7, 8, 9, 100, 70_000])))
    if kind == 0:
        return ["x", text]
    if kind == 1:
        return ["->", "".join(chance.choices("ab/.é \udcff", k=5))]
    if kind < 4:
        return text
    names = ("".join(chance.choices("abA.-é~\n \udcff\udc80", k=4)) for _ in range(chance.randrange(8)))
    return {name: random_tree(chance, depth + 1) for name in names}


def test_random_trees(nix: Nix, make_tree: MakeTree) -> None:
    chance = random.Random(20260)
    for _ in range(30):
        path = make_tree({"root": random_tree(chance)}) + "/root"
        assert nar.nar_sha256(path).hex() == nix("nix-hash", "--type", "sha256", path).strip()


def test_random_fixed_outputs(nix: Nix) -> None:
    chance = random.Random(1)
    wanted = []
    made = []
    for number in range(60):
        algo = chance.choice(["md5", "sha1", "sha256", "sha512"])
        value = hashes.Hash(algo, chance.randbytes(hashes.digest_size(algo)))
        text = value.format(chance.choice(["base16", "nix32", "base64", "sri"]), with_algo=chance.random() < 0.5)
        recursive = chance.random() < 0.5
        made.append(
            f'(derivation {{ name = "n{number}"; system = "s"; builder = "b"; outputHash = "{text}"; outputHashAlgo = '
            f'"{algo}"; outputHashMode = "{"recursive" if recursive else "flat"}"; }}).outPath'
        )
        wanted.append(sp.fixed_output_path(f"n{number}", recursive, hashes.parse(text, algo)))
    assert evaluate(nix, f"[ {' '.join(made)} ]") == wanted


@pytest.mark.parametrize("text", ["sha256:abc", "abc", "foo:abc", "sha1-AAAA", "sha256-" + "e" * 64, "md5:" + "z" * 32])
def test_refused_hashes(nix: Nix, text: str) -> None:
    expression = f'(derivation {{ name = "n"; system = "s"; builder = "b"; outputHash = "{text}"; }}).outPath'
    told = nix("nix-instantiate", "--readonly-mode", "--eval", "-E", expression, stderr=True)
    with pytest.raises(hashes.HashError) as caught:
        hashes.parse(text)
    assert f"error: {caught.value}" in told
