from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import hashes, nix32
from store import store_path as sp
from store.store_path import BadStorePath

HEX = hashlib.sha256(b"").hexdigest()
DIGEST = "xv2iccirbrvklck36f1g7vldn5v58vck"
names = st.text(alphabet="abzABZ019+-._?=", min_size=1, max_size=211)


def test_published_paths() -> None:
    """Computed step by step in "Nix Pills", chapter 18; the first is in Nix's own manual."""
    assert sp.text_path("foo", b"bar") == "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"
    nar_hex = "2bfef67de873c54551d884fdab3055d84d573e654efa79db3c0d7b98883f9ee3"
    assert sp.source_path("myfile", nar_hex) == f"/nix/store/{DIGEST}-myfile"
    flat = hashes.hash_bytes("sha256", b"mycontent\n")
    assert sp.fixed_output_path("bar", False, flat) == "/nix/store/a00d5f71k0vp5a6klkls0mvr1f7sx6ch-bar"


def test_what_goes_into_a_path() -> None:
    path = f"/nix/store/{DIGEST}-x"
    other = f"/nix/store/{'0' * 32}-a"
    assert sp.source_path("n", HEX) == sp.make_store_path("source", HEX, "n")
    assert sp.source_path("n", HEX, [path, other], True) == sp.make_store_path(f"source:{other}:{path}:self", HEX, "n")
    assert sp.text_path("n", b"", {path}) == sp.make_store_path(f"text:{path}", HEX, "n")
    assert sp.output_path("n", "dev", HEX) == sp.make_store_path("output:dev", HEX, "n-dev")
    assert sp.output_path("n", "out", HEX) == sp.make_store_path("output:out", HEX, "n")
    tree = hashes.hash_bytes("sha256", b"")
    assert sp.fixed_output_path("n", True, tree) == sp.source_path("n", HEX)
    assert sp.fixed_path("n", "text:", "sha256", HEX) == sp.text_path("n", b"")
    md5 = hashes.hash_bytes("md5", b"")
    inner = hashlib.sha256(f"fixed:out:r:md5:{md5.base16()}:".encode()).hexdigest()
    assert sp.fixed_output_path("n", True, md5) == sp.make_store_path("output:out", inner, "n")
    assert sp.text_path("n", b"", store_dir="/s") != sp.text_path("n", b"").replace("/nix/store", "/s")


@given(names)
def test_paths_come_apart_as_they_were_made(name: str) -> None:
    path = sp.make_store_path("source", HEX, name)
    sp.check_store_path(path)
    assert (sp.name_of(path), "/nix/store/" + sp.digest_of(path) + "-" + name) == (name, path)
    assert sp.split(path) == (path, "")
    assert sp.split(path + "/bin/x") == (path, "/bin/x")
    assert sp.is_derivation(path) == name.endswith(".drv")


@given(st.text())
def test_any_text_is_a_store_path_or_refused(text: str) -> None:
    for path in [text, "/nix/store/" + text, f"/nix/store/{DIGEST}-{text}", f"/nix/store/{text}-x"]:
        if sp.is_store_path(path):
            assert sp.split(path) == (path, "")
            nix32.decode(sp.digest_of(path))
        assert sp.to_text(sp.to_bytes("/x")) == "/x"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "store path '9r1mh2rc3s3i33vpdw86kqqyvy9i1y4w-' has an empty name"),
        ("a b", "store path 'dm85kbl5cy82j2dzvy1874s14y3salv3-a b' contains illegal character ' '"),
    ],
)
def test_impossible_names_are_refused_in_nix_words(name: str, message: str) -> None:
    with pytest.raises(BadStorePath) as caught:
        sp.text_path(name, b"x")
    assert str(caught.value) == message


@pytest.mark.parametrize("character", [" ", "/", "é", "\n", "\0", "~", "@", ":", "\udcff"])
def test_every_other_character_is_refused(character: str) -> None:
    with pytest.raises(BadStorePath, match="contains illegal character '"):
        sp.text_path("a" + character, b"")


def test_a_name_has_at_most_211_characters() -> None:
    assert sp.text_path("a" * 211, b"").endswith("a" * 211)
    with pytest.raises(BadStorePath, match="has a name longer than 211 characters"):
        sp.text_path("a" * 212, b"")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/tmp/x", "path '/tmp/x' is not in the Nix store"),
        ("/nix/store", "path '/nix/store' is not in the Nix store"),
        ("", "path '' is not in the Nix store"),
        ("/nix/storefront/x", "path '/nix/storefront/x' is not in the Nix store"),
        ("/nix/store/abc", "'abc' is too short to be a valid store path"),
        ("/nix/store/", "'' is too short to be a valid store path"),
        (f"/nix/store/e{DIGEST[1:]}-x", f"store path 'e{DIGEST[1:]}-x' contains illegal base-32 character 'e'"),
        (f"/nix/store/{DIGEST}-", f"store path '{DIGEST}-' has an empty name"),
        (f"/nix/store/{DIGEST}_x", f"store path '{DIGEST}_x' has no '-' after its hash"),
        (f"/nix/store/{DIGEST}-x/bin", f"path '/nix/store/{DIGEST}-x/bin' is not in the Nix store"),
    ],
)
def test_what_is_not_a_store_path_is_refused_with_its_reason(path: str, message: str) -> None:
    with pytest.raises(BadStorePath) as caught:
        sp.check_store_path(path)
    assert str(caught.value) == message
    assert not sp.is_store_path(path)


@pytest.mark.parametrize("path", ["/tmp/x", "/nix/store", "/nix/store/", "/nix/store/short/x", "/nix/store//x"])
def test_only_paths_under_store_objects_split(path: str) -> None:
    with pytest.raises(BadStorePath):
        sp.split(path)


def test_placeholders() -> None:
    assert sp.placeholder("out") == "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"
    # The vectors of Nix's own tests (src/libstore/tests, downstream placeholders).
    drv = "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv"
    assert sp.downstream_placeholder(drv, "out") == "/0c6rn30q4frawknapgwq386zq358m8r6msvywcvc89n6m5p2dgbz"
    assert sp.downstream_placeholder(drv, "dev") != sp.downstream_placeholder(drv, "out")
