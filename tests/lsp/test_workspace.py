"""A user's project with the real worker: what the main job promises, on the package set of our own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from lsprotocol import types

from lsp.uri import from_path
from tests.lsp.conftest import Editor, StartEditor

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")

PATIENT = {"budget": 120}  # the machine may be slow and the evaluator not compiled; budgets have tests of their own


@pytest.fixture
async def session(editor: StartEditor, workspace: Path) -> Editor:
    return await editor(workspace, options=PATIENT)


async def test_a_package_that_an_overlay_calls(session: Editor, workspace: Path, pkgset: Path) -> None:
    uri = session.open(workspace / "pkgs" / "frobnicate" / "package.nix")
    assert "stdenv-linux" in await session.hover(uri, "  std|env,")
    assert "figlet-2.2.6" in await session.hover(uri, "  fig|let,"), "as the overlay has it"
    assert "https://frobnicate.example.org/v1" in await session.hover(uri, "home|page =")
    (place,) = await session.definition(uri, "lib.clean|Source")
    assert place.uri == from_path(str(workspace.parent / "pkgset" / "lib" / "sources.nix"))
    (place,) = await session.definition(uri, "major final|Attrs.version")
    assert (place.uri, place.range.start) == (uri, session.position(uri, "(|finalAttrs:"))
    assert "hostPlatform" in await session.labels(uri, "stdenv.|mkDerivation")


PASSED_ON = """\
let
  environment = f: derivation { name = "e"; system = "s"; builder = "/b"; args = f { numpy = "np"; scipy = "sp"; }; };
in
{
  each = map (name: name + "!") [ "x" "y" ];
  made = environment (ps: [ ps.numpy ]);
  changed = builtins.mapAttrs (key: value: value + 1) { one = 41; };
  nested = builtins.mapAttrs (outer: list: map (inner: inner + outer) list) { o = [ "i" ]; };
}
"""


async def test_functions_that_are_passed_to_others(session: Editor, workspace: Path) -> None:
    """They are seen to be called, although nobody has asked for what comes of it."""
    uri = session.open(workspace / "passed.nix", PASSED_ON)
    assert 'name = "x"' in await session.hover(uri, "(na|me:")
    assert await session.labels(uri, "ps.|numpy") == ["numpy", "scipy"]
    assert 'key = "one"' in await session.hover(uri, "(k|ey:")
    assert "value = 41" in await session.hover(uri, "val|ue + 1")
    assert 'inner = "i"' in await session.hover(uri, "inn|er + outer")
    session.replace(uri, "[ ps.numpy ]", "[ ps.sc ")
    assert await session.labels(uri, "ps.sc| ") == ["scipy"]


async def test_an_edit_changes_the_answers(session: Editor, workspace: Path) -> None:
    uri = session.open(workspace / "pkgs" / "frobnicate" / "package.nix")
    assert "https://frobnicate.example.org/v1" in await session.hover(uri, "home|page =")
    session.replace(uri, "1.4.2", "9.9")
    assert "https://frobnicate.example.org/v9" in await session.hover(uri, "home|page =")


async def test_completion_where_the_text_is_broken(session: Editor, workspace: Path) -> None:
    uri = session.open(workspace / "pkgs" / "frobnicate" / "package.nix")
    session.replace(uri, "lib.licenses.mit;", "lib.licenses.")
    labels = await session.labels(uri, "lib.licenses.|")
    assert {"mit", "asl20"} <= set(labels)
    session.replace(uri, "lib.licenses.", "lib.licenses.asl")
    assert "asl20" in await session.labels(uri, "lib.licenses.asl|")
    session.replace(uri, "  jq,\n", "  sqli\n")
    assert "sqlite" in await session.labels(uri, "  sqli|\n")


async def test_a_file_of_ones_own(session: Editor, workspace: Path) -> None:
    uri = session.open(workspace / "default.nix")
    assert '"1.4.2"' in await session.hover(uri, "  ver|sion = lib.fileContents")
    session.replace(uri, "    pkgs.jq\n", "    pkgs.python3Packages.\n")
    assert "werkzeug" in await session.labels(uri, "pkgs.python3Packages.|\n")
    (place,) = await session.definition(uri, "import ./over|lay.nix")
    assert place.uri == from_path(str(workspace / "overlay.nix"))
    (place,) = await session.definition(uri, "import <nix|pkgs>")
    assert place.uri == from_path(str(workspace.parent / "pkgset" / "default.nix"))


async def test_the_untouched_file_on_disk_is_not_what_counts(session: Editor, workspace: Path) -> None:
    """An unsaved edit of one document shows in another that imports it."""
    overlay = session.open(workspace / "overlay.nix")
    package = session.open(workspace / "pkgs" / "frobnicate" / "package.nix")
    assert "figlet-2.2.6" in await session.hover(package, "  fig|let,")
    session.replace(overlay, 'version = "2.2.6"', 'version = "7.7"')
    async with asyncio.timeout(120):
        while "figlet-7.7" not in (shown := await session.hover(package, "  fig|let,")):
            assert "before the latest edit" in shown, "what is served until evaluation has caught up says so"


async def test_a_document_that_is_not_on_disk(session: Editor, workspace: Path) -> None:
    uri = session.open(
        "untitled:Untitled-1", "{ pkgs ? import <nixpkgs> { } }:\nlet\n  name = pkgs.jq.pname;\nin\nname\n"
    )
    assert '"jq"' in await session.hover(uri, "na|me =")
    fresh = session.open(workspace / "fresh.nix", "let a = 1 + 1; in a")
    assert "a = 2" in await session.hover(fresh, "in |a")
    (place,) = await session.definition(fresh, "in |a")
    assert place.range.start == types.Position(0, 4)


async def test_an_evaluation_that_does_not_end_is_cut(editor: StartEditor, workspace: Path) -> None:
    session = await editor(workspace, options={"budget": 0.5})
    endless = "operator = item: [ { key = item.key + 1; } ];"
    text = f"let all = {{ startSet = [ {{ key = 0; }} ]; {endless} }}; big = builtins.genericClosure all; in big"
    uri = session.open(workspace / "loop.nix", text)
    shown = await session.hover(uri, "in bi|g")
    assert "big = builtins.genericClosure all" in shown
    assert "evaluating" in shown
    session.replace(uri, "builtins.genericClosure all", "1 + 1")
    while "big = 2" not in (shown := await session.hover(uri, "in bi|g")):
        assert "evaluating" in shown, "a slow machine takes more than one budget for it"


async def test_a_worker_that_is_killed_costs_a_moment(editor: StartEditor, workspace: Path) -> None:
    pids = workspace.parent / "pids"
    worker = f"sh -c 'echo $$ >> {pids}; exec {sys.executable} -P -m evaluator.service'"
    session = await editor(workspace, options=PATIENT, worker=worker)
    uri = session.open(workspace / "default.nix")
    session.replace(uri, "inherit version tools;", "inherit version; other = version;")
    assert '"1.4.2"' in await session.hover(uri, "oth|er = version")
    os.kill(int(pids.read_text().split()[-1]), signal.SIGKILL)
    assert '"1.4.2"' in await session.hover(uri, "other = ver|sion")
    assert len(pids.read_text().split()) == 2


async def test_an_evaluation_that_fails_says_so(session: Editor, workspace: Path) -> None:
    uri = session.open(workspace / "bad.nix", 'let bad = throw "not today"; in bad')
    shown = await session.hover(uri, "in ba|d")
    assert "not today" in shown
