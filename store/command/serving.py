"""``tvix-store serve``: a store over gRPC, or as a binary cache over HTTP, which Nix substitutes from and copies to.

Specification: as in :mod:`store.backends.binary_cache`. Archives are served uncompressed as ``nar/DIGEST-NARHASH.nar``.
Who knows the token (``Authorization: Bearer TOKEN``, or as the password of basic authentication, which is what Nix's
netrc gives) may ``PUT`` what ``nix copy --to http://…`` puts: archives are kept aside until their narinfo has come.
"""

from __future__ import annotations

import argparse
import hmac
import re
import signal
import socket
import sys
import tempfile
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event

from store import listing, narinfo
from store.backends import compression as compressions
from store.backends.transports import read_pieces
from store.castore.path_info import PathInfo, from_narinfo
from store.castore.services import Full, Refused, StoreError
from store.command.output import say, say_json
from store.composition import open_store
from store.composition.castore_store import CastoreStore
from store.nar import NarError
from store.narinfo import NarInfoError
from store.paths.archives import PiecesSource
from store.paths.protocol import Store
from store.signatures import SecretKey
from store.store_path import BadStorePath, digest_of

_NARINFO = re.compile(r"/([0-9abcdfghijklmnpqrsvwxyz]{32})\.(narinfo|ls)")
_NAR = re.compile(r"/nar/([0-9abcdfghijklmnpqrsvwxyz]{32})-([0-9abcdfghijklmnpqrsvwxyz]{52})\.nar")
_UPLOAD = re.compile(r"/(nar/[0-9A-Za-z._-]{1,120})")
_LISTING = re.compile(r"/[0-9abcdfghijklmnpqrsvwxyz]{32}\.ls")
_PIECE = 1 << 18
_MAX_UPLOAD = 1 << 40


