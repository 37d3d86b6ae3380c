"""URIs and paths, there and back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsp.uri import from_path, stand_in, to_path


@pytest.mark.parametrize(
    "path", ["/a/b.nix", "/with space/ü💥.nix", "/100%/#x?.nix", "/a:b/c+d", os.fsdecode(b"/caf\xe9.nix")]
)
def test_round_trip(path: str) -> None:
    uri = from_path(path)
    assert uri.isascii()
    assert to_path(uri) == path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a/b%20c.nix", "/a/b c.nix"),
        ("file://localhost/a", "/a"),
        ("file:///a/%3Ab", "/a/:b"),
        ("file:///a/../b/", "/b"),
        ("untitled:Untitled-1", None),
        ("git:/a/b.nix?ref", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_to_path(uri: str, path: str | None) -> None:
    assert to_path(uri) == path


def test_a_document_that_is_not_on_disk(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert stand_in("untitled:Untitled-1", folder) == f"{folder}/Untitled-1.nix"
    assert stand_in("untitled:/x/my%20file.nix", folder) == f"{folder}/my-file.nix"
    assert stand_in("untitled:", folder) == f"{folder}/document.nix"
    (tmp_path / "Untitled-1.nix").touch()
    assert stand_in("untitled:Untitled-1", folder) == f"{folder}/Untitled-1-2.nix"
