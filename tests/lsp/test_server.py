"""The server end to end, with a worker that does as it is told (see fake_worker.py)."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcRequestCancelled

from tests.lsp.conftest import FAKE_WORKER, StartEditor

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")


async def test_the_three_questions(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open(tmp_path / "a.nix", "{ stdenv }: let version = stdenv; in stdenv.mk")
    assert 'version = "version"' in await session.hover(uri, "let ver|sion")
    (place,) = await session.definition(uri, "version = std|env;")
    assert place.uri == uri
    assert await session.labels(uri, "in stdenv.mk|") == ["mkDerivation"]
    assert await session.labels(uri, "{ |stdenv") == ["fetchurl", "lib"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_position_encodings(editor: StartEditor, tmp_path: Path, encoding: str) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, encoding=encoding)
    assert session.result is not None
    assert session.result.capabilities.position_encoding == encoding
    uri = session.open(tmp_path / "a.nix", '{ a = "💥é"; b = "💥"; name = 1; }')
    assert 'name = "name"' in await session.hover(uri, "na|me")
    session.replace(uri, "é", "💥💥")
    session.replace(uri, '"; b', '";\r\n /* 💥 */ b')
    assert 'name = "name"' in await session.hover(uri, "na|me")
    (place,) = await session.definition(uri, "na|me")
    assert place.range == types.Range(session.position(uri, "|name"), session.position(uri, "name|"))


async def test_diagnostics_follow_the_text(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open(tmp_path / "a.nix", "{ a = 1 }")
    (found,) = await session.diagnostics(uri, bool)
    assert (found.code, found.source, found.severity) == (
        "missing-semicolon",
        "tvix-lsp",
        types.DiagnosticSeverity.Error,
    )
    session.replace(uri, "1 ", "1; ")
    assert await session.diagnostics(uri, lambda found: not found) == []
    session.replace(uri, "1; ", "")
    await session.diagnostics(uri, bool)
    session.close(uri)
    assert await session.diagnostics(uri, lambda found: not found) == []


async def test_the_budget_is_kept_and_the_static_answer_given(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, options={"budget": 0.1})
    uri = session.open(tmp_path / "a.nix", "let slow = 1 + 1; in [ slow other ]")
    shown = await session.hover(uri, "[ sl|ow")
    assert "slow = 1 + 1" in shown
    assert "evaluating" in shown
    assert 'other = "other"' in await session.hover(uri, "oth|er")


async def test_a_request_can_be_cancelled(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, options={"budget": 600})
    uri = session.open(tmp_path / "a.nix", "slow")
    params = types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(0, 1))
    asked = session.client.protocol.send_request(types.TEXT_DOCUMENT_HOVER, params, msg_id="x")
    session.client.cancel_request(types.CancelParams("x"))
    with pytest.raises(JsonRpcRequestCancelled):
        await asyncio.wrap_future(asked)


async def test_a_request_that_makes_no_sense_is_refused(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open(tmp_path / "a.nix", "fine")
    asked: Future[object] = Future()
    session.client.protocol._request_futures["x"] = asked  # its own ways to ask make sense always
    nonsense = {"jsonrpc": "2.0", "id": "x", "method": types.TEXT_DOCUMENT_HOVER, "params": {"textDocument": 3}}
    session.client.protocol._send_data(nonsense)
    with pytest.raises(JsonRpcException):
        await asyncio.wrap_future(asked)
    assert '"fine"' in await session.hover(uri, "fi|ne")


async def test_a_newer_text_ends_questions_about_the_older(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, options={"budget": 600})
    uri = session.open(tmp_path / "a.nix", "fine")
    session.replace(uri, "fine", "better")
    assert '"better"' in await session.hover(uri, "bet|ter")


async def test_a_worker_that_is_killed_is_replaced(editor: StartEditor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    session = await editor(tmp_path, worker=f"sh -c 'echo $$ >> {pids}; exec {FAKE_WORKER}'")
    uri = session.open(tmp_path / "a.nix", "[ one two ]")
    assert '"one"' in await session.hover(uri, "on|e")
    os.kill(int(pids.read_text().split()[-1]), signal.SIGKILL)
    assert '"two"' in await session.hover(uri, "tw|o")
    assert len(pids.read_text().split()) == 2


async def test_a_worker_that_crashes_on_a_question_costs_only_its_answer(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open(tmp_path / "a.nix", "let crash = 1 + 1; in [ crash other ]")
    assert "crash = 1 + 1" in await session.hover(uri, "[ cra|sh")
    assert '"other"' in await session.hover(uri, "oth|er")


async def test_without_a_worker_there_are_static_answers(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker="/nowhere/no-such-worker")
    uri = session.open(tmp_path / "a.nix", "let x = 1 + 1; in x.a")
    assert "x = 1 + 1" in await session.hover(uri, "in |x")
    (place,) = await session.definition(uri, "in |x")
    assert place.range.start == types.Position(0, 4)


async def test_an_untrusted_workspace_starts_no_worker(editor: StartEditor, tmp_path: Path) -> None:
    started = tmp_path / "told"
    session = await editor(tmp_path, worker=f"sh -c 'cat > {started}'", options={"trusted": False})
    uri = session.open(tmp_path / "a.nix", "let x = 1 + 1; in x")
    shown = await session.hover(uri, "in |x")
    assert "x = 1 + 1" in shown
    assert "evaluating" not in shown
    assert not started.exists() or started.read_bytes() == b""


async def test_trust_that_is_taken_and_given(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open(tmp_path / "a.nix", "let x = 1 + 1; in x")
    assert 'x = "x"' in await session.hover(uri, "in |x")
    session.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"trusted": False}))
    assert "x = 1 + 1" in await session.hover(uri, "in |x")
    session.client.workspace_did_change_configuration(types.DidChangeConfigurationParams({"trusted": True}))
    assert 'x = "x"' in await session.hover(uri, "in |x")


async def test_documents_that_are_not_on_disk(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER)
    uri = session.open("untitled:Untitled-1", "let version = 1; in version")
    assert '"version"' in await session.hover(uri, "in ver|sion")
    (place,) = await session.definition(uri, "in ver|sion")
    assert place.uri == uri


async def test_settings_of_the_client(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, configuration={"nixpkgs": "mine"})
    uri = session.open(tmp_path / "a.nix", "x")
    while f"nixpkgs={tmp_path}/mine" not in await session.hover(uri, "|x"):
        pass  # the settings are asked for after the start
    session.client.set_configuration({"nixpkgs": "other"}, section="tvix-lsp")
    session.client.workspace_did_change_configuration(types.DidChangeConfigurationParams(None))
    while f"nixpkgs={tmp_path}/other" not in await session.hover(uri, "|x"):
        pass


async def test_long_loading_is_shown_as_progress(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, options={"nixpkgs": "slow"})
    while not session.client.progress_reports or not next(iter(session.client.progress_reports.values())):
        await session.client.wait_for_notification(types.PROGRESS)
    reports: list[Any] = next(iter(session.client.progress_reports.values()))
    assert isinstance(reports[0], types.WorkDoneProgressBegin)
    assert f"{tmp_path}/slow" in (reports[0].message or "")
    uri = session.open(tmp_path / "a.nix", "x")
    assert await session.hover(uri, "|x")
    while not isinstance(reports[-1], types.WorkDoneProgressEnd):
        await session.client.wait_for_notification(types.PROGRESS)


async def test_nobody_is_asked_to_watch_every_folder(editor: StartEditor, tmp_path: Path) -> None:
    """A client that knows no patterns relative to a folder (Emacs 28) would watch each of nixpkgs' folders."""
    session = await editor(tmp_path, worker=FAKE_WORKER)
    assert await session.hover(session.open(tmp_path / "a.nix", "x"), "|x")
    assert session.registered == []


