"""The compressions that binary caches use, as streams whose output nobody can blow up.

Decompressors answer pieces of bounded size, so that whoever takes them can stop when more comes than was announced.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import Any, Protocol

import zstandard

from store.castore.services import Corrupt, Refused

_PIECE = 1 << 18
_WINDOW = 1 << 27  # what a zstd stream may make us remember: --ultra -22 wants as much

#: Names in narinfos, and what a file's name ends with.
SUFFIXES = {"none": "", "xz": ".xz", "zstd": ".zst", "bzip2": ".bz2", "gzip": ".gz"}


class Compressor(Protocol):
    """Compresses a stream."""

    def compress(self, data: bytes, /) -> bytes:
        """What comes of the next bytes."""

    def flush(self) -> bytes:
        """What is left at the end."""


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def compressor(kind: str, level: int | None = None) -> Compressor:
    """A new compressor; :class:`Refused` for a kind that is not known here."""
    if kind == "none":
        return _Plain()
    if kind == "xz":
        return lzma.LZMACompressor(preset=6 if level is None else level)
    if kind == "zstd":
        return zstandard.ZstdCompressor(level=3 if level is None else level).compressobj()
    if kind == "bzip2":
        return bz2.BZ2Compressor(9 if level is None else level)
    if kind == "gzip":
        return zlib.compressobj(9 if level is None else level, wbits=31)
    raise Refused(f"unknown compression '{kind}' (known: {', '.join(SUFFIXES)})")


def decompressed(kind: str, pieces: Iterator[bytes], where: str) -> Iterator[bytes]:
    """``pieces`` decompressed; :class:`Corrupt` for what is malformed or ends early, ``where`` being its name.

    A zstd stream that ends early may just end: whoever knows the size notices.
    """
    if kind == "none":
        return pieces
    source: Any = _Pieces(pieces)
    file: Any
    if kind == "zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
        file = decompressor.stream_reader(source, read_across_frames=True)
    elif kind == "xz":
        file = lzma.LZMAFile(source)  # noqa: SIM115  # it holds nothing but the pieces
    elif kind == "bzip2":
        file = bz2.BZ2File(source)
    elif kind == "gzip":
        file = gzip.GzipFile(fileobj=source, mode="rb")
    else:
        raise Refused(f"{where}: unknown compression '{kind}' (known: {', '.join(SUFFIXES)})")
    return _read(file, kind, where)


def _read(file: Any, kind: str, where: str) -> Iterator[bytes]:
    while True:
        try:
            data = file.read(_PIECE)
        except (lzma.LZMAError, OSError, zlib.error, EOFError, zstandard.ZstdError) as error:
            raise Corrupt(f"{where} is not {kind}, or not all of it: {error}") from None
        if not data:
            return
        yield data


class _Pieces(RawIOBase):
    """Pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        if size < 0:
            size = len(self._left)
        data = self._left[:size]
        self._left = self._left[size:]
        return data
