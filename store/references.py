"""The reference scan: which store paths a stream of bytes mentions, by their digests.

Specification: the Nix manual, "Store object", references: an object refers to another if the 32 nix32 characters of
the other's digest stand anywhere in its NAR. Nothing else of the path has to be there.

The scan works on chunks of any size; digests that lie across their borders are found. Runs of characters that could
belong to a digest are found by two C-speed passes (translate, find), so that most bytes cost next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from store import nix32
from store.store_path import HASH_LENGTH

_TABLE: Final = bytes([1 if chr(code) in nix32.ALPHABET else 0 for code in range(256)])
_RUN: Final = b"\1" * HASH_LENGTH
_FEW: Final = 12  # up to so many digests, looking for each of them is faster than looking for runs
_CANDIDATE: Final = re.compile(rb"(?<![0-9abcdfghijklmnpqrsvwxyz])([0-9abcdfghijklmnpqrsvwxyz]{32})-[0-9a-zA-Z+\-._?=]")


class ReferenceScanner:
    """Finds which of ``digests`` (32 nix32 characters each) stand in what is fed to it."""

    def __init__(self, digests: Iterable[str]) -> None:
        self._wanted: Final = {digest.encode("ascii") for digest in digests}
        for digest in self._wanted:
            if len(digest) != HASH_LENGTH:
                raise ValueError(f"'{digest.decode()}' is not the digest of a store path")
        self._found: Final[set[bytes]] = set()
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Look at the next bytes of the stream."""
        wanted = self._wanted
        if not wanted:
            return
        whole = self._tail + data if self._tail else data
        if len(wanted) <= _FEW:
            for digest in list(wanted):
                if digest in whole:
                    self._take(digest)
        else:
            self._scan_runs(whole)
        self._tail = whole[-(HASH_LENGTH - 1) :]

    def found(self) -> set[str]:
        """The digests found so far."""
        return {digest.decode("ascii") for digest in self._found}

    def _take(self, digest: bytes) -> None:
        self._found.add(digest)
        self._wanted.discard(digest)

    def _scan_runs(self, data: bytes) -> None:
        wanted = self._wanted
        mask = data.translate(_TABLE)
        start = mask.find(_RUN)
        while start >= 0:
            end = mask.find(b"\0", start + HASH_LENGTH)
            if end < 0:
                end = len(mask)
            last = end - HASH_LENGTH
            at = start
            while at <= last:
                window = data[at : at + HASH_LENGTH]
                if window in wanted:
                    self._take(window)
                at += 1
            start = mask.find(_RUN, end)


def scan(data: bytes, digests: Iterable[str]) -> set[str]:
    """Which of ``digests`` stand in ``data``."""
    scanner = ReferenceScanner(digests)
    scanner.feed(data)
    return scanner.found()


def candidates(data: bytes) -> set[str]:
    """What looks like the digest of a store path in ``data``: 32 nix32 characters, a dash, a name's beginning.

    For finding what an object *might* refer to when it is not known what there is.
    """
    return {found.decode("ascii") for found in _CANDIDATE.findall(data)}
