"""The first message: read before the server is there, and served to it as if it had not been."""

from __future__ import annotations

import io
import json

import pytest

from lsp.early import Replayed, folders_of, initialize_params, read_message


def message(**content: object) -> bytes:
    body = json.dumps(content).encode()
    return b"Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc\r\n\r\n" % len(body) + body


INITIALIZE = message(jsonrpc="2.0", id=1, method="initialize", params={"rootUri": "file:///w", "capabilities": {}})


def test_the_message_is_read_and_nothing_behind_it() -> None:
    stream = io.BytesIO(INITIALIZE + b"Content-Length: 2\r\n\r\n{}")
    assert read_message(stream) == INITIALIZE
    assert stream.read() == b"Content-Length: 2\r\n\r\n{}"


def test_the_server_reads_it_again() -> None:
    rest = b"Content-Length: 2\r\n\r\n{}"
    stream = io.BytesIO(INITIALIZE + rest)
    replayed = Replayed(read_message(stream), stream)
    read = b""
    while line := replayed.readline():
        read += line
        if not line.strip():
            read += replayed.read(2)
    assert read == INITIALIZE + rest
    assert replayed.read(10) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"Content-Length: x\r\n\r\n{}",
        b"Content-Length: 99\r\n\r\n{",
        INITIALIZE[:-4],
    ],
)
def test_what_is_no_message_is_passed_on(data: bytes) -> None:
    stream = io.BytesIO(data)
    first = read_message(stream)
    assert first + stream.read() == data
    assert initialize_params(first) is None


def test_other_messages_are_no_initialize() -> None:
    assert initialize_params(message(jsonrpc="2.0", method="exit")) is None
    assert initialize_params(message(method="initialize", params=[1])) is None


@pytest.mark.parametrize(
    ("params", "folders"),
    [
        ({"rootUri": "file:///w"}, ["/w"]),
        (
            {"workspaceFolders": [{"uri": "file:///a"}, {"uri": "file:///b%20c"}], "rootUri": "file:///w"},
            ["/a", "/b c"],
        ),
        ({"workspaceFolders": None, "rootUri": None, "rootPath": "/p"}, ["/p"]),
        ({"workspaceFolders": [{"uri": "vscode-vfs://x/y"}]}, []),
        ({}, []),
    ],
)
def test_folders(params: dict[str, object], folders: list[str]) -> None:
    assert folders_of(params) == folders
