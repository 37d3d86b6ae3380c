"""Content-defined chunking: where large contents are cut, so that equal stretches become equal chunks.

The method is FastCDC's (Xia and others, USENIX ATC 2016): a rolling hash over the last 31 bytes decides, no cut before
a minimum size, a harder condition up to the wanted size, an easier one beyond, and a cut at the maximum in any case. An
insertion changes the chunks around it, and those after it are found again. The hash's gear is arithmetic instead of a
table of random numbers: compiled, that is one multiplication a byte. **The cuts are part of what is stored**: a change
of a constant here keeps old contents readable, but nothing is shared between old and new any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mypy_extensions import i64

#: Contents up to this size are one chunk.
WHOLE: Final = 1 << 20
MINIMUM: Final = 3 << 17
WANTED: Final = 1 << 19
MAXIMUM: Final = 1 << 20

_HARD: Final = 0x7FFFF000  # 19 bits
_EASY: Final = 0x7FFF8000  # 16 bits


def cut(data: bytes, start: int, end: int) -> int:
    """How long the chunk is that begins at ``start``; ``data`` ends at ``end``.

    When the answer reaches ``end``, and ``end - start`` is below :data:`MAXIMUM`, only more data could tell.
    """
    size: i64 = end - start
    if size <= MINIMUM:
        return size
    at: i64 = start + MINIMUM - 31
    last: i64 = start + (size if size < MAXIMUM else MAXIMUM)
    wanted: i64 = start + (size if size < WANTED else WANTED)
    earliest: i64 = start + MINIMUM
    rolling: i64 = 0
    byte: i64 = 0
    while at < earliest:
        byte = data[at]
        rolling = ((rolling << 1) + ((byte * 0x2545F491 + 0x3C6EF372) ^ (byte << 19))) & 0x7FFFFFFF
        at += 1
    while at < wanted:
        byte = data[at]
        rolling = ((rolling << 1) + ((byte * 0x2545F491 + 0x3C6EF372) ^ (byte << 19))) & 0x7FFFFFFF
        at += 1
        if rolling & _HARD == 0:
            return at - start
    while at < last:
        byte = data[at]
        rolling = ((rolling << 1) + ((byte * 0x2545F491 + 0x3C6EF372) ^ (byte << 19))) & 0x7FFFFFFF
        at += 1
        if rolling & _EASY == 0:
            return at - start
    return last - start


def chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of contents that come in ``pieces`` of any size; one chunk if they are not over :data:`WHOLE`.

    Holds a few MiB at most. Empty contents are one empty chunk.
    """
    waiting: list[bytes] = []
    ready = 0
    large = False
    for piece in pieces:
        waiting.append(piece)
        ready += len(piece)
        # Enough for several cuts at once, so that little is joined twice; not more than processors keep at hand.
        if ready <= (2 * MAXIMUM if large else WHOLE):
            continue
        large = True
        data = b"".join(waiting)
        at = 0
        while ready - at >= MAXIMUM:
            size = cut(data, at, ready)
            yield data[at : at + size]
            at += size
        waiting = [data[at:]]
        ready -= at
    data = b"".join(waiting)
    if not large:
        yield data
        return
    at = 0
    while at < ready:
        size = cut(data, at, ready)
        yield data[at : at + size]
        at += size
