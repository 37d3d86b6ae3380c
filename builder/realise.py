"""Making store paths be there: the one door through which evaluator, command line and editor have things built.

    realiser = Realiser(store, jobs=2)
    paths = realiser.realise([Wish("/nix/store/….drv", ("out",)), Wish("/nix/store/…-source")])
    paths["/nix/store/….drv!out"]  # -> "/nix/store/…-hello"

What is there already costs a look. What is not is fetched from the substituters, else built. Derivations must be in the
store, with their sources and input derivations (:meth:`store.composition.castore_store.CastoreStore.add_derivation`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from builder.outcome import BuildFailed, Cancelled, RealiseError, Wish
from builder.places import builds_folder, checkouts, state_folder
from builder.progress import Event
from builder.settings import Settings, load
from store.composition.castore_store import CastoreStore
from store.paths.protocol import Store

if TYPE_CHECKING:
    from builder.fetch import Limits
    from builder.making import Making
    from builder.plan import Plan, Planner
    from builder.service import BuildService
    from builder.substituters import Substituters

__all__ = ["BuildFailed", "Cancelled", "RealiseError", "Realiser", "Wish"]


class Realiser:
    """Makes wishes true in ``store``. Any number of threads may use one at once.

    ``service`` builds (None: containers in this process, :mod:`builder.oci`). ``substituters`` are asked before
    anything is built (None: those of ``settings``, which are Nix's configuration unless given). ``jobs`` builds run at
    once (None: ``max-jobs`` of the settings). ``keep_going``: a failure cuts only what hangs on it, and is raised when
    all the rest is done. ``check``: derivations wished for are built again and compared. ``fetching``: what
    ``builtin:fetchurl`` may do. ``on_event`` hears what happens, one event at a time. Raises ``SettingsError`` for a
    configuration that cannot be read.
    """

    def __init__(
        self,
        store: CastoreStore,
        *,
        service: BuildService | None = None,
        substituters: Sequence[Store] | None = None,
        settings: Settings | None = None,
        jobs: int | None = None,
        keep_going: bool | None = None,
        check: bool = False,
        fetching: Limits | None = None,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        self.store = store
        self.settings = load() if settings is None else settings
        self.jobs = self.settings.max_jobs if jobs is None else jobs
        self.keep_going = self.settings.keep_going if keep_going is None else keep_going
        self.check = check
        self._service = service
        self._given = substituters
        self._fetching = fetching
        self._substituters: Substituters | None = None
        self._making: Making | None = None
        self._on_event = on_event
        self._slots = threading.Semaphore(self.jobs)
        self._lock = threading.RLock()
        self._hearing = threading.Lock()

    def realise(self, wishes: Iterable[Wish], cancel: threading.Event | None = None) -> dict[str, str]:
        """Make them true; blocks. Answers ``DRV!OUTPUT`` -> store path, and ``PATH`` -> itself for plain paths.

        Raises :class:`BuildFailed` (the first failure, with the others when it kept going), :class:`Cancelled` soon
        after ``cancel`` was set, and ``StoreError`` for what the store complains of. No garbage is collected meanwhile.
        """
        wanted = list(wishes)
        with keeping(self.store):
            planner = self._planner()
            if not self.check and (found := self._already(planner, wanted)) is not None:
                return found
            planner.substituters = self._sources()
            from builder.locks import Locks
            from builder.scheduler import Scheduler

            scheduler = Scheduler(
                planner,
                self._how,
                Locks(os.path.join(state_folder(self.store), "building")),
                self._slots,
                jobs=self.jobs,
                keep_going=self.keep_going,
                emit=self._emit,
                cancel=cancel,
            )
            found = scheduler.run(wanted)
        from builder.tidying import tidy_if_due

        tidy_if_due(self.store)
        return found

    def plan(self, wishes: Iterable[Wish]) -> Plan:
        """What :meth:`realise` would do, as far as that can be known without doing it."""
        planner = self._planner()
        planner.substituters = self._sources()
        return planner.plan(list(wishes))

    def service(self) -> BuildService:
        """What builds: the service that was given, else containers in this process."""
        with self._lock:
            if self._service is None:
                from pathlib import Path

                from builder.oci.service import OciBuildService

                kept = None
                if self.settings.keep_failed:
                    import tempfile

                    kept = Path(tempfile.gettempdir())  # $TMPDIR, if that is a folder to write to
                self._service = OciBuildService(
                    self.store,
                    folder=builds_folder(self.store),
                    checkouts=checkouts(self.store),
                    keep_failed=kept,
                    enforce_cores=self.settings.enforce_cores,
                )
            return self._service

    def close(self) -> None:
        """Let go of the substituters that were opened here."""
        with self._lock:
            if self._substituters is not None and self._given is None:
                self._substituters.close()
            self._substituters = None

    def _already(self, planner: Planner, wishes: Sequence[Wish]) -> dict[str, str] | None:
        """The answer if everything is there: the common case. Nothing is loaded for it, no substituter is opened."""
        from store.castore.services import Missing

        found: dict[str, str] = {}
        for wish in wishes:
            try:
                found.update(planner.outputs(wish))
            except (BuildFailed, Missing):
                return None
        return found if all(self.store.query(path) is not None for path in found.values()) else None

    def _planner(self) -> Planner:
        """One that knows of no substituters yet: opening them loads much, and mostly nothing is missing."""
        from builder.plan import Planner

        return Planner(
            self.store,
            None,
            check=self.check,
            always_substitute=self.settings.always_allow_substitutes,
        )

    def _sources(self) -> Substituters | None:
        if self._given is None and not (self.settings.substitute and self.settings.substituters):
            return None
        if self._given is not None and not self._given:
            return None
        with self._lock:
            if self._substituters is None:
                from builder.substituters import Substituters, open_substituters

                if self._given is None:
                    self._substituters = open_substituters(self.settings, self._emit)
                else:
                    self._substituters = Substituters(self._given, self._emit)
            return self._substituters if self._substituters.stores else None

    def _how(self) -> Making:
        with self._lock:
            if self._making is None:
                from builder.logs import Logs
                from builder.making import Making
                from builder.prepare import Limits as BuildLimits

                settings = self.settings
                kept = settings.keep_build_log
                self._making = Making(
                    self.store,
                    self.service(),
                    Logs(os.path.join(state_folder(self.store), "logs")) if kept else None,
                    BuildLimits.of(settings),
                    settings.cores,
                    settings.log_lines,
                    self._fetching,
                    frozenset(settings.system_features),
                )
            return self._making

    def _emit(self, event: Event) -> None:
        if self._on_event is not None:
            with self._hearing:
                self._on_event(event)


def keeping(store: CastoreStore) -> AbstractContextManager[None]:
    """While this is entered no garbage is collected: what was made but is not registered yet stays."""
    from store.backends.local.castore import LocalCastore

    return store.castore.lock(exclusive=False) if isinstance(store.castore, LocalCastore) else nullcontext()
