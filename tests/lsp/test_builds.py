"""Values that have to be built first, in an editor: a real client, the real worker, real builds in the background."""

from __future__ import annotations

import ast
import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from lsprotocol import types

from builder.oci.probing import trials
from store.nar import nar_sha256
from tests.builder.fetch.loopback import Page, serving
from tests.lsp.archives import served
from tests.lsp.conftest import Editor, StartEditor
from tests.processes import of_environment, running, sleep_of_ones_own

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")

PROGRAM = """\
let
  make = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
  };
  generated = make "packages" ''
    echo making packages; SLEEP
    while read name version; do line="$line $name = \\"$version\\";"; done < ${./packages.lock}
    echo "{ $line }" > $out
  '';
  packages = import generated;
in
{
  first = packages.alpha;
  second = 2;
}
"""

LOCK = "alpha 1.0\nbeta 2.0\n"


@pytest.fixture(scope="module", autouse=True)
def _works(tmp_path_factory: pytest.TempPathFactory) -> None:
    tried = list(trials(tmp_path_factory.mktemp("probing")))
    if not any(trial.works for trial in tried):
        pytest.skip(f"no container runtime works here: {[trial.why_not for trial in tried]}")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "packages.lock").write_text(LOCK)
    return folder


async def opened(editor: StartEditor, project: Path, builds: str, sleep: str = ":") -> tuple[Editor, str]:
    environment = {
        "TVIX_STORE": f"local:{project.parent}/store",
        "NIX_CONF_DIR": "/nonexistent",
        "NIX_CONFIG": "substituters =",
        "NIX_PATH": "",
    }
    options = {"budget": 60, **({"builds": builds} if builds else {})}
    session = await editor(project, options=options, env=environment)
    (project / "default.nix").write_text(PROGRAM.replace("SLEEP", sleep))
    return session, session.open(project / "default.nix")


def coded(code: str) -> Callable[[list[types.Diagnostic]], bool]:
    return lambda found: any(each.code == code for each in found)


async def actions(session: Editor, uri: str, at: str, *, asked: bool = False) -> list[types.Command]:
    """The commands of the code actions that are offered at a place; ``asked``: somebody wants to see them."""
    where = session.position(uri, at)
    kind = types.CodeActionTriggerKind.Invoked if asked else types.CodeActionTriggerKind.Automatic
    found = await session.client.text_document_code_action_async(
        types.CodeActionParams(
            types.TextDocumentIdentifier(uri),
            types.Range(where, where),
            types.CodeActionContext([], trigger_kind=kind),
        )
    )
    return [_command(each) for each in found or []]


def _command(action: types.Command | types.CodeAction) -> types.Command:
    if isinstance(action, types.CodeAction):
        assert action.command is not None
        return action.command
    # The client's library takes every action for a command, whose name is the printed command of the action.
    inner = ast.literal_eval(action.command)
    return types.Command(inner["title"], inner["command"], arguments=inner["arguments"])


