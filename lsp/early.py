"""Gets the worker going before anything else.

Importing the types of the protocol takes longer than starting the worker. So the worker is started first; while a
thread does the importing, the first message of the client is read here. It says where the workspace is and whether it
is trusted, and the worker begins to load nixpkgs. The server then gets that message as if nobody had read it.
"""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from lsp import uri as uris
from lsp.process import Process

if TYPE_CHECKING:
    from lsp.session import Session

log = logging.getLogger(__name__)

_LONGEST_HEADER = 64


def serve(stdin: BinaryIO, stdout: BinaryIO, command: Sequence[str]) -> None:
    """Serves the client at the other end of two streams; ``command`` starts a worker."""
    process = start_worker(command)
    importing = threading.Thread(target=_import_server, name="import", daemon=True)
    importing.start()
    from lsp.nixpkgs import Machine
    from lsp.session import Session

    session = Session(Machine.here(), command)
    first = read_message(stdin)
    if process is not None:
        tell_early(session, process, first)
    importing.join()
    from lsp.server import serve_stdio

    serve_stdio(session, process, cast(BinaryIO, Replayed(first, stdin)), stdout)


def start_worker(command: Sequence[str]) -> Process | None:
    """A worker that knows nothing yet; None (and a line in the log) when it does not start."""
    try:
        return Process(command)
    except OSError as error:
        log.error("the evaluation worker cannot be started: %s", error)
        return None


def tell_early(session: Session, process: Process, message: bytes) -> None:
    """Tells the worker where things are, if the message is an ``initialize`` that does not withhold trust."""
    params = initialize_params(message)
    if params is None:
        return
    session.settle(folders_of(params), params.get("initializationOptions"))
    if session.settings.trusted:
        process.send(session.told)


def read_message(stdin: BinaryIO) -> bytes:
    """The bytes of the first message, header and all; less at the end of the stream or when it is no message."""
    read = b""
    length = 0
    for _ in range(_LONGEST_HEADER):
        line = stdin.readline()
        read += line
        name, colon, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
        if not line.strip() or not colon:
            break
    return read + stdin.read(length) if length else read


def initialize_params(message: bytes) -> Mapping[str, Any] | None:
    """The parameters of an ``initialize`` request; None when the message is none."""
    try:
        request = json.loads(message.partition(b"\r\n\r\n")[2])
    except ValueError:
        return None
    if not isinstance(request, dict) or request.get("method") != "initialize":
        return None
    params = request.get("params")
    return params if isinstance(params, dict) else None


def folders_of(params: Mapping[str, Any]) -> list[str]:
    """The workspace's folders as paths, as ``lsp.server.folders_of`` finds them in the typed message."""
    folders: Sequence[object] = params.get("workspaceFolders") or []
    found = [folder.get("uri") for folder in folders if isinstance(folder, dict)]
    if not found and params.get("rootUri"):
        found = [params["rootUri"]]
    paths = [path for uri in found if isinstance(uri, str) and (path := uris.to_path(uri))]
    root = params.get("rootPath")
    return paths or ([root] if isinstance(root, str) and root else [])


class Replayed(io.RawIOBase):
    """A stream that begins with bytes which were read from it already."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._first = io.BytesIO(first)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> bytes:
        # The first bytes are whole messages: no line goes on in the rest.
        return self._first.readline(-1 if size is None else size) or self._rest.readline(-1 if size is None else size)

    def read(self, size: int = -1, /) -> bytes:
        first = self._first.read(size)
        if size < 0:
            return first + self._rest.read()
        return first + self._rest.read(size - len(first)) if len(first) < size else first


def _import_server() -> None:
    import lsp.server  # noqa: F401
