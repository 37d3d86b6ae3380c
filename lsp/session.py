"""One client's world: its documents, its settings, and the worker that evaluates for it.

The server and ``tvix-lsp inspect`` are both thin covers over this; neither the protocol of the wire nor asyncio
streams are known here.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from evaluator.service.protocol import Builds, Configure, Failure, Status
from lsp import settings as configuration
from lsp.documents import Change, Document, Documents
from lsp.ide.types import Snapshot
from lsp.ide.values import NoValues, Values
from lsp.nixpkgs import Machine
from lsp.process import Process
from lsp.settings import Settings
from lsp.worker import Limits, Worker, launcher

log = logging.getLogger(__name__)


class Session:
    """Lives on one event loop. ``command`` starts a worker; ``folders`` are the workspace's, absolute."""

    def __init__(self, machine: Machine, command: Sequence[str]) -> None:
        self.documents: Final = Documents()
        self.folders: tuple[str, ...] = ()
        self.settings = Settings()
        self.on_status: Callable[[Status], None] | None = None
        self.on_builds: Callable[[Builds], None] | None = None
        self._machine: Final = machine
        self._command: Final = list(command)
        self._client = Settings()
        self._worker: Worker | None = None
        self._configuration = Configure()
        self._started = False
        self._stopping: asyncio.Task[None] | None = None

    # --- settings and worker -----------------------------------------------------------------------

    def settle(self, folders: Sequence[str], client: object) -> list[str]:
        """Takes the workspace's folders and the client's settings; complaints about what is wrong in settings."""
        self.folders = tuple(os.path.normpath(folder) for folder in folders)
        return self.change_settings(client)

    def change_settings(self, client: object) -> list[str]:
        """Takes new settings of the client. Complaints are for the log."""
        self._client, complaints = configuration.from_client(client, self.base)
        return [*complaints, *self.reread()]

    def reread(self) -> list[str]:
        """Looks at ``.tvix-lsp.toml`` and for nixpkgs again."""
        file, complaints = configuration.from_file(self.folders or [self.base])
        self.settings = configuration.merge(self._client, file)
        self._configuration, reason = configuration.configuration(self.settings, self._places(), self._machine)
        log.info("%s; search path: %s", reason, " ".join(self._configuration.search_path) or "empty")
        if self._worker is not None:
            self._worker.limits = replace(self._worker.limits, budget=self.settings.budget)
            self._worker.configure(self._configuration)
        self._follow_trust()
        return complaints

    @property
    def base(self) -> str:
        """The folder that documents which are not on disk are taken to lie in, and relative settings start from."""
        return self.folders[0] if self.folders else os.getcwd()

    @property
    def told(self) -> Configure:
        """What the worker is told."""
        return self._configuration

    def start(self, process: Process | None = None) -> None:
        """Starts the worker, or takes over one that was started and told :attr:`told`. Not when nothing is trusted."""
        self._started = True
        if not self.settings.trusted:
            log.info("the workspace is not trusted: nothing is evaluated")
            if process is not None:
                process.kill()
                process.wait(1.0)
            return
        self._worker = Worker(
            launcher(self._command),
            limits=Limits(budget=self.settings.budget),
            on_status=self._status,
            on_builds=self._builds,
        )
        for document in self.documents:
            self._tell(document)
        self._worker.start(process, self._configuration)

    def _follow_trust(self) -> None:
        """Trust that is given or taken while the session lasts."""
        if not self._started:
            return
        if self.settings.trusted and self._worker is None:
            self.start()
        elif not self.settings.trusted and self._worker is not None:
            self._stopping = asyncio.get_running_loop().create_task(self._worker.stop())
            self._worker = None

    async def stop(self) -> None:
        """Ends the worker."""
        self._started = False
        if self._stopping is not None:
            await self._stopping
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()

    @property
    def worker(self) -> Worker | None:
        return self._worker

    def _status(self, status: Status) -> None:
        if self.on_status is not None:
            self.on_status(status)

    def _builds(self, builds: Builds) -> None:
        if self.on_builds is not None:
            self.on_builds(builds)

    # --- builds --------------------------------------------------------------------------------------

    def allow(self, elements: Sequence[str]) -> None:
        """The user wants these built (``elements`` of a :class:`evaluator.service.protocol.Failure`)."""
        if self._worker is not None:
            self._worker.allow(elements)

    def files_changed(self) -> list[str]:
        """Settings or lock files were changed on disk. Complaints are for the log."""
        complaints = self.reread()
        if self._worker is not None:
            self._worker.refresh()
        return complaints

    def stop_builds(self) -> None:
        """The user wants nothing built now."""
        if self._worker is not None:
            self._worker.stop_builds()

    async def failures(self, document: Document) -> tuple[Failure, ...] | None:
        """What goes wrong when a document is evaluated as it is now; None when that is not known (yet)."""
        return None if self._worker is None else await self._worker.failures(document.path)

    def _places(self) -> list[str]:
        """Where nixpkgs is looked for: the folders; without any, the documents."""
        return list(self.folders) or [os.path.dirname(document.path) for document in self.documents] or [self.base]

    # --- documents ---------------------------------------------------------------------------------

    def open(self, uri: str, version: int, text: str) -> Document:
        """The editor has opened a document."""
        document = self.documents.open(uri, version, text, self.base)
        if not self.folders and len(list(self.documents)) == 1:
            self.reread()  # without a folder the first document says where to look for nixpkgs
        self._tell(document)
        return document

    def edit(self, uri: str, version: int, changes: Iterable[Change]) -> Document | None:
        """The editor has changed a document; None when it was never opened."""
        document = self.documents.get(uri)
        if document is not None:
            document.edit(changes, version)
            self._tell(document)
        return document

    def close(self, uri: str) -> None:
        """The editor has closed a document: the file counts again."""
        document = self.documents.close(uri)
        if document is not None and self._worker is not None:
            self._worker.close(document.path)

    def document(self, uri: str) -> Document | None:
        """The document under a URI: open, or read from disk for clients that ask without opening."""
        found = self.documents.get(uri)
        if found is None:
            from lsp.uri import to_path

            path = to_path(uri)
            found = self.documents.read(path) if path is not None else None
        return found

    def snapshot(self, document: Document) -> Snapshot:
        """The document as it is now, for the features."""
        values: Values = NoValues()
        if self._worker is not None:
            values = self._worker.at(document.path, document.version)
        roots = [*self.folders, self._configuration.nixpkgs]
        return Snapshot(document.path, document.source, document.version, values, tuple(root for root in roots if root))

    def _tell(self, document: Document) -> None:
        if self._worker is not None:
            self._worker.open(document.path, document.version, document.text)
