"""A build service that is somewhere else, over gRPC: inputs are sent there, outputs taken from there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import grpc

from builder.events import BuildEvent, Failed, Succeeded, Why
from builder.remote import messages
from builder.remote.transfer import transfer
from builder.request import BuildRequest, encode
from store.castore.services import StoreError
from store.castore.wire import WireError
from store.composition.castore_store import CastoreStore
from store.composition.urls import BadUrl, open_url
from store.remote.client import RemoteCastore
from store.remote.messages import as_is

_LOOK = 0.1  # seconds until being cancelled is noticed
_SLACK = 60  # seconds that a call may take beyond what the build may
_ANSWER = 30  # seconds for what is no build

_WHY = {
    grpc.StatusCode.INVALID_ARGUMENT: Why.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: Why.REFUSED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Why.UNREACHABLE,
    grpc.StatusCode.CANCELLED: Why.CANCELLED,
}


class RemoteBuildService:
    """The service beside the castore ``remote``, for builds whose inputs are in ``store``."""

    def __init__(self, remote: RemoteCastore, store: CastoreStore) -> None:
        self.target = remote.target
        self._store = store
        self._castore = remote
        self._channel = remote.channel
        self._systems: frozenset[str] | None = None

    def systems(self) -> frozenset[str]:
        """What it builds for. Raises ``StoreError`` when it does not answer."""
        if self._systems is None:
            call = self._channel.unary_unary(f"/{messages.SERVICE}/Systems", as_is, as_is)
            try:
                self._systems = messages.read_systems(call(b"", timeout=_ANSWER))
            except grpc.RpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    what = "is no 'tvix-build serve', or one of another version"
                    raise StoreError(f"the server at {self.target} builds nothing: it {what}") from None
                raise StoreError(f"the builder at {self.target} does not answer: {error.details()}") from None
        return self._systems

    def build(self, request: BuildRequest, cancel: threading.Event) -> Iterator[BuildEvent]:
        """See :meth:`builder.service.BuildService.build`. Outputs are in ``store`` when ``Succeeded`` comes."""
        try:
            transfer([entry.node for entry in request.inputs], self._store.castore, self._castore)
        except StoreError as error:
            yield Failed(Why.UNREACHABLE, f"the inputs could not be sent to {self.target}: {error}")
            return
        seconds = request.constraints.seconds
        call = self._channel.unary_stream(f"/{messages.SERVICE}/Build", as_is, as_is)
        events = call(encode(request), timeout=seconds + _SLACK if seconds else None)
        over = threading.Event()
        watching = threading.Thread(target=_watch, args=(events, cancel, over), name="cancel", daemon=True)
        watching.start()
        try:
            for message in events:
                event = messages.decode_event(message)
                if isinstance(event, Succeeded):
                    transfer([output.node for output in event.outputs], self._castore, self._store.castore)
                yield event
                if isinstance(event, Succeeded | Failed):
                    return
            yield Failed(Why.UNREACHABLE, f"{self.target} broke off without saying how the build ended")
        except grpc.RpcError as error:
            why = Why.CANCELLED if cancel.is_set() else _WHY.get(error.code(), Why.UNREACHABLE)
            yield Failed(why, f"{self.target}: {error.details()}")
        except (WireError, StoreError) as error:
            yield Failed(Why.UNREACHABLE, f"{self.target}: {error}")
        finally:
            over.set()
            events.cancel()
            watching.join()

    def close(self) -> None:
        """Let go of the connections."""
        self._castore.close()


def _watch(call: Any, cancel: threading.Event, over: threading.Event) -> None:
    while not over.wait(_LOOK):
        if cancel.is_set():
            call.cancel()
            return


def open_service(url: str, store: CastoreStore) -> RemoteBuildService:
    """The service that ``url`` means: ``grpc://HOST:PORT``, ``grpcs://…`` with TLS, ``grpc:/SOCKET``, with the options
    that such stores have (:mod:`store.composition.urls`).

    Raises ``StoreError`` for another URL.
    """
    if urlsplit(url).scheme not in ("grpc", "grpcs"):
        raise BadUrl(f"'{url}' is no builder; it is written grpc://HOST:PORT, grpcs://HOST:PORT or grpc:/SOCKET")
    opened = open_url(url)
    assert isinstance(opened, CastoreStore) and isinstance(opened.castore, RemoteCastore)
    return RemoteBuildService(opened.castore, store)
