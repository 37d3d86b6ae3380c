"""A store that Nix itself keeps, read without its help: its database and the folder. Nothing is written.

Specification: schema 10 of ``db.sqlite`` (``ValidPaths``, ``Refs``). With ``root`` it is the store of a chroot, as
``local?root=…`` means it: files lie under ``ROOT/nix/store`` though paths say ``/nix/store``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Corrupt, Missing, ReadOnly, StoreError
from store.hashes import HashError, parse
from store.nar import nar_pieces
from store.nar_reader import Source
from store.paths.archives import checked
from store.paths.protocol import Entry
from store.sqlite import sqlite3
from store.store_path import STORE_DIR, base_name, digest_of, to_bytes

_COLUMNS = "select id, path, hash, deriver, narSize, sigs, ca from ValidPaths"


class NixStore:
    """The store of a Nix installation, read-only."""

    def __init__(self, root: str = "", *, store_dir: str = STORE_DIR, state_dir: str = "/nix/var/nix") -> None:
        self.store_dir = store_dir
        self.uri = f"nix:?root={root}" if root else "nix:"
        self.folder = Path(root + store_dir) if root else Path(store_dir)
        self.database = Path(root + state_dir) / "db" / "db.sqlite" if root else Path(state_dir) / "db" / "db.sqlite"
        self._lock = Lock()
        if not os.path.exists(self.database):
            raise StoreError(f"no Nix store here: {self.database} is missing, or may not be read")
        self._db = self._connect()

    def _connect(self) -> sqlite3.Connection:
        last: sqlite3.Error | None = None
        # Without the right to write its -shm file, a database in WAL mode is only readable as an immutable one.
        for mode in ("mode=ro", "mode=ro&immutable=1"):
            try:
                connection = sqlite3.connect(
                    f"file:{self.database}?{mode}", uri=True, timeout=60, check_same_thread=False
                )
                connection.execute("select 1 from ValidPaths limit 1").fetchone()
                return connection
            except sqlite3.Error as error:
                last = error
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                    break  # it is being changed
        raise StoreError(f"{self.database}: {last}")

    def query(self, path: str) -> PathInfo | None:
        return self._info(f"{_COLUMNS} where path = ?", path)

    def by_digest(self, digest: str) -> PathInfo | None:
        prefix = f"{self.store_dir}/{digest}"
        found = self._info(f"{_COLUMNS} where path >= ? order by path limit 1", prefix + "-")
        return found if found is not None and digest_of(found.path) == digest else None

    def realisation(self, id: str) -> Realisation | None:
        if not self._rows("select 1 from sqlite_master where type = 'table' and name = 'Realisations'"):
            return None  # Nix makes it when content-addressed derivations are first switched on
        digest, _, output = id.partition("!")
        rows = self._rows(
            "select Realisations.id, path, signatures from Realisations join ValidPaths on ValidPaths.id = outputPath"
            " where drvPath = ? and outputName = ?",
            digest,
            output,
        )
        if not rows:
            return None
        number, path, signatures = rows[0]
        used = self._rows(
            "select drvPath, outputName, path from RealisationsRefs"
            " join Realisations on Realisations.id = realisationReference"
            " join ValidPaths on ValidPaths.id = outputPath where referrer = ?",
            number,
        )
        dependencies = {f"{drv}!{name}": str(place) for drv, name, place in used}
        return Realisation(id, str(path), dependencies, tuple(str(signatures or "").split()))

    def put_realisation(self, known: Realisation) -> None:
        raise ReadOnly(f"{self.uri} is only read from")

    def paths(self) -> Iterator[str]:
        return iter([str(path) for (path,) in self._rows("select path from ValidPaths order by path")])

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return checked(self._pieces(info), info, self.uri)

    def tree(self, info: PathInfo) -> DiskTree:
        return DiskTree(self._place(info))

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        raise ReadOnly(f"{self.uri} is only read from; let Nix itself write: nix-store --import, or daemon:")

    def close(self) -> None:
        with self._lock:  # not while another thread asks: that would end the process
            self._db.close()

    def _pieces(self, info: PathInfo) -> Iterator[bytes]:
        try:
            yield from nar_pieces(self._place(info))
        except FileNotFoundError as error:
            raise Missing(f"'{info.path}' is in the database, but {error.filename!r} is missing") from None
        except OSError as error:
            raise StoreError(f"'{info.path}': {error}") from error

    def _place(self, info: PathInfo) -> str:
        return str(self.folder / base_name(info.path))

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock:
            try:
                return self._db.execute(query, values).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.database}: {error}") from error

    def _info(self, query: str, *values: object) -> PathInfo | None:
        rows = self._rows(query, *values)
        if not rows:
            return None
        number, path, nar_hash, deriver, nar_size, sigs, ca = rows[0]
        references = self._rows(
            "select path from Refs join ValidPaths on id = reference where referrer = ? order by path", number
        )
        try:
            digest = parse(str(nar_hash), "sha256").digest
        except HashError as error:
            raise Corrupt(f"{self.database}: '{path}': {error}") from None
        return PathInfo(
            path=str(path),
            nar_sha256=digest,
            nar_size=int(str(nar_size or 0)),
            references=[str(row[0]) for row in references],
            deriver=str(deriver) if deriver else None,
            signatures=str(sigs).split() if sigs else [],
            ca=str(ca) if ca else None,
        )


class DiskTree:
    """The inside of an object that lies on disk."""

    def __init__(self, root: str) -> None:
        self._root = to_bytes(root)

    def entry(self, parts: list[bytes]) -> Entry | None:
        place = self._place(parts)
        if place is None or not os.path.lexists(place):
            return None
        if os.path.islink(place):
            return Entry("symlink", target=os.readlink(place))
        if os.path.isdir(place):
            return Entry("directory")
        status = os.stat(place)
        return Entry("regular", status.st_size, status.st_mode & 0o100 != 0)

    def names(self, parts: list[bytes]) -> list[bytes]:
        place = self._place(parts)
        if place is None or not os.path.isdir(place) or os.path.islink(place):
            raise Missing("no directory there")
        return sorted(os.listdir(place))

    def read(self, parts: list[bytes]) -> Iterator[bytes]:
        place = self._place(parts)
        if place is None or os.path.islink(place) or not os.path.isfile(place):
            raise Missing("no file there")
        with open(place, "rb", buffering=0) as file:
            while piece := file.read(1 << 18):
                yield piece

    def _place(self, parts: list[bytes]) -> bytes | None:
        """Where it is on disk; None when a link is on the way, which could lead out of the object."""
        place = self._root
        for part in parts:
            if os.path.islink(place):
                return None
            place += b"/" + part
        return place
