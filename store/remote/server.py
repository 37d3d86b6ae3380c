"""Serving a castore over gRPC.

Status codes: NOT_FOUND for what is not there, INVALID_ARGUMENT for malformed messages and for what is refused,
PERMISSION_DENIED for writing where that is not allowed, RESOURCE_EXHAUSTED for a full disk, DATA_LOSS for damage,
INTERNAL for the rest. A call whose deadline has passed, or that the client has given up, ends in the middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from store.castore import nodes, path_info, trees
from store.castore.nodes import DirectoryError, DirectoryNode, Node
from store.castore.path_info import PathInfoError
from store.castore.services import Castore, Corrupt, Full, Missing, ReadOnly, Refused, StoreError
from store.castore.wire import WireError
from store.chunking import MAXIMUM
from store.remote import messages
from store.remote.reflection import STORE_DESCRIPTORS, Reflection
from store.store_path import STORE_DIR

_CODES: list[tuple[type[Exception], grpc.StatusCode]] = [
    (Missing, grpc.StatusCode.NOT_FOUND),
    (Refused, grpc.StatusCode.INVALID_ARGUMENT),
    (ReadOnly, grpc.StatusCode.PERMISSION_DENIED),
    (Full, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Corrupt, grpc.StatusCode.DATA_LOSS),
    (StoreError, grpc.StatusCode.INTERNAL),
    (WireError, grpc.StatusCode.INVALID_ARGUMENT),
    (DirectoryError, grpc.StatusCode.INVALID_ARGUMENT),
    (PathInfoError, grpc.StatusCode.INVALID_ARGUMENT),
]
_LARGEST = 4 * MAXIMUM
# Milliseconds: a client whose machine has gone says nothing, and would be waited for for hours.
_KEEP_ALIVE = [("grpc.keepalive_time_ms", 60_000), ("grpc.keepalive_timeout_ms", 20_000)]
Context = grpc.ServicerContext


class CastoreServicer:
    """The three services on ``castore``; only read from unless ``writable``."""

    def __init__(self, castore: Castore, *, writable: bool = False, store_dir: str = STORE_DIR) -> None:
        self._castore = castore
        self._writable = writable
        self._store_dir = store_dir

    def stat_blob(self, request: bytes, context: Context) -> bytes:
        """BlobService.Stat."""
        return messages.stat_response(self._castore.blobs.chunks(messages.read_digest(request)))

    def read_blob(self, request: bytes, context: Context) -> Iterator[bytes]:
        """BlobService.Read."""
        for piece in self._castore.blobs.read(messages.read_digest(request)):
            yield messages.field_1(piece)

    def put_blob(self, requests: Iterator[bytes], context: Context) -> bytes:
        """BlobService.Put."""
        self._expect_writable()
        digest, _ = self._castore.blobs.put(map(messages.read_field_1, requests))
        return messages.field_1(digest)

    def get_directory(self, request: bytes, context: Context) -> Iterator[bytes]:
        """DirectoryService.Get."""
        digest, recursive = messages.read_get_directory_request(request)
        sent = set()
        pending = [digest]
        while pending:
            here = pending.pop()
            if here in sent:
                continue
            sent.add(here)
            directory = self._castore.directories.get(here)
            if directory is None:
                raise Missing(f"directory {here.hex()} is missing")
            yield directory.encode()
            if recursive:
                pending += [node.digest for node in nodes.children(directory)]

    def put_directories(self, requests: Iterator[bytes], context: Context) -> bytes:
        """DirectoryService.Put."""
        self._expect_writable()
        root = b""
        known: dict[bytes, int] = {}
        with self._castore.transaction():
            for request in requests:
                directory = nodes.decode_directory(request)
                for node in nodes.children(directory):
                    self._expect_directory(node, known)
                kept = self._castore.directories.put(directory)
                known[kept.digest] = kept.size
                root = kept.digest
        if not root:
            raise Refused("no directory was sent")
        return messages.field_1(root)

    def get_path_info(self, request: bytes, context: Context) -> bytes:
        """PathInfoService.Get."""
        digest = messages.read_get_path_info_request(request)
        info = self._castore.path_infos.by_digest(digest)
        if info is None:
            raise Missing(f"there is no path {digest}-…")
        return path_info.encode(info)

    def put_path_info(self, request: bytes, context: Context) -> bytes:
        """PathInfoService.Put: accepted when contents and references are there and the archive's hash is right."""
        self._expect_writable()
        info = path_info.decode(request, self._store_dir)
        if info.node is None:
            raise Refused(f"'{info.path}' has no root node")
        for reference in info.references:
            if reference != info.path and self._castore.path_infos.get(reference) is None:
                raise Refused(f"'{info.path}' refers to '{reference}', which is not here")
        size, digest = self._sum(info.node)
        if (size, digest) != (info.nar_size, info.nar_sha256):
            raise Refused(f"'{info.path}': the archive has {size} bytes and the hash sha256:{digest.hex()}")
        self._castore.path_infos.put(info)
        return path_info.encode(info)

    def calculate_nar(self, request: bytes, context: Context) -> bytes:
        """PathInfoService.CalculateNAR."""
        _, node = nodes.decode_node(request)
        return messages.calculated(*self._sum(node))

    def list_path_infos(self, request: bytes, context: Context) -> Iterator[bytes]:
        """PathInfoService.List."""
        return map(path_info.encode, self._castore.path_infos.list())

    def _sum(self, node: Node) -> tuple[int, bytes]:
        hasher = hashlib.sha256()
        size = 0
        for piece in trees.nar_of(node, self._castore):
            hasher.update(piece)
            size += len(piece)
        return size, hasher.digest()

    def _expect_writable(self) -> None:
        if not self._writable:
            raise ReadOnly("this store is only read from")

    def _expect_directory(self, node: DirectoryNode, known: dict[bytes, int]) -> None:
        size = known.get(node.digest)
        if size is None:
            directory = self._castore.directories.get(node.digest)
            if directory is None:
                raise Refused(f"directory {node.digest.hex()} was not sent before the one that holds it")
            size = directory.size()
        if size != node.size:
            raise Refused(f"directory {node.digest.hex()} has {size} entries below it, not {node.size}")


