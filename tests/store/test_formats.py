"""Formats of binary caches and of tools: narinfo, signatures, reference scan, listings, derivations as JSON."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import drv_file, drv_json, listing, nar, narinfo, nix32, references, signatures
from store import store_path as sp
from store.hashes import hash_bytes
from store.nar_reader import BytesSource
from store.narinfo import NarInfoError
from store.signatures import BadKey, PublicKey, SecretKey

DATA = Path(__file__).parents[1] / "data"
MakeTree = Callable[[Any], str]

# Public: what https://cache.nixos.org serves for curl-7.82.0-bin, with its signature.
CURL = """\
StorePath: /nix/store/syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin
URL: nar/05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56.nar.xz
Compression: xz
FileHash: sha256:05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56
FileSize: 68852
NarHash: sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0
NarSize: 196040
References: 0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0 6w8g7njm4mck5dmjxws0z1xnrxvl81xa-glibc-2.34-115 \
j5jxw3iy7bbz4a57fh9g2xm2gxmyal8h-zlib-1.2.12 yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n
Deriver: 5rwxzi7pal3qhpsyfc16gzkh939q1np6-curl-7.82.0.drv
Sig: cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==
"""


def test_a_narinfo_of_the_public_cache() -> None:
    info = narinfo.parse(CURL.encode())
    assert info.to_text() == CURL
    keys = signatures.trusted([signatures.CACHE_NIXOS_ORG])
    assert signatures.who_signed(info.fingerprint(), info.signatures, keys) == ["cache.nixos.org-1"]
    info.nar_size += 1
    assert signatures.who_signed(info.fingerprint(), info.signatures, keys) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("StorePath: /nix", "StorePath: /gnu"), "is not in the Nix store"),
        (("StorePath: ", "Path: "), "no 'StorePath'"),
        (("/syd87l2", "/../yd87l2"), "not in the Nix store"),
        (("syd87l2", "eyd87l2"), "illegal base-32 character 'e'"),
        (("URL: nar/05ra3y72i3qjri7xskf9qj8kb29r6naqy1sqpbs3azi3xcigmj56.nar.xz", "URL:"), "no 'URL'"),
        (("NarSize: 196040", "NarSize: -1"), "bad 'NarSize': '-1'"),
        (("NarSize: 196040", "NarSize: 1e3"), "bad 'NarSize'"),
        (("NarSize: 196040", "NarSize: " + "9" * 40), "bad 'NarSize'"),
        (("NarHash: sha256:1b", "NarHash: sha256:zz"), "invalid base-32 hash"),
        (
            ("NarHash: sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0", "NarHash: md5:" + "0" * 32),
            "not SHA",
        ),
        (("References: 0jqd", "References: ../0jqd"), "illegal base-32"),
        (("Compression: xz", "nonsense"), "line 3 of narinfo has no ':'"),
        (("Compression: xz", "URL: other"), "line 3 of narinfo: 'URL' stands twice"),
        (("Compression: xz", "X: \udcff"), "not UTF-8"),
        (("Compression: xz", "X: " + "x" * (1 << 20)), "larger than"),
    ],
)
def test_bad_narinfos_are_refused(change: tuple[str, str], reason: str) -> None:
    changed = CURL.replace(*change)
    assert changed != CURL
    with pytest.raises(NarInfoError) as caught:
        narinfo.parse(changed.encode("utf-8", "surrogateescape"))
    assert reason in str(caught.value)


def test_what_a_narinfo_may_leave_out() -> None:
    text = f"StorePath: {sp.STORE_DIR}/{'0' * 32}-x\nURL: x.nar\nNarHash: sha256:{'0' * 64}\nNarSize: 1\n"
    info = narinfo.parse(text.encode() + b"Deriver: unknown-deriver\nFuture: 1\n")
    assert (info.compression, info.file_hash, info.references, info.deriver) == ("bzip2", None, [], None)
    assert info.fingerprint() == f"1;/nix/store/{'0' * 32}-x;sha256:{'0' * 52};1;"


# RFC 8032, 7.1: the secret keys, public keys, messages and signatures of tests 1, 2 and 3.
RFC8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
            "4655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "r",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
            "eb00d291612bb0c00"
        ),
    ),
]


def spelled(name: str, hexadecimal: str) -> str:
    from base64 import b64encode

    return f"{name}:{b64encode(bytes.fromhex(hexadecimal)).decode()}"


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC8032)
def test_signatures_are_those_of_the_rfc(seed: str, public: str, message: str, signature: str) -> None:
    key = SecretKey(spelled("k-1", seed + public))
    assert key.public().to_text() == spelled("k-1", public)
    assert key.sign(message) == spelled("k-1", signature)
    assert key.public().verifies(message, spelled("k-1", signature))
    assert not key.public().verifies(message + "!", spelled("k-1", signature))
    assert not key.public().verifies(message, spelled("k-2", signature))
    assert not key.public().verifies(message, "k-1:AAAA")
    assert not key.public().verifies(message, "no signature")


def test_keys_are_checked() -> None:
    key = SecretKey.generate("cache-1")
    assert SecretKey(key.to_text()).public().to_text() == key.public().to_text()
    name, _, encoded = key.to_text().partition(":")
    other = SecretKey.generate("cache-1").to_text().partition(":")[2]
    for text, reason in [
        (encoded, "NAME:BASE64"),
        (f":{encoded}", "NAME:BASE64"),
        (f"{name}:{encoded[:40]}", "bytes, not 64"),
        (f"{name}:{encoded}!", "not base-64"),
        (f"{name}:{encoded[:42]}{other[42:]}", "do not belong together"),
    ]:
        with pytest.raises(BadKey, match=reason):
            SecretKey(text)
    with pytest.raises(BadKey, match="not 32"):
        PublicKey(key.to_text())


def digest(chance: random.Random) -> str:
    return nix32.encode(chance.randbytes(20))


@given(st.randoms(use_true_random=False), st.integers(0, 30), st.integers(1, 70))
def test_references_are_found_across_chunks(chance: random.Random, count: int, step: int) -> None:
    present = {digest(chance) for _ in range(count)}
    absent = {digest(chance) for _ in range(20)} if count % 2 else {digest(chance)}
    near = [text[:-1] for text in absent] + [text[1:] for text in absent]
    pieces = [text.encode() for text in [*present, *near]]
    chance.shuffle(pieces)
    glue = [b"", b"/nix/store/", b"\0", b"abcdfghij", b"e", b"\xff" * 40]
    data = b"".join(b"e" + piece + b"e" + chance.choice(glue) for piece in pieces)
    assert references.scan(data, present | absent) == present
    scanner = references.ReferenceScanner(present | absent)
    for at in range(0, len(data), step):
        scanner.feed(data[at : at + step])
    assert scanner.found() == present


def test_references_inside_longer_runs_and_candidates() -> None:
    chance = random.Random(3)
    wanted = [digest(chance) for _ in range(20)]
    assert references.scan(b"0" * 50 + wanted[3].encode() + b"z" * 99, wanted) == {wanted[3]}
    text = f'"/nix/store/{wanted[0]}-hello-1/bin" {wanted[1]} x{wanted[2]}-a {wanted[3]}-b'.encode()
    assert references.candidates(text) == {wanted[0], wanted[3]}
    with pytest.raises(ValueError, match="not the digest"):
        references.ReferenceScanner(["short"])


def test_listings(make_tree: MakeTree, tmp_path: Path) -> None:
    path = make_tree({"a": "hi\n", "b": {"x": ["x", "#!/bin/sh\n"], "e": {}}, "l": ["->", "a"], "\udcff": ""})
    parts: list[bytes] = []
    nar.write_nar(path, parts.append)
    archive = b"".join(parts)
    found = listing.listing_of(BytesSource(archive).read)
    entries = found["root"]["entries"]
    assert found["version"] == 1
    assert list(entries) == ["a", "b", "l", "\udcff"]
    assert entries["l"] == {"type": "symlink", "target": "a"}
    assert entries["b"]["entries"]["e"] == {"type": "directory", "entries": {}}
    script = entries["b"]["entries"]["x"]
    assert script["executable"] is True
    assert archive[script["narOffset"] :].startswith(b"#!/bin/sh\n")
    assert archive[entries["a"]["narOffset"] :][: entries["a"]["size"]] == b"hi\n"
    # Written by `nix copy --to 'file://…?write-nar-listing=true'` 2.8 for the tree {a, b/x (executable), l -> a}.
    frozen = (
        b'{"version":1,"root":{"type":"directory","entries":{"a":{"type":"regular","size":3,"narOffset":232},'
        b'"b":{"type":"directory","entries":{"x":{"type":"regular","size":10,"executable":true,"narOffset":592}}},'
        b'"l":{"type":"symlink","target":"a"}}}}'
    )
    parts.clear()
    nar.write_nar(make_tree({"a": "hi\n", "b": {"x": ["x", "#!/bin/sh\n"]}, "l": ["->", "a"]}), parts.append)
    assert listing.to_json(listing.listing_of(BytesSource(b"".join(parts)).read)) == frozen


def test_derivations_as_json_come_back() -> None:
    paths = sorted((DATA / "drv").glob("*.drv"))
    drvs = {}
    for path in paths:
        base = path.name
        drvs[f"/nix/store/{base}"] = drv_file.parse(path.read_bytes(), sp.name_of(base).removesuffix(".drv"))
    assert len(drvs) > 20
    again = drv_json.parse(drv_json.to_json(drvs))
    assert {path: drv.to_bytes() for path, drv in again.items()} == {p: drv.to_bytes() for p, drv in drvs.items()}
    assert {path: drv.path() for path, drv in again.items()} == {path: path for path in drvs}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not JSON"),
        ("[]", "object of derivations"),
        ('{"x": {}}', "has no args"),
        (
            '{"x": {"outputs":[],"inputSrcs":[],"inputDrvs":{},"system":"","builder":"","args":[],"env":{}}}',
            "outputs: ",
        ),
        (
            '{"x": {"outputs":{},"inputSrcs":[1],"inputDrvs":{},"system":"","builder":"","args":[],"env":{}}}',
            "a string",
        ),
    ],
)
def test_json_that_is_no_derivation(text: str, reason: str) -> None:
    with pytest.raises(drv_json.DerivationJsonError, match=reason):
        drv_json.parse(text.encode())


def test_json_is_that_of_nix(nix: Callable[..., str], tmp_path: Path) -> None:
    store = f"local?root={tmp_path}"
    features = ["--extra-experimental-features", "nix-command ca-derivations impure-derivations"]
    drvs = nix("nix-instantiate", *features, "--store", store, str(DATA / "drv" / "cases.nix")).split()
    drvs = [drv.partition("!")[0] for drv in drvs]
    assert len(drvs) > 3
    shown = json.loads(nix("nix", *features, "--store", store, "show-derivation", *drvs))
    for path, value in shown.items():
        data = (tmp_path / path[1:]).read_bytes()
        drv = drv_file.parse(data, sp.name_of(path).removesuffix(".drv"))
        if all(text.isprintable() or text.isascii() for text in drv.env.values()):
            assert drv_json.to_value(drv) == value
        assert drv.to_bytes() == data


def test_keys_and_signatures_are_those_of_nix(nix: Callable[..., str], tmp_path: Path) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    nix("nix-store", "--generate-binary-cache-key", "test-1", str(secret), str(public))
    key = SecretKey(secret.read_text())
    assert key.public().to_text() == public.read_text().strip()
    (tmp_path / "file").write_text("signed")
    store = f"local?root={tmp_path}/store"
    path = nix("nix-store", "--store", store, "--add", str(tmp_path / "file")).strip()
    cache = tmp_path / "cache"
    command = ["nix", "--extra-experimental-features", "nix-command", "--store", store, "copy", "--to"]
    nix(*command, f"file://{cache}?secret-key={secret}&compression=none", path)
    info = narinfo.parse((cache / f"{sp.digest_of(path)}.narinfo").read_bytes())
    assert info.to_text() == (cache / f"{sp.digest_of(path)}.narinfo").read_text()
    assert info.signatures == [key.sign(info.fingerprint())]
    assert info.nar_hash == hash_bytes("sha256", (cache / info.url).read_bytes())
