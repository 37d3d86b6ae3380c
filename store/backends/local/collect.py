"""Collecting garbage in a local castore: what no root reaches goes, as much of it as is asked for.

Writers are kept out meanwhile; readers are not, and find what was moved. Order: path infos, then (in the same
transaction) directories, blobs and chunks that no path info reaches any more, then packs. Packs of which little is left
are written anew. Killed at any moment, at worst a file that nothing mentions stays until the next time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from store.backends.local import schema
from store.backends.local.castore import LocalCastore
from store.backends.local.packs import PackWriter, remove_if_dead
from store.castore import nodes
from store.castore.nodes import DirectoryNode, FileNode
from store.castore.path_info import PathInfo
from store.castore.services import Full, Missing
from store.sqlite import sqlite3

# A pack of which less than this share is still wanted is written anew.
_WANTED_SHARE = 0.6


@dataclass
class Collected:
    """What went. Sizes are bytes on disk, before and after."""

    deleted: list[str] = field(default_factory=list)
    kept: int = 0
    before: int = 0
    after: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"deleted": self.deleted, "kept": self.kept, "sizeBefore": self.before, "sizeAfter": self.after}


def roots(store: LocalCastore) -> dict[str, str]:
    """The roots by their names."""
    try:
        return dict(store.db.execute("select name, path from roots order by name"))
    except sqlite3.Error as error:
        raise schema.as_store_error(error, store.path) from error


def set_root(store: LocalCastore, name: str, path: str | None) -> None:
    """Let the root ``name`` be ``path``, or remove it. Raises :class:`Missing` for a path that is not there."""
    if path is not None and store.path_infos.get(path) is None:
        raise Missing(f"path '{path}' is not in {store.folder}")
    try:
        if path is None:
            if store.db.execute("delete from roots where name = ?", (name,)).rowcount == 0:
                raise Missing(f"there is no root '{name}'")
        else:
            store.db.execute("insert or replace into roots values (?, ?)", (name, path))
    except sqlite3.Error as error:
        raise schema.as_store_error(error, store.path) from error


def size_on_disk(store: LocalCastore) -> int:
    """Bytes that the store takes."""
    total = 0
    for folder in (store.folder, store.pack_folder):
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False):
                total += entry.stat().st_size
    return total


def collect(
    store: LocalCastore, more_roots: Iterable[str] = (), *, target: int | None = None, dry_run: bool = False
) -> Collected:
    """Delete what neither a root nor one of ``more_roots`` reaches.

    With ``target`` those go first that were added longest ago, and no more than brings the store to about so many
    bytes. (When a path was last read is not known: readers write nothing.)
    """
    done = Collected(before=size_on_disk(store))
    with store.lock(exclusive=True):
        try:
            infos = {info.path: info for info in store.path_infos.list()}
            live = _reached(infos, [*roots(store).values(), *more_roots])
            dead = [path for path in infos if path not in live]
            if target is not None:
                dead = _oldest_first(store, infos, dead, done.before - target)
            done.deleted = sorted(dead)
            done.kept = len(infos) - len(dead)
            if not dry_run:
                for path in dead:
                    del infos[path]
                _delete(store, dead, infos.values())
                if dead:
                    with suppress(OSError):  # a disk may be too full even for this
                        store.collected.touch()
        except sqlite3.Error as error:
            raise schema.as_store_error(error, store.path) from error
        finally:
            store.keep_reserve()
        store.packs.forget()
    done.after = done.before if dry_run else size_on_disk(store)
    return done


def _delete(store: LocalCastore, dead: list[str], left: Iterable[PathInfo]) -> None:
    """Delete the path infos of ``dead`` and everything that none of ``left`` reaches."""
    db = store.db
    _remove_strays(store)
    store.reserve.unlink(missing_ok=True)
    with suppress(sqlite3.Error):  # on a full disk, what the log gives back may be needed
        db.execute("pragma wal_checkpoint(truncate)")
    db.execute("begin immediate")
    try:
        db.executemany("delete from paths where digest = ?", [(_digest_of(path),) for path in dead])
        db.execute("delete from realisations where digest not in (select digest from paths)")
        _sweep(store, left)
        stale = _drop_empty(db)
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise
    _unlink(store, stale)
    with suppress(Full):  # then they stay as they are
        _unlink(store, _repack(store))
    with suppress(sqlite3.OperationalError):  # both need room of their own, which there may not be
        db.execute("pragma wal_checkpoint(truncate)")
        db.execute("vacuum")
        db.execute("pragma wal_checkpoint(truncate)")


def _unlink(store: LocalCastore, names: Iterable[str]) -> None:
    for name in names:
        (store.pack_folder / f"{name}.pack").unlink(missing_ok=True)


def _digest_of(path: str) -> str:
    return path[path.rfind("/") + 1 :][:32]


def _reached(infos: dict[str, PathInfo], start: Iterable[str]) -> set[str]:
    live: set[str] = set()
    pending = list(start)
    while pending:
        path = pending.pop()
        if path not in live and path in infos:
            live.add(path)
            pending += infos[path].references
    return live


def _oldest_first(store: LocalCastore, infos: dict[str, PathInfo], dead: list[str], excess: int) -> list[str]:
    """Of ``dead``, those to delete so that about ``excess`` bytes go: the first added, with what refers to them."""
    added = dict(store.db.execute("select digest, added from paths"))
    users: dict[str, list[str]] = {}
    for path in dead:
        for reference in infos[path].references:
            users.setdefault(reference, []).append(path)
    share = _compression(store)
    chosen: dict[str, None] = {}
    for path in sorted(dead, key=lambda path: (added.get(_digest_of(path), 0), path)):
        if excess <= 0:
            break
        pending = [path]
        while pending:
            here = pending.pop()
            if here not in chosen:
                chosen[here] = None
                excess -= int(infos[here].nar_size * share)
                pending += users.get(here, [])
    return list(chosen)


def _compression(store: LocalCastore) -> float:
    stored, size = store.db.execute("select coalesce(sum(stored), 0), coalesce(sum(size), 0) from blocks").fetchone()
    return stored / size if size else 1.0


def _sweep(store: LocalCastore, infos: Iterable[PathInfo]) -> None:
    db = store.db
    db.execute("create temp table if not exists live (digest blob primary key) without rowid")
    db.execute("delete from live")
    seen: set[bytes] = set()
    blobs: set[bytes] = set()
    pending: list[bytes] = []
    for info in infos:
        if isinstance(info.node, DirectoryNode):
            pending.append(info.node.digest)
        elif isinstance(info.node, FileNode):
            blobs.add(info.node.digest)
    while pending:
        digest = pending.pop()
        if digest in seen:
            continue
        seen.add(digest)
        found = db.execute("select data from directories where digest = ?", (digest,)).fetchone()
        if found is None:
            continue  # damaged: what is below it goes too, it cannot be reached
        for node in nodes.decode_directory(found[0]).entries.values():
            if isinstance(node, DirectoryNode):
                pending.append(node.digest)
            elif isinstance(node, FileNode):
                blobs.add(node.digest)
    db.executemany("insert or ignore into live values (?)", ((digest,) for digest in seen))
    db.execute("delete from directories where digest not in (select digest from live)")
    db.execute("delete from live")
    db.executemany("insert or ignore into live values (?)", ((digest,) for digest in blobs))
    db.execute("delete from blobs where digest not in (select digest from live)")
    for (parts,) in db.execute("select chunks from blobs").fetchall():
        chunks = [parts[at : at + nodes.DIGEST_SIZE] for at in range(0, len(parts), nodes.DIGEST_SIZE)]
        db.executemany("insert or ignore into live values (?)", ((chunk,) for chunk in chunks))
    db.execute("delete from chunks where digest not in (select digest from live)")
    db.execute("delete from blocks where id not in (select block from chunks)")
    db.execute("delete from live")


def _drop_empty(db: sqlite3.Connection) -> list[str]:
    """Forget packs without blocks; answer their names."""
    empty = db.execute("select id, name from packs where id not in (select pack from blocks where pack is not null)")
    rows = empty.fetchall()
    db.executemany("delete from packs where id = ?", [(number,) for number, _ in rows])
    return [name for _, name in rows]


def _repack(store: LocalCastore) -> list[str]:
    """Write packs of which little is left anew, into one; answer the names of those that are not needed any more."""
    db = store.db
    rows = db.execute(
        "select packs.id, name, packs.size, sum(stored) from packs join blocks on pack = packs.id group by packs.id"
    ).fetchall()
    sparse = [(number, name) for number, name, size, wanted in rows if wanted < size * _WANTED_SHARE]
    if not sparse:
        return []
    writer = PackWriter(store.pack_folder)
    moved: list[tuple[int, int]] = []
    try:
        for number, name in sparse:
            with open(store.pack_folder / f"{name}.pack", "rb") as file:
                query = "select id, at, stored from blocks where pack = ? order by at"
                for block, at, stored in db.execute(query, (number,)).fetchall():
                    file.seek(at)
                    moved.append((writer.append(file.read(stored)), block))
        writer.sync()
        db.execute("begin immediate")
        pack = db.execute("insert into packs (name, size) values (?, ?)", (writer.name, writer.size)).lastrowid
        db.executemany("update blocks set pack = ?, at = ? where id = ?", [(pack, at, block) for at, block in moved])
        db.executemany("delete from packs where id = ?", [(number,) for number, _ in sparse])
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        writer.abandon()
        raise
    writer.close()
    return [name for _, name in sparse]


def _remove_strays(store: LocalCastore) -> None:
    """Packs that no entry mentions: those of writers that were killed."""
    known = {name for (name,) in store.db.execute("select name from packs")}
    for path in store.pack_folder.glob("*.pack"):
        if path.stem not in known:
            remove_if_dead(path)
