"""``tvix-store cat``, ``ls``, ``info`` and ``export``: nothing is changed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from store.castore.services import Missing, StoreError
from store.command.output import find, human, say, say_json
from store.composition import open_store
from store.composition.castore_store import CastoreStore
from store.paths.closure import closure
from store.paths.protocol import Entry, Store, Tree
from store.store_path import to_text


def cat(options: argparse.Namespace) -> int:
    """Print a file."""
    with open_store(options.store) as store:
        info, parts = find(store, options.path)
        tree = store.tree(info)
        entry = tree.entry(parts)
        if entry is None:
            raise Missing(f"there is no '{options.path}'")
        if entry.kind == "symlink":
            raise StoreError(f"'{options.path}' is a link to '{to_text(entry.target)}'")
        if entry.kind != "regular":
            raise StoreError(f"'{options.path}' is a folder; list it with: tvix-store ls {options.path}")
        if options.json:
            data = b"".join(tree.read(parts))
            say_json({"path": options.path, "size": len(data), "text": to_text(data)})
            return 0
        for piece in tree.read(parts):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0


def ls(options: argparse.Namespace) -> int:
    """List a folder, or all store paths."""
    with open_store(options.store) as store:
        if options.path is None:
            paths = list(store.paths())
            if options.json:
                say_json(paths)
            else:
                for path in paths:
                    say(path)
            return 0
        info, parts = find(store, options.path)
        tree = store.tree(info)
        entry = tree.entry(parts)
        if entry is None:
            raise Missing(f"there is no '{options.path}'")
        if options.json:
            say_json(_json_entry(tree, parts, entry, depth=-1 if options.recursive else 1))
        elif entry.kind == "directory":
            _print_folder(tree, parts, ".", options)
        else:
            say(_line(to_text(parts[-1] if parts else b"."), entry, options.long))
    return 0


def _print_folder(tree: Tree, parts: list[bytes], shown: str, options: argparse.Namespace) -> None:
    pending = [(parts, shown)]
    while pending:
        here, prefix = pending.pop()
        below = []
        for name in tree.names(here):
            entry = tree.entry([*here, name])
            assert entry is not None
            label = f"{prefix}/{to_text(name)}" if options.recursive else to_text(name)
            say(_line(label, entry, options.long))
            if options.recursive and entry.kind == "directory":
                below.append(([*here, name], label))
        pending += reversed(below)


def _line(name: str, entry: Entry, long: bool) -> str:
    if not long:
        return name
    if entry.kind == "directory":
        return f"dr-xr-xr-x {'-':>14} {name}"
    if entry.kind == "symlink":
        return f"lrwxrwxrwx {'-':>14} {name} -> {to_text(entry.target)}"
    return f"{'-r-xr-xr-x' if entry.executable else '-r--r--r--'} {entry.size:>14} {name}"


def _json_entry(tree: Tree, parts: list[bytes], entry: Entry, depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"type": entry.kind}
    if entry.kind == "regular":
        value["size"] = entry.size
        if entry.executable:
            value["executable"] = True
    elif entry.kind == "symlink":
        value["target"] = to_text(entry.target)
    elif depth:
        entries = {}
        for name in tree.names(parts):
            child = tree.entry([*parts, name])
            assert child is not None
            entries[to_text(name)] = _json_entry(tree, [*parts, name], child, depth - 1)
        value["entries"] = entries
    return value


def info(options: argparse.Namespace) -> int:
    """What is known of paths, or of the store."""
    with open_store(options.store) as store:
        if not options.paths:
            return _about_store(store, options.json)
        infos = [find(store, path)[0] for path in options.paths]
        if options.closure:
            infos = closure(store, [info.path for info in infos])
        made = _outputs(store)
        if options.json:
            say_json([{**info.to_json(), **_noted(made, info.path)} for info in infos])
            return 0
        for info in infos:
            say(info.path)
            say(f"  archive     {human(info.nar_size)}, {info.nar_hash().sri()}")
            if info.ca is not None:
                say(f"  address     {info.ca}")
            if info.deriver is not None:
                say(f"  made by     {info.deriver}")
            for number, reference in enumerate(sorted(info.references)):
                say(f"  {'' if number else 'refers to':<11} {reference}")
            for number, signature in enumerate(info.signatures):
                say(f"  {'' if number else 'signed by':<11} {signature.partition(':')[0]}")
            for number, id in enumerate(made.get(info.path, [])):
                say(f"  {'' if number else 'became of':<11} {id}")
        if options.closure:
            say(f"{len(infos)} paths, {human(sum(info.nar_size for info in infos))}")
    return 0


def _outputs(store: Store) -> dict[str, list[str]]:
    """The ids of the content-addressed outputs that became each path, as far as a store can say."""
    made: dict[str, list[str]] = {}
    if isinstance(store, CastoreStore):
        for known in store.castore.realisations.list():
            made.setdefault(known.path, []).append(known.id)
    return made


def _noted(made: dict[str, list[str]], path: str) -> dict[str, Any]:
    return {"realisations": made[path]} if path in made else {}


def _about_store(store: Store, as_json: bool) -> int:
    from store.backends.local.castore import LocalCastore
    from store.backends.local.collect import size_on_disk

    value: dict[str, Any] = {"store": store.uri, "storeDir": store.store_dir}
    infos = [info for info in map(store.query, store.paths()) if info is not None]
    value["paths"] = len(infos)
    value["narSize"] = sum(info.nar_size for info in infos)
    if isinstance(store, CastoreStore) and isinstance(store.castore, LocalCastore):
        value["sizeOnDisk"] = size_on_disk(store.castore)
    if as_json:
        say_json(value)
        return 0
    say(f"{store.uri}: {value['paths']} paths, {human(value['narSize'])} as archives")
    if "sizeOnDisk" in value:
        say(f"{human(value['sizeOnDisk'])} on disk")
    return 0


def export(options: argparse.Namespace) -> int:
    """Write a path as a NAR."""
    with open_store(options.store) as store:
        info, parts = find(store, options.path)
        if parts:
            raise StoreError(f"only whole store paths are exported: {info.path}")
        if options.output is None:
            if options.json:
                raise StoreError("stdout is for the archive; with --json say --output FILE")
            if sys.stdout.isatty():
                raise StoreError("a NAR is nothing for a terminal: redirect it, or say --output FILE")
            for piece in store.nar(info):
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            with open(options.output, "wb") as file:
                for piece in store.nar(info):
                    file.write(piece)
            if options.json:
                say_json({**info.to_json(), "output": options.output})
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {"cat": cat, "ls": ls, "info": info, "export": export}
