"""Frames of little contents, made and read without the library for zstd, which takes 2 ms to load.

They are frames that every reader of zstd reads: their only block is *raw*. What fits into a page of the database is no
place to save.

Specification: RFC 8878, 3.1.1: the magic number; a descriptor that says *single segment* and *size in four bytes*; that
size; the header of the last block, which says *raw*, in three bytes; the contents.
"""

from __future__ import annotations

#: Bytes of contents at most.
LITTLE = 1 << 12
_START = b"\x28\xb5\x2f\xfd\xa0"
_BEFORE = 12  # bytes before the contents
_LAST_RAW = 1


def of_little(data: bytes) -> bytes:
    """The frame of at most :data:`LITTLE` bytes."""
    size = len(data)
    return _START + size.to_bytes(4, "little") + (size << 3 | _LAST_RAW).to_bytes(3, "little") + data


def little(frame: bytes) -> bytes | None:
    """What is in such a frame; None for any other, a damaged one too."""
    if len(frame) > _BEFORE + LITTLE or not frame.startswith(_START):
        return None
    data = frame[_BEFORE:]
    return data if frame == of_little(data) else None