@dataclass(frozen=True)
class Certificates:
    """What a server shows, and what it asks for, in PEM: with ``client_ca`` only clients with a certificate by it."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """As gRPC wants them."""
        pairs = [(self.key, self.certificate)]
        return grpc.ssl_server_credentials(pairs, self.client_ca, self.client_ca is not None)


def server(
    castore: Castore,
    address: str,
    *,
    writable: bool = False,
    store_dir: str = STORE_DIR,
    certificates: Certificates | None = None,
    more: Mapping[str, dict[str, Any]] | None = None,
    descriptors: Path | None = None,
) -> tuple[Any, int]:
    """A server that is not started yet, and the port that it has (``address`` may ask for port 0).

    With ``certificates`` it speaks TLS. ``more`` services are offered beside the castore's: handlers by the names of
    their methods, which ``descriptors`` describe. It answers server reflection.
    """
    servicer = CastoreServicer(castore, writable=writable, store_dir=store_dir)
    made = grpc.server(
        ThreadPoolExecutor(16, thread_name_prefix="grpc"),
        options=[("grpc.max_receive_message_length", _LARGEST), ("grpc.so_reuseport", 0), *_KEEP_ALIVE],
    )
    one, out, into = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler, _stream_unary
    services: dict[str, dict[str, Any]] = {
        **(more or {}),
        messages.BLOBS: {
            "Stat": one(_answering(servicer.stat_blob)),
            "Read": out(_streaming(servicer.read_blob)),
            "Put": into(_answering(servicer.put_blob)),
        },
        messages.DIRECTORIES: {
            "Get": out(_streaming(servicer.get_directory)),
            "Put": into(_answering(servicer.put_directories)),
        },
        messages.PATH_INFOS: {
            "Get": one(_answering(servicer.get_path_info)),
            "Put": one(_answering(servicer.put_path_info)),
            "CalculateNAR": one(_answering(servicer.calculate_nar)),
            "List": out(_streaming(servicer.list_path_infos)),
        },
    }
    for name, handlers in services.items():
        made.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    described = [path.read_bytes() for path in (STORE_DESCRIPTORS, descriptors) if path is not None]
    reflection = Reflection(*described, offered=set(services))
    made.add_generic_rpc_handlers(tuple(reflection.handlers()))
    _, colon, number = address.rpartition(":")
    if not address.startswith("unix") and not (colon and number.isdecimal() and int(number) < 1 << 16):
        raise StoreError(f"cannot listen on '{address}': it is HOST:PORT, with a port up to 65535, or unix:PATH")
    try:
        if certificates is None:
            port = made.add_insecure_port(address)
        else:
            port = made.add_secure_port(address, certificates.credentials())
    except (RuntimeError, ValueError) as error:
        raise StoreError(f"cannot listen on {address}: {error}") from None
    return made, port


def _stream_unary(behaviour: Any) -> Any:
    return grpc.stream_unary_rpc_method_handler(behaviour)


def _answering(action: Callable[[Any, Context], bytes]) -> Callable[[Any, Context], bytes]:
    def answer(request: Any, context: Context) -> bytes:
        try:
            return action(request, context)
        except Exception as error:
            _abort(error, context)
            raise

    return answer


def _streaming(action: Callable[[bytes, Context], Iterator[bytes]]) -> Callable[[bytes, Context], Iterator[bytes]]:
    def answer(request: bytes, context: Context) -> Iterator[bytes]:
        try:
            yield from action(request, context)
        except Exception as error:
            _abort(error, context)
            raise

    return answer


def _abort(error: Exception, context: Context) -> None:
    for kind, code in _CODES:
        if isinstance(error, kind):
            context.abort(code, str(error))
    if context.is_active():
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")
