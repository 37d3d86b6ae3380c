"""Building for others, over gRPC, beside the castore that requests and outputs refer to.

So many builds run at once; the next ones wait (their first event is ``Queued``), and when too many wait the call is
refused with RESOURCE_EXHAUSTED. A call that is cancelled, whose deadline has passed or whose client is gone ends its
build, unless somebody else wants the very same one (:mod:`builder.remote.sharing`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from builder.events import BuildEvent, Failed, Queued, Why
from builder.realise import keeping
from builder.remote import messages
from builder.remote.sharing import Shared
from builder.request import BuildRequest, RequestError, decode
from builder.service import BuildService
from store.castore.services import Missing, StoreError
from store.composition.castore_store import CastoreStore
from store.remote.server import Certificates
from store.remote.server import server as castore_server

#: As ``protoc --include_imports --descriptor_set_out`` writes them.
BUILD_DESCRIPTORS = Path(__file__).parent.parent / "protos" / "build.pb"

_WAITING = 8  # more are refused: each takes a thread of the server
_LOOK = 0.1  # seconds


class BuildServicer:
    """``service`` for others; ``jobs`` builds at once."""

    def __init__(self, service: BuildService, store: CastoreStore, jobs: int) -> None:
        self._service = service
        self._store = store
        self._slots = threading.Semaphore(jobs)
        self._calls = threading.Semaphore(jobs + _WAITING)
        self._builds: dict[bytes, Shared] = {}  # by their requests
        self._lock = threading.Lock()

    def build(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """BuildService.Build."""
        try:
            wanted = decode(request)
        except RequestError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        cancel = threading.Event()
        if not context.add_callback(cancel.set):
            return  # it is over already
        if not self._calls.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many builds wait already; try again later")
        try:
            for event in self._shared(request, wanted).hear(cancel, _LOOK):
                yield messages.encode_event(event)
        except Missing as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{error}; inputs are sent before the request")
        except StoreError as error:
            yield messages.encode_event(Failed(Why.SANDBOX, str(error)))
        finally:
            self._calls.release()

    def _shared(self, request: bytes, wanted: BuildRequest) -> Shared:
        """The build of ``request``, begun now or by somebody else, with one more who hears it."""
        with self._lock:
            known = self._builds.get(request)
            if known is not None and known.join():
                return known
            made = Shared(lambda cancel: self._work(wanted, cancel), lambda: self._forget(request, made))
            made.join()
            self._builds[request] = made
            made.start()
            return made

    def _forget(self, request: bytes, ended: Shared) -> None:
        with self._lock:
            if self._builds.get(request) is ended:
                del self._builds[request]

    def _work(self, wanted: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        if not self._slots.acquire(blocking=False):
            yield Queued()
            while not self._slots.acquire(timeout=_LOOK):
                if cancel.is_set():
                    return
        try:
            with keeping(self._store):
                yield from self._service.build(wanted, cancel)
        finally:
            self._slots.release()

    def systems(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """BuildService.Systems."""
        return messages.systems(self._service.systems())


def server(
    service: BuildService, store: CastoreStore, address: str, *, jobs: int, certificates: Certificates | None = None
) -> tuple[Any, int]:
    """A server that is not started yet, and its port (0 for a socket, ``unix:PATH``). With ``certificates``: TLS.

    Whoever can reach it may write to ``store`` and have programs run in the sandbox. Raises ``StoreError`` when it
    cannot listen.
    """
    servicer = BuildServicer(service, store, jobs)
    handlers: dict[str, Any] = {
        "Build": grpc.unary_stream_rpc_method_handler(servicer.build),
        "Systems": grpc.unary_unary_rpc_method_handler(servicer.systems),
    }
    return castore_server(
        store.castore,
        address,
        writable=True,
        store_dir=store.store_dir,
        certificates=certificates,
        more={messages.SERVICE: handlers},
        descriptors=BUILD_DESCRIPTORS,
    )
