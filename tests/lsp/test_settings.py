"""Settings: from the client, from a file, from nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp.nixpkgs import Machine
from lsp.settings import Settings, configuration, from_client, from_file, merge


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (None, Settings()),
        ({}, Settings()),
        ({"nixpkgs": "../pkgs", "system": "aarch64-linux"}, Settings("/home/pkgs", system="aarch64-linux")),
        (
            {"searchPath": ["nixpkgs=pkgs", "/x", "n=https://a/b"]},
            Settings(search_path=("nixpkgs=/home/me/pkgs", "/x", "n=https://a/b")),
        ),
        ({"tvix-lsp": {"budget": 5}}, Settings(budget=5.0)),
        ({"trusted": False}, Settings(trusted=False)),
        ({"builds": "always"}, Settings(builds="always")),
        ({"nixpkgs": "", "system": None, "unheardOf": {"a": 1}}, Settings()),
    ],
)
def test_from_client(values: object, expected: Settings) -> None:
    assert from_client(values, "/home/me") == (expected, [])


@pytest.mark.parametrize(
    "values",
    [
        3,
        "x",
        ["nixpkgs"],
        {"nixpkgs": 3},
        {"searchPath": "x"},
        {"budget": True},
        {"budget": -1},
        {"trusted": "no"},
        {"builds": "often"},
    ],
)
def test_what_is_wrong_is_told_and_left_out(values: object) -> None:
    settings, complaints = from_client(values, "/home/me")
    assert settings == Settings()
    assert len(complaints) == 1


def test_from_file(tmp_path: Path) -> None:
    (tmp_path / ".tvix-lsp.toml").write_text('nixpkgs = "pkgs"\nsearch-path = ["a=b"]\ntrusted = true\n')
    inner = tmp_path / "deep" / "down"
    inner.mkdir(parents=True)
    settings, complaints = from_file([str(inner)])
    assert settings == Settings(f"{tmp_path}/pkgs", (f"a={tmp_path}/b",))
    assert "trusted" in complaints[0], "a workspace cannot grant itself trust"
    assert from_file([]) == (Settings(), [])


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".tvix-lsp.toml").write_text("nixpkgs = \n")
    settings, complaints = from_file([str(tmp_path)])
    assert settings == Settings()
    assert str(tmp_path) in complaints[0]


def test_the_client_comes_first() -> None:
    client, file = Settings(system="a"), Settings("/pkgs", ("x=/y",), "b", 7.0, trusted=False)
    assert merge(client, file) == Settings("/pkgs", ("x=/y",), "a", 7.0, trusted=False)


def test_configuration_adds_the_nixpkgs_that_was_found(tmp_path: Path) -> None:
    machine = Machine({"NIX_PATH": "other=/o"}, str(tmp_path), str(tmp_path), str(tmp_path))
    configured, reason = configuration(Settings("/set"), ["/w"], machine)
    assert (configured.nixpkgs, configured.search_path, configured.roots) == (
        "/set",
        ("nixpkgs=/set", "other=/o"),
        ("/w",),
    )
    assert "/set" in reason
    configured, reason = configuration(Settings(), [str(tmp_path)], machine)
    assert (configured.nixpkgs, configured.search_path) == ("", ("other=/o",))
    assert "none" in reason


def test_a_workspace_does_not_let_itself_be_built(tmp_path: Path) -> None:
    """A file that comes with it may forbid building, not allow it."""
    for given, found, complaints in [("never", "never", 0), ("ask", "ask", 0), ("always", "", 1)]:
        (tmp_path / ".tvix-lsp.toml").write_text(f'builds = "{given}"\n')
        settings, complained = from_file([str(tmp_path)])
        assert (settings.builds, len(complained)) == (found, complaints)
    always, never = Settings(builds="always"), Settings(builds="never")
    assert merge(always, never).builds == "never"
    assert merge(always, Settings(builds="ask")).builds == "always"
    assert merge(Settings(), Settings(builds="ask")).builds == "ask"
