"""Flakes in an editor: what the inputs are, who calls which file, what is not there yet."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types

from evaluator.session import host_system
from lsp.uri import from_path
from tests.builder.fetch.loopback import Page, serving
from tests.lsp.archives import served
from tests.lsp.conftest import PACKAGES, Editor, StartEditor
from tests.lsp.test_builds import actions, cancelled, coded, execute, until

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")

SYSTEM = host_system()

#: Another flake: a library, a package set, and what makes a configuration out of modules.
LIBRARY = """\
{
  outputs = { self }: rec {
    lib = {
      genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
      configuration = { modules }:
        let
          config = builtins.foldl' (all: module: all // (import module) { inherit config; lib = lib; }) { } modules;
        in { inherit config; options = { }; };
    };
    legacyPackages.SYSTEM = rec {
      callPackage = path: more: (import path) ({ inherit figlet; } // more);
      figlet = { name = "figlet-2.2.5"; };
    };
  };
}
""".replace("SYSTEM", SYSTEM)

FLAKE = """\
{
  description = "a project";
  inputs = {
    library.url = "ADDRESS";
  };
  outputs = { self, library }: {
    packages = library.lib.genAttrs [ "riscv64-linux" "SYSTEM" ] (system:
      let
        pkgs = library.legacyPackages.${system};
      in
      {
        default = pkgs.callPackage ./package.nix { version = self.number; };
      });
    configurations.here = library.lib.configuration {
      modules = [ ./base.nix ./module.nix ];
    };
    number = "1.2";
  };
}
""".replace("SYSTEM", SYSTEM)

PACKAGE = "{ figlet, version }: {\n  title = figlet.name + version;\n}\n"
BASE = "{ config, ... }: { port = 80; }\n"
MODULE = "{ config, lib, ... }: {\n  address = config.port + 1;\n}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    library, folder = tmp_path / "library", tmp_path / "project"
    library.mkdir()
    folder.mkdir()
    (library / "flake.nix").write_text(LIBRARY)
    (folder / "flake.nix").write_text(FLAKE.replace("ADDRESS", f"path:{library}"))
    (folder / "package.nix").write_text(PACKAGE)
    (folder / "base.nix").write_text(BASE)
    (folder / "module.nix").write_text(MODULE)
    return folder


def surroundings(project: Path) -> dict[str, str]:
    return {
        "TVIX_STORE": f"local:{project.parent}/store",
        "NIX_CONF_DIR": "/nonexistent",
        "NIX_CONFIG": "substituters =\nflake-registry =",
        "NIX_PATH": "",
        "HOME": str(project.parent),
        "XDG_CACHE_HOME": f"{project.parent}/cache",
    }


async def opened(editor: StartEditor, project: Path, builds: str = "ask") -> tuple[Editor, str]:
    session = await editor(project, options={"budget": 60, "builds": builds}, env=surroundings(project))
    return session, session.open(project / "flake.nix")


async def known(session: Editor, uri: str, at: str, text: str) -> None:
    """Waits until hover says so: what is on this machine is looked at aside, and evaluation catches up with edits."""
    async with asyncio.timeout(200):
        while text not in await session.hover(uri, at):
            await asyncio.sleep(0.02)


async def test_what_the_inputs_are(editor: StartEditor, project: Path) -> None:
    """Nothing is locked: an input of this machine is what it is now."""
    session, uri = await opened(editor, project)
    await known(session, uri, "self.num|ber", '"1.2"')
    assert {"genAttrs", "configuration"} <= set(await session.labels(uri, "= library.lib.|genAttrs"))
    assert f'"{SYSTEM}"' in await session.hover(uri, "(sys|tem:")
    assert "figlet" in await session.labels(uri, "pkgs.|callPackage")
    (place,) = await session.definition(uri, "library.lib.config|uration")
    assert place.uri == from_path(str(project.parent / "library" / "flake.nix"))
    (place,) = await session.definition(uri, "self.num|ber")
    assert place.range.start == session.position(uri, '|number = "1.2"')
    assert await session.diagnostics(uri, lambda found: not found) == []


async def test_files_that_the_outputs_reach(editor: StartEditor, project: Path) -> None:
    session, flake = await opened(editor, project)
    uri = session.open(project / "package.nix")
    await known(session, uri, "ti|tle", '"figlet-2.2.51.2"')
    assert "flake.nix" in await session.hover(uri, "ver|sion }")
    module = session.open(project / "module.nix")
    await known(session, module, "addr|ess", "81")
    assert "port" in await session.labels(module, "config.|port")
    session.replace(flake, 'number = "1.2"', 'number = "2"')
    await known(session, uri, "ti|tle", '"figlet-2.2.52"')


async def test_an_input_that_is_declared_later(editor: StartEditor, project: Path) -> None:
    other = project.parent / "other"
    other.mkdir()
    (other / "flake.nix").write_text("{ outputs = { self }: { answer = 42; }; }")
    session, uri = await opened(editor, project)
    await known(session, uri, "self.num|ber", '"1.2"')
    session.replace(
        uri, "outputs = { self, library }: {", "outputs = { self, library, other }: {\n    a = other.answer;"
    )
    (found,) = await session.diagnostics(uri, coded("fetch-unfetched"))
    assert "'other' is not locked" in found.message
    session.replace(uri, "inputs = {\n", f'inputs = {{\n    other.url = "path:{other}";\n')
    assert await session.diagnostics(uri, lambda found: not found) == []
    await known(session, uri, "a = other.ans|wer", "42")


async def test_functions_that_nobody_calls(editor: StartEditor, project: Path) -> None:
    """The overlays and modules that a flake has for others get what its nixpkgs has."""
    text = FLAKE.replace("library", "nixpkgs").replace("ADDRESS", f"path:{project.parent}/library")
    text = text.replace(
        '    number = "1.2";', "    overlays.default = final: prev: { better = prev.figlet; };\n    number = 1;"
    )
    (project / "flake.nix").write_text(text)
    session, uri = await opened(editor, project)
    await known(session, uri, "prev.fig|let", "figlet-2.2.5")
    assert "callPackage" in await session.labels(uri, "prev.|figlet")


async def test_a_lock_file_that_changes_on_disk(editor: StartEditor, project: Path) -> None:
    """Somebody updates it in a terminal: the answers follow, although nothing was typed."""
    other = project.parent / "other"
    shutil.copytree(project.parent / "library", other)
    text = (other / "flake.nix").read_text()
    (other / "flake.nix").write_text(text.replace("figlet-2.2.5", "figlet-2.2.6"))

    def lock(library: Path) -> None:
        command = [sys.executable, "-P", "-m", "evaluator.cli", "flake", "lock", str(project)]
        command += ["--override-input", "library", f"path:{library}"]
        environment = {**os.environ, **surroundings(project), "PYTHONPATH": PACKAGES}
        subprocess.run(command, env=environment, check=True, capture_output=True)

    lock(project.parent / "library")
    session, _ = await opened(editor, project)
    uri = session.open(project / "package.nix")
    await known(session, uri, "ti|tle", '"figlet-2.2.51.2"')
    lock(other)
    changed = types.FileEvent(from_path(str(project / "flake.lock")), types.FileChangeType.Changed)
    session.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([changed]))
    await known(session, uri, "ti|tle", '"figlet-2.2.61.2"')


async def test_what_git_does_not_track(editor: StartEditor, project: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=project, check=True, capture_output=True, env={**os.environ, "HOME": "/"})

    if shutil.which("git") is None:
        pytest.skip("no git")
    git("init", "-q")
    git("add", "flake.nix", "base.nix", "module.nix")
    session, uri = await opened(editor, project)
    (found,) = await session.diagnostics(uri, coded("untracked"))
    assert found.range.start == session.position(uri, "|./package.nix")
    assert found.severity == types.DiagnosticSeverity.Information
    assert "'git add package.nix'" in found.message
    git("add", "package.nix")
    session.replace(uri, 'number = "1.2"', 'number = "2"')
    assert await session.diagnostics(uri, lambda found: not found) == []


async def test_half_typed(editor: StartEditor, project: Path) -> None:
    session, uri = await opened(editor, project)
    await known(session, uri, "self.num|ber", '"1.2"')
    session.replace(uri, "pkgs.callPackage ./package.nix { version = self.number; };", "pkgs.")
    assert "callPackage" in await session.labels(uri, "default = pkgs.|\n")
    session.replace(uri, "outputs = { self, library }: {", "outputs = { self, library }: {\n    more = library.")
    assert "legacyPackages" in await session.labels(uri, "more = library.|\n")


async def test_the_lock_file_is_written_when_somebody_wants_it(editor: StartEditor, project: Path) -> None:
    with served(project.parent / "library") as url:
        (project / "flake.nix").write_text(FLAKE.replace("ADDRESS", url))
        session, uri = await opened(editor, project, "always")
        (found,) = await session.diagnostics(uri, coded("fetch-unfetched"))
        assert found.message == "the input 'library' is not locked"
        assert found.severity == types.DiagnosticSeverity.Information
        assert found.range.start == session.position(uri, "|library.url")
        assert not (project / "flake.lock").exists()
        assert "is not locked" in await session.hover(uri, "self, lib|rary")
        (action,) = await actions(session, uri, "lib|rary.url")
        assert action.title == "Lock the inputs of this flake"
        await execute(session, action)
        assert await session.diagnostics(uri, lambda found: not found) == []
        assert "library" in json.loads((project / "flake.lock").read_text())["nodes"]
        assert "figlet" in await session.labels(uri, "pkgs.|callPackage")


async def test_locking_that_nobody_wants_ends(editor: StartEditor, project: Path) -> None:
    with serving() as site:
        site.pages["/library.tar.gz"] = Page(bytes(100_000), hangs=9)
        (project / "flake.nix").write_text(FLAKE.replace("ADDRESS", f"{site.url}/library.tar.gz"))
        session, uri = await opened(editor, project, "always")
        await session.diagnostics(uri, coded("fetch-unfetched"))
        (action,) = await actions(session, uri, "lib|rary.url")
        await execute(session, action)
        await until(site.hanging.is_set)
        await cancelled(session, uri)
        await until(site.left.is_set)
        assert not (project / "flake.lock").exists()


async def test_an_input_that_has_to_be_fetched(editor: StartEditor, project: Path) -> None:
    with served(project.parent / "library") as url:
        (project / "flake.nix").write_text(FLAKE.replace("ADDRESS", url))
        elsewhere = {**os.environ, **surroundings(project), "TVIX_STORE": f"local:{project.parent}/other"}
        command = [sys.executable, "-P", "-m", "evaluator.cli", "flake", "lock", str(project)]
        subprocess.run(command, env={**elsewhere, "PYTHONPATH": PACKAGES}, check=True, capture_output=True)
        session, uri = await opened(editor, project)
        (found,) = await session.diagnostics(uri, coded("fetch-unfetched"))
        assert "has to be fetched first" in found.message
        assert url in found.message
        assert found.range.start == session.position(uri, "|library.url")
        assert "has to be fetched first" in await session.hover(uri, "self, lib|rary")
        (action,) = await actions(session, uri, "lib|rary.url")
        assert action.title.startswith("Fetch '")
        await execute(session, action)
        assert await session.diagnostics(uri, lambda found: not found) == []
        assert {"genAttrs", "configuration"} <= set(await session.labels(uri, "= library.lib.|genAttrs"))
        (place,) = await session.definition(uri, "library.lib.config|uration")
        assert place.uri.endswith("/flake.nix")
