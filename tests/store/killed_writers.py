"""A program for test_faults.py: processes that add trees to one store and are killed at random moments.

    killed_writers.py STORE TREES KILLS SEED

Forks 8 writers at a time. Each adds random trees (some small enough for the database, some for packs) and
acknowledges every path on stdout after `add_path` has answered. Each is sent SIGKILL at a random moment.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time

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
        ends: dict[int, float] = {}
        for _ in range(min(WRITERS, kills - killed)):
            writer_seed = chance.randrange(1 << 30)
            child = os.fork()
            if child == 0:
                write(store, place, writer_seed)
            ends[child] = time.monotonic() + chance.random() * 0.4
        for child, end in sorted(ends.items(), key=lambda item: item[1]):
            time.sleep(max(0.0, end - time.monotonic()))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1


if __name__ == "__main__":
    main()
