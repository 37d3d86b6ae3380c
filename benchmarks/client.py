"""A language client of the barest kind: JSON-RPC with Content-Length frames over a server's standard streams.

It measures the server and nothing else: no library between, no model of the protocol's types.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any


class ServerGone(Exception):
    """The server closed its output while an answer was due."""


class Client:
    """A running server. `request` and `notify` may be called from one thread; a second one reads the answers."""

    def __init__(
        self, command: Sequence[str], environment: dict[str, str] | None = None, log: Path | None = None
    ) -> None:
        errors = log.open("wb") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
        self.notifications: list[dict[str, Any]] = []
        self._waiting: dict[int, Future[Any]] = {}
        self._writing = threading.Lock()
        self._last_id = 0
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.request("shutdown", None, timeout=5)
            self.notify("exit", None)
            self.process.wait(5)
        except (OSError, ServerGone, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()

    def request(self, method: str, params: object, timeout: float = 60) -> Any:
        """The result. RuntimeError for an error answer, TimeoutError, ServerGone."""
        self._last_id += 1
        answer: Future[Any] = Future()
        self._waiting[self._last_id] = answer
        self._send({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params})
        return answer.result(timeout)

    def notify(self, method: str, params: object) -> None:
        self._send({"jsonrpc": "2.0", "method": method, "params": params})

    def initialize(self, folder: Path, options: object = None) -> dict[str, Any]:
        """Greet the server as an editor does; what it can do."""
        capabilities = {
            "general": {"positionEncodings": ["utf-16"]},
            "textDocument": {
                "hover": {"contentFormat": ["markdown"]},
                "definition": {"linkSupport": True},
                "completion": {"completionItem": {"snippetSupport": True}},
            },
            "workspace": {"workspaceFolders": True, "configuration": True},
        }
        greeting = {
            "processId": None,
            "rootUri": folder.as_uri(),
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name}],
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        answer: dict[str, Any] = self.request("initialize", greeting)
        self.notify("initialized", {})
        return answer

    def open(self, file: Path, text: str) -> None:
        document = {"uri": file.as_uri(), "languageId": "nix", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def at(self, method: str, file: Path, line: int, character: int) -> Any:
        """Ask `textDocument/…` about a place (both counted from 0)."""
        place = {"textDocument": {"uri": file.as_uri()}, "position": {"line": line, "character": character}}
        return self.request(f"textDocument/{method}", place)

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        stream = self.process.stdin
        assert stream is not None
        with self._writing:
            stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            stream.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while header := stream.readline():
            length = 0
            while header.strip():
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                header = stream.readline()
            self._dispatch(json.loads(stream.read(length)))
        for answer in self._waiting.values():
            answer.set_exception(ServerGone(f"the server is gone, exit code {self.process.poll()}"))

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "method" not in message:
            answer = self._waiting.pop(message["id"])
            if "error" in message:
                answer.set_exception(RuntimeError(str(message["error"])))
            else:
                answer.set_result(message.get("result"))
        elif "id" in message:  # the server asks: everything is allowed, nothing is configured
            asked = message["method"] == "workspace/configuration"
            result = [None] * len(message["params"]["items"]) if asked else None
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": result})
        else:
            self.notifications.append(message)
