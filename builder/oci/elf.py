"""Programs of a few instructions, as ELF files. Specification: the System V ABI, "Object Files"; AMD64 supplement."""

from __future__ import annotations

import os
import struct
from typing import Final

#: Whether this is a machine that they are made for.
AVAILABLE: Final = os.uname().machine == "x86_64"

_BASE: Final = 0x400000
_HEADERS: Final = 64 + 56
#: Where data is when the program runs; the instructions follow it.
DATA: Final = _BASE + _HEADERS


def program(code: bytes, data: bytes = b"") -> bytes:
    """A program for x86-64: one read-only segment with the headers, ``data``, and ``code``, where it begins."""
    size = _HEADERS + len(data) + len(code)
    entry = DATA + len(data)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, entry, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + data + code
