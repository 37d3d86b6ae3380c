"""The command line: what it prints, and what it says about bad input."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_lsp
from lsprotocol import types
from pytest_lsp.client import make_test_lsp_client

from tests.lsp.conftest import FAKE_WORKER, PACKAGES, Editor


def run(*arguments: str, worker: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "lsp.cli", *arguments, *(["--worker", FAKE_WORKER] if worker else [])]
    env = {**os.environ, "PYTHONPATH": PACKAGES}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_version() -> None:
    done = run("--version", worker=False)
    assert done.returncode == 0
    assert done.stdout.startswith("tvix-lsp ")
    assert "compiled" in done.stdout or "plain Python" in done.stdout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a b.nix"
    path.write_text('{ stdenv }:\nlet version = "💥"; in\nstdenv.mk version\n')
    return path


def test_inspect(file: Path) -> None:
    done = run("inspect", f"{file}:3:12")
    assert done.returncode == 0
    assert 'version = "version"' in done.stdout
    assert f"{file}:2:5" in done.stdout


def test_inspect_completion(file: Path) -> None:
    done = run("inspect", f"{file}:3:10", "--json")
    assert done.returncode == 0
    answers = json.loads(done.stdout)
    assert [item["label"] for item in answers["completion"]["items"]] == ["mkDerivation"]
    assert answers["completion"]["replaces"] == "mk"
    assert answers["place"] == {"file": str(file), "line": 3, "column": 10, "end_line": 3, "end_column": 10}


def test_inspect_counts_code_points(file: Path) -> None:
    file.write_text('[ "💥💥" stdenv ]\n')
    done = run("inspect", f"{file}:1:8", "--json")
    found = json.loads(done.stdout)["hover"]
    assert "stdenv" in found["text"]
    assert (found["column"], found["end_column"]) == (8, 14)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{file}", "expected FILE:LINE:COL"),
        ("{file}:3", "expected FILE:LINE:COL"),
        ("{file}:0:1", "expected FILE:LINE:COL"),
        ("{file}:1:x", "expected FILE:LINE:COL"),
        ("{file}:99:1", "there is no line 99, the file has 4"),
        ("{file}:1:99", "line 1 has no column 99, it ends at 12"),
        ("{folder}/none.nix:1:1", "No such file or directory"),
        ("{folder}:1:1", "Is a directory"),
        ("::", "expected FILE:LINE:COL"),
    ],
)
def test_bad_places(file: Path, place: str, message: str) -> None:
    done = run("inspect", place.format(file=file, folder=file.parent))
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_inspect_of_a_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.nix"
    path.write_bytes(b'{ a = "\xff"; version = 1; }')
    done = run("inspect", f"{path}:1:14")
    assert done.returncode == 0
    assert 'version = "version"' in done.stdout


def test_a_worker_that_dies_does_not_keep_inspect(file: Path) -> None:
    file.write_text("let crash = 1; in crash")
    done = run("inspect", f"{file}:1:20")
    assert done.returncode == 0
    assert "crash = 1" in done.stdout


@pytest.mark.parametrize("arguments", [["--tcp", "nonsense"], ["--no-such-option"], ["inspect"], ["--tcp", "a:99999"]])
def test_wrong_command_lines(arguments: list[str]) -> None:
    done = run(*arguments, worker=False)
    assert done.returncode == 2
    assert "usage: tvix-lsp" in done.stderr


async def test_tcp(tmp_path: Path) -> None:
    """One client over a socket; the server leaves with it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-P", "-m", "lsp.cli", "--tcp", address, "--worker", FAKE_WORKER]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": PACKAGES}) as server:
        client = make_test_lsp_client()
        while True:
            try:
                await client.start_tcp("127.0.0.1", port)
                break
            except OSError:
                assert server.poll() is None
        session = Editor(client, len)
        capabilities = pytest_lsp.client_capabilities("visual-studio-code")
        await client.initialize_session(types.InitializeParams(capabilities, root_uri=tmp_path.as_uri()))
        uri = session.open(tmp_path / "a.nix", "[ x ]")
        assert '"x"' in await session.hover(uri, "[ |x")
        await client.shutdown_async(None)
        client.exit(None)
        assert server.wait(200) == 0


def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--tcp", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 1
    assert "127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("data", [b"", b"nonsense\r\n\r\n", b"Content-Length: 5\r\n\r\n{"])
def test_a_client_that_goes_away_ends_the_server(data: bytes) -> None:
    command = [sys.executable, "-P", "-m", "lsp.cli", "--stdio", "--worker", FAKE_WORKER]
    env = {**os.environ, "PYTHONPATH": PACKAGES}
    done = subprocess.run(command, env=env, input=data, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
