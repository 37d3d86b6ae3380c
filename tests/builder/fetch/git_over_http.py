"""Git repositories over HTTP as most hosts show them: ``git http-backend`` behind a web server of our own."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.builder.fetch.repositories import ENVIRONMENT


@contextmanager
def serving_git(root: Path) -> Iterator[str]:
    """Serves the bare repositories in ``root``; the address of the folder. Skips without ``git http-backend``."""
    where = subprocess.run(["git", "--exec-path"], capture_output=True, check=True, text=True).stdout.strip()
    if not (Path(where) / "git-http-backend").exists():
        pytest.skip("no git http-backend here, which comes with git")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            size = int(self.headers.get("Content-Length") or 0)
            environment = {
                **os.environ,
                **ENVIRONMENT,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(size),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "REMOTE_ADDR": "127.0.0.1",
            }
            asked = self.rfile.read(size)
            words = ["git", "-c", "uploadpack.allowAnySHA1InWant=true", "http-backend"]
            answer = subprocess.run(words, input=asked, env=environment, capture_output=True, check=False).stdout
            head, _, body = answer.partition(b"\r\n\r\n")
            headers = [line.partition(": ")[::2] for line in head.decode().splitlines()]
            self.send_response(int(dict(headers).get("Status", "200").split()[0]))
            for name, value in headers:
                if name != "Status":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
