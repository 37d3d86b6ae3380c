"""Archives on their way between stores: as a source, verified, and looked into without being kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from store import nar_reader
from store.castore.background import Sum
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Missing, Refused
from store.nar import NarError, Sink
from store.nar_reader import END, ENTER, LEAVE, LINK, NarReader, Source, TeeSource
from store.paths.protocol import Entry
from store.sha256 import Sha256


class PiecesSource:
    """Pieces of bytes as a source."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes; none at the end."""
        while self._at >= len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece = piece
            self._at = 0
        at = self._at
        self._at = min(at + limit, len(self._piece))
        return self._piece if at == 0 and self._at == len(self._piece) else self._piece[at : self._at]


class CheckedSource:
    """A source that sums up what passes, to be compared at the end; refuses more than was announced at once.

    To be closed, as a context manager.
    """

    def __init__(self, source: Source, info: PathInfo, where: str) -> None:
        self._source = source
        self._info = info
        self._where = where
        self._hasher = Sum(Sha256())
        self._size = 0

    def __enter__(self) -> CheckedSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self._hasher.close()

    def read(self, limit: int) -> bytes:
        """At most ``limit`` bytes."""
        data = self._source(limit)
        self._size += len(data)
        if self._size > self._info.nar_size:
            raise Refused(
                f"{self._where}: the archive of '{self._info.path}' goes on after {self._info.nar_size} bytes"
                ", all that it should have"
            )
        self._hasher.update(data)
        return data

    def expect(self) -> None:
        """Refuse what came if it is not what the path info says."""
        info = self._info
        if self._size != info.nar_size:
            raise Refused(f"{self._where}: the archive of '{info.path}' has {self._size} bytes, not {info.nar_size}")
        found = self._hasher.digest()
        if found != info.nar_sha256:
            raise Refused(
                f"{self._where}: the archive of '{info.path}' has the hash sha256:{found.hex()}"
                f", not {info.nar_hash().format('base16', with_algo=True)}"
            )


def read_through(source: Source, info: PathInfo, sink: Sink) -> None:
    """Read the archive that ``source`` answers and show it to ``sink`` on its way.

    Raises ``Refused`` when it is malformed or not what ``info`` says, maybe after all of it was shown.
    """
    with CheckedSource(source, info, info.path) as checking:
        reader = NarReader(TeeSource(checking.read, sink).read)
        try:
            while reader.next() != END:
                pass
            reader.expect_end_of_source()
        except NarError as error:
            raise Refused(f"'{info.path}': {error}") from error
        checking.expect()


def checked(pieces: Iterable[bytes], info: PathInfo, where: str) -> Iterator[bytes]:
    """``pieces`` of an archive handed on; :class:`Corrupt` instead of an end when they are not what ``info`` says."""
    size = 0
    with Sum(Sha256()) as hasher:
        for piece in pieces:
            hasher.update(piece)
            size += len(piece)
            if size > info.nar_size:
                break
            yield piece
        if size != info.nar_size or hasher.digest() != info.nar_sha256:
            raise Corrupt(f"{where}: the archive of '{info.path}' is not what its hash says")


class ArchiveTree:
    """The inside of an object of which there is only its archive: each question reads that anew."""

    def __init__(self, pieces: Callable[[], Iterator[bytes]], path: str) -> None:
        self._pieces = pieces
        self._path = path
        self._entries: dict[tuple[bytes, ...], Entry] | None = None

    def entry(self, parts: list[bytes]) -> Entry | None:
        return self._listed().get(tuple(parts))

    def names(self, parts: list[bytes]) -> list[bytes]:
        depth = len(parts)
        below = tuple(parts)
        return [place[-1] for place in self._listed() if len(place) == depth + 1 and place[:depth] == below]

    def read(self, parts: list[bytes]) -> Iterator[bytes]:
        wanted = tuple(parts)
        for place, reader, event in self._walk():
            if place == wanted:
                if event != nar_reader.FILE:
                    break
                yield from iter(reader.contents, b"")
                return
        raise Missing(f"'{self._path}' has no file there")

    def _listed(self) -> dict[tuple[bytes, ...], Entry]:
        if self._entries is None:
            entries = {}
            for place, reader, event in self._walk():
                if event == ENTER:
                    entries[place] = Entry("directory")
                elif event == LINK:
                    entries[place] = Entry("symlink", target=reader.target)
                else:
                    entries[place] = Entry("regular", reader.size, reader.executable)
            self._entries = entries
        return self._entries

    def _walk(self) -> Iterator[tuple[tuple[bytes, ...], NarReader, int]]:
        reader = NarReader(PiecesSource(self._pieces()).read)
        place: tuple[bytes, ...] = ()
        try:
            while (event := reader.next()) != END:
                if event == LEAVE:
                    place = place[:-1]
                    continue
                here = (*place, reader.name) if reader.name else ()
                yield here, reader, event
                if event == ENTER:
                    place = here
        except NarError as error:
            raise Corrupt(f"'{self._path}': {error}") from None