class CacheServer(ThreadingHTTPServer):
    """Serves ``store``. Each request has a thread."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], store: Store, *, key: SecretKey | None, token: str | None, priority: int
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)
        self.store = store
        self.key = key
        self.token = token
        self.priority = priority
        self.uploads = tempfile.TemporaryDirectory(prefix="tvix-store-uploads-")

    def server_close(self) -> None:
        super().server_close()
        self.uploads.cleanup()


class _Handler(BaseHTTPRequestHandler):
    server: CacheServer
    protocol_version = "HTTP/1.1"
    server_version = "tvix-store"
    sys_version = ""
    timeout = 120
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        self._guarded(self._get)

    def do_HEAD(self) -> None:
        self._guarded(self._get)

    def do_PUT(self) -> None:
        self._guarded(self._put)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing for what went well."""

    def _guarded(self, action: object) -> None:
        try:
            action()  # type: ignore[operator]
        except (Refused, NarInfoError, BadStorePath, NarError) as error:
            self._text(HTTPStatus.BAD_REQUEST, str(error))
        except Full as error:
            self._text(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        except StoreError as error:
            print(f"tvix-store: {self.path}: {error}", file=sys.stderr)
            self._text(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        store = self.server.store
        if path == "/nix-cache-info":
            text = f"StoreDir: {store.store_dir}\nWantMassQuery: 1\nPriority: {self.server.priority}\n"
            self._answer(text.encode(), "text/x-nix-cache-info")
            return
        if found := _NARINFO.fullmatch(path):
            info = store.by_digest(found.group(1))
            if info is None:
                self._text(HTTPStatus.NOT_FOUND, "no such path here")
            elif found.group(2) == "narinfo":
                self._answer(self._narinfo(info).to_text().encode(), "text/x-nix-narinfo")
            else:
                listed = listing.listing_of(PiecesSource(store.nar(info)).read)
                self._answer(listing.to_json(listed), "application/json")
            return
        if found := _NAR.fullmatch(path):
            info = store.by_digest(found.group(1))
            if info is not None and info.nar_hash().nix32() == found.group(2):
                self._send_nar(info)
                return
        elif (upload := _UPLOAD.fullmatch(path)) and self._upload(upload.group(1)).exists():
            self._answer(b"", "application/x-nix-nar")  # Nix asks whether it is there already
            return
        self._text(HTTPStatus.NOT_FOUND, "no such file here")

    def _narinfo(self, info: PathInfo) -> narinfo.NarInfo:
        found = info.to_narinfo(f"nar/{digest_of(info.path)}-{info.nar_hash().nix32()}.nar")
        if self.server.key is not None:
            signature = self.server.key.sign(info.fingerprint())
            if signature not in found.signatures:
                found.signatures.append(signature)
        found.file_hash = info.nar_hash()
        found.file_size = info.nar_size
        return found

    def _send_nar(self, info: PathInfo) -> None:
        tag = f'"{info.nar_hash().nix32()}"'
        start = self._start(info.nar_size, tag)
        if start:
            self.send_response(HTTPStatus.PARTIAL_CONTENT)
            self.send_header("Content-Range", f"bytes {start}-{info.nar_size - 1}/{info.nar_size}")
        else:
            self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/x-nix-nar")
        self.send_header("Content-Length", str(info.nar_size - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for piece in self.server.store.nar(info):
                if start >= len(piece):
                    start -= len(piece)
                    continue
                self.wfile.write(piece[start:] if start else piece)
                start = 0
        except StoreError as error:
            # The length was announced: closing early tells the other side that this is not all.
            print(f"tvix-store: {info.path}: {error}", file=sys.stderr)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _start(self, size: int, tag: str) -> int:
        """From which byte on an archive is wanted; of ranges only those to the end are served, else all of it."""
        found = re.fullmatch(r"bytes=([0-9]{1,18})-", self.headers.get("Range", ""))
        if found is None or self.headers.get("If-Range", tag) != tag:
            return 0
        start = int(found.group(1))
        return start if start < size else 0

    def _put(self) -> None:
        if not self._may_write():
            self.close_connection = True
            self.send_response(HTTPStatus.UNAUTHORIZED)
            self.send_header("WWW-Authenticate", 'Basic realm="tvix-store"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path = self.path.partition("?")[0]
        if upload := _UPLOAD.fullmatch(path):
            place = self._upload(upload.group(1))
            with tempfile.NamedTemporaryFile(dir=self.server.uploads.name, delete=False) as file:
                for piece in self._body(_MAX_UPLOAD):
                    file.write(piece)
            Path(file.name).replace(place)
        elif path.endswith(".narinfo") and _NARINFO.fullmatch(path):
            self._add(b"".join(self._body(narinfo.MAX_SIZE)), path)
        elif path == "/nix-cache-info" or _LISTING.fullmatch(path):
            for _ in self._body(1 << 28):
                pass  # both follow from what is stored
        else:
            self.close_connection = True
            self._text(HTTPStatus.BAD_REQUEST, f"nothing of a binary cache is called '{path}'")
            return
        self._text(HTTPStatus.CREATED, "")

    def _add(self, data: bytes, path: str) -> None:
        store = self.server.store
        info = narinfo.parse(data, store.store_dir)
        if path != f"/{digest_of(info.store_path)}.narinfo":
            raise Refused(f"the narinfo of '{info.store_path}' does not belong at '{path}'")
        if store.query(info.store_path) is not None:
            return
        upload = _UPLOAD.fullmatch("/" + info.url)
        if upload is None or not self._upload(upload.group(1)).exists():
            raise Refused(f"the archive '{info.url}' was not uploaded before its narinfo")
        place = self._upload(upload.group(1))
        with open(place, "rb") as file:
            pieces = compressions.decompressed(info.compression, read_pieces(file), info.url)
            store.add(from_narinfo(info), PiecesSource(pieces).read)
        place.unlink(missing_ok=True)

    def _upload(self, name: str) -> Path:
        return Path(self.server.uploads.name) / name.replace("/", "_")

    def _may_write(self) -> bool:
        token = self.server.token
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        if token is None:
            return False
        if kind.lower() == "basic":
            try:
                value = b64decode(value, validate=True).decode().partition(":")[2]
            except (Base64Error, UnicodeDecodeError):
                return False
        elif kind.lower() != "bearer":
            return False
        return hmac.compare_digest(value.strip().encode(), token.encode())

    def _body(self, limit: int) -> Iterator[bytes]:
        if self.headers.get("Expect", "").lower() == "100-continue" and self.request_version < "HTTP/1.1":
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            yield from self._chunks(limit)
            return
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            self.close_connection = True
            raise Refused("an upload needs a Content-Length")
        left = int(text)
        if left > limit:
            self.close_connection = True
            raise Refused(f"an upload of {left} bytes is larger than {limit}")
        while left:
            data = self.rfile.read(min(left, _PIECE))
            if not data:
                raise ConnectionError("the upload broke off")
            left -= len(data)
            yield data

    def _chunks(self, limit: int) -> Iterator[bytes]:
        left = limit
        while True:
            line = self.rfile.readline(100)
            try:
                size = int(line.partition(b";")[0].strip(), 16)
            except ValueError:
                self.close_connection = True
                raise Refused("a malformed chunk in an upload") from None
            left -= size
            if size < 0 or left < 0:
                self.close_connection = True
                raise Refused(f"an upload is larger than {limit}")
            if size == 0:
                while self.rfile.readline(1000).strip():
                    pass
                return
            data = self.rfile.read(size)
            if len(data) < size:
                raise ConnectionError("the upload broke off")
            yield data
            self.rfile.readline(10)

    def _answer(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _text(self, status: HTTPStatus, text: str) -> None:
        self._answer(text.encode(errors="replace") + b"\n" if text else b"", "text/plain; charset=utf-8", status)


def serve(options: argparse.Namespace) -> int:
    """Serve until interrupted (SIGINT) or ended (SIGTERM), which both leave nothing behind; the status is 0."""
    # Before anything is made or announced: who reads the address may end us at once.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _serve(options)
    return 0


def _serve(options: argparse.Namespace) -> None:
    if not options.http and not options.grpc:
        raise StoreError("say where to serve: --http localhost:8080, --grpc localhost:8081")
    key = SecretKey(Path(options.secret_key).read_text()) if options.secret_key else None
    token = Path(options.token_file).read_text().strip() if options.token_file else None
    if options.token_file and not token:
        raise StoreError(f"{options.token_file} holds no token")
    urls: dict[str, str] = {}
    with open_store(options.store) as store, ExitStack() as running:
        if options.grpc:
            urls["grpc"] = _start_grpc(store, options, running)
        web: CacheServer | None = None
        if options.http:
            host, port = _address(options.http)
            web = CacheServer((host, port), store, key=key, token=token, priority=options.priority)
            running.callback(web.server_close)
            urls["http"] = f"http://{_shown(host)}:{web.server_address[1]}"
        if options.json:
            say_json({**urls, "store": store.uri, "publicKey": key.public().to_text() if key else None})
        else:
            for url in urls.values():
                say(url)
        sys.stdout.flush()
        if web is not None:
            web.serve_forever(poll_interval=0.2)
        else:
            Event().wait()


def _start_grpc(store: Store, options: argparse.Namespace, running: ExitStack) -> str:
    from store.remote.server import Certificates, server

    if bool(options.tls_cert) != bool(options.tls_key) or (options.tls_client_ca and not options.tls_cert):
        raise StoreError("--tls-cert FILE and --tls-key FILE belong together, and --tls-client-ca FILE to them")
    certificates = None
    if options.tls_cert:
        client_ca = Path(options.tls_client_ca).read_bytes() if options.tls_client_ca else None
        certificates = Certificates(Path(options.tls_cert).read_bytes(), Path(options.tls_key).read_bytes(), client_ca)
    if not isinstance(store, CastoreStore):
        raise StoreError(f"only castores are served over gRPC (local:, memory:, grpc:), not {store.uri}")
    host, port = _address(options.grpc)
    address = f"{_shown(host)}:{port}"
    made, bound = server(
        store.castore,
        address,
        writable=options.grpc_writable,
        store_dir=store.store_dir,
        certificates=certificates,
    )
    made.start()
    running.callback(lambda: made.stop(1).wait())
    return f"{'grpcs' if certificates else 'grpc'}://{_shown(host)}:{bound}"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise StoreError(f"'{text}' is not HOST:PORT")
    return host or "localhost", int(port)
