"""What has to be done to make wishes true: which derivations are built, which paths fetched, and what waits for what.

Nothing is done here but asking: the same plan is what ``--dry-run`` prints and what :mod:`builder.scheduler` does. What
is valid already is not entered; a derivation whose wanted outputs can all be fetched, with all that they refer to, is
not built, so that its inputs need not even be asked for.

Where an output's path follows from what is built, ``DRV!OUTPUT`` stands for it in a plan until somebody knows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from builder.outcome import BuildFailed, Wish
from builder.realisations import Realisations, Target
from store.castore.realisation import Realisation
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.derivation import IMPURE, Derivation, DerivationError
from store.records import dataclass, field
from store.store_path import is_derivation

if TYPE_CHECKING:
    from builder.substituters import Offer, Substituters


@dataclass
class BuildStep:
    """A derivation that is built. ``needs``: the steps (derivations, paths) that come before.

    ``check``: its outputs are there, and what is built is compared with them. ``target``: what is built in its place,
    known when all that it needs is there.
    """

    drv_path: str
    drv: Derivation
    needs: set[str]
    check: bool = False
    target: Target | None = None


@dataclass
class FetchStep:
    """A path that is fetched, after those that it refers to."""

    path: str
    offer: Offer
    needs: set[str]


@dataclass
class Plan:
    """Steps by the path of the derivation or of what is fetched; ``impossible``: what there is no way to, and why.

    ``again``: more is to be found out once this is done (a derivation itself must be fetched first).
    ``realisations``: what substituters say that outputs became; noted when the paths are there.
    """

    builds: dict[str, BuildStep] = field(default_factory=dict)
    fetches: dict[str, FetchStep] = field(default_factory=dict)
    impossible: dict[str, BuildFailed] = field(default_factory=dict)
    again: bool = False
    realisations: list[Realisation] = field(default_factory=list)

    def size(self) -> int:
        """Bytes of the archives that are fetched."""
        return sum(step.offer.info.nar_size for step in self.fetches.values())


class Planner:
    """Makes plans for a store; what it has read and been offered it remembers.

    ``check``: the derivations that are wished for are built although their outputs are there.
    """

    def __init__(
        self,
        store: CastoreStore,
        substituters: Substituters | None,
        *,
        check: bool = False,
        always_substitute: bool = False,
    ) -> None:
        self.store = store
        self.substituters = substituters if substituters is not None and substituters.stores else None
        self.check = check
        self.always_substitute = always_substitute
        #: Derivations that were checked already.
        self.checked: set[str] = set()
        #: Which substituters failed to deliver a path, by their numbers: they are not asked for it again.
        self.unwilling: dict[str, set[int]] = {}
        self.realisations = Realisations(store, self.derivation)
        self._drvs: dict[str, Derivation] = {}
        self._said: dict[str, Realisation | None] = {}
        self._offers: dict[str, Offer | None] = {}

    def derivation(self, drv_path: str) -> Derivation:
        """A derivation of the store. Raises ``Missing``, ``Corrupt``."""
        drv = self._drvs.get(drv_path)
        if drv is None:
            drv = self.store.read_derivation(drv_path)
            self._drvs[drv_path] = drv
        return drv

    def forget(self, path: str, store_number: int) -> None:
        """The substituter of that number did not deliver ``path``: plan without it."""
        self.unwilling.setdefault(path, set()).add(store_number)
        self._offers.pop(path, None)

    def outputs(self, wish: Wish) -> dict[str, str]:
        """``DRV!OUTPUT`` -> path for what a wish wants. Raises ``BuildFailed`` for outputs that it has not, and for
        those whose paths nobody knows yet."""
        if not is_derivation(wish.path):
            return {wish.path: wish.path}
        paths = self._wanted(wish.path, self.derivation(wish.path), frozenset(wish.outputs))
        found = {unknown(wish.path, name): path for name, path in paths.items()}
        for key, path in found.items():
            if key == path:
                raise BuildFailed(wish.path, "what its outputs became is not known", kind="unbuildable")
        return found

    def made(self, drv_path: str, drv: Derivation) -> dict[str, str] | None:
        """The paths of all outputs by their names if all are there."""
        paths = self._wanted(drv_path, drv, frozenset())
        known = all(unknown(drv_path, name) != path for name, path in paths.items())
        return paths if known and all(self.store.query(path) is not None for path in paths.values()) else None

    def elsewhere(self, drv_path: str, drv: Derivation, names: Iterable[str]) -> list[Realisation]:
        """What substituters say that these outputs became, and what those depend on; nothing unless all is known
        and goes with what is known here."""
        if self.substituters is None or not self.may_substitute(drv):
            return []
        ids = self.realisations.ids(drv_path, drv)
        found: dict[str, Realisation] = {}
        pending = [ids[name] for name in names]
        while pending:
            id = pending.pop()
            if id in found:
                continue
            if id not in self._said:
                self._said[id] = self.substituters.realisation(id)
            known = self._said[id]
            if known is None or not self.realisations.fits(known):
                return []
            found[id] = known
            pending += known.dependencies
        return list(found.values())

    def plan(self, wishes: Iterable[Wish], failed: Mapping[str, BuildFailed] | None = None) -> Plan:
        """What is to be done; ``failed`` derivations are not tried again. Raises what the store raises."""
        wanted = list(wishes)
        unfetchable: set[str] = set()
        while True:
            attempt = _Attempt(self, unfetchable, failed or {})
            for wish in wanted:
                attempt.wish(wish)
            broken = attempt.finish()
            if not broken:
                return attempt.plan
            unfetchable |= broken

    def _wanted(self, drv_path: str, drv: Derivation, outputs: frozenset[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in sorted(outputs) or sorted(drv.outputs):
            output = drv.outputs.get(name)
            if output is None:
                why = f"derivation '{drv_path}' does not have an output named '{name}'"
                raise BuildFailed(drv_path, why, kind="unbuildable")
            if output.kind == IMPURE:
                why = "it is impure: each build of it would be another, which is not supported"
                raise BuildFailed(drv_path, why, kind="unbuildable")
            found[name] = output.path or self._noted(drv_path, drv, name)
        return found

    def _noted(self, drv_path: str, drv: Derivation, name: str) -> str:
        try:
            return self.realisations.noted(drv_path, drv, name) or unknown(drv_path, name)
        except Missing:  # a derivation that this one uses must be fetched first
            return unknown(drv_path, name)

    def offered(self, paths: Iterable[str]) -> dict[str, Offer]:
        """What substituters offer of ``paths``."""
        if self.substituters is None:
            return {}
        wanted = list(paths)
        unasked = [path for path in wanted if path not in self._offers]
        if unasked:
            found = self.substituters.offers(unasked, self.unwilling)
            for path in unasked:
                self._offers[path] = found.get(path)
        return {path: offer for path in wanted if (offer := self._offers[path]) is not None}

    def may_substitute(self, drv: Derivation) -> bool:
        """Whether its outputs may be fetched."""
        return self.always_substitute or drv.env.get("allowSubstitutes", "1") != ""


class _Attempt:
    """One way through the graph, level by level, so that substituters are asked about many paths at once."""

    def __init__(self, planner: Planner, unfetchable: set[str], failed: Mapping[str, BuildFailed]) -> None:
        self.planner = planner
        self.plan = Plan()
        self._unfetchable = unfetchable
        self._failed = failed
        self._seen: set[tuple[str, frozenset[str]]] = set()
        self._level: list[tuple[str, frozenset[str]]] = []
        self._paths: list[str] = []
        self._valid: dict[str, bool] = {}
        self._makers: dict[str, str] = {}  # path -> the derivation that is built for it
        self._users: dict[str, list[BuildStep]] = {}  # path -> builds that want it as an input
        self._checked: set[str] = set()

    def wish(self, wish: Wish) -> None:
        if is_derivation(wish.path):
            self._level.append((wish.path, frozenset(wish.outputs)))
            if self.planner.check and wish.path not in self.planner.checked:
                self._checked.add(wish.path)
        else:
            self._paths.append(wish.path)

    def finish(self) -> set[str]:
        """Go through it all; answer what turned out not to be fetchable although it was offered."""
        while self._level or self._paths:
            level, self._level = self._level, []
            paths, self._paths = self._paths, []
            self._derivations(level)
            self._plain(paths)
        for path, steps in self._users.items():
            key = self._makers.get(path, path)
            for step in steps:
                if key in self.plan.builds or key in self.plan.fetches or key in self.plan.impossible:
                    step.needs.add(key)
        for fetch in self.plan.fetches.values():
            fetch.needs.update(
                reference
                for reference in fetch.offer.info.references
                if reference != fetch.path and not self._is_valid(reference)
            )
        self._sort()
        return self._broken()

    def _sort(self) -> None:
        """Put each build before those that it needs, so that they are read the other way round as they are done."""
        builds = self.plan.builds
        left = dict.fromkeys(builds, 0)
        for step in builds.values():
            for need in step.needs & builds.keys():
                left[need] += 1
        pending = [drv_path for drv_path, users in left.items() if not users]
        self.plan.builds = {}
        for drv_path in pending:  # it grows
            step = builds[drv_path]
            self.plan.builds[drv_path] = step
            for need in sorted(step.needs & builds.keys()):
                left[need] -= 1
                if not left[need]:
                    pending.append(need)
        for drv_path, step in builds.items():
            self.plan.builds.setdefault(drv_path, step)  # those in a circle, which the round finds out

    def _derivations(self, level: list[tuple[str, frozenset[str]]]) -> None:
        planner = self.planner
        missing: dict[tuple[str, frozenset[str]], list[str]] = {}
        for key in level:
            if key in self._seen:
                continue
            self._seen.add(key)
            drv_path = key[0]
            if drv_path in self.plan.impossible:
                continue
            failed = self._failed.get(drv_path)
            if failed is not None:
                self.plan.impossible[drv_path] = failed
                continue
            try:
                drv = planner.derivation(drv_path)
                wanted = planner._wanted(drv_path, drv, key[1])
            except Missing:
                self._paths.append(drv_path)
                self.plan.again = True
                continue
            except (BuildFailed, DerivationError) as error:
                failure = error if isinstance(error, BuildFailed) else BuildFailed(drv_path, str(error))
                self.plan.impossible[drv_path] = failure
                continue
            if drv_path in self._checked:
                self._checks(drv_path, drv, wanted)
                continue
            lacking = [path for path in wanted.values() if not self._is_valid(path)]
            if lacking:
                missing[key] = lacking
        for (drv_path, _), paths in missing.items():
            self._ask_what_became_of(drv_path, paths)
        asked = [
            path
            for (drv_path, _), paths in missing.items()
            if planner.may_substitute(planner.derivation(drv_path))
            for path in paths
            if path not in self._unfetchable and not _is_unknown(path)
        ]
        offers = planner.offered(dict.fromkeys(asked))
        for (drv_path, _), paths in missing.items():
            if all(path in offers for path in paths):
                for path in paths:
                    self._fetch(offers[path])
            else:
                self._build(drv_path, planner.derivation(drv_path))

    def _ask_what_became_of(self, drv_path: str, paths: list[str]) -> None:
        """Put what substituters say that outputs became in the place of what stands for them in ``paths``."""
        names = [path.rpartition("!")[2] for path in paths if _is_unknown(path)]
        if not names:
            return
        planner = self.planner
        drv = planner.derivation(drv_path)
        try:
            said = planner.elsewhere(drv_path, drv, names)
            ids = planner.realisations.ids(drv_path, drv) if said else {}
        except Missing:
            return
        places = {known.id: known.path for known in said}
        if said and not any(path in self._unfetchable for path in places.values()):
            self.plan.realisations += said
            for name in names:
                self._makers[unknown(drv_path, name)] = places[ids[name]]
            wanted = [self._makers.get(path, path) for path in paths]
            paths[:] = [path for path in wanted if not self._is_valid(path)]

    def _plain(self, paths: list[str]) -> None:
        lacking = [path for path in dict.fromkeys(paths) if not self._is_valid(path)]
        lacking = [path for path in lacking if path not in self.plan.fetches]
        offers = self.planner.offered([path for path in lacking if path not in self._unfetchable])
        for path in lacking:
            if path in offers:
                self._fetch(offers[path])
            else:
                where = self.planner.store.uri
                why = f"path '{path}' is not in {where}, no substituter offers it, and nothing says how to build it"
                self.plan.impossible[path] = BuildFailed(path, why, kind="unbuildable")

    def _fetch(self, offer: Offer) -> None:
        path = offer.info.path
        if path not in self.plan.fetches:
            self.plan.fetches[path] = FetchStep(path, offer, set())
            self._paths += [reference for reference in offer.info.references if reference != path]

    def _build(self, drv_path: str, drv: Derivation) -> None:
        if drv_path in self.plan.builds:
            return
        step = BuildStep(drv_path, drv, set())
        self.plan.builds[drv_path] = step
        for name, output in drv.outputs.items():
            self._makers[output.path or unknown(drv_path, name)] = drv_path
        for source in drv.input_srcs:
            if not self._is_valid(source):
                self._paths.append(source)
                self._users.setdefault(source, []).append(step)
        for input_drv, outputs in drv.input_drvs.items():
            self._level.append((input_drv, frozenset(outputs)))
            try:
                wanted = self.planner._wanted(input_drv, self.planner.derivation(input_drv), frozenset(outputs))
            except (Missing, BuildFailed):
                step.needs.add(input_drv)  # it comes first, or says why it cannot
                continue
            if input_drv in self._failed:
                step.needs.add(input_drv)
            for path in wanted.values():
                self._users.setdefault(path, []).append(step)

    def _checks(self, drv_path: str, drv: Derivation, wanted: dict[str, str]) -> None:
        for path in wanted.values():
            if not self._is_valid(path):
                why = f"some outputs of '{drv_path}' are not valid, so checking is not possible: build it first"
                self.plan.impossible[drv_path] = BuildFailed(drv_path, why, kind="unbuildable")
                return
        self._build(drv_path, drv)
        self.plan.builds[drv_path].check = True

    def _is_valid(self, path: str) -> bool:
        known = self._valid.get(path)
        if known is None:
            known = not _is_unknown(path) and self.planner.store.query(path) is not None
            self._valid[path] = known
        return known

    def _broken(self) -> set[str]:
        """The fetches that want something which there is no way to; they must be built, or are impossible."""
        fetches = self.plan.fetches
        users: dict[str, list[str]] = {}
        for step in fetches.values():
            for path in step.needs:
                users.setdefault(path, []).append(step.path)
        broken: set[str] = set()
        pending = [path for path in self.plan.impossible if path in users]
        while pending:
            for user in users.get(pending.pop(), ()):
                if user not in broken:
                    broken.add(user)
                    pending.append(user)
        if not broken:
            return _circle(fetches)
        return broken


def unknown(drv_path: str, output: str) -> str:
    """What stands for the path of an output that nobody knows yet."""
    return f"{drv_path}!{output}"


def _is_unknown(path: str) -> bool:
    return "!" in path


def _circle(fetches: Mapping[str, FetchStep]) -> set[str]:
    """Paths that a substituter says refer to each other, and what refers to those: nothing that can be fetched."""
    waiting = {path: {need for need in step.needs if need in fetches} for path, step in fetches.items()}
    while ready := {path for path, needs in waiting.items() if not needs & waiting.keys()}:
        for path in ready:
            del waiting[path]
    return set(waiting)
