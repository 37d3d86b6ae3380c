"""Nix's base-32 ("nix32"): the alphabet without e, o, t and u, the last byte's bits first.

Specification: the Nix manual, "Store path" (protocol) and "Nix32 encoding". The bytes are read as one
little-endian number; its base-32 digits are written most significant first, as many as the bits need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

ALPHABET: Final = "0123456789abcdfghijklmnpqrsvwxyz"

_PAIRS: Final = [a + b for a in ALPHABET for b in ALPHABET]
_WORD_DIGITS: Final = 8
_WORD_BITS: Final = 5 * _WORD_DIGITS
_WORD: Final = (1 << _WORD_BITS) - 1
_DIGITS: Final = {character: digit for digit, character in enumerate(ALPHABET)}


class Nix32Error(ValueError):
    """The text is not a nix32 spelling of whole bytes."""


def encoded_length(size: int) -> int:
    """How many characters ``size`` bytes take."""
    return (size * 8 + 4) // 5


def encode_number(number: int, length: int) -> str:
    """``number`` as ``length`` digits; the number must fit."""
    parts: list[str] = []
    left: i64 = length
    while left > 0:
        # Of a large number, what fits into a machine word: shifting the whole is expensive.
        word: i64 = number & _WORD
        number >>= _WORD_BITS
        digits: i64 = min(left, _WORD_DIGITS)
        left -= digits
        while digits > 1:
            parts.append(_PAIRS[word & 1023])
            word >>= 10
            digits -= 2
        if digits == 1:
            parts.append(ALPHABET[word & 31])
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
