"""What fetching answers: trees that can be read under their store paths."""

from __future__ import annotations

from typing import Final, final


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


def channel_url(text: str) -> str:
    """``channel:NAME`` spelled out; any other address as it is."""
    name = text.removeprefix("channel:")
    return text if name == text else f"https://channels.nixos.org/{name}/nixexprs.tar.xz"
