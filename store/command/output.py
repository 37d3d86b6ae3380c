"""What commands print: JSON, text that may hold any bytes, sizes; and paths as people type them."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from store.castore.path_info import PathInfo
from store.castore.services import Missing, StoreError
from store.paths.protocol import Store
from store.store_path import HASH_LENGTH, split, to_bytes

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def say(text: str) -> None:
    """A line on stdout; bytes that are no text come out as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(to_bytes(text) + b"\n")


def say_json(value: Any) -> None:
    """A value as JSON on stdout."""
    say(json.dumps(value, indent=2, ensure_ascii=False))


def human(size: int) -> str:
    """A number of bytes for people."""
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in "kMGT":
        amount /= 1000
        if amount < 1000 or unit == "T":
            break
    return f"{amount:.1f} {unit}B"


def parse_size(text: str) -> int:
    """Bytes of ``20G``, ``500M``, ``1.5Gi``, ``1000``."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?I?)B?", text.strip().upper())
    if found is None or found.group(2) not in _UNITS:
        raise StoreError(f"'{text}' is not a size; sizes are like 20G, 500M, 1.5Gi")
    return int(float(found.group(1)) * _UNITS[found.group(2)])


def find(store: Store, text: str) -> tuple[PathInfo, list[bytes]]:
    """What a path that somebody typed means: the object, and the names below it.

    ``/nix/store/…`` with anything below, a base name, or a digest alone. Raises ``Missing`` and ``BadStorePath``.
    """
    path = os.path.normpath(text)
    if "/" not in path and len(path) == HASH_LENGTH:
        info = store.by_digest(path)
        parts: list[bytes] = []
    else:
        whole = path if path.startswith("/") else f"{store.store_dir}/{path}"
        place, below = split(whole, store.store_dir)
        info = store.query(place)
        parts = to_bytes(below).split(b"/")[1:]
    if info is None:
        raise Missing(f"'{text}' is not in {store.uri}")
    return info, parts
