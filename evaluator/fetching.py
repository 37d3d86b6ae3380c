"""What evaluation asks of whoever fetches; :mod:`evaluator.flakes.fetcher` fulfils it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, final

if TYPE_CHECKING:
    from evaluator.session import Session


@final
class Tree:
    """A tree (or file) that can be read under its store path.

    ``items`` are the attributes of the input that would give exactly this again, ``narHash`` among them. ``modified``
    is when it was changed last, in seconds, -1 where nobody knows. ``dirty`` is the revision that a working tree with
    changes is based on.
    """

    def __init__(self, path: str, nar_hash: str, items: dict[str, object], modified: int = -1, dirty: str = "") -> None:
        self.path: Final = path
        self.nar_hash: Final = nar_hash
        self.items: Final = items
        self.modified: Final = modified
        self.dirty: Final = dirty


class Fetching(Protocol):
    """Fetches for evaluations, as far as their user allows it. Everything raises EvalError."""

    def tree(self, session: Session, items: dict[str, object]) -> Tree:
        """What an input gives: its attributes are those of a flake reference, ``type`` among them, and ``name``."""

    def download(self, session: Session, url: str, name: str, unpack: bool, expected: str) -> str:
        """The store path of a file or, unpacked, of an archive; ``expected`` is its hash in SRI, or empty."""

    def substitute(self, session: Session, url: str, path: str) -> None:
        """Brings a store path and all it refers to from the store with this URL."""

    def located(self, session: Session, entry: str) -> str:
        """Where what a search path entry names can be read: an address is fetched. Empty if that cannot be."""

    def declare(self, session: Session, path: str, items: dict[str, object]) -> None:
        """Says that the store path of a pinned input, if somebody reads from it, is made by :meth:`tree`."""


def channel_url(text: str) -> str:
    """``channel:NAME`` spelled out; any other address as it is."""
    name = text.removeprefix("channel:")
    return text if name == text else f"https://channels.nixos.org/{name}/nixexprs.tar.xz"
