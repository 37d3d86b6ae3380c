"""URIs of documents and the paths that stand for them.

Paths may hold bytes that are not UTF-8 (surrogateescape); URIs spell them percent-encoded.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

_SAFE: Final = "/:@!$&'()*+,;=-._~"
_NOT_IN_NAMES: Final = re.compile(r"[^\w.+-]+")


def from_path(path: str) -> str:
    """The ``file:`` URI of an absolute path."""
    return "file://" + quote(os.fsencode(path), safe=_SAFE)


def to_path(uri: str) -> str | None:
    """The path of a ``file:`` URI; None for any other."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return None
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.netloc and parts.netloc != "localhost":
        path = f"//{parts.netloc}{path}"
    return os.path.normpath(path) if path else None


def stand_in(uri: str, folder: str) -> str:
    """The path that a document which is not on disk would have: in ``folder``, named after its URI.

    No file has that name yet, so that what is evaluated under it is never mixed up with one on disk.
    """
    last = os.fsdecode(unquote_to_bytes(uri.partition(":")[2])).rstrip("/").rpartition("/")[2]
    name = _NOT_IN_NAMES.sub("-", last).strip("-") or "document"
    stem = name.removesuffix(".nix")
    candidate = os.path.join(folder, f"{stem}.nix")
    number = 1
    while os.path.lexists(candidate):
        number += 1
        candidate = os.path.join(folder, f"{stem}-{number}.nix")
    return candidate
