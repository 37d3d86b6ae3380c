"""One build of one derivation, from the request to the registered outputs; what it says is kept as its log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from builder import outputs
from builder.events import BuildEvent, Failed, LogLine, Started, Succeeded, Why
from builder.logs import Logs
from builder.outcome import BuildFailed, Cancelled
from builder.prepare import FEATURES, UNLIMITED, Limits, prepare
from builder.readable import LONGEST, readable
from builder.request import BuildRequest, RequestError
from builder.service import BuildService
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation
from store.records import dataclass, replace

if TYPE_CHECKING:
    from builder import fetch

_KINDS = {Why.TIME: "timeout", Why.SILENCE: "timeout", Why.REFUSED: "unbuildable", Why.UNREACHABLE: "unbuildable"}


@dataclass(frozen=True)
class Making:
    """How derivations are built: the same for all of a call.

    ``cores``: what a build is told to use (0: all). ``tail``: so many lines of the log are told with a failure.
    ``fetching``: what ``builtin:fetchurl`` may do (None: as it comes). ``features``: what derivations may ask for.
    """

    store: CastoreStore
    service: BuildService
    logs: Logs | None
    limits: Limits = UNLIMITED
    cores: int = 0
    tail: int = 25
    fetching: fetch.Limits | None = None
    features: frozenset[str] = FEATURES

    def make(
        self,
        drv_path: str,
        drv: Derivation,
        cancel: threading.Event,
        hear: Callable[[BuildEvent], None],
        *,
        check: bool = False,
        ended: Callable[[], None] = lambda: None,
    ) -> dict[str, str]:
        """Build it; answer the outputs' paths by their names. ``check``: compare with what is there instead.

        ``ended`` is called when nothing runs any more: what is left is to look at the outputs and to register them.
        Raises ``BuildFailed``, ``Cancelled``, and ``StoreError``.
        """
        if drv.builder.startswith("builtin:"):
            return self._fetched(drv_path, drv, cancel, hear)
        systems = self.service.systems()
        if drv.system not in systems:
            mine = ", ".join(sorted(systems))
            raise BuildFailed(
                drv_path, f"a '{drv.system}' is required to build it, but this is {mine}", (), "unbuildable"
            )
        try:
            request = prepare(self.store, drv_path, drv, cores=self.cores, limits=self.limits, features=self.features)
        except RequestError as error:
            raise BuildFailed(drv_path, str(error), (), "unbuildable") from None
        tail: deque[bytes] = deque(maxlen=self.tail)
        # Contents of the outputs and what is known of them become visible together, and reach the disk at once.
        with self.store.transaction():
            last = self._run(request, drv_path, cancel, hear, tail)
            ended()
            said = tuple(readable(line, longest=LONGEST) for line in tail)
            if isinstance(last, Failed):
                if last.why is Why.CANCELLED:
                    raise Cancelled(f"the build of '{drv_path}' was cancelled")
                kept = f"; its folder is kept: {last.kept}" if last.kept else ""
                raise BuildFailed(drv_path, last.message + kept, said, _KINDS.get(last.why, "build"))
            if last is None:
                why = "the build service broke off without saying how it ended"
                raise BuildFailed(drv_path, why, said, "unbuildable")
            try:
                if check:
                    outputs.compare(self.store, drv_path, drv, last)
                    return {name: output.path for name, output in drv.outputs.items()}
                return {name: info.path for name, info in outputs.register(self.store, drv_path, drv, last).items()}
            except outputs.NotDeterministic as error:
                raise BuildFailed(drv_path, str(error), said, "not-deterministic") from None
            except outputs.HashMismatch as error:
                raise BuildFailed(drv_path, str(error), said, "hash-mismatch") from None
            except outputs.OutputError as error:
                raise BuildFailed(drv_path, str(error), said) from None

    def _run(
        self,
        request: BuildRequest,
        drv_path: str,
        cancel: threading.Event,
        hear: Callable[[BuildEvent], None],
        tail: deque[bytes],
    ) -> Succeeded | Failed | None:
        """Build, keep the log; how it ended."""
        log = self.logs.begin(drv_path) if self.logs is not None else None
        ended: Succeeded | Failed | None = None
        try:
            for event in self.service.build(request, cancel):
                if isinstance(event, LogLine):
                    tail.append(event.line)
                    if log is not None:
                        log.write(event.line)
                elif isinstance(event, Succeeded | Failed):
                    ended = event
                hear(event)
        finally:
            if log is not None:
                log.end()
        return ended

    def _fetched(
        self, drv_path: str, drv: Derivation, cancel: threading.Event, hear: Callable[[BuildEvent], None]
    ) -> dict[str, str]:
        """What the one builder makes that is no program: ``builtin:fetchurl``."""
        import dataclasses

        from builder import fetch
        from builder.fetch.derivation import fetch_derivation, is_fetch

        if not is_fetch(drv):
            raise BuildFailed(drv_path, f"there is no builder '{drv.builder}'", (), "unbuildable")
        said: deque[str] = deque(maxlen=self.tail)
        log = self.logs.begin(drv_path) if self.logs is not None else None

        def say(line: str) -> None:
            said.append(line)
            told = line.encode("utf-8", "surrogateescape")
            if log is not None:
                log.write(told)
            hear(LogLine(told))

        hear(Started("fetch"))
        limits = dataclasses.replace(self.fetching or fetch.Limits(), cancel=cancel)
        try:
            made = fetch_derivation(self.store, drv, limits, say)
        except fetch.HashMismatch as error:
            raise BuildFailed(drv_path, str(error), tuple(said), "hash-mismatch") from None
        except fetch.FetchError as error:
            if cancel.is_set():
                raise Cancelled(f"fetching for '{drv_path}' was cancelled") from None
            raise BuildFailed(drv_path, str(error), tuple(said)) from None
        finally:
            if log is not None:
                log.end()
        for info in made.values():
            if info.deriver is None:
                self.store.put_info(replace(info, deriver=drv_path))
        return {name: info.path for name, info in made.items()}
