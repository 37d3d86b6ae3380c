"""How a binary cache's files are reached: a folder, HTTP, an object store. Names are relative, with ``/``.

Which package each one needs is imported when one is opened.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol

from store.backends.partial import LARGE, partial
from store.castore.services import ReadOnly, Refused, StoreError, Unreachable, cannot_write

if TYPE_CHECKING:
    import httpx

_PIECE = 1 << 18


class Transport(Protocol):
    """Files by name. Everything may raise ``StoreError``."""

    def get(self, name: str, limit: int) -> bytes | None:
        """A small file; None when it is not there. ``Refused`` when it is larger than ``limit``."""

    def stream(self, name: str) -> Iterator[bytes] | None:
        """A file in pieces; None when it is not there."""

    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def put(self, name: str, data: BinaryIO, size: int, kind: str) -> None:
        """Write a file, all of it or nothing; ``kind`` is its media type."""

    def scratch(self) -> AbstractContextManager[IO[bytes]]:
        """A new file to write what :meth:`put` is given later; gone at its end, unless it was put."""

    def names(self, suffix: str) -> Iterator[str]:
        """The names at the top that end so."""

    def close(self) -> None:
        """Let go of connections."""


class FolderTransport:
    """A folder on disk."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def get(self, name: str, limit: int) -> bytes | None:
        try:
            with open(self.folder / name, "rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{self.folder / name}: {error.strerror}") from error
        if len(data) > limit:
            raise Refused(f"{self.folder / name} is larger than {limit} bytes")
        return data

    def stream(self, name: str) -> Iterator[bytes] | None:
        try:
            file = open(self.folder / name, "rb", buffering=0)  # noqa: SIM115  # closed by the generator
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{self.folder / name}: {error.strerror}") from error
        return _file_pieces(file)

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def put(self, name: str, data: BinaryIO, size: int, kind: str) -> None:
        place = self.folder / name
        temporary = ""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            if _linked(data, place):
                return
            with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".new-", delete=False) as file:
                temporary = file.name
                while piece := data.read(_PIECE):
                    file.write(piece)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            os.replace(temporary, place)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            raise cannot_write(error, self.folder) from error

    def scratch(self) -> AbstractContextManager[IO[bytes]]:
        # Where it will stay, so that it need not be copied.
        folder = self.folder / "nar"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return tempfile.NamedTemporaryFile(dir=folder, prefix=".new-")
        except OSError as error:
            raise cannot_write(error, self.folder) from error

    def names(self, suffix: str) -> Iterator[str]:
        try:
            found = sorted(entry.name for entry in os.scandir(self.folder) if entry.name.endswith(suffix))
        except FileNotFoundError:
            return iter(())
        except OSError as error:
            raise StoreError(f"{self.folder}: {error.strerror}") from error
        return iter(found)

    def close(self) -> None:
        """Nothing to let go of."""


