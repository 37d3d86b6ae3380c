"""hello's package.nix in the real nixpkgs, with no configuration at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp.uri import from_path
from tests.lsp.conftest import Editor, StartEditor

pytestmark = pytest.mark.filterwarnings("error::pytest_lsp.LspSpecificationWarning")


@pytest.fixture
async def session(editor: StartEditor, nixpkgs: Path) -> Editor:
    return await editor(nixpkgs, options={"budget": 120})


def hello(nixpkgs: Path) -> Path:
    return nixpkgs / "pkgs" / "by-name" / "he" / "hello" / "package.nix"


async def test_hover_and_definition(session: Editor, nixpkgs: Path) -> None:
    uri = session.open(hello(nixpkgs))
    shown = await session.hover(uri, "  std|env,")
    assert "derivation stdenv-linux" in shown
    assert "made in [pkgs/stdenv/generic/default.nix:" in shown
    assert '"2.12.3"' in await session.hover(uri, '  ver|sion = "2.12.3"')
    (place,) = await session.definition(uri, "  fetch|url,")
    assert place.uri == from_path(str(nixpkgs / "pkgs" / "build-support" / "fetchurl" / "default.nix"))
    (place,) = await session.definition(uri, "src = fetch|url {")
    assert place.uri == from_path(str(nixpkgs / "pkgs" / "build-support" / "fetchurl" / "default.nix"))
    (place,) = await session.definition(uri, "= lib.lic|enses.gpl3Plus")
    assert place.uri.startswith(from_path(str(nixpkgs / "lib")) + "/")
    (place,) = await session.definition(uri, "hello-${final|Attrs.version}")
    assert (place.uri, place.range.start) == (uri, session.position(uri, "(|finalAttrs:"))


async def test_completion(session: Editor, nixpkgs: Path) -> None:
    uri = session.open(hello(nixpkgs))
    assert "gpl3Plus" in await session.labels(uri, "lib.licenses.|gpl3Plus")
    assert {"mkDerivation", "hostPlatform"} <= set(await session.labels(uri, "stdenv.|mkDerivation"))
    session.replace(uri, "  gnulib,\n", "  ripgr\n")
    assert "ripgrep" in await session.labels(uri, "  ripgr|\n")


async def test_completion_where_the_text_is_broken(session: Editor, nixpkgs: Path) -> None:
    uri = session.open(hello(nixpkgs))
    session.replace(uri, "license = lib.licenses.gpl3Plus;", "license = lib.licenses.")
    assert "gpl3Plus" in await session.labels(uri, "license = lib.licenses.|")
    session.replace(uri, "doCheck = true;", "doCheck = stdenv.")
    assert {"mkDerivation", "hostPlatform"} <= set(await session.labels(uri, "doCheck = stdenv.|"))


async def test_an_edit_changes_the_answers(session: Editor, nixpkgs: Path) -> None:
    uri = session.open(hello(nixpkgs))
    assert "hello-2.12.3" in await session.hover(uri, "  sr|c = fetchurl")
    session.replace(uri, '"2.12.3"', '"9.9"')
    assert "hello-9.9.tar.gz" in await session.hover(uri, "  sr|c = fetchurl")
    assert '"9.9"' in await session.hover(uri, "${finalAttrs.ver|sion}.tar.gz")
