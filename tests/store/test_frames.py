"""Frames of little contents are zstd's."""

from __future__ import annotations

import pytest
import zstandard

from store.backends.local import frames


@pytest.mark.parametrize("size", [0, 1, 255, 256, 4095, frames.LITTLE])
def test_any_reader_reads_them(size: int) -> None:
    data = bytes(number % 251 for number in range(size))
    frame = frames.of_little(data)
    assert zstandard.ZstdDecompressor().decompress(frame, max_output_size=size) == data
    assert zstandard.ZstdDecompressor().stream_reader(frame).read() == data
    assert frames.little(frame) == data


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_those_of_the_library_are_left_to_it(size: int) -> None:
    assert frames.little(zstandard.ZstdCompressor().compress(b"a" * size)) is None


def test_damaged_ones_are_left_to_it() -> None:
    frame = frames.of_little(b"contents")
    for at in range(len(frame) - len(b"contents")):
        damaged = frame[:at] + bytes([frame[at] ^ 4]) + frame[at + 1 :]
        assert frames.little(damaged) is None
    assert frames.little(frame[:-1]) is None
    assert frames.little(frame + b"x") is None
    assert frames.little(b"") is None