class HttpTransport:
    """A cache over HTTP. What fails for the moment is tried again; a token is sent with every request.

    A download that breaks off goes on where it was, if the server can do that; with ``partial``, a folder, a large one
    even in the next process.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 30,
        attempts: int = 4,
        partial: Path | None = None,
    ) -> None:
        import httpx

        headers = {"User-Agent": "tvix-store", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.url = url.rstrip("/")
        self._attempts = attempts
        self._partial = partial
        self._client = httpx.Client(headers=headers, timeout=timeout, follow_redirects=True)

    def get(self, name: str, limit: int) -> bytes | None:
        import httpx

        response = self._open("GET", name)
        if response is None:
            return None
        parts = []
        size = 0
        try:
            for piece in response.iter_raw():
                size += len(piece)
                if size > limit:
                    raise Refused(f"{self.url}/{name} is larger than {limit} bytes")
                parts.append(piece)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url}/{name}: {_reason(error)}") from error
        finally:
            response.close()
        return b"".join(parts)

    def stream(self, name: str) -> Iterator[bytes] | None:
        response = self._open("GET", name)
        return None if response is None else self._kept(name, response)

    def has(self, name: str) -> bool:
        response = self._open("HEAD", name)
        if response is not None:
            response.close()
        return response is not None

    def put(self, name: str, data: BinaryIO, size: int, kind: str) -> None:
        import httpx

        headers = {"Content-Type": kind, "Content-Length": str(size)}
        try:
            response = self._client.put(f"{self.url}/{name}", content=read_pieces(data), headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url}/{name}: {_reason(error)}") from error
        if response.status_code in (401, 403, 405):
            raise ReadOnly(f"{self.url} does not let us write ({response.status_code}): {response.text[:200]}")
        if not response.is_success:
            raise StoreError(f"{self.url}/{name}: {response.status_code} {response.text[:200]}")

    def scratch(self) -> AbstractContextManager[IO[bytes]]:
        return tempfile.TemporaryFile(prefix="tvix-nar-")

    def names(self, suffix: str) -> Iterator[str]:
        raise StoreError(f"{self.url}: a cache over HTTP cannot be asked what it has; name the paths")

    def close(self) -> None:
        self._client.close()

    def _open(self, method: str, name: str, start: int = 0) -> httpx.Response | None:
        """The answer, its body not yet read; None for what is not there. Tries again what may pass.

        With ``start`` the bytes from there on are asked for, which not every server gives (then all come).
        """
        import httpx

        reason = ""
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(0.1 * 4 ** (attempt - 1))
            try:
                headers = {"Range": f"bytes={start}-"} if start else {}
                request = self._client.build_request(method, f"{self.url}/{name}", headers=headers)
                response = self._client.send(request, stream=True)
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise Refused(f"{self.url}/{name}: {_reason(error)}") from error
            except httpx.HTTPError as error:
                reason = _reason(error)
                continue
            if response.is_success:
                return response
            response.close()
            if response.status_code in (403, 404, 410):  # object stores say 403 for what is not there
                return None
            reason = f"{response.status_code} {response.reason_phrase}"
            if response.status_code < 500 and response.status_code not in (408, 429):
                break
        raise Unreachable(f"{self.url}/{name}: {reason}")

    def _kept(self, name: str, response: httpx.Response) -> Iterator[bytes]:
        """The body, what an earlier process had of it already, and kept for a later one until it is complete."""
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdigit() else 0
        kept = None
        if self._partial is not None and size >= LARGE:
            kept = partial(self._partial, f"{self.url}/{name}", size, response.headers.get("ETag", ""))
        if kept is None:
            yield from self._pieces(name, response, 0)
            return
        try:
            start = kept.size
            if start:
                response.close()
                yield from kept.pieces()
                again = self._open("GET", name, start)
                if again is None:
                    raise Unreachable(f"{self.url}/{name} is gone")
                response = again
            for piece in self._pieces(name, response, start):
                kept.add(piece)
                yield piece
            kept.forget()
        finally:
            kept.close()

    def _pieces(self, name: str, response: httpx.Response, start: int) -> Iterator[bytes]:
        """The body from ``start`` on, of an answer that was asked for it; goes on where it breaks off."""
        import httpx

        at = start
        attempts = self._attempts
        while True:
            try:
                skip = at - self._begins(name, response)
                for piece in response.iter_raw(_PIECE):
                    if skip >= len(piece):
                        skip -= len(piece)
                        continue
                    data = piece[skip:] if skip else piece
                    skip = 0
                    at += len(data)
                    attempts = self._attempts
                    yield data
                return
            except httpx.HTTPError as error:
                attempts -= 1
                if not attempts:
                    raise Unreachable(f"{self.url}/{name}: {_reason(error)}") from error
            finally:
                response.close()
            time.sleep(0.1 * 4 ** (self._attempts - attempts - 1))
            again = self._open("GET", name, at)
            if again is None:
                raise Unreachable(f"{self.url}/{name} is gone")
            response = again

    def _begins(self, name: str, response: httpx.Response) -> int:
        """Which byte of the file the body of an answer begins with."""
        if response.status_code != 206:
            return 0
        found = re.match(r"bytes ([0-9]+)-", response.headers.get("Content-Range", ""))
        if found is None:
            raise Unreachable(f"{self.url}/{name}: a part of it came, but not which")
        return int(found.group(1))


class ObjectTransport:
    """An object store through obstore: ``s3://``, ``gs://``, ``az://``, ``memory://`` and what else that knows."""

    def __init__(self, store: Any, uri: str) -> None:
        self._store = store
        self.uri = uri

    def get(self, name: str, limit: int) -> bytes | None:
        found = self._ask("get", name)
        if found is None:
            return None
        if found.meta["size"] > limit:
            raise Refused(f"{self.uri}/{name} is larger than {limit} bytes")
        return bytes(found.bytes())

    def stream(self, name: str) -> Iterator[bytes] | None:
        found = self._ask("get", name)
        return None if found is None else self._pieces(name, found)

    def has(self, name: str) -> bool:
        return self._ask("head", name) is not None

    def put(self, name: str, data: BinaryIO, size: int, kind: str) -> None:
        import obstore

        try:
            obstore.put(self._store, name, data, attributes={"Content-Type": kind})
        except Exception as error:  # obstore's errors have no common base but this
            if "not supported" in str(error).lower() or isinstance(error, NotImplementedError):
                data.seek(0)
                obstore.put(self._store, name, data)  # a store without attributes: a local folder
            else:
                raise Unreachable(f"{self.uri}/{name}: {_first_line(error)}") from error

    def scratch(self) -> AbstractContextManager[IO[bytes]]:
        return tempfile.TemporaryFile(prefix="tvix-nar-")

    def names(self, suffix: str) -> Iterator[str]:
        import obstore

        try:
            found = obstore.list_with_delimiter(self._store)
        except Exception as error:
            raise Unreachable(f"{self.uri}: {_first_line(error)}") from error
        return iter(sorted(item["path"] for item in found["objects"] if item["path"].endswith(suffix)))

    def close(self) -> None:
        """Nothing to let go of."""

    def _ask(self, verb: str, name: str) -> Any:
        import obstore

        try:
            return getattr(obstore, verb)(self._store, name)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise Unreachable(f"{self.uri}/{name}: {_first_line(error)}") from error

    def _pieces(self, name: str, found: Any) -> Iterator[bytes]:
        try:
            for piece in found.stream(min_chunk_size=_PIECE):
                yield bytes(piece)
        except Exception as error:
            raise Unreachable(f"{self.uri}/{name}: {_first_line(error)}") from error


def _linked(data: BinaryIO, place: Path) -> bool:
    """Let a file that is in the same folder already be the one at ``place`` too; whether that was possible."""
    name = getattr(data, "name", None)
    if not isinstance(name, str) or Path(name).parent != place.parent:
        return False
    data.flush()
    os.fchmod(data.fileno(), 0o644)
    os.fsync(data.fileno())
    try:
        os.link(name, place)
    except FileExistsError:  # its name says what is in it
        return True
    except OSError:  # a file system without links
        return False
    return True


def _file_pieces(file: Any) -> Iterator[bytes]:
    with file:
        yield from read_pieces(file)


def read_pieces(file: Any) -> Iterator[bytes]:
    """What is left of a file, in pieces."""
    while piece := file.read(_PIECE):
        yield piece


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n")[0]
