"""A build service that builds nothing but says so, and derivations that tell it what to pretend.

Run as a program it makes wishes true in a store, in a process of its own:

    python pretending.py STORE DRV      prints `building DRV` when it builds, and waits for a line before it goes on

The variable `does` of a derivation: nothing (its outputs hold its name), `fail`, `timeout`, `hang` (until cancelled),
`ask` (what a test gives as `on_ask` decides when it goes on), `vary` (another output each time).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from builder.events import BuildEvent, BuiltOutput, Failed, LogLine, Started, Succeeded, Why
from builder.progress import Event
from builder.realise import Realiser, Wish
from builder.request import BuildRequest
from builder.settings import Settings
from store.castore.nodes import FileNode
from store.composition import local_store
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation, DerivationHashes, Output
from store.nar import NarWriter

SYSTEM = "x86_64-linux"
SETTINGS = Settings(substituters=(), log_lines=3)


class Pretending:
    """The service. It counts what it was asked for: `built` has the derivations, `most` how many there were at once."""

    def __init__(self, store: CastoreStore, on_ask: Callable[[str], object] | None = None) -> None:
        self.store = store
        self.built: list[str] = []
        self.most = 0
        self._now = 0
        self._on_ask = on_ask
        self._count = itertools.count()
        self._lock = threading.Lock()

    def systems(self) -> frozenset[str]:
        return frozenset([SYSTEM])

    def build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        with self._lock:
            self.built.append(request.derivation)
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield Started("pretended")
            yield from self._build(request, cancel)
        finally:
            with self._lock:
                self._now -= 1

    def _build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        does = dict(request.environment).get(b"does", b"").decode()
        for number in range(5):
            yield LogLine(f"line {number} of {request.name}".encode())
        if does == "ask" and self._on_ask is not None:
            self._on_ask(request.derivation)
        if does == "hang":
            assert cancel.wait(60)
        if cancel.is_set():
            yield Failed(Why.CANCELLED, "it was cancelled")
        elif does in ("fail", "timeout"):
            why = Why.EXIT if does == "fail" else Why.TIME
            yield Failed(why, "builder failed with exit code 1", 1)
        else:
            text = f"{request.name} {next(self._count) if does == 'vary' else ''}"
            content = " ".join([text, *dict(request.environment).get(b"inputs", b"").decode().split()]).encode()
            yield Succeeded(tuple(self._made(path, content, request.needles) for path in request.outputs))

    def _made(self, path: str, content: bytes, needles: Iterable[str]) -> BuiltOutput:
        digest = self.store.castore.blobs.put_whole(content)
        hasher = hashlib.sha256()
        writer = NarWriter(hasher.update)
        writer.regular(content)
        size = writer.finish()
        found = tuple(sorted(needle for needle in needles if needle.encode() in content))
        return BuiltOutput(path, FileNode(digest, len(content)), hasher.digest(), size, found)


class Recipes:
    """Makes derivations in a store."""

    def __init__(self, store: CastoreStore) -> None:
        self.store = store
        self._hashes = DerivationHashes(load=store.read_derivation)

    def add(self, name: str, *inputs: str, does: str = "", system: str = SYSTEM, **env: str) -> str:
        """A derivation whose output names those of `inputs` (derivations), so that it refers to them."""
        paths = [self.store.read_derivation(drv_path).outputs["out"].path for drv_path in inputs]
        drv = Derivation(
            name,
            {"out": Output()},
            {drv_path: {"out"} for drv_path in inputs},
            set(),
            system,
            "/bin/sh",
            [],
            {"name": name, "does": does, "inputs": " ".join(paths), **env},
        )
        self._hashes.instantiate(drv)
        return self.store.add_derivation(drv)

    def output(self, drv_path: str) -> str:
        """The path of a derivation's output."""
        return self.store.read_derivation(drv_path).outputs["out"].path


class Heard(list[Event]):
    """Events; `wait` waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def hear(self, event: Event) -> None:
        with self._changed:
            self.append(event)
            self._changed.notify_all()

    def wait(self, wanted: Callable[[Event], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self)), 60), self


def main(folder: str, drv_path: str) -> None:
    """What the program does."""

    def ask(built: str) -> None:
        print("building", built, flush=True)
        sys.stdin.readline()

    with local_store(folder) as store:
        found = Realiser(
            store,
            service=Pretending(store, ask),
            settings=SETTINGS,
            on_event=lambda event: print(type(event).__name__, flush=True),
        ).realise([Wish(drv_path)])
        print("made", *found.values(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)
