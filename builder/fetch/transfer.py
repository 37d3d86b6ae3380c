"""Bytes from an address into a file: ``file:``, ``http:`` and ``https:``.

A download that breaks off goes on where it stopped, in this process or a later one, as long as the server says that
the thing is still the same (RFC 9110: ``Range`` with ``If-Range``). Proxies are those of the environment.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from netrc import NetrcParseError
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from builder.fetch.failure import FetchError
from builder.fetch.hanging_up import hanging_up
from builder.fetch.limits import Limits

if TYPE_CHECKING:
    import httpx

_PIECE = 1 << 18
_MOST_REDIRECTS = 20
_PASSING = frozenset([408, 425, 429, 500, 502, 503, 504])
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^\s";,]+))*)')
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass
class Download:
    """What came. ``path`` is the file, only there while the download is open; None: ``etag`` still holds.

    ``immutable`` is where the same bytes will always be, if the server says so (a ``Link`` with
    ``rel="immutable"``). ``url``: where it came from in the end.
    """

    path: Path | None
    url: str
    etag: str = ""
    immutable: str = ""


def is_local(url: str) -> bool:
    """Whether an address is a file of this machine."""
    return url.startswith(("file:", "/"))


def local_path(url: str) -> Path:
    """The file that a ``file:`` address names. Raises FetchError."""
    if url.startswith("/"):
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise FetchError(f"cannot fetch '{url}': a file of another machine; write file:///PATH")
    path = unquote(parts.path, errors="surrogateescape")
    if not path.startswith("/") or "\0" in path:
        raise FetchError(f"cannot fetch '{url}': it names no absolute path; write file:///PATH")
    return Path(path)


@contextmanager
def downloaded(url: str, limits: Limits, etag: str = "") -> Iterator[Download]:
    """The bytes at ``url`` as a file; with ``etag`` only if they are others than those. Raises FetchError."""
    if is_local(url):
        path = local_path(url)
        try:
            size = path.stat().st_size
        except OSError as error:
            raise FetchError(f"cannot fetch '{url}': {error.strerror}") from None
        if not path.is_file():
            raise FetchError(f"cannot fetch '{url}': it is no regular file")
        if size > limits.max_bytes:
            raise _too_large(url, limits)
        yield Download(path, url)
        return
    scheme = url.partition(":")[0]
    if scheme not in ("http", "https"):
        raise FetchError(f"cannot fetch '{url}': '{scheme}' is not one of file, http and https")
    limits.require_network(url)
    with ExitStack() as stack:
        yield _Http(url, limits, stack).get(etag)


class _Http:
    """One download over HTTP."""

    def __init__(self, url: str, limits: Limits, stack: ExitStack) -> None:
        import httpx

        self._url = url
        self._limits = limits
        self._stack = stack
        self._trace = stack.enter_context(hanging_up(limits.cancel))
        timeout = httpx.Timeout(limits.stall, connect=limits.connect)
        self._client = stack.enter_context(
            httpx.Client(
                timeout=timeout,
                follow_redirects=True,
                max_redirects=_MOST_REDIRECTS,
                auth=_passwords(limits),
                headers={"User-Agent": "tvix-lsp", "Accept-Encoding": "identity"},
            )
        )
        folder = limits.folder / "partial"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FetchError(f"cannot keep what is fetched from '{url}': {folder}: {error.strerror}") from None
        stem = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._partial = self._claim(folder, stem)
        self._notes = self._partial.with_suffix(".json")
        self._deadline = limits.deadline()

    def _claim(self, folder: Path, stem: str) -> Path:
        """A file of our own to write to: that of an earlier attempt, unless another process is at it."""
        import fcntl

        for number in range(1000):
            name = folder / f"{stem}-{number}.lock"
            lock = open(name, "wb")  # noqa: SIM115  # closed by the stack
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it before may have removed the name that we opened it by.
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(name)):
                    self._stack.callback(lock.close)
                    self._stack.callback(name.unlink, missing_ok=True)
                    return folder / f"{stem}-{number}.part"
            except (BlockingIOError, FileNotFoundError):
                pass
            lock.close()
        raise FetchError(f"cannot fetch '{self._url}': a thousand downloads of it are going on")

    def get(self, etag: str) -> Download:
        import httpx

        why = ""
        for attempt in range(self._limits.attempts):
            if attempt:
                self._limits.rest(attempt - 1)
            try:
                found = self._attempt(etag)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
                raise FetchError(f"cannot fetch '{self._url}': {error}") from None
            except httpx.HTTPError as error:
                why = str(error) or type(error).__name__
                continue
            except OSError as error:
                raise FetchError(f"cannot fetch '{self._url}': {error}") from None
            if isinstance(found, Download):
                return found
            why = found
        raise FetchError(
            f"cannot fetch '{self._url}': {why} ({self._limits.attempts} attempts); look at the address and the"
            " network, then try again: what has come is kept"
        )

    def _attempt(self, etag: str) -> Download | str:
        """The download, or why it may be worth another attempt."""
        have, notes = self._kept()
        headers = {}
        token = self._limits.tokens.get(urlsplit(self._url).netloc, "")
        if token:
            headers["Authorization"] = token
        if have and notes:
            headers["Range"] = f"bytes={have}-"
            if notes.get("validator"):
                headers["If-Range"] = notes["validator"]
        elif etag:
            headers["If-None-Match"] = etag
        request = self._client.build_request("GET", self._url, headers=headers, extensions={"trace": self._trace})
        response = self._client.send(request, stream=True)
        try:
            status = response.status_code
            if status == 304 and etag:
                return Download(None, self._url, etag, _immutable(response))
            if status == 416 or (status == 206 and not self._goes_on(response, have, notes)):
                self._forget()  # what we have is not the beginning of what is there now
                return f"the server answered {status} to a range that it does not have"
            if status in _PASSING:
                return f"HTTP error {status} ({response.reason_phrase})"
            if status not in (200, 206):
                raise FetchError(f"cannot fetch '{self._url}': HTTP error {status} ({response.reason_phrase})")
            broken = self._receive(response, have if status == 206 else 0)
            if broken:
                return broken
            return self._complete(response)
        finally:
            response.close()

    def _kept(self) -> tuple[int, dict[str, Any]]:
        """How much of it is here from before, and what the server said then."""
        try:
            notes = json.loads(self._notes.read_text())
            # Without a validator only this process knows that the server goes on with the same thing.
            if notes.get("url") != self._url or not (notes["validator"] or notes["process"] == os.getpid()):
                return 0, {}
            return self._partial.stat().st_size, notes
        except (OSError, ValueError, AttributeError, KeyError):
            return 0, {}

    def _forget(self) -> None:
        self._notes.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def _goes_on(self, response: httpx.Response, have: int, notes: dict[str, Any]) -> bool:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have or response.headers.get("Content-Encoding", "") != notes["encoding"]:
            return False
        return found[3] == "*" or not notes["size"] or int(found[3]) == notes["size"]

    def _receive(self, response: httpx.Response, have: int) -> str:
        """Writes what comes to the file; why it is not all, if it is not."""
        import httpx

        limits = self._limits
        length = response.headers.get("Content-Length", "")
        size = have + int(length) if length.isascii() and length.isdigit() else 0
        if size > limits.max_bytes:
            self._forget()
            raise _too_large(self._url, limits)
        if not have:
            self._forget()
            validator = _strong(response.headers.get("ETag", "")) or response.headers.get("Last-Modified", "")
            if validator or response.headers.get("Accept-Ranges", "") == "bytes":
                encoding = response.headers.get("Content-Encoding", "")
                notes = {"url": self._url, "validator": validator, "size": size}
                notes |= {"encoding": encoding, "process": os.getpid()}
                self._notes.write_text(json.dumps(notes))
        with open(self._partial, "ab" if have else "wb") as file:
            try:
                for piece in response.iter_raw():  # a size would hold back what came before a break
                    limits.check()
                    if self._deadline is not None and time.monotonic() > self._deadline:
                        raise FetchError(
                            f"cannot fetch '{self._url}': it takes longer than {limits.total:g} seconds; "
                            "try again, it goes on where it stopped"
                        )
                    have += len(piece)
                    if have > limits.max_bytes:
                        file.close()
                        self._forget()
                        raise _too_large(self._url, limits)
                    file.write(piece)
            except httpx.HTTPError as error:
                return f"the connection broke after {have} bytes ({str(error) or type(error).__name__})"
        return f"the connection ended after {have} of {size} bytes" if size and have < size else ""

    def _complete(self, response: httpx.Response) -> Download:
        # From here on the file is ours alone, whatever becomes of the partial one's name.
        self._notes.unlink(missing_ok=True)
        self._stack.callback(self._partial.unlink, missing_ok=True)
        path = self._decoded(response.headers.get("Content-Encoding", ""))
        return Download(path, str(response.url), response.headers.get("ETag", ""), _immutable(response))

    def _decoded(self, encoding: str) -> Path:
        """The file without the encoding that the server gave it although nobody asked for one."""
        if encoding in ("", "identity"):
            return self._partial
        if encoding not in ("gzip", "x-gzip", "zstd"):
            raise FetchError(f"cannot fetch '{self._url}': the server encodes it as '{encoding}', unasked")
        plain = self._partial.with_suffix(".plain")
        self._stack.callback(plain.unlink, missing_ok=True)
        try:
            with open(self._partial, "rb") as source, open(plain, "wb") as target, _decoder(encoding, source) as reader:
                size = 0
                while piece := reader.read(_PIECE):
                    size += len(piece)
                    if size > self._limits.max_bytes:
                        raise _too_large(self._url, self._limits)
                    target.write(piece)
        except (OSError, EOFError, ValueError) as error:
            raise FetchError(f"cannot fetch '{self._url}': its {encoding} encoding is broken: {error}") from None
        return plain


def _decoder(encoding: str, source: IO[bytes]) -> IO[bytes]:
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True)
    return gzip.GzipFile(fileobj=source)  # type: ignore[return-value]


def _passwords(limits: Limits) -> httpx.Auth | None:
    import httpx

    named = limits.netrc or Path(os.environ.get("NETRC") or os.path.expanduser("~/.netrc"))
    try:
        return httpx.NetRCAuth(str(named)) if named.is_file() else None
    except (OSError, NetrcParseError) as error:
        raise FetchError(f"cannot read passwords from '{named}': {error}") from None


def _strong(etag: str) -> str:
    return "" if etag.startswith("W/") else etag


def _immutable(response: httpx.Response) -> str:
    """Where the server says that the same thing will always be."""
    for value in response.headers.get_list("Link"):
        for target, parameters in _LINK.findall(value):
            for parameter in parameters.split(";"):
                name, _, relations = parameter.strip().partition("=")
                if name.strip() == "rel" and "immutable" in relations.strip().strip('"').split():
                    return str(response.url.join(target))
    return ""


def _too_large(url: str, limits: Limits) -> FetchError:
    return FetchError(f"cannot fetch '{url}': it has more than {limits.max_bytes} bytes, which is the limit")
