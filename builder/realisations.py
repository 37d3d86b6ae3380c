"""What outputs became whose paths do not stand in their derivations: those that are addressed by their contents, and
those of derivations that use such ones ("deferred").

Specification: the Nix manual, "Content-addressed derivation outputs", and what Nix 2.8 does: a derivation is *resolved*
first, the outputs it uses standing in it in the place of the derivations that make them, and what it became is noted
under the ids of both. So two derivations that come to the same once their inputs are known are built once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping

from store.castore.realisation import Realisation
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.derivation import FIXED, FLOATING, INPUT_ADDRESSED, Derivation, DerivationHashes

#: A derivation with its path.
Target = tuple[str, Derivation]


class Realisations:
    """What is noted in ``store``. ``load`` answers derivations by their paths. Safe to use from many threads."""

    def __init__(self, store: CastoreStore, load: Callable[[str], Derivation]) -> None:
        self._store = store
        self._load = load
        self._hashes = DerivationHashes(store.store_dir, load)
        self._ids: dict[str, dict[str, str]] = {}
        self._lock = threading.RLock()

    def ids(self, drv_path: str, drv: Derivation) -> dict[str, str]:
        """Under which ids it is noted what the outputs became, by their names. Raises ``Missing``, ``Corrupt``."""
        with self._lock:
            found = self._ids.get(drv_path)
            if found is None:
                found = self._hashes.realisation_ids(drv)
                self._ids[drv_path] = found
            return found

    def path_of(self, drv_path: str, output: str) -> str:
        """The path of an output, which stands in the derivation or is noted; empty when nobody knows it yet.

        Raises ``Missing`` for a derivation, or an output, that is not there.
        """
        drv = self._load(drv_path)
        found = drv.outputs.get(output)
        if found is None:
            raise Missing(f"derivation '{drv_path}' does not have an output named '{output}'")
        return found.path or self.noted(drv_path, drv, output)

    def noted(self, drv_path: str, drv: Derivation, output: str) -> str:
        """The path of an output that does not stand in the derivation; empty when nobody knows it yet."""
        id = self.ids(drv_path, drv).get(output)
        known = None if id is None else self._store.realisation(id)
        return "" if known is None else known.path

    def target(self, drv_path: str, drv: Derivation) -> Target:
        """What is built for ``drv``: itself, or what it is resolved to. All that it uses must be known.

        Raises ``Missing`` when it is not.
        """
        if not self._is_unresolved(drv):
            return drv_path, drv
        from builder.prepare import resolve  # not loaded where nothing is built

        with self._lock:
            resolved = resolve(self._store, drv, self._known)
        return resolved.path(self._store.store_dir), resolved

    def note(self, drv_path: str, drv: Derivation, paths: Mapping[str, str]) -> None:
        """Note what the outputs of ``drv`` became, which is in the store: paths by their names."""
        used = self._used(drv)
        ids = self.ids(drv_path, drv)
        for name, path in paths.items():
            info = self._store.query(path)
            references = () if info is None else info.references
            self._store.put_realisation(
                Realisation(ids[name], path, {id: place for id, place in used.items() if place in references})
            )

    def built_as(self, drv_path: str) -> str:
        """The derivation that was built in the place of ``drv_path``; itself where nothing says otherwise.

        Raises ``Missing``, ``Corrupt``.
        """
        drv = self._load(drv_path)
        for name, output in drv.outputs.items():
            info = None if output.path else self._store.query(self.noted(drv_path, drv, name) or drv_path)
            if info is not None and info.deriver is not None:
                return info.deriver
        return drv_path

    def fits(self, realisation: Realisation) -> bool:
        """Whether what somebody else says goes with what is noted here: its inputs must have become the same."""
        for id, path in realisation.dependencies.items():
            known = self._store.realisation(id)
            if known is not None and known.path != path:
                return False
        return True

    def _is_unresolved(self, drv: Derivation) -> bool:
        kind = drv.kind()
        if kind == INPUT_ADDRESSED:
            return any(not output.path for output in drv.outputs.values())
        if kind == FLOATING:
            return bool(drv.input_drvs)
        # Its path is known, but not what it is built with.
        return kind == FIXED and any(not self._load(path).outputs[name].path for path, name in _inputs(drv))

    def _known(self, drv_path: str, output: str) -> str:
        path = self.path_of(drv_path, output)
        if not path:
            raise Missing(f"output '{output}' of '{drv_path}' is not known: it was collected as garbage meanwhile")
        return path

    def _used(self, drv: Derivation) -> dict[str, str]:
        """What the outputs that ``drv`` uses became, and what those depend on: paths by their ids."""
        found: dict[str, str] = {}
        pending = [self.ids(path, self._load(path)).get(name) for path, name in _inputs(drv)]
        while pending:
            id = pending.pop()
            known = None if id is None or id in found else self._store.realisation(id)
            if known is not None:
                found[known.id] = known.path
                pending += known.dependencies
        return found


def _inputs(drv: Derivation) -> Iterable[tuple[str, str]]:
    return ((path, name) for path, names in drv.input_drvs.items() for name in sorted(names))
