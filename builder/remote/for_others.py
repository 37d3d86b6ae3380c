"""Containers for requests from elsewhere: what they call their inputs is not taken on trust.

A request names its inputs by store path and by contents. Here nobody knows whether the contents belong to the path, so
nothing of the server's own store is used for a path, and what one client calls ``bash`` is never another's: inputs are
laid out by what they hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from builder.checkouts import Checkouts
from builder.events import BuildEvent
from builder.oci.service import OciBuildService
from builder.prepare import UNLIMITED, Limits
from builder.request import BuildRequest
from store.castore import nodes
from store.castore.nodes import Node
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.records import replace
from store.store_path import base_name


class ForOthers:
    """Builds in containers, with inputs and outputs in ``store``'s castore. A :class:`builder.service.BuildService`.

    ``folder`` is for builds under way, ``inputs`` for inputs laid out on disk. No request gets more than ``limits``.
    """

    def __init__(
        self,
        store: CastoreStore,
        folder: Path,
        inputs: Path,
        limits: Limits = UNLIMITED,
        *,
        enforce_cores: bool = False,
    ) -> None:
        self._store = store
        self._folder = folder
        self._inputs = inputs
        self._limits = limits
        self._enforce_cores = enforce_cores
        self._systems = OciBuildService(store, folder=folder).systems()
        self._ended = threading.Condition()
        self._running = 0

    def systems(self) -> frozenset[str]:
        return self._systems

    def build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        checkouts = _ByContents(self._store, self._inputs, {entry.path: entry.node for entry in request.inputs})
        request = replace(request, constraints=self._limits.bound(request.constraints))
        with self._ended:
            self._running += 1
        try:
            service = OciBuildService(
                self._store, folder=self._folder, checkouts=checkouts, enforce_cores=self._enforce_cores
            )
            yield from service.build(request, cancel)
        finally:
            with self._ended:
                self._running -= 1
                self._ended.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is built any more, at most so long; whether that is so."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._running, seconds)


class _ByContents(Checkouts):
    """The inputs of one request: ``FOLDER/DIGEST-OF-CONTENTS/BASE-NAME``."""

    def __init__(self, store: CastoreStore, folder: Path, inputs: dict[str, Node]) -> None:
        super().__init__(store, folder)
        self._given = inputs

    def path_of(self, store_path: str) -> str:
        node = self._given[store_path]
        digest = nodes.blake3(nodes.encode_node(base_name(store_path).encode(), node)).hex()[:40]
        return Checkouts(_Said(self.store, store_path, node), self.folder / digest).path_of(store_path)

    def adopt(self, made: str, node: Node) -> None:
        """Outputs go to the client: nothing is laid out from what builds leave here."""


class _Said(CastoreStore):
    """A store of which one path is known, as somebody says."""

    def __init__(self, store: CastoreStore, path: str, node: Node) -> None:
        super().__init__(store.castore, store.store_dir, store.uri)
        self._only = path
        self._holds = node

    def query(self, path: str) -> PathInfo | None:
        return PathInfo(path, b"", 0, node=self._holds) if path == self._only else None
