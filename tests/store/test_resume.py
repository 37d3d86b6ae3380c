"""Copies that break: in one process the download goes on where it was, and so does the next process after a SIGKILL."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.backends.local.castore import LocalCastore
from store.backends.local.check import verify
from store.backends.partial import LARGE
from store.castore.services import Refused, Unreachable
from store.command.serving import CacheServer
from store.composition import local_store, open_store
from store.paths import closure

MakeTree = Callable[[Any], str]
SIZE = 3 * LARGE


class Server(ThreadingHTTPServer):
    """A folder whose archives break off, or stall, when so many bytes of an answer have been sent."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.breaks: list[int] = []  #: after how many bytes the next answers break off
        self.stalls = 0  #: after how many bytes all answers stop, for ever
        self.ranges = True
        self.sent: list[tuple[str, int, int]] = []  #: path, where it began, how many bytes
        self.stalled = threading.Event()
        self.over = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        server = self.server
        file = server.folder / self.path[1:]
        if not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = file.read_bytes()
        asked = self.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        if self.command == "HEAD":
            return
        body = data[start:]
        large = len(data) > LARGE
        if large and server.breaks:
            body = body[: server.breaks.pop(0)]
        elif large and server.stalls:
            body = body[: server.stalls]
        sent = 0
        with suppress(ConnectionError):
            for at in range(0, len(body), 65536):
                sent += self.wfile.write(body[at : at + 65536])
        server.sent.append((self.path, start, sent))
        if len(body) < len(data) - start:
            if server.stalls:
                server.stalled.set()
                server.over.wait()
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        if isinstance(server, Server):
            server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


