"""Tar and zip files, read into a castore: nothing is unpacked to the disk, so nothing can be written outside.

Compression is known by its first bytes (gzip, xz, lzma, bzip2, zstd). Of metadata there is, as in Nix, whether the
owner may execute a file. Refused, with the entry's name: paths that are absolute or go up, entries below a symbolic
link or a file, hard links to what is not in the archive before them, devices, pipes, set-user-id and set-group-id
files, encrypted entries, and what is more than the limits allow. Symbolic links are kept as they are, wherever they
point: they are data, and nothing here follows them.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.fetch.failure import FetchError
from builder.fetch.limits import Limits
from builder.fetch.tree import Folder, keep_folder
from store.castore.nodes import FileNode, Node, SymlinkNode
from store.castore.services import Castore
from store.chunking import WHOLE
from store.store_path import to_bytes, to_text

_PIECE = 1 << 18
_LONGEST_NAME = 255
_DEEPEST = 1000
_LONGEST_TARGET = 4095
_SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass
class Unpacked:
    """A tree in the castore. ``last_modified`` is in seconds since 1970."""

    node: Node
    last_modified: int


class _Broken(Exception):
    """What is wrong with an archive."""


def unpack(path: Path, castore: Castore, limits: Limits, url: str) -> Unpacked:
    """The tree in the archive at ``path``: what is in its only folder at the top if there is just one.

    Raises FetchError, naming ``url``.
    """
    building = _Building(castore, limits)
    try:
        with open(path, "rb") as file:
            magic = file.read(6)
            file.seek(0)
            if magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                building.zip(file)
            else:
                with _decompressed(magic, file) as plain:
                    building.tar(plain)
    except _Broken as error:
        raise FetchError(f"cannot unpack '{url}': {error}") from None
    except (OSError, EOFError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise FetchError(f"cannot unpack '{url}': it is no tar or zip file, or broken: {error}") from None
    except (lzma.LZMAError, zlib.error, struct.error, NotImplementedError, RuntimeError) as error:
        raise FetchError(f"cannot unpack '{url}': it is broken: {error}") from None
    except Exception as error:
        if type(error).__name__ != "ZstdError":
            raise
        raise FetchError(f"cannot unpack '{url}': it is broken: {error}") from None
    return building.result(url)


def _decompressed(magic: bytes, file: IO[bytes]) -> IO[bytes]:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]
    if magic.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.LZMAFile(file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        import zstandard

        return zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(file, read_across_frames=True)
    return file


class _Header(tarfile.TarInfo):
    """A header of a tar file. The library takes a broken one for the end of the archive: here it is an error."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> _Header:
        try:
            return super().fromtarfile(tarfile)
        except (_INVALID, _TRUNCATED, _SUBSEQUENT) as error:
            raise _Broken(f"it is no tar or zip file, or broken: {error}") from None


_INVALID: type[Exception] = tarfile.InvalidHeaderError  # type: ignore[attr-defined]
_TRUNCATED: type[Exception] = tarfile.TruncatedHeaderError  # type: ignore[attr-defined]
_SUBSEQUENT: type[Exception] = tarfile.SubsequentHeaderError  # type: ignore[attr-defined]


