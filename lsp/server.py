"""The wire: requests in, answers out. Everything runs on the event loop; nothing here takes long or knows Nix."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, BinaryIO, Final, ParamSpec, TypeVar, cast

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.json_rpc import JsonRPCNotification
from pygls.protocol.language_server import lsp_method

from evaluator import version
from evaluator.service.protocol import Builds, Status
from lsp import uri as uris
from lsp import wire
from lsp.documents import Document, spare_collector
from lsp.ide import completion as ide_completion
from lsp.ide import definition as ide_definition
from lsp.ide import failures as ide_failures
from lsp.ide import hover as ide_hover
from lsp.process import Process
from lsp.progress import WorkProgress
from lsp.session import Session
from lsp.settings import SECTION, SOURCES

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: The command that allows something to be built: its arguments say what.
BUILD: Final = "tvix-lsp.build"

QUIET_SECONDS: Final = 0.1  # diagnostics wait this long for the next keystroke


class Protocol(LanguageServerProtocol):
    """pygls' protocol without its own copies of the texts, which it would rebuild with every keystroke."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> None:
        self._ours.opened(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> None:
        self._ours.changed(params)

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> None:
        self._ours.closed(params)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A request whose parameters make no sense is refused; pygls would leave it without an answer."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            return JsonRPCNotification(str(data.get("method")), "not to be handled", None)

    @property
    def _ours(self) -> Server:
        return cast("Server", self._server)


def _guarded(
    handler: Callable[P, Coroutine[Any, Any, T | None]],
) -> Callable[P, Coroutine[Any, Any, T | None]]:
    """A request that fails is logged and has no answer; editors show errors of requests to people who asked nothing."""

    @functools.wraps(handler)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return await handler(*args, **kwargs)
        except Exception:
            log.exception("a request failed")
            return None

    return guarded


class Server(LanguageServer):
    """One connection to one client."""

    def __init__(self, session: Session, process: Process | None = None) -> None:
        super().__init__(
            "tvix-lsp", version.describe(), types.TextDocumentSyncKind.Incremental, protocol_cls=Protocol, max_workers=4
        )
        self.session: Final = session
        self._process = process
        self._checks: Final[dict[str, asyncio.TimerHandle]] = {}
        self._evaluations: Final[dict[str, asyncio.Task[None]]] = {}
        self._loading: Final = WorkProgress(self, "loading", "Nix")
        self._building: Final = WorkProgress(self, "building", "Building", session.stop_builds)
        session.on_status = self._show_status
        session.on_builds = self._show_builds
        self._register()

    def _register(self) -> None:
        on = self.feature
        # pygls marks what it is given, which a bound method does not allow; a partial of it does.
        on(types.INITIALIZE)(functools.partial(self._initialize))
        on(types.INITIALIZED)(functools.partial(self._initialized))
        on(types.SHUTDOWN)(functools.partial(self._shutdown))
        on(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(functools.partial(self._configuration_changed))
        on(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(functools.partial(self._folders_changed))
        on(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(functools.partial(self._files_changed))
        on(types.TEXT_DOCUMENT_HOVER)(_guarded(self._hover))
        on(types.TEXT_DOCUMENT_DEFINITION)(_guarded(self._definition))
        on(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["."]))(
            _guarded(self._completion)
        )
        on(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions([types.CodeActionKind.QuickFix]))(
            _guarded(self._code_actions)
        )
        self.command(BUILD)(functools.partial(self._allow_builds))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Errors are for the log; nobody asked for a window with them."""
        log.error("%s: %s", getattr(source, "__name__", source), error)

    # --- life ------------------------------------------------------------------------------------

    def _initialize(self, params: types.InitializeParams) -> None:
        self.session.documents.encoding = str(getattr(encoding := self.workspace.position_encoding, "value", encoding))
        complaints = self.session.settle(folders_of(params), params.initialization_options)
        for complaint in complaints:
            log.warning("%s", complaint)
        process, self._process = self._process, None
        self.session.start(process)

    async def _initialized(self, params: types.InitializedParams) -> None:
        self._loading.client_is_ready()
        self._building.client_is_ready()
        await self._pull_configuration()
        await self._watch_files()

    async def _shutdown(self, params: None) -> None:
        for handle in self._checks.values():
            handle.cancel()
        self._checks.clear()
        for task in self._evaluations.values():
            task.cancel()
        self._evaluations.clear()
        await self.session.stop()

    async def _pull_configuration(self) -> None:
        workspace = self.client_capabilities.workspace
        if workspace is None or not workspace.configuration:
            return
        item = types.ConfigurationItem(section=SECTION, scope_uri=None)
        try:
            found = await self.workspace_configuration_async(types.ConfigurationParams([item]))
        except Exception as error:
            log.warning("the client does not tell its settings: %s", error)
            return
        if found and found[0]:
            self._take_settings(found[0])

    async def _configuration_changed(self, params: types.DidChangeConfigurationParams) -> None:
        if params.settings:
            self._take_settings(params.settings)
        else:
            await self._pull_configuration()

    def _take_settings(self, values: object) -> None:
        for complaint in self.session.change_settings(values):
            log.warning("%s", complaint)

    def _folders_changed(self, params: types.DidChangeWorkspaceFoldersParams) -> None:
        removed = {uris.to_path(folder.uri) for folder in params.event.removed}
        added = [uris.to_path(folder.uri) for folder in params.event.added]
        kept = [folder for folder in self.session.folders if folder not in removed]
        self.session.folders = tuple(dict.fromkeys([*kept, *(folder for folder in added if folder)]))
        for complaint in self.session.reread():
            log.warning("%s", complaint)

    async def _watch_files(self) -> None:
        workspace = self.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace is not None else None
        # A pattern without a folder makes Emacs watch every folder of a project, one by one: minutes in nixpkgs.
        if watching is None or not watching.dynamic_registration or not watching.relative_pattern_support:
            return
        watchers = [
            types.FileSystemWatcher(types.RelativePattern(base_uri=uris.from_path(folder), pattern=name))
            for folder in self.session.folders
            for name in SOURCES
        ]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = types.Registration("settings", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        try:
            await self.client_register_capability_async(types.RegistrationParams([registration]))
        except Exception as error:
            log.debug("the client does not watch files: %s", error)

    def _files_changed(self, params: types.DidChangeWatchedFilesParams) -> None:
        for complaint in self.session.files_changed():
            log.warning("%s", complaint)

    # --- documents -------------------------------------------------------------------------------

    def opened(self, params: types.DidOpenTextDocumentParams) -> None:
        """A document is opened."""
        item = params.text_document
        self.session.open(item.uri, item.version, item.text)
        self._check(item.uri)

    def changed(self, params: types.DidChangeTextDocumentParams) -> None:
        """A document is edited."""
        uri = params.text_document.uri
        changes = [wire.change(event) for event in params.content_changes]
        if self.session.edit(uri, params.text_document.version, changes) is None:
            log.warning("a change of %s, which was never opened", uri)
            return
        self._cancel_check(uri)
        self._checks[uri] = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._check, uri)

    def closed(self, params: types.DidCloseTextDocumentParams) -> None:
        """A document is closed; what was wrong with it is nobody's business any more."""
        uri = params.text_document.uri
        self._cancel_check(uri)
        evaluation = self._evaluations.pop(uri, None)
        if evaluation is not None:
            evaluation.cancel()
        self.session.close(uri)
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def _cancel_check(self, uri: str) -> None:
        handle = self._checks.pop(uri, None)
        if handle is not None:
            handle.cancel()

    def _check(self, uri: str) -> None:
        self._checks.pop(uri, None)
        document = self.session.documents.get(uri)
        if document is not None:
            self._publish(document)
            self._evaluate(document)

    def _publish(self, document: Document) -> None:
        found = wire.diagnostics(document, self.session.documents)
        params = types.PublishDiagnosticsParams(document.uri, found, document.version)
        self.text_document_publish_diagnostics(params)

    # --- evaluation in the background ----------------------------------------------------------------

    def _evaluate(self, document: Document) -> None:
        """Has the file evaluated, and shows what goes wrong; what was asked of an older text is not wanted any more."""
        before = self._evaluations.pop(document.uri, None)
        if before is not None:
            before.cancel()
        task = asyncio.get_running_loop().create_task(self._evaluated(document))
        self._evaluations[document.uri] = task

    async def _evaluated(self, document: Document) -> None:
        version = document.version
        found = await self.session.failures(document)
        if found is None or document.version != version or self.session.documents.get(document.uri) is not document:
            return
        if found != document.failures:
            document.failures = found
            self._publish(document)

    def _show_status(self, status: Status) -> None:
        self._loading.show((status.text or "evaluating") if status.state == "loading" else "")

    def _show_builds(self, builds: Builds) -> None:
        names = ", ".join(builds.names)
        self._building.show(f"{names}: {builds.text}" if names and builds.text else names)
        if builds.changed:
            for document in self.session.documents:
                self._evaluate(document)

    async def _code_actions(self, params: types.CodeActionParams) -> list[types.CodeAction] | None:
        document = self.session.document(params.text_document.uri)
        if document is None:
            return None
        start, end = (wire.offset(document.lines, at) for at in (params.range.start, params.range.end))
        found = ide_failures.offers(document.failures, start, end)
        if not found and params.context.trigger_kind is not types.CodeActionTriggerKind.Automatic:
            # Somebody asks for it, wherever the cursor is: whoever does not, would see a light bulb in every line.
            found = ide_failures.offers(document.failures, 0, len(document.text))
        return [
            types.CodeAction(
                offer.title,
                kind=types.CodeActionKind.QuickFix,
                command=types.Command(offer.title, BUILD, arguments=list(offer.elements)),
            )
            for offer in found
        ]

    def _allow_builds(self, *elements: Any) -> None:
        """The user wants something built."""
        self.session.allow([element for element in elements if isinstance(element, str)])

    # --- questions -------------------------------------------------------------------------------

    async def _hover(self, params: types.HoverParams) -> types.Hover | None:
        at = self._at(params)
        if at is None:
            return None
        document, offset = at
        lines = document.lines
        found = await ide_hover.hover(self.session.snapshot(document), offset)
        return wire.hover(found, lines, self._knows_markdown(_hover_formats)) if found is not None else None

    async def _definition(self, params: types.DefinitionParams) -> list[types.Location] | None:
        at = self._at(params)
        if at is None:
            return None
        document, offset = at
        found = await ide_definition.definition(self.session.snapshot(document), offset)
        return wire.locations(found, self.session.documents) or None

    async def _completion(self, params: types.CompletionParams) -> types.CompletionList | None:
        at = self._at(params)
        if at is None:
            return None
        document, offset = at
        lines = document.lines
        found = await ide_completion.completion(self.session.snapshot(document), offset)
        if found is None:
            return None
        replacing = bool(_item_capability(self.client_capabilities, "insert_replace_support"))
        markdown = self._knows_markdown(_documentation_formats)
        return wire.completion(found, lines, offset, replacing=replacing, markdown=markdown)

    def _at(
        self, params: types.HoverParams | types.DefinitionParams | types.CompletionParams
    ) -> tuple[Document, int] | None:
        document = self.session.document(params.text_document.uri)
        if document is None:
            return None
        return document, wire.offset(document.lines, params.position)

    def _knows_markdown(self, formats: Callable[[types.ClientCapabilities], object]) -> bool:
        known = formats(self.client_capabilities)
        return isinstance(known, list | tuple) and types.MarkupKind.Markdown in known


def folders_of(params: types.InitializeParams) -> list[str]:
    """The workspace's folders as paths; those that are not on disk are left out."""
    found = [folder.uri for folder in params.workspace_folders or []]
    if not found and params.root_uri:
        found = [params.root_uri]
    paths = [path for uri in found if (path := uris.to_path(uri))]
    if not paths and params.root_path:
        paths = [params.root_path]
    return paths


def _hover_formats(client: types.ClientCapabilities) -> object:
    hover = client.text_document.hover if client.text_document is not None else None
    return hover.content_format if hover is not None else None


def _documentation_formats(client: types.ClientCapabilities) -> object:
    return _item_capability(client, "documentation_format")


def _item_capability(client: types.ClientCapabilities, name: str) -> object:
    completion = client.text_document.completion if client.text_document is not None else None
    item = completion.completion_item if completion is not None else None
    return getattr(item, name, None)


def serve_stdio(session: Session, process: Process | None, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Serves one client over two streams until it leaves."""
    spare_collector()
    Server(session, process).start_io(stdin, stdout)


def serve_tcp(session: Session, process: Process | None, host: str, port: int) -> None:
    """Waits for one client, and serves it until it leaves."""
    spare_collector()
    Server(session, process).start_tcp(host, port)
