"""Does what a plan says: what is ready is fetched and built, as much at once as may be, and what hangs on it follows.

One thread decides, others work. A build needs three things: all its steps before it done, one of the slots that all
calls of a process share, and the lock of its derivation, which no other thread or process may have. Who waits for a
lock keeps no slot. Having got it, one looks again: mostly the other one has made the outputs. The next build begins
when this one has ended, while its outputs are still on their way to the disk.

The first failure stops everything, unless it is to *keep going*: then it cuts only what needs what failed. What cannot
be fetched is planned anew without the substituter that failed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from queue import Empty, SimpleQueue

from builder.events import BuildEvent
from builder.locks import BuildLock, Locks
from builder.making import Making
from builder.outcome import BuildFailed, Cancelled, Wish
from builder.plan import BuildStep, FetchStep, Plan, Planner
from builder.progress import Event, Fetched, FetchFailed, Fetching, Made, NotMade, OfBuild, Planned, Resolved, Waiting
from builder.request import RequestError
from store.castore.realisation import Realisation
from store.castore.services import Full, Missing, ReadOnly, StoreError, Unreachable
from store.derivation import FLOATING, Derivation, DerivationError
from store.store_path import base_name

_FETCHES = 8  # at once
_LOOK = 0.02  # seconds until a lock or a slot is tried for again, and until being cancelled is noticed

Step = BuildStep | FetchStep


class Scheduler:
    """One call's work. ``slots``: what builds take one of, shared by all calls of the process."""

    def __init__(
        self,
        planner: Planner,
        making: Callable[[], Making],
        locks: Locks,
        slots: threading.Semaphore,
        *,
        jobs: int,
        keep_going: bool,
        emit: Callable[[Event], None],
        cancel: threading.Event | None,
    ) -> None:
        self.planner = planner
        self.jobs = jobs
        self.keep_going = keep_going
        self.emit = emit
        self.cancel = cancel
        #: Set: every build of this call ends.
        self.stop = threading.Event()
        #: What failed itself, and what was given up because of it.
        self.failed: dict[str, BuildFailed] = {}
        self.given_up: set[str] = set()
        #: What was done, and how it failed; no step: a slot is free.
        self.answers: SimpleQueue[tuple[Step | None, BaseException | None]] = SimpleQueue()
        self.wanted: list[Wish] = []
        #: What substituters say that outputs became.
        self.said: list[Realisation] = []
        self.locks = locks
        self.slots = slots
        self._making = making
        self._builders = _Workers(max(1, 2 * jobs), "build")
        self._fetchers = _Workers(_FETCHES, "fetch")

    def run(self, wishes: Iterable[Wish]) -> dict[str, str]:
        """Do it all; see :meth:`builder.realise.Realiser.realise`."""
        self.wanted = list(wishes)
        try:
            while True:
                plan = self.planner.plan(self.wanted, self.failed)
                self._note_impossible(plan)
                self.said = plan.realisations
                self._note_said()
                if self.failed and not self.keep_going:
                    break
                if not plan.builds and not plan.fetches:
                    break
                if plan.builds and self.jobs < 1:
                    why = "it would have to be built, but 'max-jobs' is 0"
                    raise BuildFailed(next(iter(plan.builds)), why, kind="unbuildable")
                self.emit(Planned(tuple(plan.builds), tuple(plan.fetches), plan.size()))
                if not _Round(self, plan).go():
                    break
        finally:
            self.stop.set()
            self._builders.end()
            self._fetchers.end()
        if self.failed:
            first, *others = self.failed.values()
            raise BuildFailed(first.drv_path, first.why, first.log, first.kind, first.needed_by, tuple(others))
        found: dict[str, str] = {}
        for wish in self.wanted:
            found.update(self.planner.outputs(wish))
        return found

    def _note_impossible(self, plan: Plan) -> None:
        for path, failure in plan.impossible.items():
            if path not in self.failed:
                self.failed[path] = failure
                self.emit(NotMade(path, failure.kind, failure.why, failure.log))

    def fetch(self, step: FetchStep) -> None:
        """Start fetching in a thread."""
        self._fetchers.take(lambda: self._answered(step, lambda: self._fetch(step)))

    def build(self, step: BuildStep, lock: BuildLock) -> None:
        """Start building in a thread, which lets go of the slot when the build has ended, of the lock at its end."""
        self._builders.take(lambda: self._answered(step, lambda: self._build(step, lock)))

    def _answered(self, step: Step, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.answers.put((step, error))
        else:
            self.answers.put((step, None))

    def _fetch(self, step: FetchStep) -> None:
        from store.paths.closure import copy

        offer = step.offer
        # Another process may fetch it already: then it is here when the lock is got.
        lock = None if self.stop.is_set() else self.locks.wait(base_name(step.path), self.stop)
        if lock is None:
            raise Cancelled("fetching was cancelled")
        with lock:
            if self.planner.store.query(step.path) is None:
                self.emit(Fetching(step.path, offer.store.uri, offer.info.nar_size))
                copy(offer.store, self.planner.store, [step.path], jobs=1, closed=False)
        self._note_said(step.path)
        self.emit(Fetched(step.path))

    def _note_said(self, path: str = "") -> None:
        """Note what substituters say that outputs became, as far as that is here; with ``path`` no other ones."""
        store = self.planner.store
        for known in self.said:
            if path in ("", known.path) and store.query(known.path) is not None and store.realisation(known.id) is None:
                store.put_realisation(known)

    def _build(self, step: BuildStep, lock: BuildLock) -> None:
        kept = [self.slots]
        store, planner = self.planner.store, self.planner
        drv_path, drv = step.target or (step.drv_path, step.drv)

        def hear(event: BuildEvent) -> None:
            self.emit(OfBuild(step.drv_path, event))

        def ended() -> None:
            kept.pop().release()
            self.answers.put((None, None))

        try:
            known = planner.made(drv_path, drv)
            if drv_path != step.drv_path:
                self.emit(Resolved(step.drv_path, drv_path))
                known = known or self._fetch_resolved(drv_path, drv)
            with store.transaction() if is_unsettled(drv, step) else nullcontext():
                if drv_path != step.drv_path:
                    store.add_derivation(drv)
                paths = known
                if paths is None or step.check:
                    made = self._making().make(drv_path, drv, self.stop, hear, check=step.check, ended=ended)
                    paths = known or made
                if is_unsettled(drv, step) and not step.check:
                    for path, each in {drv_path: drv, step.drv_path: step.drv}.items():
                        planner.realisations.note(path, each, paths)
            if step.check:
                planner.checked.add(step.drv_path)
            self.emit(Made(step.drv_path, paths, known is not None and not step.check))
        finally:
            lock.release()
            for slot in kept:
                slot.release()

    def _fetch_resolved(self, drv_path: str, drv: Derivation) -> dict[str, str] | None:
        """Fetch what a derivation would make of which nobody knew before what it uses; its outputs if that worked."""
        planner = self.planner
        if planner.substituters is None or not planner.may_substitute(drv):
            return None
        from store.paths.closure import copy

        said = planner.elsewhere(drv_path, drv, [name for name, output in drv.outputs.items() if not output.path])
        became = {known.id: known.path for known in said}
        ids = planner.realisations.ids(drv_path, drv) if said else {}
        paths = {name: output.path or became.get(ids.get(name, ""), "") for name, output in drv.outputs.items()}
        offers = planner.offered([path for path in paths.values() if path])
        if set(paths.values()) - offers.keys():
            return None
        for path, offer in offers.items():
            self.emit(Fetching(path, offer.store.uri, offer.info.nar_size))
            try:
                copy(offer.store, planner.store, [path], jobs=1)
            except (Full, ReadOnly):
                raise
            except StoreError as error:
                self.emit(FetchFailed(path, offer.store.uri, str(error)))
                return None
            self.emit(Fetched(path))
        return paths


def is_unsettled(drv: Derivation, step: BuildStep) -> bool:
    """Whether what ``drv``, which is built for ``step``, becomes is to be noted: it does not stand in ``step``'s."""
    return drv is not step.drv or drv.kind() == FLOATING


class _Workers:
    """Threads that do what they are given, at most ``most`` of them, started when there is something to do.

    :mod:`concurrent.futures` does more, and loading it takes as long as an empty build.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._threads: list[threading.Thread] = []
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def take(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Wait until all is done."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()


class _Round:
    """One plan being done."""

    def __init__(self, scheduler: Scheduler, plan: Plan) -> None:
        self._scheduler = scheduler
        self._plan = plan
        self._steps: dict[str, Step] = dict(plan.fetches)
        if not plan.again:  # else derivations are to come, and what can be built is seen then
            self._steps.update(plan.builds)
        self._users: dict[str, list[str]] = {}
        self._left: dict[str, int] = {}
        for key, step in self._steps.items():
            self._left[key] = sum(need in self._steps for need in step.needs)
            for need in step.needs:
                self._users.setdefault(need, []).append(key)
        self._ready: deque[BuildStep] = deque()
        self._blocked: list[BuildStep] = []  # by a lock that another has
        self._running = 0
        self._plan_again = plan.again
        self._fatal: BaseException | None = None

    def go(self) -> bool:
        """Do what can be done; whether to plan anew after it. Raises ``Cancelled`` and what is no build's failure."""
        scheduler = self._scheduler
        for path in self._plan.impossible:
            self._give_up(path)
        for key, left in self._left.items():
            if not left:
                self._start(self._steps[key])
        while True:
            starved = self._start_builds()
            if not self._running and not self._ready and not self._blocked:
                break
            watching = starved or bool(self._blocked) or scheduler.cancel is not None
            try:
                step, error = scheduler.answers.get(timeout=_LOOK if watching else None)
            except Empty:
                if scheduler.cancel is not None and scheduler.cancel.is_set():
                    self._end()
                continue
            if step is None:
                continue
            self._running -= 1
            if error is None:
                self._done(_key(step))
            else:
                self._went_wrong(step, error)
        if self._fatal is not None:
            raise self._fatal
        if scheduler.cancel is not None and scheduler.cancel.is_set():
            raise Cancelled("building was cancelled")
        return self._plan_again and (scheduler.keep_going or not scheduler.failed)

    def _start(self, step: Step) -> None:
        if _key(step) in self._scheduler.given_up or self._scheduler.stop.is_set():
            return
        if isinstance(step, FetchStep):
            self._running += 1
            self._scheduler.fetch(step)
        else:
            self._ready.append(step)

    def _start_builds(self) -> bool:
        """Start what may start; whether something has to wait for a slot that another call has."""
        scheduler = self._scheduler
        if scheduler.stop.is_set():
            return False
        blocked, self._blocked = self._blocked, []
        again = {step.drv_path for step in blocked}
        self._ready.extendleft(reversed(blocked))
        while self._ready:
            if not scheduler.slots.acquire(blocking=False):
                return True
            step = self._ready.popleft()
            lock = None
            try:
                if step.target is None:
                    step.target = scheduler.planner.realisations.target(step.drv_path, step.drv)
                lock = scheduler.locks.attempt(base_name(step.target[0]))
            except (RequestError, DerivationError, Missing) as error:
                self._went_wrong(step, BuildFailed(step.drv_path, str(error), kind="unbuildable"))
                continue
            finally:
                if lock is None:
                    scheduler.slots.release()
            if lock is None:
                if step.drv_path not in again:
                    scheduler.emit(Waiting(step.drv_path))
                self._blocked.append(step)
            else:
                self._running += 1
                scheduler.build(step, lock)
        return False

    def _done(self, key: str) -> None:
        for user in self._users.get(key, ()):
            self._left[user] -= 1
            if not self._left[user]:
                self._start(self._steps[user])

    def _went_wrong(self, step: Step, error: BaseException) -> None:
        scheduler = self._scheduler
        if isinstance(error, BuildFailed) and isinstance(step, BuildStep):
            if scheduler.stop.is_set() and not scheduler.keep_going and scheduler.failed:
                return  # what else was running was stopped, too
            error.needed_by = self._needed_by(step.drv_path)
            if error.drv_path != step.drv_path:  # that which was built in its place
                error.needed_by = (*error.needed_by, step.drv_path)
            scheduler.failed[step.drv_path] = error
            scheduler.emit(NotMade(step.drv_path, error.kind, error.why, error.log))
            if scheduler.keep_going:
                self._give_up(step.drv_path)
            else:
                self._end()
        elif isinstance(error, StoreError) and isinstance(step, FetchStep) and not isinstance(error, Full | ReadOnly):
            substituters = scheduler.planner.substituters
            assert substituters is not None
            if isinstance(error, Unreachable):
                substituters.failed(step.offer.store, error)
            scheduler.emit(FetchFailed(step.path, step.offer.store.uri, str(error)))
            scheduler.planner.forget(step.path, substituters.number(step.offer.store))
            self._plan_again = True
        elif isinstance(error, Cancelled) and scheduler.stop.is_set():
            return
        else:
            self._fatal = self._fatal or error
            self._end()

    def _end(self) -> None:
        """Stop what runs; nothing more is started."""
        self._scheduler.stop.set()
        self._ready.clear()
        self._blocked.clear()

    def _give_up(self, path: str) -> None:
        """What needs ``path``, near and far, will not be."""
        scheduler = self._scheduler
        pending = [path]
        while pending:
            for user in self._users.get(pending.pop(), ()):
                if user not in scheduler.given_up:
                    scheduler.given_up.add(user)
                    scheduler.emit(NotMade(user, "dependency", f"'{path}' is needed for it", because_of=path))
                    pending.append(user)

    def _needed_by(self, drv_path: str) -> tuple[str, ...]:
        wishes = {wish.path for wish in self._scheduler.wanted}
        came: dict[str, str] = {}
        pending = deque([drv_path])
        while pending:
            key = pending.popleft()
            if key in wishes:
                chain = [key]
                while chain[-1] != drv_path:
                    chain.append(came[chain[-1]])
                return tuple(chain[:-1])
            for user in self._users.get(key, ()):
                if user not in came and user != drv_path:
                    came[user] = key
                    pending.append(user)
        return ()


def _key(step: Step) -> str:
    return step.path if isinstance(step, FetchStep) else step.drv_path
