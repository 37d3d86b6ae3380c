"""The store of a running Nix daemon, through its socket: query, read, add, have it build."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock

from store.backends import daemon_wire as wire
from store.backends.daemon_wire import Connection
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Missing, Refused, StoreError
from store.hashes import HashError, parse
from store.nar import NarError
from store.nar_reader import END, NarReader, Source
from store.paths.archives import ArchiveTree, checked, read_through
from store.store_path import STORE_DIR, check_store_path

_FRAME = 1 << 16


def default_socket() -> str:
    """Where the daemon listens."""
    return os.environ.get("NIX_DAEMON_SOCKET_PATH") or "/nix/var/nix/daemon-socket/socket"


class DaemonStore:
    """What a Nix daemon keeps. With ``check_signatures`` it is asked to refuse what it has no signature for."""

    def __init__(
        self, path: str = "", *, store_dir: str = STORE_DIR, timeout: float = 600, check_signatures: bool = True
    ) -> None:
        self._path = path or default_socket()
        self.store_dir = store_dir
        self.uri = f"daemon:{path}"
        self._timeout = timeout
        self._check = check_signatures
        self._idle: list[Connection] = []
        self._lock = Lock()

    def query(self, path: str) -> PathInfo | None:
        with self._connection() as daemon:
            daemon.number(wire.QUERY_INFO)
            daemon.text(path)
            daemon.finish()
            if daemon.read_number() == 0:
                return None
            deriver = daemon.read_text()
            digest = daemon.read_text()
            references = daemon.read_texts()
            daemon.read_number()  # when it was registered
            size = daemon.read_number()
            daemon.read_number()  # whether it was built there
            signatures = daemon.read_texts()
            ca = daemon.read_text()
        try:
            nar_sha256 = parse(digest, "sha256").digest
        except HashError as error:
            raise Corrupt(f"{self.uri}: '{path}': {error}") from None
        return PathInfo(path, nar_sha256, size, sorted(references), deriver or None, sorted(signatures), ca or None)

    def by_digest(self, digest: str) -> PathInfo | None:
        with self._connection() as daemon:
            daemon.number(wire.QUERY_BY_DIGEST)
            daemon.text(digest)
            daemon.finish()
            path = daemon.read_text()
        return self.query(path) if path else None

    def paths(self) -> Iterator[str]:
        with self._connection() as daemon:
            daemon.number(wire.QUERY_ALL)
            daemon.finish()
            return iter(sorted(daemon.read_texts()))

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return checked(self._pieces(info), info, self.uri)

    def tree(self, info: PathInfo) -> ArchiveTree:
        return ArchiveTree(lambda: self.nar(info), info.path)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        check_store_path(info.path, self.store_dir)
        known = self.query(info.path)
        if known is not None:
            return known
        for reference in info.references:
            if reference != info.path and self.query(reference) is None:
                raise Refused(f"'{info.path}' refers to '{reference}', which is not in {self.uri}")
        with self._connection() as daemon:
            daemon.number(wire.ADD_NAR)
            daemon.text(info.path)
            daemon.text(info.deriver or "")
            daemon.text(info.nar_sha256.hex())
            daemon.texts(sorted(info.references))
            daemon.number(0)  # registered now
            daemon.number(info.nar_size)
            daemon.number(0)  # not built here
            daemon.texts(info.signatures)
            daemon.text(info.ca or "")
            daemon.number(0)  # no repair
            daemon.number(0 if self._check else 1)
            self._send(daemon, info, source)
            daemon.finish()
        kept = self.query(info.path)
        if kept is None:
            raise StoreError(f"{self.uri} did not keep '{info.path}'")
        return kept

    def build(self, wanted: Iterable[str]) -> None:
        """Have paths or outputs of derivations (``/nix/store/….drv!out``) made or fetched. ``Refused`` if not."""
        with self._connection() as daemon:
            daemon.number(wire.BUILD_PATHS)
            daemon.texts(wanted)
            daemon.number(0)  # as usual: no repair, no check
            daemon.finish()
            daemon.read_number()

    def close(self) -> None:
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _send(self, daemon: Connection, info: PathInfo, source: Source) -> None:
        """The archive in frames. The last one, without which the daemon keeps nothing, is only sent for a right one."""

        def frame(data: bytes) -> None:
            for at in range(0, len(data), _FRAME):
                piece = data[at : at + _FRAME]
                daemon.number(len(piece))
                daemon.raw(piece)

        read_through(source, info, frame)
        daemon.number(0)

    def _pieces(self, info: PathInfo) -> Iterator[bytes]:
        with self._connection() as daemon:
            daemon.number(wire.NAR_FROM_PATH)
            daemon.text(info.path)
            try:
                daemon.finish()
            except Refused as error:
                raise Missing(f"{self.uri}: {error}") from None
            # The archive comes without its length, and nothing after it: asking for more than it has would wait for
            # ever, and less than all of it must not be left in the connection.
            ready: list[bytes] = []
            left = info.nar_size

            def source(limit: int) -> bytes:
                nonlocal left
                data = daemon.read_some(min(limit, left)) if left else b""
                left -= len(data)
                ready.append(data)
                return data

            reader = NarReader(source)
            try:
                while reader.next() != END:
                    yield from ready
                    ready.clear()
                reader.expect_end_of_source()
            except NarError as error:
                raise Corrupt(f"{self.uri}: '{info.path}': {error}") from None
            yield from ready

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = Connection(self._path, self._timeout)
        try:
            yield connection
        except BaseException:
            connection.close()  # it may be in the middle of something
            raise
        with self._lock:
            self._idle.append(connection)
