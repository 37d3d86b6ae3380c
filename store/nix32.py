"""Nix's base-32 ("nix32"): the alphabet without e, o, t and u, the last byte's bits first.

Specification: the Nix manual, "Store path" (protocol) and "Nix32 encoding". The bytes are read as one
little-endian number; its base-32 digits are written most significant first, as many as the bits need.
"""

from __future__ import annotations

from typing import Final

ALPHABET: Final = "0123456789abcdfghijklmnpqrsvwxyz"

_PAIRS: Final = [a + b for a in ALPHABET for b in ALPHABET]
_DIGITS: Final = {character: digit for digit, character in enumerate(ALPHABET)}


class Nix32Error(ValueError):
    """The text is not a nix32 spelling of whole bytes."""


def encoded_length(size: int) -> int:
    """How many characters ``size`` bytes take."""
    return (size * 8 + 4) // 5


def encode_number(number: int, length: int) -> str:
    """``number`` as ``length`` digits; the number must fit."""
    parts: list[str] = []
    left = length
    while left > 1:
        parts.append(_PAIRS[number & 1023])
        number >>= 10
        left -= 2
    if left == 1:
        parts.append(ALPHABET[number & 31])
    parts.reverse()
    return "".join(parts)


def encode(data: bytes) -> str:
    """The nix32 spelling of ``data``; the empty string for no bytes."""
    return encode_number(int.from_bytes(data, "little"), encoded_length(len(data)))


def decode(text: str) -> bytes:
    """The bytes that ``text`` spells.

    Raises :class:`Nix32Error` for a character outside the alphabet, for a length that no number of bytes
    has, and for set bits past the last byte (so every accepted text is the only spelling of its bytes).
    """
    size = len(text) * 5 // 8
    if encoded_length(size) != len(text):
        raise Nix32Error(f"a base-32 text cannot have {len(text)} characters")
    number = 0
    for character in text:
        digit = _DIGITS.get(character, -1)
        if digit < 0:
            raise Nix32Error(f"invalid character in base-32 text: '{character}'")
        number = number << 5 | digit
    if number >> (size * 8) != 0:
        raise Nix32Error("a base-32 text has bits set past its last byte")
    return number.to_bytes(size, "little")
