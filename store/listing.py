"""Listings of archives: the ``.ls`` files that binary caches keep beside NARs.

Specification: what ``nix nar ls --json -R`` prints and ``nix copy`` with ``write-nar-listing`` stores: ``version`` 1
and a ``root``, which is a ``directory`` with ``entries``, a ``symlink`` with its ``target`` or a ``regular`` file with
its ``size``, ``narOffset`` (of its first byte in the archive) and, if so, ``executable``.
"""

from __future__ import annotations

import json
from typing import Any

from store import nar_reader
from store.nar_reader import NarReader, Source
from store.store_path import to_text

VERSION = 1


def listing_of(source: Source) -> dict[str, Any]:
    """The listing of the archive that ``source`` answers, as JSON has it. Raises ``NarError``."""
    root: dict[str, Any] = {}
    open_entries: list[dict[str, Any]] = []
    reader = NarReader(source)
    while (event := reader.next()) != nar_reader.END:
        if event == nar_reader.LEAVE:
            open_entries.pop()
            continue
        node: dict[str, Any]
        if event == nar_reader.ENTER:
            node = {"type": "directory", "entries": {}}
        elif event == nar_reader.LINK:
            node = {"type": "symlink", "target": to_text(reader.target)}
        else:
            node = {"type": "regular", "size": reader.size}
            if reader.executable:
                node["executable"] = True
            node["narOffset"] = reader.offset()
        if open_entries:
            open_entries[-1][to_text(reader.name)] = node
        else:
            root = node
        if event == nar_reader.ENTER:
            open_entries.append(node["entries"])
    reader.expect_end_of_source()
    return {"version": VERSION, "root": root}


def to_json(listing: dict[str, Any]) -> bytes:
    """The text of a ``.ls`` file. Names that are not UTF-8 are written as their bytes, as Nix does."""
    return json.dumps(listing, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogateescape")
