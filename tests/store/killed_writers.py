"""A program for test_faults.py: processes that add trees to one store and are killed at random moments.

    killed_writers.py STORE TREES KILLS SEED

Forks 8 writers at a time. Each adds random trees (some small enough for the database, some for packs) and
acknowledges every path on stdout after `add_path` has answered. Each is sent SIGKILL at a random moment, in its first
write or in the next.
"""

from __future__ import annotations

import math
import os
import random
import select
import shutil
import signal
import sys
import time
from typing import ClassVar

from store.backends.local.castore import LocalCastore
from store.composition.castore_store import CastoreStore

WRITERS = 8


def make_tree(place: str, chance: random.Random) -> None:
    os.makedirs(f"{place}/sub")
    for number in range(chance.randrange(1, 12)):
        with open(f"{place}/{chance.choice(['', 'sub/'])}{number}", "wb") as file:
            # Small numbers repeat: writers add the same contents at the same time.
            file.write(f"shared {chance.randrange(30)}\n".encode() * chance.choice([1, 100]))
    if chance.random() < 0.5:
        with open(f"{place}/large", "wb") as file:
            file.write(random.Random(chance.randrange(12)).randbytes(chance.choice([300_000, 2_500_000])))


def write(store: str, place: str, seed: int) -> None:
    chance = random.Random(seed)
    number = 0
    opened = CastoreStore(LocalCastore(store))
    while True:
        number += 1
        tree = f"{place}/{os.getpid()}-{number}"
        make_tree(tree, chance)
        info = opened.add_path(tree, f"tree{chance.randrange(50)}")
        os.write(1, f"{info.path}\n".encode())
        shutil.rmtree(tree)


def main() -> None:
    store, place, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    chance = random.Random(seed)
    killed = 0
    while killed < kills:
        writers = [Writer(store, place, chance) for _ in range(min(WRITERS, kills - killed))]
        killed += len(writers)
        while writers:
            now = time.monotonic()
            for writer in [writer for writer in writers if writer.end <= now]:
                writer.kill()
                writers.remove(writer)
            patience = min((writer.end - now for writer in writers), default=0.0)
            for ready in select.select(writers, [], [], min(max(0.0, patience), 60))[0]:
                ready.hear()


class Writer:
    """A process that writes. It is killed some time into a write: how long those take on this disk is measured."""

    pace: ClassVar[float] = 0.05  # seconds that one write took lately

    def __init__(self, store: str, place: str, chance: random.Random) -> None:
        seed = chance.randrange(1 << 30)
        self._wanted = chance.randrange(2)
        self._into = chance.random()
        self.end = math.inf
        self._began = time.monotonic()
        self._reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.dup2(writing, 1)
            write(store, place, seed)
        os.close(writing)
        self._look()

    def fileno(self) -> int:
        """Where it says what it wrote."""
        return self._reading

    def hear(self) -> None:
        """Passes on what it has acknowledged; decides when it ends."""
        said = os.read(self._reading, 65536)
        os.write(1, said)
        if not said:
            self.end = 0.0  # it has failed
        for _ in range(said.count(b"\n")):
            now = time.monotonic()
            Writer.pace, self._began = (Writer.pace + now - self._began) / 2, now
            self._wanted -= 1
        self._look()

    def _look(self) -> None:
        if self._wanted <= 0 and self.end == math.inf:
            self.end = time.monotonic() + self._into * Writer.pace

    def kill(self) -> None:
        """Ends it, and passes on what it still had said."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        while said := os.read(self._reading, 65536):
            os.write(1, said)
        os.close(self._reading)


if __name__ == "__main__":
    main()