async def test_a_settings_file_that_changes(editor: StartEditor, tmp_path: Path) -> None:
    session = await editor(tmp_path, worker=FAKE_WORKER, relative_patterns=True)
    uri = session.open(tmp_path / "a.nix", "x")
    assert "nixpkgs=" in await session.hover(uri, "|x")
    path = tmp_path / ".tvix-lsp.toml"
    path.write_text('nixpkgs = "mine"')
    event = types.FileEvent(path.as_uri(), types.FileChangeType.Created)
    session.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
    assert f"nixpkgs={tmp_path}/mine" in await session.hover(uri, "|x")
    (asked,) = session.registered
    assert asked.registrations[0].method == types.WORKSPACE_DID_CHANGE_WATCHED_FILES


async def test_a_client_that_knows_little(editor: StartEditor, tmp_path: Path) -> None:
    """No Markdown, no configuration, no folders."""
    session = await editor(None, worker=FAKE_WORKER, client="neovim@v0.6.1")
    uri = session.open(tmp_path / "a.nix", "version")
    assert await session.hover(uri, "ver|sion")


async def test_every_prefix_of_a_text_gets_answers(editor: StartEditor, tmp_path: Path) -> None:
    text = '{ lib, x ? 1 }@a: with lib; { b = "${x.y}"; inherit (a) c; d = [ ./e ]; }'
    session = await editor(tmp_path, worker=FAKE_WORKER)
    for end in range(1, len(text), 3):
        uri = session.open(tmp_path / f"{end}.nix", text[:end] + " #")
        at = text[:end] + "|"
        await session.hover(uri, at)
        await session.definition(uri, at)
        await session.completion(uri, at)
        session.close(uri)
    assert not session.client.messages, "nothing pops up"
