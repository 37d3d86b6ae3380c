from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import hashes
from store.hashes import Hash, HashError

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "store" / "hashes.json").read_text())
SPELLINGS = ["base16", "nix32", "base64", "sri"]

all_hashes = st.sampled_from(sorted(hashes.DIGEST_SIZE)).flatmap(
    lambda algo: st.binary(min_size=hashes.digest_size(algo), max_size=hashes.digest_size(algo)).map(
        lambda digest: Hash(algo, digest)
    )
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['algo']}-{v['text'][:8]!r}")
def test_computed_and_spelled_as_nix_does(vector: dict[str, str]) -> None:
    value = hashes.hash_bytes(vector["algo"], vector["text"].encode())
    assert {spelling: value.format(spelling) for spelling in SPELLINGS} == {s: vector[s] for s in SPELLINGS}
    for spelling in SPELLINGS:
        assert hashes.parse(vector[spelling], vector["algo"]) == value


@pytest.mark.parametrize(
    ("algo", "hexadecimal"),
    [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),  # RFC 1321, A.5
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),  # FIPS 180, "abc"
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha512",
            (
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ),
    ],
)
def test_published_vectors(algo: str, hexadecimal: str) -> None:
    assert hashes.hash_bytes(algo, b"abc").base16() == hexadecimal


@given(all_hashes)
def test_parse_undoes_format(value: Hash) -> None:
    for spelling in [*SPELLINGS, "base32"]:
        assert hashes.parse(value.format(spelling), value.algo) == value
        assert hashes.parse(value.format(spelling, with_algo=True)) == value
    assert hashes.parse_sri(value.sri()) == value
    assert hashes.parse(value.base16().upper(), value.algo) == value


@given(st.text(max_size=120), st.sampled_from([None, "md5", "sha256", "foo"]))
def test_any_text_is_a_hash_or_refused(text: str, algo: str | None) -> None:
    try:
        value = hashes.parse_allow_empty(text, algo)
    except HashError:
        return
    assert len(value.digest) == hashes.digest_size(value.algo)


@given(all_hashes, st.integers(0, 200), st.sampled_from("!=: \n-é\0\udc80e"))
def test_a_damaged_hash_is_refused_or_whole(value: Hash, place: int, damage: str) -> None:
    for spelling in SPELLINGS:
        text = value.format(spelling)
        at = place % len(text)
        try:
            read = hashes.parse(text[:at] + damage + text[at + 1 :], value.algo)
        except HashError:
            continue
        assert len(read.digest) == len(value.digest)


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
EMPTY64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"


@pytest.mark.parametrize(
    ("text", "algo", "message"),
    [
        ("abc", None, "hash 'abc' does not include a type, nor is the type otherwise known from context"),
        ("abc", "sha256", "hash 'abc' has wrong length for hash type 'sha256'"),
        ("sha256:abc", "sha1", "hash 'sha256:abc' should have type 'sha1'"),
        ("foo:abc", None, "unknown hash algorithm 'foo'"),
        ("abc", "foo", "unknown hash algorithm 'foo'"),
        ("a:b:c", None, "unknown hash algorithm 'a'"),
        ("sha256-a:b", None, "unknown hash algorithm 'sha256-a'"),
        ("SHA256-" + EMPTY64 + "=", None, "unknown hash algorithm 'SHA256'"),
        ("sha256-AAAA", None, "invalid SRI hash 'AAAA'"),
        ("sha256-!!!", None, "invalid character in Base64 string: '!'"),
        ("sha256-" + EMPTY, None, f"invalid SRI hash '{EMPTY}'"),
        ("z" + EMPTY[1:], "sha256", f"invalid base-16 hash 'z{EMPTY[1:]}'"),
        ("  " + EMPTY[2:], "sha256", f"invalid base-16 hash '  {EMPTY[2:]}'"),
        ("z" + "0" * 51, "sha256", f"invalid base-32 hash 'z{'0' * 51}'"),
        ("e" + "0" * 51, "sha256", f"invalid base-32 hash 'e{'0' * 51}'"),
        ("A" * 42 + "==", "sha256", f"invalid base-64 hash '{'A' * 42}=='"),
        ("", None, "empty hash requires explicit hash type"),
    ],
)
def test_refusals_are_worded_as_in_nix(text: str, algo: str | None, message: str) -> None:
    with pytest.raises(HashError) as caught:
        hashes.parse_allow_empty(text, algo)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "text", [EMPTY64, EMPTY64 + "=", EMPTY64 + "=xx", EMPTY64[:-1] + "V=", EMPTY64[:9] + "\n" + EMPTY64[9:]]
)
def test_sri_is_read_as_leniently_as_in_nix(text: str) -> None:
    assert hashes.parse("sha256-" + text).base16() == EMPTY


def test_the_empty_text_is_a_hash_of_zeros_where_allowed() -> None:
    assert hashes.parse_allow_empty("", "sha256").sri() == "sha256-" + "A" * 43 + "="
    with pytest.raises(HashError, match="wrong length"):
        hashes.parse("", "sha256")


def test_blake3_is_named_but_not_computed() -> None:
    assert hashes.parse("blake3-" + EMPTY64 + "=").algo == "blake3"
    with pytest.raises(HashError, match="hash algorithm 'blake3' cannot be computed here"):
        hashes.hash_bytes("blake3", b"")


def test_refuses_digests_and_formats_that_cannot_be() -> None:
    with pytest.raises(HashError, match="3 bytes is not a md5 hash"):
        Hash("md5", b"abc")
    with pytest.raises(HashError, match="unknown hash format 'base58'"):
        hashes.hash_bytes("md5", b"").format("base58")
    with pytest.raises(HashError, match="is not SRI"):
        hashes.parse_sri("md5:d41d8cd98f00b204e9800998ecf8427e")


def test_hashes_are_values() -> None:
    one = hashes.hash_bytes("sha1", b"x")
    assert one == hashes.parse(one.sri())
    assert len({one, hashes.hash_bytes("sha1", b"x"), hashes.hash_bytes("sha1", b"y")}) == 2
    assert one != "sha1"


def test_a_file_is_hashed_in_chunks(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3000
    (tmp_path / "big").write_bytes(data)
    assert hashes.hash_file("sha512", str(tmp_path / "big")) == hashes.hash_bytes("sha512", data)
    with pytest.raises(FileNotFoundError):
        hashes.hash_file("sha512", str(tmp_path / "absent"))