class Cache:
    """A closure in a cache: a large object, and some small ones that refer to it or not."""

    def __init__(self, folder: Path, make_tree: MakeTree) -> None:
        self.folder = folder / "cache"
        with local_store(str(folder / "from")) as store:
            self.large = store.add_path(make_tree({"large": random.Random(1).randbytes(SIZE // 2).hex()}), "large").path
            self.small = [store.add_text(f"small{number}", b"text").path for number in range(5)]
            self.paths = [*self.small, self.large]
            self.top = store.add_text("top", " ".join(self.paths).encode(), self.paths).path
            with open_store(f"file://{self.folder}?compression=none") as cache:
                closure.copy(store, cache, [self.top])


@pytest.fixture
def cache(tmp_path: Path, make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return Cache(tmp_path, make_tree)


def url_of(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}?require-signatures=false"


def fetch(url: str, target: Path, path: str) -> None:
    with open_store(url) as source, local_store(str(target)) as store:
        closure.copy(source, store, [path])
        assert isinstance(store.castore, LocalCastore)
        assert verify(store.castore).problems == []


def downloads(tmp_path: Path) -> list[int]:
    folder = tmp_path / "user-cache" / "tvix-lsp" / "downloads"
    return [file.stat().st_size for file in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_again_and_again(cache: Cache, tmp_path: Path, ranges: bool) -> None:
    with running(Server(cache.folder)) as server:
        server.ranges = ranges
        server.breaks = [5_000_000, 10_000_000, 15_000_000]
        fetch(url_of(server), tmp_path / "to", cache.top)
        large = [(start, count) for path, start, count in server.sent if count > 1_000_000]
        starts = [start for start, _ in large]
        if ranges:
            assert len(starts) >= 3 and starts == sorted(set(starts))
            # What was under way when the line broke may come twice, no more.
            assert sum(count for _, count in large) < SIZE * 1.4
        else:
            assert starts == [0, 0, 0, 0]
    assert downloads(tmp_path) == []


def test_a_server_that_always_breaks_is_given_up(cache: Cache, tmp_path: Path) -> None:
    with running(Server(cache.folder)) as server:
        server.breaks = [1_000_000, *[0] * 20]
        with pytest.raises(Unreachable, match="nar"):
            fetch(url_of(server), tmp_path / "to", cache.top)
        assert len(downloads(tmp_path)) == 1
        server.breaks = []
        fetch(url_of(server), tmp_path / "to", cache.top)
        assert max(start for _, start, _ in server.sent) > 0


def test_killed_in_the_middle_of_a_large_object(cache: Cache, tmp_path: Path) -> None:
    with running(Server(cache.folder)) as server:
        server.stalls = SIZE * 2 // 3
        target = f"local:{tmp_path}/to"
        command = [
            sys.executable,
            "-m",
            "store.command.cli",
            "copy",
            "--quiet",
            "--from",
            url_of(server),
            "--to",
            target,
        ]
        command.append(cache.top)
        copier = subprocess.Popen(command)
        assert server.stalled.wait(60)
        # The bytes that were sent may still be on their way.
        (kept,) = _until(lambda: [size for size in downloads(tmp_path) if size > SIZE // 2])
        small = _until(lambda: _there(tmp_path / "to", 5))
        copier.send_signal(signal.SIGKILL)
        copier.wait()
        before = list(server.sent)
        assert max(count for _, _, count in before) >= kept
        server.stalls = 0
        subprocess.run(command, check=True, timeout=100)
        again = [(start, count) for path, start, count in server.sent[len(before) :] if path.startswith("/nar/")]
        # The large one, of which an answer was begun to learn its size, and the one at the top; no small one again.
        assert len(again) <= 3
        ((start, count),) = [(start, count) for start, count in again if start]
        assert start >= kept and count == _size(cache) - start
        with local_store(str(tmp_path / "to")) as store, local_store(str(tmp_path / "from")) as origin:
            assert set(small) < set(store.paths()) == set(origin.paths())
            info = origin.query(cache.large)
            assert info is not None
            assert b"".join(store.nar(info.with_node(None))) == b"".join(origin.nar(info))
            assert isinstance(store.castore, LocalCastore)
            assert verify(store.castore).problems == []
    assert downloads(tmp_path) == []


def _size(cache: Cache) -> int:
    return max(file.stat().st_size for file in (cache.folder / "nar").iterdir())


def _there(folder: Path, count: int) -> list[str]:
    with local_store(str(folder)) as store:
        found = list(store.paths())
    return found if len(found) >= count else []


def _until(ask: Callable[[], list[Any]]) -> list[Any]:
    """What ``ask`` answers as soon as it is something (the test's own time limit ends the waiting)."""
    pause = threading.Event()
    while not (found := ask()):
        pause.wait(0.05)
    return found


def test_a_kept_download_that_was_damaged_is_refused_once(cache: Cache, tmp_path: Path) -> None:
    with running(Server(cache.folder)) as server:
        server.breaks = [SIZE // 2, *[0] * 20]
        with pytest.raises(Unreachable):
            fetch(url_of(server), tmp_path / "to", cache.top)
        (kept,) = (tmp_path / "user-cache" / "tvix-lsp" / "downloads").iterdir()
        data = bytearray(kept.read_bytes())
        data[len(data) // 2] ^= 1
        kept.write_bytes(data)
        server.breaks = []
        with pytest.raises(Refused, match="has the hash"):
            fetch(url_of(server), tmp_path / "to", cache.top)
        assert downloads(tmp_path) == []
        fetch(url_of(server), tmp_path / "to", cache.top)


def test_our_server_serves_ranges(cache: Cache, tmp_path: Path, make_tree: MakeTree) -> None:
    with local_store(str(tmp_path / "from")) as store:
        info = store.query(cache.large)
        assert info is not None
        archive = b"".join(store.nar(info))
        server = CacheServer(("127.0.0.1", 0), store, key=None, token=None, priority=40)
        with running(server):
            url = f"http://127.0.0.1:{server.server_address[1]}"
            found = httpx.get(f"{url}/{cache.large[11:43]}.narinfo").text
            name = next(line.removeprefix("URL: ") for line in found.splitlines() if line.startswith("URL: "))
            whole = httpx.get(f"{url}/{name}")
            assert whole.status_code == 200 and whole.content == archive
            for start in (1, 5_000_001, len(archive) - 1):
                part = httpx.get(
                    f"{url}/{name}", headers={"Range": f"bytes={start}-", "If-Range": whole.headers["ETag"]}
                )
                assert part.status_code == 206 and part.content == archive[start:]
                assert part.headers["Content-Range"] == f"bytes {start}-{len(archive) - 1}/{len(archive)}"
            for unusual in ({"Range": f"bytes={len(archive)}-"}, {"Range": "bytes=-5"}, {"Range": "lines=1-"},
                            {"Range": "bytes=5-", "If-Range": '"other"'}):  # fmt: skip
                assert httpx.get(f"{url}/{name}", headers=unusual).status_code == 200
