"""Derivations made and built in a sandbox of one's own; what is left of them on the machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.checkouts import Checkouts
from builder.events import BuildEvent, BuiltOutput, Failed, LogLine, Started, Succeeded
from builder.oci.probing import Trial, try_out
from builder.oci.root import find_shell
from builder.oci.runtimes import Runtime, candidates
from builder.oci.service import OciBuildService
from builder.outputs import register
from builder.prepare import UNLIMITED, Limits, prepare
from store.backends.local.castore import LocalCastore
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation, DerivationHashes, Output

SYSTEM = "x86_64-linux"


@cache
def trial(name: str, folder: Path) -> tuple[Trial, Runtime]:
    """Whether the runtime called so works here."""
    runtime = next(runtime for runtime in candidates() if runtime.name == name)
    return try_out(runtime, folder, find_shell()), runtime


@dataclass
class Built:
    """What came of a build."""

    drv_path: str
    drv: Derivation
    events: list[BuildEvent]
    outputs: dict[str, PathInfo]

    @property
    def log(self) -> bytes:
        return b"".join(event.line + b"\n" for event in self.events if isinstance(event, LogLine))

    @property
    def failed(self) -> Failed:
        assert isinstance(self.events[-1], Failed), self.log
        return self.events[-1]

    @property
    def success(self) -> Succeeded:
        assert isinstance(self.events[-1], Succeeded), (self.events[-1], self.log)
        return self.events[-1]

    @property
    def made(self) -> tuple[BuiltOutput, ...]:
        return self.success.outputs

    @property
    def out(self) -> PathInfo:
        assert self.made
        return self.outputs["out"]


class Sandbox:
    """A store and a service in ``folder``."""

    def __init__(self, folder: Path, runtime: Runtime | None = None, keep_failed: Path | None = None) -> None:
        self.folder = folder
        self.names: set[str] = set()  # of the builds that ran here
        self.store = CastoreStore(LocalCastore(str(folder / "store")), uri=f"local:{folder}/store")
        self.checkouts = Checkouts(self.store, folder / "checkouts")
        self.service = OciBuildService(
            self.store,
            folder=folder / "builder",
            checkouts=self.checkouts,
            runtime=runtime,
            keep_failed=keep_failed,
        )

    def close(self) -> None:
        self.store.close()

    def derivation(
        self,
        script: str,
        env: Mapping[str, str] | None = None,
        *,
        name: str = "test",
        outputs: Mapping[str, Output] | None = None,
        inputs: Mapping[str, set[str]] | None = None,
        sources: Iterator[str] | set[str] | None = None,
        system: str = SYSTEM,
    ) -> Derivation:
        """One that runs ``script`` with the sandbox's shell."""
        variables = {"name": name, "builder": "/bin/sh", "system": system, **(env or {})}
        return Derivation(
            name,
            dict(outputs or {"out": Output()}),
            dict(inputs or {}),
            set(sources or ()),
            system,
            "/bin/sh",
            ["-c", script],
            variables,
        )

    def add(self, drv: Derivation) -> str:
        """Fill in the paths of ``drv``; keep it."""
        DerivationHashes("/nix/store", self.store.read_derivation).instantiate(drv)
        return self.store.add_derivation(drv)

    def build(
        self,
        drv: Derivation,
        limits: Limits = UNLIMITED,
        cancel: threading.Event | None = None,
        on_event: Callable[[BuildEvent], None] | None = None,
        output_of: Callable[[str, str], str] | None = None,
    ) -> Built:
        """Build and, if that succeeds, register it."""
        drv_path = self.add(drv)
        request = prepare(self.store, drv_path, drv, limits=limits, output_of=output_of)
        events: list[BuildEvent] = []
        for event in self.service.build(request, cancel or threading.Event()):
            events.append(event)
            if isinstance(event, Started):
                self.names.update(path.name for path in (self.folder / "builder/builds").glob("*/"))
            if on_event:
                on_event(event)
        last = events[-1]
        outputs = register(self.store, drv_path, drv, last) if isinstance(last, Succeeded) else {}
        return Built(drv_path, drv, events, outputs)

    def realise(self, drv_path: str, cores: int = 0) -> list[str]:
        """Build a derivation that the store has, and before it those that it needs; the paths of its outputs."""
        drv = self.store.read_derivation(drv_path)
        paths = [output.path for output in drv.outputs.values()]
        if all(self.store.query(path) is not None for path in paths):
            return paths
        for needed in drv.input_drvs:
            self.realise(needed, cores)
        events = list(self.service.build(prepare(self.store, drv_path, drv, cores=cores), threading.Event()))
        register(self.store, drv_path, drv, Built(drv_path, drv, events, {}).success)
        return paths

    def run(self, script: str, env: Mapping[str, str] | None = None, limits: Limits = UNLIMITED) -> Built:
        """Build a derivation made of ``script``."""
        return self.build(self.derivation(script, env), limits)

    def read(self, info: PathInfo, *names: bytes) -> bytes:
        """A file of an output."""
        return b"".join(self.store.tree(info).read(list(names)))


@contextmanager
def opened(folder: Path, runtime: Runtime | None = None, keep_failed: Path | None = None) -> Iterator[Sandbox]:
    """A sandbox that is closed at the end."""
    sandbox = Sandbox(folder, runtime, keep_failed)
    try:
        yield sandbox
    finally:
        sandbox.close()


def left_behind(folder: Path, names: Iterable[str] = ()) -> list[str]:
    """What builds in ``folder``, called ``names``, left on this machine: folders, processes, mounts, control groups."""
    found = [str(path) for path in (folder / "builder/builds").glob("*")]
    found += [str(path) for path in (folder / "checkouts/tmp").glob("*")]
    mark = os.fsencode(str(folder))
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and mark in (process / "cmdline").read_bytes():
                found.append(f"{process}: {(process / 'cmdline').read_bytes()!r}")
            if mark in (process / "mountinfo").read_bytes():
                found.append(f"{process}: mounts")
        except OSError:
            continue  # it has just ended, or is another user's
    # Not with a glob, which fails when a group of another test's build goes while it looks.
    for place, groups, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{place}/{group}" for group in groups if any(name in group for name in names)]
    return found
