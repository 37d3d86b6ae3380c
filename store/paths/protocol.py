"""What every store of Nix's is, whatever keeps it: paths with what is known of them, and their archives.

Backends fulfil :class:`Store`; what combines several of them fulfils it again. A castore becomes one through
:class:`store.composition.castore_store.CastoreStore`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.nar_reader import Source
from store.records import dataclass


@dataclass(slots=True)
class Entry:
    """What lies at a place inside a store object; ``kind`` is ``"regular"``, ``"directory"`` or ``"symlink"``."""

    kind: str
    size: int = 0
    executable: bool = False
    target: bytes = b""


class Tree(Protocol):
    """The inside of one store object. Places are lists of names; links are not followed."""

    def entry(self, parts: list[bytes]) -> Entry | None:
        """What is there; None if nothing is."""

    def names(self, parts: list[bytes]) -> list[bytes]:
        """The names in the directory there, sorted."""

    def read(self, parts: list[bytes]) -> Iterator[bytes]:
        """The contents of the file there, in pieces."""


class Store(Protocol):
    """Nix's store objects by their paths."""

    @property
    def store_dir(self) -> str:
        """The folder that its paths are in, ``/nix/store``."""

    @property
    def uri(self) -> str:
        """Which store this is, for people; mostly what opens it again."""

    def query(self, path: str) -> PathInfo | None:
        """What is known of a path; None when it is not there. Raises ``StoreError`` for what is not to be trusted."""

    def by_digest(self, digest: str) -> PathInfo | None:
        """:meth:`query` for the path with this digest (32 nix32 characters)."""

    def paths(self) -> Iterator[str]:
        """Every path there is. Raises ``StoreError`` where that cannot be asked (a cache over HTTP)."""

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        """The archive in pieces. It was verified when the last piece has come: until then ``StoreError`` may follow."""

    def tree(self, info: PathInfo) -> Tree:
        """The inside of an object."""

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        """Keep an object whose archive ``source`` answers (to its end and no further), its references being there.

        Raises ``Refused`` when the archive is malformed or not what ``info`` says; then nothing is kept. Answers what
        is known of it now. One that is there already is not read (the source may stay unread).
        """

    def close(self) -> None:
        """Let go of files and connections."""


@runtime_checkable
class Unverified(Protocol):
    """A store that leaves it to others to compare an archive with what is known of it, so that it is done once."""

    def unverified_nar(self, info: PathInfo) -> Iterator[bytes]:
        """:meth:`Store.nar` for who compares size and hash himself."""


@runtime_checkable
class Taking(Protocol):
    """A store that can take an object out of some others in a shorter way than through its archive."""

    def take(self, info: PathInfo, source: Store) -> PathInfo | None:
        """:meth:`Store.add` of what ``source``, which answered ``info``, has; None when there is no such way."""


@runtime_checkable
class KnowsRealisations(Protocol):
    """A store that knows which paths outputs became that are addressed by their contents."""

    def realisation(self, id: str) -> Realisation | None:
        """What ``id`` became; None when that is not known. Raises ``StoreError`` for what is not to be trusted."""

    def put_realisation(self, known: Realisation) -> None:
        """Note what an output became, which is here. Raises ``ReadOnly``, ``Refused``."""


def realisation_in(store: Store, id: str) -> Realisation | None:
    """What ``store`` says ``id`` became; None also when it knows of no realisations."""
    return store.realisation(id) if isinstance(store, KnowsRealisations) else None