class _Building:
    """The tree that an archive describes, as far as it has been read."""

    def __init__(self, castore: Castore, limits: Limits) -> None:
        self._castore = castore
        self._limits = limits
        self._left = limits.max_unpacked
        self._entries = 0
        self._newest = 0
        self._root = Folder()

    # --- formats -------------------------------------------------------------------------------

    def tar(self, file: IO[bytes]) -> None:
        with tarfile.open(
            fileobj=file, mode="r|", tarinfo=_Header, encoding="utf-8", errors="surrogateescape", bufsize=_PIECE
        ) as archive:
            for entry in archive:
                parts = self._begin(entry.name, int(entry.mtime))
                if entry.isdir():
                    self._folder(parts, entry.name).modified = int(entry.mtime)
                elif entry.issym():
                    self._put(parts, self._link(entry.linkname, entry.name), entry.name)
                elif entry.islnk():
                    self._put(parts, self._linked(entry), entry.name)
                elif entry.isreg():
                    if entry.mode & _SET_ID:
                        raise _set_id(entry.name)
                    contents = archive.extractfile(entry)
                    if contents is None or entry.size < 0:
                        raise _Broken(f"'{entry.name}' has no contents")
                    executable = entry.mode & stat.S_IXUSR != 0
                    self._put(parts, self._file(contents, entry.size, executable, entry.name), entry.name)
                else:
                    raise _device(entry.name)
                archive.members = []  # type: ignore[attr-defined]  # the library would keep them all

    def zip(self, file: IO[bytes]) -> None:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                modified = _zip_time(entry)
                parts = self._begin(entry.filename, modified)
                mode = entry.external_attr >> 16
                kind = stat.S_IFMT(mode)
                if entry.flag_bits & 1:
                    raise _Broken(f"'{entry.filename}' is encrypted")
                if entry.is_dir():
                    self._folder(parts, entry.filename).modified = modified
                    continue
                if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
                    raise _Broken(
                        f"'{entry.filename}' is a device, a pipe or something else that no store object holds"
                    )
                with archive.open(entry) as contents:
                    if kind == stat.S_IFLNK:
                        target = contents.read(_LONGEST_TARGET + 1)
                        self._put(parts, self._link(to_text(target), entry.filename), entry.filename)
                        continue
                    if mode & _SET_ID:
                        raise _set_id(entry.filename)
                    node = self._file(contents, entry.file_size, mode & stat.S_IXUSR != 0, entry.filename)
                    self._put(parts, node, entry.filename)

    # --- entries -------------------------------------------------------------------------------

    def _begin(self, name: str, modified: int) -> list[bytes]:
        """The steps of an entry's path, checked."""
        self._limits.check()
        self._entries += 1
        if self._entries > self._limits.max_entries:
            raise _Broken(f"it has more than {self._limits.max_entries} entries, which is the limit")
        self._newest = max(self._newest, modified)
        if name.startswith("/"):
            raise _Broken(f"'{name}' is an absolute path")
        parts = [to_bytes(part) for part in name.split("/") if part not in ("", ".")]
        for part in parts:
            if part == b"..":
                raise _Broken(f"'{name}' leads out of the archive")
            if len(part) > _LONGEST_NAME or b"\0" in part:
                raise _Broken(f"'{name[:300]}' is no possible file name")
        if len(parts) > _DEEPEST:
            raise _Broken(f"'{name[:300]}…' lies more than {_DEEPEST} folders deep")
        return parts

    def _folder(self, parts: list[bytes], name: str) -> Folder:
        here = self._root
        for part in parts:
            found = here.entries.get(part)
            if found is None:
                found = Folder()
                here.entries[part] = found
            elif not isinstance(found, Folder):
                kind = "a symbolic link" if isinstance(found, SymlinkNode) else "a file"
                raise _Broken(f"'{name}' goes through '{to_text(part)}', which is {kind} in the archive")
            here = found
        return here

    def _put(self, parts: list[bytes], node: Node, name: str) -> None:
        if not parts:
            raise _Broken(f"'{name}' has no name")
        folder = self._folder(parts[:-1], name)
        if isinstance(folder.entries.get(parts[-1]), Folder):
            raise _Broken(f"'{name}' stands where there is a folder already")
        folder.entries[parts[-1]] = node

    def _link(self, target: str, name: str) -> SymlinkNode:
        data = to_bytes(target)
        if not data or len(data) > _LONGEST_TARGET or b"\0" in data:
            raise _Broken(f"the symbolic link '{name}' leads to no possible path")
        return SymlinkNode(data)

    def _linked(self, entry: tarfile.TarInfo) -> Node:
        """What a hard link is another name of."""
        found: Folder | Node | None = self._root
        for part in entry.linkname.split("/"):
            if part in ("", "."):
                continue
            found = found.entries.get(to_bytes(part)) if isinstance(found, Folder) and part != ".." else None
        if found is None or isinstance(found, Folder) or entry.linkname.startswith("/"):
            raise _Broken(f"the hard link '{entry.name}' leads to '{entry.linkname}', no file before it in the archive")
        return found

    def _file(self, contents: IO[bytes], size: int, executable: bool, name: str) -> FileNode:
        self._left -= size
        if self._left < 0:
            raise _Broken(f"unpacked it has more than {self._limits.max_unpacked} bytes, which is the limit")
        if size <= WHOLE:
            data = contents.read(size + 1)
            found = len(data)
            digest = self._castore.blobs.put_whole(data)
        else:
            digest, found = self._castore.blobs.put(_pieces(contents, size, self._limits))
        if found != size:
            raise _Broken(f"'{name}' has {found} bytes instead of {size}")
        return FileNode(digest, size, executable)

    # --- the end -------------------------------------------------------------------------------

    def result(self, url: str) -> Unpacked:
        top = list(self._root.entries.values())
        if not top:
            raise FetchError(f"cannot unpack '{url}': there is nothing in it")
        # As in Nix: GitHub and most others put everything into one folder.
        root = top[0] if len(top) == 1 and isinstance(top[0], Folder) else self._root
        modified = root.modified if root.modified is not None else self._newest
        return Unpacked(keep_folder(root, self._castore), modified)


def _pieces(contents: IO[bytes], size: int, limits: Limits) -> Iterator[bytes]:
    found = 0
    while piece := contents.read(_PIECE):
        limits.check()
        found += len(piece)
        yield piece
        if found > size:
            return


def _device(name: str) -> _Broken:
    return _Broken(f"'{name}' is a device, a pipe or something else that no store object holds")


def _set_id(name: str) -> _Broken:
    return _Broken(f"'{name}' has a set-user-id or set-group-id bit, which no store object may have")


def _zip_time(entry: zipfile.ZipInfo) -> int:
    """When an entry was changed: the extended time stamp if it has one, else that of MS-DOS, which is local time."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return int(struct.unpack_from("<I", extra, 5)[0])
        extra = extra[4 + size :]
    try:
        return int(time.mktime((*entry.date_time, 0, 0, -1)))
    except (ValueError, OverflowError):
        return 0
