"""A web server of our own for tests: what it serves, how it misbehaves, and what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What is at a path. ``breaks``: so many answers end after ``after`` bytes; ``hangs``: so many go no further there.

    ``errors`` come before all that.
    """

    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    etag: str = ""
    ranges: bool = True
    breaks: int = 0
    after: int = 0
    hangs: int = 0
    errors: list[int] = field(default_factory=list)
    redirect: str = ""
    password: str = ""
    said_size: int | None = None


@dataclass
class Site:
    """A running server. ``asked`` holds (path, headers) of every request."""

    url: str
    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    hanging: threading.Event = field(default_factory=threading.Event)  # somebody waits for more
    left: threading.Event = field(default_factory=threading.Event)  # and hung up

    def count(self, path: str) -> int:
        return sum(1 for asked, _ in self.asked if asked == path)


@contextmanager
def serving() -> Iterator[Site]:
    """A server on the loopback."""
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            page = site.pages.get(self.path)
            if page is None:
                self.send_error(404)
            elif page.errors:
                self.send_error(page.errors.pop(0))
            elif page.password and self.headers.get("Authorization") != page.password:
                self.send_error(401)
            elif page.redirect:
                self._head(302, {"Location": page.redirect, "Content-Length": "0"})
            elif page.etag and self.headers.get("If-None-Match") == page.etag:
                self._head(304, {"ETag": page.etag, **page.headers})
            else:
                self._send(page)

        def _send(self, page: Page) -> None:
            start = 0
            headers = dict(page.headers)
            if page.etag:
                headers["ETag"] = page.etag
            if page.ranges:
                headers["Accept-Ranges"] = "bytes"
                wanted = self.headers.get("Range", "")
                if wanted and self.headers.get("If-Range", page.etag) == page.etag:
                    start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                    if start >= len(page.body):
                        self._head(416, {"Content-Range": f"bytes */{len(page.body)}", "Content-Length": "0"})
                        return
                    headers["Content-Range"] = f"bytes {start}-{len(page.body) - 1}/{len(page.body)}"
            body = page.body[start:]
            size = len(body) if page.said_size is None else page.said_size
            self._head(206 if start else 200, {**headers, "Content-Length": str(size)})
            if page.hangs:
                page.hangs -= 1
                self.wfile.write(body[: page.after])
                self.wfile.flush()
                site.hanging.set()
                self.connection.settimeout(0.02)
                while not site.closing.is_set() and not site.left.is_set():
                    try:
                        gone = not self.connection.recv(1)
                    except TimeoutError:
                        continue
                    except OSError:
                        gone = True
                    if gone:
                        site.left.set()
                self.close_connection = True
            elif page.breaks:
                page.breaks -= 1
                self.wfile.write(body[: page.after])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
            else:
                self.wfile.write(body)

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