async def execute(session: Editor, action: types.Command) -> None:
    await session.client.workspace_execute_command_async(types.ExecuteCommandParams(action.command, action.arguments))


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that happens outside of the protocol."""
    async with asyncio.timeout(200):
        while not condition():
            await asyncio.sleep(0.02)


async def cancelled(session: Editor, uri: str) -> None:
    """Cancels what is reported to be under way; it is said that this was so."""
    await until(lambda: bool(session.client.progress_reports))
    (token,) = session.client.progress_reports
    session.client.window_work_done_progress_cancel(types.WorkDoneProgressCancelParams(token))
    (found,) = await session.diagnostics(uri, coded("build-failed"))
    assert "was cancelled" in found.message


async def test_generated_names_after_a_build_that_was_allowed(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "", "sleep 1")
    (found,) = await session.diagnostics(uri, coded("build-unbuilt"))
    assert found.message == "'packages' has to be built first"
    assert found.severity == types.DiagnosticSeverity.Information
    assert found.range == types.Range(session.position(uri, "|import generated"), session.position(uri, "generated|;"))
    assert "has to be built first (a code action does that)" in await session.hover(uri, "packages.al|pha")
    assert not await actions(session, uri, "second = |2")
    assert [each.title for each in await actions(session, uri, "packages.al|pha", asked=True)] == ["Build 'packages'"]
    (action,) = await actions(session, uri, "packages = imp|ort")
    assert action.title == "Build 'packages'"
    await execute(session, action)
    await session.diagnostics(uri, coded("build-building"))
    assert "is being built" in await session.hover(uri, "packages.al|pha")
    # Nothing is typed: the end of the build is what brings the value.
    assert await session.diagnostics(uri, lambda found: not found) == []
    assert '"1.0"' in await session.hover(uri, "packages.al|pha")
    assert await session.labels(uri, "packages.|alpha") == ["alpha", "beta"]
    (place,) = await session.definition(uri, "packages.al|pha")
    assert 'alpha = "1.0"' in Path(unquote(urlsplit(place.uri).path)).read_text()
    reports: list[Any] = list(session.client.progress_reports.values())
    ((begun, *_, ended),) = reports
    assert isinstance(begun, types.WorkDoneProgressBegin)
    assert (begun.title, begun.cancellable) == ("Building", True)
    assert "packages" in (begun.message or "")
    assert isinstance(ended, types.WorkDoneProgressEnd)


async def test_always(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "always")
    async with asyncio.timeout(200):
        while '"1.0"' not in (shown := await session.hover(uri, "packages.al|pha")):
            assert "is being built" in shown
    assert await session.diagnostics(uri, lambda found: not found) == []


async def test_never(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "never")
    (found,) = await session.diagnostics(uri, coded("build-never"))
    assert "the settings forbid" in found.message
    assert not await actions(session, uri, "packages = imp|ort")


async def test_a_failed_build_is_said_once(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project, "always", "echo no luck; exit 3")
    (found,) = await session.diagnostics(uri, coded("build-failed"))
    assert found.severity == types.DiagnosticSeverity.Error
    assert "failed: builder failed with exit code 3" in found.message
    assert "> no luck" in found.message
    assert found.range.start == session.position(uri, "|import generated")
    assert found.related_information
    # Typing elsewhere neither repeats it nor builds again: it stays, and moves with its text.
    session.replace(uri, "let\n", "let\n  # a line\n")
    session.replace(uri, "second = 2", "second = 3")
    moved = session.position(uri, "|import generated")
    for _ in range(2):
        now = await session.diagnostics(uri, lambda found: any(each.range.start == moved for each in found))
        assert [each.message for each in now] == [found.message]
        assert not coded("build-building")(now)
        assert "3" in await session.hover(uri, "sec|ond = 3")
    (action,) = await actions(session, uri, "packages = imp|ort")
    assert action.title == "Build 'packages' again"
    session.replace(uri, "exit 3", "true")
    assert await session.diagnostics(uri, lambda found: not found) == []
    assert '"1.0"' in await session.hover(uri, "packages.al|pha")


def share(command: str) -> str:
    """The share of the processor that the session of a process gets, as the kernel prints it."""
    for process in running(command):
        with contextlib.suppress(OSError):
            return (process / "autogroup").read_text().strip()
    return ""


async def test_builds_give_way(editor: StartEditor, project: Path) -> None:
    if not Path("/proc/self/autogroup").exists():
        pytest.skip("this kernel has no autogroups")
    sleep = sleep_of_ones_own()
    session, _ = await opened(editor, project, "always", sleep)
    await until(lambda: share(sleep).endswith("nice 19"))
    server = session.client._server
    assert server is not None
    # Nothing is printed of the share of what the machine's first process started without a session.
    assert not Path(f"/proc/{server.pid}/autogroup").read_text().strip().endswith("nice 19")


async def test_an_edit_that_needs_no_build_ends_it(editor: StartEditor, project: Path) -> None:
    sleep = sleep_of_ones_own()
    session, uri = await opened(editor, project, "always", sleep)
    await until(lambda: bool(running(sleep)))
    session.replace(uri, "first = packages.alpha;", "first = 1;")
    await until(lambda: not running(sleep))
    assert await session.diagnostics(uri, lambda found: not found) == []


async def test_the_user_ends_a_build(editor: StartEditor, project: Path) -> None:
    sleep = sleep_of_ones_own()
    session, uri = await opened(editor, project, "always", sleep)
    await until(lambda: bool(running(sleep)))
    await cancelled(session, uri)
    await until(lambda: not running(sleep))
    session.replace(uri, "second = 2", "second = 3")
    assert "3" in await session.hover(uri, "sec|ond = 3")
    assert not running(sleep), "it is not begun again by itself"
    (action,) = await actions(session, uri, "packages = imp|ort")
    assert action.title == "Build 'packages' again"
    await execute(session, action)
    await until(lambda: bool(running(sleep)))


async def test_nothing_is_built_where_nothing_is_trusted(editor: StartEditor, project: Path) -> None:
    options = {"builds": "always", "trusted": False}
    store = f"local:{project.parent}/store"
    session = await editor(project, options=options, env={"TVIX_STORE": store})
    sleep = sleep_of_ones_own()
    (project / "default.nix").write_text(PROGRAM.replace("SLEEP", sleep))
    uri = session.open(project / "default.nix")
    assert "import generated" in await session.hover(uri, "pack|ages.alpha"), "the text alone"
    assert not session.client.diagnostics.get(uri)
    assert not await actions(session, uri, "packages = imp|ort", asked=True)
    assert not of_environment(store, running("evaluator.service.building"))
    assert not running(sleep)


FETCHING = """\
let
  names = import (fetchTarball { url = "URL"; sha256 = "HASH"; });
