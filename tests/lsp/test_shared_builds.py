"""Builds that several files of an editor need, and what they read changes, or the store is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from tests.lsp.conftest import Editor, StartEditor
from tests.lsp.test_builds import LOCK, _works, coded, opened, project, until
from tests.processes import running, sleep_of_ones_own

__all__ = ["_works", "project"]

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")


async def shown(session: Editor, uri: str, at: str, value: str) -> None:
    """Waits until hover has a value; until then it must say that something is being built."""
    async with asyncio.timeout(200):
        while value not in (found := await session.hover(uri, at)):
            assert "is being built" in found


async def test_two_files_need_the_same_build(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "always", "sleep 1")
    (project / "other.nix").write_text("{ third = (import ./default.nix).first; }\n")
    other = session.open(project / "other.nix")
    await shown(session, other, "th|ird", '"1.0"')
    await shown(session, uri, "packages.al|pha", '"1.0"')
    everything: list[Any] = [each for reports in session.client.progress_reports.values() for each in reports]
    begun = [each for each in everything if isinstance(each, types.WorkDoneProgressBegin)]
    assert [each.title for each in begun] == ["Building"]


async def test_one_of_two_files_that_need_a_build_is_closed(editor: StartEditor, project: Path) -> None:
    sleep = sleep_of_ones_own()
    session, uri = await opened(editor, project, "always", sleep)
    (project / "other.nix").write_text("{ third = (import ./default.nix).first; }\n")
    other = session.open(project / "other.nix")
    await until(lambda: bool(running(sleep)))
    await session.diagnostics(other, coded("build-building"))
    session.close(uri)
    assert "is being built" in await session.hover(other, "th|ird")
    assert running(sleep)
    session.close(other)
    await until(lambda: not running(sleep))


async def test_an_imported_file_needs_a_build_that_fails(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "always", "echo no luck; exit 3")
    session.close(uri)
    (project / "other.nix").write_text("{ third = (import ./default.nix).first; }\n")
    other = session.open(project / "other.nix")
    (found,) = await session.diagnostics(other, coded("build-failed"))
    assert "> no luck" in found.message


@pytest.mark.parametrize("lost", [False, True])
async def test_what_a_build_reads_changes_and_the_store_is_lost(editor: StartEditor, project: Path, lost: bool) -> None:
    """The next edit has it built anew."""
    session, uri = await opened(editor, project, "always")
    await shown(session, uri, "packages.al|pha", '"1.0"')
    if lost:
        # All at once: the server may still be tidying up in there.
        (project.parent / "store").rename(project.parent / "lost")
    (project / "packages.lock").write_text(LOCK.replace("1.0", "1.5"))
    session.replace(uri, "second = 2", "second = 3")
    async with asyncio.timeout(200):
        while '"1.5"' not in await session.hover(uri, "packages.al|pha"):
            await asyncio.sleep(0.05)
