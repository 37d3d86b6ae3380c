"""``tvix-store verify``, ``gc`` and ``roots``: looking after a local store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from store.backends.local.castore import LocalCastore
from store.backends.local.check import repair
from store.backends.local.check import verify as verify_store
from store.backends.local.collect import collect, roots, set_root
from store.castore.services import StoreError
from store.command.output import find, human, parse_size, say, say_json
from store.composition import open_store
from store.composition.castore_store import CastoreStore


@contextmanager
def _local(url: str) -> Iterator[tuple[CastoreStore, LocalCastore]]:
    with open_store(url) as store:
        if not (isinstance(store, CastoreStore) and isinstance(store.castore, LocalCastore)):
            raise StoreError(f"this is for local stores, not for {store.uri}")
        yield store, store.castore


def verify(options: argparse.Namespace) -> int:
    """Read everything again; exit status 1 when something is (still) damaged."""
    if options.repair and not options.source:
        raise StoreError("--repair needs another store to take from: --from https://cache.nixos.org")
    with _local(options.store) as (_, castore):
        report = verify_store(castore)
        damaged = bool(report.problems)
        if damaged and options.repair:
            if not options.json:
                for problem in report.problems:
                    print(f"tvix-store: {problem}", file=sys.stderr)
            found = report
            found.problems = []
            with open_store(options.source) as other:
                repair(castore, found, other)
            failed = found.problems
            report = verify_store(castore)
            report.repaired = found.repaired
            report.problems = failed + report.problems
            damaged = bool(report.problems)
    if options.json:
        say_json(report.to_json())
        return 1 if damaged else 0
    for path in report.repaired:
        say(f"repaired {path}")
    for problem in report.problems:
        print(f"tvix-store: {problem}", file=sys.stderr)
    counts = f"{report.paths} paths, {report.directories} directories, {report.chunks} blobs and chunks"
    if not damaged:
        say(f"{counts}: all as it should be")
        return 0
    say(f"{counts}: {len(set(report.bad_paths))} paths are damaged")
    if not options.repair:
        print("tvix-store: bring them back with: tvix-store verify --repair --from URL", file=sys.stderr)
    return 1


def gc(options: argparse.Namespace) -> int:
    """Delete what nothing needs."""
    target = parse_size(options.max_size) if options.max_size else None
    with _local(options.store) as (store, castore):
        more = [find(store, path)[0].path for path in options.root]
        if not more and not roots(castore) and target is None and not options.all and not options.dry_run:
            raise StoreError(
                "there are no roots, so everything would go. Keep something (tvix-store roots --set NAME=PATH,"
                " gc --root PATH, gc --max-size 20G), or say --all"
            )
        done = collect(castore, more, target=target, dry_run=options.dry_run)
    if options.json:
        say_json(done.to_json())
        return 0
    for path in done.deleted:
        say(path)
    verb = "would delete" if options.dry_run else "deleted"
    freed = "" if options.dry_run else f", {human(done.before)} -> {human(done.after)}"
    print(f"{verb} {len(done.deleted)} paths, kept {done.kept}{freed}", file=sys.stderr)
    return 0


def show_roots(options: argparse.Namespace) -> int:
    """List, set and remove roots."""
    with _local(options.store) as (store, castore):
        for text in options.wanted:
            name, equals, path = text.partition("=")
            if not equals or not name:
                raise StoreError(f"a root is set with NAME=PATH, not '{text}'")
            set_root(castore, name, find(store, path)[0].path)
        for name in options.remove:
            set_root(castore, name, None)
        found = roots(castore)
    if options.json:
        say_json(found)
    else:
        for name, path in found.items():
            say(f"{name} {path}")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {"verify": verify, "gc": gc, "roots": show_roots}
