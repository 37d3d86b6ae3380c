"""An editor for tests: a real client, driven by texts with a cursor instead of numbers."""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp import LanguageClient
from pytest_lsp.client import make_test_lsp_client

import lsp
from lsp.uri import from_path

SERVER = [sys.executable, "-P", "-m", "lsp.cli", "--stdio"]
FAKE_WORKER = f"{sys.executable} -P {Path(__file__).with_name('fake_worker.py')}"
PACKAGES = str(Path(lsp.__file__).resolve().parent.parent)


class Editor:
    """One client and its server. Positions are given as text: `a|b` is where the text `ab` is, between the two."""

    def __init__(self, client: LanguageClient, units: Callable[[str], int]) -> None:
        self.client = client
        self.result: types.InitializeResult | None = None
        self.registered: list[types.RegistrationParams] = []
        self._units = units
        self._texts: dict[str, str] = {}
        self._versions: dict[str, int] = {}

    # --- documents -------------------------------------------------------------------------------

    def open(self, uri_or_path: str | Path, text: str | None = None) -> str:
        """Opens a document, with the text on disk unless another is given; its URI."""
        uri = from_path(str(uri_or_path)) if isinstance(uri_or_path, Path) else uri_or_path
        if text is None:
            assert isinstance(uri_or_path, Path)
            text = uri_or_path.read_text()
        self._texts[uri], self._versions[uri] = text, 1
        item = types.TextDocumentItem(uri, "nix", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return uri

    def replace(self, uri: str, old: str, new: str) -> None:
        """Types `new` over the only `old`, as one incremental change."""
        text = self._texts[uri]
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the text"
        start = text.index(old)
        change = types.TextDocumentContentChangePartial(
            types.Range(self._position(uri, start), self._position(uri, start + len(old))), new
        )
        self._texts[uri] = text[:start] + new + text[start + len(old) :]
        self._versions[uri] += 1
        document = types.VersionedTextDocumentIdentifier(self._versions[uri], uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    def close(self, uri: str) -> None:
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))

    # --- questions -------------------------------------------------------------------------------

    async def hover(self, uri: str, at: str) -> str:
        """What hover shows; empty for nothing."""
        found = await self.client.text_document_hover_async(types.HoverParams(*self._at(uri, at)))
        if found is None:
            return ""
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value

    async def definition(self, uri: str, at: str) -> list[types.Location]:
        found = await self.client.text_document_definition_async(types.DefinitionParams(*self._at(uri, at)))
        assert found is None or isinstance(found, list | tuple)
        places = list(found or [])
        assert all(isinstance(place, types.Location) for place in places)
        return places

    async def completion(self, uri: str, at: str) -> list[types.CompletionItem]:
        found = await self.client.text_document_completion_async(types.CompletionParams(*self._at(uri, at)))
        return list(found.items) if isinstance(found, types.CompletionList) else []

    async def labels(self, uri: str, at: str) -> list[str]:
        return [item.label for item in await self.completion(uri, at)]

    async def diagnostics(
        self, uri: str, satisfied: Callable[[list[types.Diagnostic]], bool]
    ) -> list[types.Diagnostic]:
        """The published diagnostics, once they are as wanted."""
        while not satisfied(list(self.client.diagnostics.get(uri, []))):
            await self.client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        return list(self.client.diagnostics[uri])

    # --- positions -------------------------------------------------------------------------------

    def position(self, uri: str, at: str) -> types.Position:
        """Where the `|` of the text is."""
        text = self._texts[uri]
        plain = at.replace("|", "", 1)
        assert text.count(plain) == 1, f"{plain!r} stands {text.count(plain)} times in the text"
        return self._position(uri, text.index(plain) + at.index("|"))

    def _at(self, uri: str, at: str) -> tuple[types.TextDocumentIdentifier, types.Position]:
        return types.TextDocumentIdentifier(uri), self.position(uri, at)

    def _position(self, uri: str, offset: int) -> types.Position:
        before = self._texts[uri][:offset]
        line = before.count("\n")
        return types.Position(line, self._units(before[before.rfind("\n") + 1 :]))


UNITS: dict[str, Callable[[str], int]] = {
    "utf-8": lambda text: len(text.encode()),
    "utf-16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf-32": len,
}

StartEditor = Callable[..., Awaitable[Editor]]


@pytest.fixture
async def editor() -> AsyncIterator[StartEditor]:
    """Starts editors; each is shut down politely at the end, and its server must leave with 0."""
    started: list[LanguageClient] = []

    async def start(
        folder: Path | None,
        *,
        worker: str | None = None,
        options: Any = None,
        encoding: str | None = None,
        client: str = "visual-studio-code",
        configuration: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        relative_patterns: bool = False,
    ) -> Editor:
        connection = make_test_lsp_client()
        registered: list[types.RegistrationParams] = []
        connection.feature(types.CLIENT_REGISTER_CAPABILITY)(functools.partial(registered.append))
        connection.set_configuration(configuration, section="tvix-lsp")
        command = [*SERVER, *(["--worker", worker] if worker else [])]
        await connection.start_io(*command, env={**os.environ, "PYTHONPATH": PACKAGES, **(env or {})})
        started.append(connection)
        capabilities = pytest_lsp.client_capabilities(client)
        if encoding is not None:
            assert capabilities.general is not None
            capabilities.general.position_encodings = [types.PositionEncodingKind(encoding)]
        if relative_patterns:
            assert capabilities.workspace is not None and capabilities.workspace.did_change_watched_files is not None
            capabilities.workspace.did_change_watched_files.relative_pattern_support = True
        folders = [types.WorkspaceFolder(from_path(str(folder)), "folder")] if folder is not None else None
        session = Editor(connection, UNITS[encoding or "utf-16"])
        session.registered = registered
        session.result = await connection.initialize_session(
            types.InitializeParams(capabilities, workspace_folders=folders, initialization_options=options)
        )
        return session

    yield start
    for connection in started:
        await asyncio.wait_for(connection.shutdown_session(), 60)
        server = connection._server
        assert server is not None
        assert server.returncode == 0
        await connection.stop()  # type: ignore[no-untyped-call]
