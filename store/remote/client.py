"""A castore that is somewhere else, over gRPC. What it answers is verified against the digests it was asked for by."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from blake3 import blake3

from store.backends.memory import MemoryRealisations
from store.castore import nodes, path_info
from store.castore.nodes import Directory, DirectoryError, DirectoryNode
from store.castore.path_info import PathInfo, PathInfoError
from store.castore.services import Corrupt, Full, Missing, ReadOnly, Refused, StoreError, Unreachable, each
from store.castore.wire import WireError
from store.chunking import MAXIMUM
from store.remote import messages
from store.store_path import STORE_DIR, digest_of

_PIECE = 1 << 18
_KEPT = 50_000  # directories at hand
_PATIENCE = 4  # single directories that are asked for before everything below one is

T = TypeVar("T")

_KINDS: dict[grpc.StatusCode, type[StoreError]] = {
    grpc.StatusCode.NOT_FOUND: Missing,
    grpc.StatusCode.INVALID_ARGUMENT: Refused,
    grpc.StatusCode.PERMISSION_DENIED: ReadOnly,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Full,
    grpc.StatusCode.DATA_LOSS: Corrupt,
    grpc.StatusCode.UNAVAILABLE: Unreachable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unreachable,
    grpc.StatusCode.CANCELLED: Unreachable,
}


@dataclass(frozen=True)
class Tls:
    """Encryption, in PEM: whose signature the server's certificate must have (None: what gRPC trusts), and our own."""

    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None


