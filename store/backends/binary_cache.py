"""Nix's binary caches: narinfos and compressed archives as files, over any transport.

Specification: the Nix manual, "Serving a Nix store via HTTP", and what Nix 2.8 writes: ``nix-cache-info``,
``DIGEST.narinfo``, ``nar/FILEHASH.nar.xz``, ``DIGEST.ls``, ``realisations/ID.doi``.

**A cache is not trusted.** A narinfo counts only with a signature by a trusted key (unless the user says otherwise) or
when the path follows from the archive's hash. An archive is decompressed no further than its announced size and counts
only when size and hash agree. Names of archives cannot leave the cache.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from threading import Lock
from typing import BinaryIO, cast

from store import listing, narinfo, signatures
from store.backends import compression as compressions
from store.backends.transports import Transport, read_pieces
from store.castore import realisation
from store.castore.path_info import PathInfo, from_narinfo
from store.castore.realisation import Realisation, RealisationError
from store.castore.services import ReadOnly, Refused, StoreError, Untrusted
from store.hashes import Hash
from store.nar_reader import Source
from store.narinfo import NarInfo, NarInfoError
from store.paths.addresses import proves_itself
from store.paths.archives import ArchiveTree, PiecesSource, checked, read_through
from store.records import replace
from store.signatures import SecretKey
from store.store_path import STORE_DIR, check_store_path, digest_of

_REMEMBERED = 20_000


class BinaryCache:
    """A binary cache as a store.

    ``trusted`` are public keys (``NAME:BASE64``); ``require_signatures=False`` takes whatever the cache says.
    ``secret`` signs what is added. Without ``writable`` nothing can be.
    """

    def __init__(
        self,
        transport: Transport,
        uri: str,
        *,
        trusted: Iterable[str] = (signatures.CACHE_NIXOS_ORG,),
        require_signatures: bool = True,
        secret: SecretKey | None = None,
        compression: str = "zstd",
        level: int | None = None,
        write_listing: bool = False,
        writable: bool = True,
        store_dir: str = STORE_DIR,
    ) -> None:
        self.uri = uri
        self.store_dir = store_dir
        self.transport = transport
        self.priority = 50
        self._trusted = signatures.trusted(trusted)
        self._require = require_signatures
        self._secret = secret
        self._compression = compression
        self._level = level
        self._write_listing = write_listing
        self._writable = writable
        self._known: OrderedDict[str, NarInfo] = OrderedDict()
        self._lock = Lock()
        self._greeted = False
        compressions.compressor(compression, level)  # refuses an unknown one now

    def query(self, path: str) -> PathInfo | None:
        info = self.by_digest(digest_of(path))
        if info is not None and info.path != path:
            raise Refused(f"{self.uri}: asked about '{path}', it tells about '{info.path}'")
        return info

    def by_digest(self, digest: str) -> PathInfo | None:
        found = self._narinfo(digest)
        return None if found is None else from_narinfo(found)

    def realisation(self, id: str) -> Realisation | None:
        self._greet(write=False)
        where = f"{self.uri}/{_realisation_name(id)}"
        data = self.transport.get(_realisation_name(id), realisation.MAX_SIZE)
        if data is None:
            return None
        try:
            found = realisation.parse(data, self.store_dir)
        except RealisationError as error:
            raise Refused(f"{where}: {error}") from None
        if found.id != id:
            raise Refused(f"{where} tells about '{found.id}'")
        if self._require:
            self._expect_signed(found.fingerprint(), found.signatures, where)
        return found

    def put_realisation(self, known: Realisation) -> None:
        if not self._writable:
            raise ReadOnly(f"{self.uri} is only read from")
        if self._secret is not None:
            mine = self._secret.sign(known.fingerprint())
            known = replace(known, signatures=tuple(dict.fromkeys([*known.signatures, mine])))
        self._write_small(_realisation_name(known.id), known.to_text().encode(), "application/json")

    def paths(self) -> Iterator[str]:
        for name in self.transport.names(".narinfo"):
            info = self.by_digest(name.removesuffix(".narinfo"))
            if info is not None:
                yield info.path

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return checked(self.unverified_nar(info), info, f"{self.uri}/{digest_of(info.path)}")

    def unverified_nar(self, info: PathInfo) -> Iterator[bytes]:
        found = self._narinfo(digest_of(info.path))
        if found is None:
            raise StoreError(f"path '{info.path}' is not in {self.uri}")
        pieces = self.transport.stream(_safe(found.url, self.uri))
        where = f"{self.uri}/{found.url}"
        if pieces is None:
            raise StoreError(f"{where} is missing, though the cache lists '{info.path}'")
        if found.file_size is not None:
            pieces = _at_most(pieces, found.file_size, where)
        return compressions.decompressed(found.compression, pieces, where)

    def tree(self, info: PathInfo) -> ArchiveTree:
        return ArchiveTree(lambda: self.nar(info), info.path)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        if not self._writable:
            raise ReadOnly(f"{self.uri} is only read from")
        check_store_path(info.path, self.store_dir)
        self._greet(write=True)
        known = self._narinfo(digest_of(info.path), signed=False)
        if known is not None:
            return from_narinfo(known)
        for reference in info.references:
            if reference != info.path and not self.transport.has(f"{digest_of(reference)}.narinfo"):
                raise Refused(f"'{info.path}' refers to '{reference}', which is not in {self.uri}")
        with self.transport.scratch() as opened:
            file = cast(BinaryIO, opened)
            found = self._compressed(info, source, file)
            if not self.transport.has(found.url):
                file.seek(0)
                assert found.file_size is not None
                self.transport.put(found.url, file, found.file_size, "application/x-nix-nar")
            if self._write_listing:
                self._write_small(
                    f"{digest_of(info.path)}.ls",
                    listing.to_json(listing.listing_of(PiecesSource(self._again(file, found)).read)),
                    "application/json",
                )
        if self._secret is not None:
            mine = self._secret.sign(found.fingerprint())
            if mine not in found.signatures:
                found.signatures.append(mine)
        self._write_small(f"{digest_of(info.path)}.narinfo", found.to_text().encode(), "text/x-nix-narinfo")
        self._remember(digest_of(info.path), found)
        return from_narinfo(found)

    def close(self) -> None:
        self.transport.close()

    def _narinfo(self, digest: str, *, signed: bool = True) -> NarInfo | None:
        """What the cache says about a digest, refused unless it is to be believed."""
        with self._lock:
            known = self._known.get(digest)
        if known is not None:
            return known
        self._greet(write=False)
        where = f"{self.uri}/{digest}.narinfo"
        data = self.transport.get(f"{digest}.narinfo", narinfo.MAX_SIZE)
        if data is None:
            return None
        try:
            found = narinfo.parse(data, self.store_dir)
        except NarInfoError as error:
            raise Refused(f"{where}: {error}") from None
        if digest_of(found.store_path) != digest:
            raise Refused(f"{where} tells about '{found.store_path}'")
        _safe(found.url, self.uri)
        if signed:
            self._expect_signature(found, where)
            self._remember(digest, found)
        return found

    def _expect_signature(self, found: NarInfo, where: str) -> None:
        if not self._require or proves_itself(from_narinfo(found), self.store_dir):
            return
        self._expect_signed(found.fingerprint(), found.signatures, where)

    def _expect_signed(self, fingerprint: str, given: Sequence[str], where: str) -> None:
        if signatures.who_signed(fingerprint, given, self._trusted):
            return
        names = [signature.partition(":")[0] for signature in given]
        mine = set(names) & self._trusted.keys()
        if mine:
            reason = f"the signature by '{sorted(mine)[0]}' is wrong"
        elif names:
            reason = f"it is signed by {', '.join(map(repr, names))}, none of which is trusted"
        else:
            reason = "it is not signed"
        raise Untrusted(
            f"{where} is refused: {reason}", "?trusted=NAME:KEY names a key, ?require-signatures=false takes all"
        )

    def _remember(self, digest: str, found: NarInfo) -> None:
        with self._lock:
            self._known[digest] = found
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _greet(self, *, write: bool) -> None:
        """Look at ``nix-cache-info`` once; write it to a new cache."""
        if self._greeted:
            return
        data = self.transport.get("nix-cache-info", 1 << 16)
        if data is None:
            if write:
                self._write_small("nix-cache-info", f"StoreDir: {self.store_dir}\n".encode(), "text/x-nix-cache-info")
                self._greeted = True
            return
        for line in data.decode(errors="replace").splitlines():
            key, _, value = line.partition(":")
            value = value.strip()
            if key == "StoreDir" and value != self.store_dir:
                raise Refused(f"{self.uri} is a cache for the store '{value}', not for '{self.store_dir}'")
            if key == "Priority" and value.isascii() and value.isdigit():
                self.priority = int(value[:9])
        self._greeted = True

    def _compressed(self, info: PathInfo, source: Source, file: BinaryIO) -> NarInfo:
        """Check an archive and write it compressed to ``file``; answer the narinfo it gets."""
        packer = compressions.compressor(self._compression, self._level)
        if self._compression == "none":
            read_through(source, info, file.write)
            file_hash, size = info.nar_hash(), info.nar_size
        else:
            packed = _Packed(packer, file)
            read_through(source, info, packed.write)
            file_hash, size = packed.finish()
        name = f"nar/{file_hash.nix32()}.nar{compressions.SUFFIXES[self._compression]}"
        found = info.to_narinfo(name, self._compression)
        found.file_hash = file_hash
        found.file_size = size
        return found

    def _again(self, file: BinaryIO, found: NarInfo) -> Iterator[bytes]:
        file.seek(0)
        return compressions.decompressed(found.compression, read_pieces(file), found.url)

    def _write_small(self, name: str, data: bytes, kind: str) -> None:
        self.transport.put(name, BytesIO(data), len(data), kind)


class _Packed:
    """A sink that compresses into a file and hashes what comes out."""

    def __init__(self, packer: compressions.Compressor, file: BinaryIO) -> None:
        self._packer = packer
        self._file = file
        self._hasher = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> None:
        self._take(self._packer.compress(data))

    def finish(self) -> tuple[Hash, int]:
        self._take(self._packer.flush())
        return Hash("sha256", self._hasher.digest()), self._size

    def _take(self, data: bytes) -> None:
        if data:
            self._hasher.update(data)
            self._size += len(data)
            self._file.write(data)


def _realisation_name(id: str) -> str:
    return f"realisations/{id}.doi"


def _safe(url: str, uri: str) -> str:
    """The name of an archive inside its cache; :class:`Refused` for one that would leave it."""
    parts: Sequence[str] = url.split("/")
    if not url or url.startswith("/") or ":" in parts[0] or "\\" in url or any(p in ("", ".", "..") for p in parts):
        raise Refused(f"{uri}: an archive cannot be called '{url}'")
    if any(ord(character) < 33 or character in "?#%" for character in url):
        raise Refused(f"{uri}: an archive cannot be called '{url}'")
    return url


def _at_most(pieces: Iterator[bytes], size: int, where: str) -> Iterator[bytes]:
    left = size
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise Refused(f"{where} goes on after {size} bytes, all that it should have")
        yield piece
