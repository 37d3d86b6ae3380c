"""The part of protobuf's wire format that castore's messages use: varints and length-delimited fields.

Specification: https://protobuf.dev/programming-guides/encoding/. What is written is canonical: fields in the order of
their numbers, proto3 defaults left out, varints as short as can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
DELIMITED: Final = 2


class WireError(ValueError):
    """Bytes that are not a message."""


def varint(number: int) -> bytes:
    """``number`` (not negative) in groups of 7 bits, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    parts = bytearray()
    while number >= 0x80:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def number_field(field: int, value: int) -> bytes:
    """A varint field; nothing for 0."""
    return varint(field << 3) + varint(value) if value else b""


def bytes_field(field: int, value: bytes) -> bytes:
    """A length-delimited field (bytes, text, message), also when empty: for repeated ones and members of a oneof."""
    return varint(field << 3 | DELIMITED) + varint(len(value)) + value


def optional_bytes(field: int, value: bytes) -> bytes:
    """:func:`bytes_field`; nothing for no bytes."""
    return bytes_field(field, value) if value else b""


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in their order: number, and an ``int`` or ``bytes``. Raises :class:`WireError`."""
    at = 0
    end = len(data)
    while at < end:
        tag, at = _read_varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            number, at = _read_varint(data, at)
            yield tag >> 3, number
        elif kind == DELIMITED:
            size, at = _read_varint(data, at)
            if size > end - at:
                raise WireError("a field is longer than its message")
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise WireError(f"a field of kind {kind}")


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    shift = 0
    while True:
        if at >= len(data):
            raise WireError("a message ends inside a number")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> 64:
                raise WireError("a number over 64 bits")
            return number, at
        shift += 7
        if shift > 63:
            raise WireError("a number over 64 bits")


def as_bytes(value: int | bytes) -> bytes:
    """The value of a field that must be length-delimited."""
    if isinstance(value, int):
        raise WireError("a number where bytes belong")
    return value


def as_number(value: int | bytes) -> int:
    """The value of a field that must be a varint."""
    if isinstance(value, bytes):
        raise WireError("bytes where a number belongs")
    return value