in
{
  first = names.alpha;
  second = 2;
}
"""


async def test_what_is_fetched(editor: StartEditor, project: Path) -> None:
    library = project.parent / "names"
    library.mkdir()
    (library / "default.nix").write_text('{ alpha = "1.0"; beta = "2.0"; }')
    pin = nar_sha256(str(library)).hex()
    with served(library) as url:
        session, _ = await opened(editor, project, "ask")
        uri = session.open(project / "fetching.nix", FETCHING.replace("URL", url).replace("HASH", pin))
        (found,) = await session.diagnostics(uri, coded("fetch-unfetched"))
        assert found.message == f"'{url}' has to be fetched first"
        assert found.severity == types.DiagnosticSeverity.Information
        assert "has to be fetched first (a code action does that)" in await session.hover(uri, "names.al|pha")
        (action,) = await actions(session, uri, "names = imp|ort")
        assert action.title == f"Fetch '{url}'"
        await execute(session, action)
        assert await session.diagnostics(uri, lambda found: not found) == []
        assert await session.labels(uri, "names.|alpha") == ["alpha", "beta"]


async def test_a_failed_fetch_is_said_once(editor: StartEditor, project: Path) -> None:
    library = project.parent / "names"
    library.mkdir()
    with served(library) as url:
        session, _ = await opened(editor, project, "always")
        text = FETCHING.replace("URL", url.replace("names", "nothing")).replace("HASH", "0" * 64)
        uri = session.open(project / "fetching.nix", text)
        (found,) = await session.diagnostics(uri, coded("build-failed"))
        assert "404" in found.message
        (action,) = await actions(session, uri, "names = imp|ort")
        assert action.title.endswith("nothing.tar.gz' again")
        # The hash is the same, and so is the path in the store: but it is asked for elsewhere now.
        session.replace(uri, "nothing", "nowhere")
        await session.diagnostics(
            uri, lambda found: any("nowhere" in each.message and "404" in each.message for each in found)
        )


@pytest.mark.parametrize("how", ["cancelled", "edited"])
async def test_a_fetch_that_nobody_wants_ends(editor: StartEditor, project: Path, how: str) -> None:
    with serving() as site:
        site.pages["/names.tar.gz"] = Page(bytes(100_000), hangs=9)
        session, _ = await opened(editor, project, "always")
        text = FETCHING.replace("URL", f"{site.url}/names.tar.gz").replace("HASH", "0" * 64)
        uri = session.open(project / "fetching.nix", text)
        await until(site.hanging.is_set)
        if how == "edited":
            session.replace(uri, "first = names.alpha;", "first = 1;")
        else:
            await cancelled(session, uri)
        await until(site.left.is_set)
        assert len(site.asked) == 1


async def test_leaving_ends_the_builds(editor: StartEditor, project: Path) -> None:
    sleep = sleep_of_ones_own()
    session, uri = await opened(editor, project, "always", sleep)
    await until(lambda: bool(running(sleep)))
    session.close(uri)
    await until(lambda: not running(sleep))


async def test_errors_of_evaluation(editor: StartEditor, project: Path) -> None:
    """Said once, at the innermost place in the file, in Nix's words; the other places are related."""
    (project / "other.nix").write_text("x: x + 1\n")
    session, _ = await opened(editor, project, "never")
    uri = session.open(
        project / "a.nix", 'let f = import ./other.nix; in { a = f "x"; b = f "x"; c.d = 1; e = { }.nme; }'
    )
    found = await session.diagnostics(uri, coded("evaluation"))
    assert [(each.message, each.range.start) for each in found] == [
        ("cannot coerce an integer to a string: 1", session.position(uri, "a = |f")),
        ("cannot coerce an integer to a string: 1", session.position(uri, "b = |f")),
        ("attribute 'nme' missing", session.position(uri, "e = |{ }")),
    ]
    related = found[0].related_information or []
    assert any(each.location.uri.endswith("other.nix") for each in related)
    assert "while evaluating the attribute 'a'" in [each.message for each in related]
    session.replace(uri, "{ }.nme", "1")
    session.replace(uri, 'a = f "x"; b = f "x"', "a = f 1")
    assert await session.diagnostics(uri, lambda found: not found) == []