class RemoteCastore:
    """The castore at ``target`` (``HOST:PORT`` or ``unix:PATH``). ``timeout`` is a call's deadline in seconds.

    ``channel`` is for other services of the same server.
    """

    def __init__(
        self, target: str, *, tls: Tls | None = None, timeout: float = 600, store_dir: str = STORE_DIR
    ) -> None:
        options = [("grpc.max_receive_message_length", 4 * MAXIMUM)]
        if tls is not None:
            credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
            self.channel = grpc.secure_channel(target, credentials, options)
        else:
            self.channel = grpc.insecure_channel(target, options)
        self.target = target
        self.timeout = timeout
        self.blobs = RemoteBlobs(self)
        self.directories = RemoteDirectories(self)
        self.path_infos = RemotePathInfos(self, store_dir)
        # Tvix's protocols know of none: they are remembered for as long as this is open.
        self.realisations = MemoryRealisations()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Directories are sent together at its end; nothing is undone."""
        with self.directories.together():
            yield

    def close(self) -> None:
        self.channel.close()

    def one(self, service: str, method: str, request: bytes) -> bytes:
        """One message for one message."""
        call = self.channel.unary_unary(f"/{service}/{method}", messages.as_is, messages.as_is)
        return self._asked(lambda: bytes(call(request, timeout=self.timeout)))

    def into(self, service: str, method: str, requests: Iterator[bytes]) -> bytes:
        """One message for many."""
        call = self.channel.stream_unary(f"/{service}/{method}", messages.as_is, messages.as_is)
        failure: list[Exception] = []

        def guarded() -> Iterator[bytes]:
            try:
                yield from requests
            except Exception as error:
                failure.append(error)
                raise

        try:
            return self._asked(lambda: bytes(call(guarded(), timeout=self.timeout)))
        except StoreError:
            if failure:
                raise failure[0] from None
            raise

    def out(self, service: str, method: str, request: bytes) -> Iterator[bytes]:
        """Many messages for one."""
        call = self.channel.unary_stream(f"/{service}/{method}", messages.as_is, messages.as_is)
        answers = call(request, timeout=self.timeout)
        try:
            while True:
                try:
                    yield self._asked(lambda: bytes(next(answers)))
                except StopIteration:
                    return
        finally:
            answers.cancel()

    def _asked(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except grpc.RpcError as error:
            code: Any = error.code()
            details = str(error.details())
            raise _KINDS.get(code, StoreError)(f"{self.target}: {details}") from None
        except WireError as error:
            raise Unreachable(f"{self.target}: {error}") from None


class RemoteBlobs:
    """Blobs over gRPC."""

    def __init__(self, remote: RemoteCastore) -> None:
        self._remote = remote

    def has(self, digest: bytes) -> bool:
        try:
            self._remote.one(messages.BLOBS, "Stat", messages.stat_request(digest))
        except Missing:
            return False
        return True

    def size(self, digest: bytes) -> int | None:
        try:
            return sum(size for _, size in self.chunks(digest))
        except Missing:
            return None

    def chunks(self, digest: bytes) -> list[tuple[bytes, int]]:
        found = messages.read_stat_response(self._remote.one(messages.BLOBS, "Stat", messages.stat_request(digest)))
        # A server may keep it to itself how a blob is cut.
        return found or [(digest, sum(map(len, self.read(digest))))]

    def read(self, digest: bytes) -> Iterator[bytes]:
        hasher = blake3()
        for message in self._remote.out(messages.BLOBS, "Read", messages.field_1(digest)):
            piece = messages.read_field_1(message)
            hasher.update(piece)
            yield piece
        if hasher.digest() != digest:
            raise Corrupt(f"{self._remote.target}: blob {digest.hex()} is damaged")

    def read_whole(self, digest: bytes) -> bytes:
        return b"".join(self.read(digest))

    def read_many(self, digests: Sequence[bytes]) -> list[bytes]:
        return [self.read_whole(digest) for digest in digests]

    def put(self, pieces: Iterable[bytes]) -> tuple[bytes, int]:
        hasher = blake3()
        size = 0

        def sent() -> Iterator[bytes]:
            nonlocal size
            for piece in pieces:
                hasher.update(piece)
                size += len(piece)
                for at in range(0, len(piece), _PIECE):
                    yield messages.field_1(piece[at : at + _PIECE])

        answered = messages.read_field_1(self._remote.into(messages.BLOBS, "Put", sent()))
        digest: bytes = hasher.digest()
        if answered != digest:
            raise Corrupt(f"{self._remote.target}: blob {digest.hex()} became {answered.hex()} on its way")
        return digest, size

    def put_whole(self, data: bytes) -> bytes:
        return self.put([data])[0]


class RemoteDirectories:
    """Directories over gRPC; what was asked for or sent lately is at hand."""

    def __init__(self, remote: RemoteCastore) -> None:
        self._remote = remote
        self._known: OrderedDict[bytes, Directory] = OrderedDict()
        self._missed = 0
        self._lock = threading.Lock()
        self._waiting = threading.local()

    def get(self, digest: bytes) -> Directory | None:
        with self._lock:
            known = self._known.get(digest)
            if known is not None:
                return known
            self._missed += 1
            recursive = self._missed > _PATIENCE
        request = messages.get_directory_request(digest, recursive)
        wanted = {digest}
        try:
            for message in self._remote.out(messages.DIRECTORIES, "Get", request):
                found = nodes.blake3(message)
                try:
                    directory = nodes.decode_directory(message)
                except DirectoryError as error:
                    raise Corrupt(f"{self._remote.target}: directory {found.hex()}: {error}") from None
                if found not in wanted:
                    raise Corrupt(f"{self._remote.target}: sent directory {found.hex()}, which was not asked for")
                wanted.update(node.digest for node in nodes.children(directory))
                self._keep(found, directory)
        except Missing:
            return None
        with self._lock:
            return self._known.get(digest)

    def get_many(self, digests: Sequence[bytes]) -> list[Directory]:
        return each(self, digests)

    def put(self, directory: Directory) -> DirectoryNode:
        node = directory.node()
        waiting: list[bytes] | None = getattr(self._waiting, "messages", None)
        self._keep(node.digest, directory)
        if waiting is None:
            self._send([directory.encode()])
        else:
            waiting.append(directory.encode())
        return node

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is put inside goes in one call."""
        if getattr(self._waiting, "messages", None) is not None:
            yield
            return
        self._waiting.messages = []
        try:
            yield
            self.flush()
        finally:
            self._waiting.messages = None

    def flush(self) -> None:
        """Send what waits."""
        waiting: list[bytes] | None = getattr(self._waiting, "messages", None)
        if waiting:
            self._send(waiting)
            waiting.clear()

    def _send(self, encoded: list[bytes]) -> None:
        self._remote.into(messages.DIRECTORIES, "Put", iter(encoded))

    def _keep(self, digest: bytes, directory: Directory) -> None:
        with self._lock:
            self._known[digest] = directory
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)


class RemotePathInfos:
    """Path infos over gRPC."""

    def __init__(self, remote: RemoteCastore, store_dir: str) -> None:
        self._remote = remote
        self._store_dir = store_dir

    def get(self, path: str) -> PathInfo | None:
        info = self.by_digest(digest_of(path))
        return info if info is not None and info.path == path else None

    def by_digest(self, digest: str) -> PathInfo | None:
        try:
            message = self._remote.one(messages.PATH_INFOS, "Get", messages.get_path_info_request(digest))
        except Missing:
            return None
        info = self._decoded(message)
        if digest_of(info.path) != digest:
            raise Corrupt(f"{self._remote.target}: asked about {digest}, it tells about '{info.path}'")
        return info

    def put(self, info: PathInfo) -> None:
        self._remote.directories.flush()
        self._remote.one(messages.PATH_INFOS, "Put", path_info.encode(info))

    def list(self) -> Iterator[PathInfo]:
        return map(self._decoded, self._remote.out(messages.PATH_INFOS, "List", b""))

    def _decoded(self, message: bytes) -> PathInfo:
        try:
            return path_info.decode(message, self._store_dir)
        except PathInfoError as error:
            raise Corrupt(f"{self._remote.target}: {error}") from None
