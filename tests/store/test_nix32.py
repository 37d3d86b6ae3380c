from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import nix32


@given(st.binary(max_size=80))
def test_decode_undoes_encode(data: bytes) -> None:
    text = nix32.encode(data)
    assert len(text) == nix32.encoded_length(len(data))
    assert nix32.decode(text) == data


@given(st.text(alphabet=nix32.ALPHABET, max_size=70))
def test_every_accepted_text_is_the_only_spelling_of_its_bytes(text: str) -> None:
    try:
        data = nix32.decode(text)
    except nix32.Nix32Error:
        return
    assert nix32.encode(data) == text


@given(st.text(max_size=40))
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        nix32.decode(text)
    except nix32.Nix32Error:
        return
    assert set(text) <= set(nix32.ALPHABET)


def test_bits_are_taken_from_the_last_byte_first() -> None:
    assert nix32.encode(b"") == ""
    assert nix32.encode(b"\x01") == "01"
    assert nix32.encode(b"\xff") == "7z"
    assert nix32.encode(b"\x1f\x00") == "000z"
    assert nix32.encode(b"\x00\x80") == "1000"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0", "cannot have 1 characters"),
        ("000", "cannot have 3 characters"),
        ("0e", "invalid character in base-32 text: 'e'"),
        ("0A", "invalid character"),
        ("0\udcff", "invalid character"),
        ("80", "bits set past its last byte"),
    ],
)
def test_refusals_say_why(text: str, complaint: str) -> None:
    with pytest.raises(nix32.Nix32Error, match=complaint):
        nix32.decode(text)
