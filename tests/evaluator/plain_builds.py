"""A realiser that runs builders as plain processes of this machine: no sandbox, but as many at once as the real one.

An output is built beside its place (``/nix/store`` may not be writable), what a builder is told names that folder;
outputs of inputs are named by where the store lays them out. Nothing that is built may hold its own path.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from builder.checkouts import Checkouts
from builder.outcome import BuildFailed, Cancelled, Wish
from builder.realise import Realiser
from builder.settings import Settings
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation
from store.nar import nar_sha256, write_nar


class PlainRealiser(Realiser):
    """``runs`` says of each build when it began and ended; ``calls`` what it was asked for at a time."""

    def __init__(self, store: CastoreStore, folder: Path, jobs: int = 4) -> None:
        super().__init__(store, substituters=[], settings=Settings(), jobs=jobs)
        self.calls: list[list[Wish]] = []
        self.runs: dict[str, tuple[float, float]] = {}
        self.started = threading.Event()
        self._folder = folder
        self._checkouts = Checkouts(store, folder / "checkouts")
        folder.mkdir(parents=True, exist_ok=True)

    def realise(self, wishes: Iterable[Wish], cancel: threading.Event | None = None) -> dict[str, str]:
        asked = list(wishes)
        self.calls.append(asked)
        cancel = cancel or threading.Event()
        waiting: dict[str, set[str]] = {}
        for wish in asked:
            if not wish.path.endswith(".drv"):
                raise BuildFailed(wish.path, f"there is no way to get '{wish.path}'", kind="unbuildable")
            self._plan(wish.path, waiting)
        with ThreadPoolExecutor(self.jobs) as pool:
            running: dict[Future[None], str] = {}
            try:
                while waiting or running:
                    for path in [path for path, needed in waiting.items() if not needed]:
                        del waiting[path]
                        running[pool.submit(self._build, path, cancel)] = path
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
                        path = running.pop(future)
                        for needed in waiting.values():
                            needed.discard(path)
            except BaseException:
                cancel.set()
                raise
        return {}

    def most_at_once(self) -> int:
        """How many builds ran at the same time, at the most."""
        return max(sum(begun <= at < ended for begun, ended in self.runs.values()) for at, _ in self.runs.values())

    def _plan(self, path: str, waiting: dict[str, set[str]]) -> None:
        drv = self.store.read_derivation(path)
        if path in waiting or all(self.store.query(output.path) for output in drv.outputs.values()):
            return
        for needed in drv.input_drvs:
            self._plan(needed, waiting)
        waiting[path] = {needed for needed in drv.input_drvs if needed in waiting}

    def _build(self, path: str, cancel: threading.Event) -> None:
        drv = self.store.read_derivation(path)
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            places = {output.path: f"{scratch}/{name}" for name, output in drv.outputs.items()}
            for needed in self._inputs(drv):
                places[needed] = self._checkouts.path_of(needed)
            self._run(path, drv, places, cancel)
            self.runs[path] = (begun, time.monotonic())
            for output in drv.outputs.values():
                _lead_back(Path(places[output.path]), places)
            with self.store.transaction():
                for output in drv.outputs.values():
                    self._keep(output.path, places[output.path], path)

    def _inputs(self, drv: Derivation) -> Iterable[str]:
        yield from drv.input_srcs
        for needed, outputs in drv.input_drvs.items():
            found = self.store.read_derivation(needed).outputs
            yield from (found[output].path for output in outputs)

    def _run(self, path: str, drv: Derivation, places: dict[str, str], cancel: threading.Event) -> None:
        def told(text: str) -> str:
            for store_path, place in places.items():
                text = text.replace(store_path, place)
            return text

        environment = {"PATH": os.environ["PATH"], **{name: told(value) for name, value in drv.env.items()}}
        process = subprocess.Popen(
            [told(drv.builder), *map(told, drv.args)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.set()
        ended = threading.Event()

        def watch() -> None:
            while not ended.is_set():
                if cancel.wait(0.02):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        log, _ = process.communicate()
        ended.set()
        watcher.join()
        if cancel.is_set():
            raise Cancelled("cancelled")
        if process.returncode:
            raise BuildFailed(
                path, f"builder failed with exit code {process.returncode}", tuple(log.splitlines()[-10:])
            )

    def _keep(self, output: str, place: str, drv_path: str) -> None:
        archive = io.BytesIO()
        write_nar(place, archive.write)
        info = PathInfo(output, nar_sha256(place), archive.tell(), deriver=drv_path)
        archive.seek(0)
        self.store.add(info, archive.read)


def _lead_back(built: Path, places: dict[str, str]) -> None:
    """Lets links that lead to where an input was laid out lead to its store path."""
    for path in [built, *built.rglob("*")]:
        if path.is_symlink():
            target = os.readlink(path)
            for store_path, place in places.items():
                target = target.replace(place, store_path)
            path.unlink()
            path.symlink_to(target)
