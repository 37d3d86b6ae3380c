"""``tvix-store add``, ``import``, ``copy`` and ``key``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from store.backends.local.castore import LocalCastore
from store.backends.local.collect import set_root
from store.castore.path_info import PathInfo
from store.castore.services import StoreError
from store.command.output import find, human, say, say_json
from store.composition import open_store
from store.composition.castore_store import CastoreStore
from store.nar import nar_pieces, nar_sha256
from store.paths.addresses import ca_of_source
from store.paths.archives import PiecesSource
from store.paths.closure import Progress
from store.paths.closure import copy as copy_closure
from store.paths.protocol import KnowsRealisations, Store
from store.signatures import SecretKey
from store.store_path import source_path


def add(options: argparse.Namespace) -> int:
    """Add files and trees."""
    if options.name is not None and len(options.paths) > 1:
        raise StoreError("--name names one path; add them one by one")
    infos = []
    with open_store(options.store) as store:
        for path in options.paths:
            info = _add_one(store, path, options.name, options.flat)
            infos.append(info)
            _root(store, options.root, info.path)
            if not options.json:
                say(info.path)
    if options.json:
        say_json([info.to_json() for info in infos])
    return 0


def _add_one(store: Store, path: str, name: str | None, flat: str | None) -> PathInfo:
    name = name or os.path.basename(os.path.abspath(path))
    if isinstance(store, CastoreStore):
        return store.add_path(path, name, flat=flat)
    if flat is not None:
        raise StoreError(f"--flat is not for {store.uri}: add it to a local store and copy it from there")
    digest = nar_sha256(path)
    place = source_path(name, digest.hex(), store_dir=store.store_dir)
    size = sum(map(len, nar_pieces(path)))
    return store.add(PathInfo(place, digest, size, ca=ca_of_source(digest)), PiecesSource(nar_pieces(path)).read)


def import_nar(options: argparse.Namespace) -> int:
    """Add a NAR."""
    with open_store(options.store) as store:
        if not isinstance(store, CastoreStore):
            raise StoreError(f"import it to a local store and copy it to {store.uri} from there")
        if options.file is None:
            if sys.stdin.isatty():
                raise StoreError("a NAR is expected on stdin: nix-store --dump PATH | tvix-store import --name NAME")
            with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stdin:
                info = store.import_nar(options.name, stdin.read, options.reference)
        else:
            with open(options.file, "rb", buffering=0) as file:
                info = store.import_nar(options.name, file.read, options.reference)
        _root(store, options.root, info.path)
    if options.json:
        say_json(info.to_json())
    else:
        say(info.path)
    return 0


def copy(options: argparse.Namespace) -> int:
    """Copy closures."""
    source_url = options.source or options.store
    target_url = options.target or options.store
    if source_url == target_url:
        raise StoreError(f"from {source_url} to {target_url}: say --from URL or --to URL")
    if bool(options.paths) == options.all:
        raise StoreError("say which paths to copy, or --all")
    with open_store(source_url) as source, open_store(target_url) as target:
        paths = list(source.paths()) if options.all else [find(source, path)[0].path for path in options.paths]
        with _bar(options.quiet or options.json or not sys.stderr.isatty()) as on_progress:
            progress = copy_closure(
                source,
                target,
                paths,
                jobs=options.jobs,
                closed=not options.no_closure,
                on_progress=on_progress,
            )
        _copy_realisations(source, target)
    if options.json:
        say_json({"copied": progress.copied, "bytes": progress.bytes, "alreadyThere": progress.skipped})
    elif not options.quiet:
        print(f"copied {progress.done} paths ({human(progress.bytes)}), {progress.skipped} were there", file=sys.stderr)
    return 0


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    if quiet:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("copying", total=None)

        def on_progress(progress: Progress) -> None:
            label = f"{progress.done} of {progress.total} paths"
            bar.update(task, total=progress.size, completed=progress.bytes, description=label)

        yield on_progress


def key(options: argparse.Namespace) -> int:
    """Make a key, or print a public one."""
    if (options.name is None) == (options.public is None):
        raise StoreError("say the new key's NAME, or --public FILE")
    secret = SecretKey(Path(options.public).read_text()) if options.public else SecretKey.generate(options.name)
    public = secret.public().to_text()
    if options.json:
        say_json({"public": public} if options.public else {"secret": secret.to_text(), "public": public})
    elif options.public:
        say(public)
    else:
        say(secret.to_text())
        print(f"public key: {public}", file=sys.stderr)
    return 0


def _root(store: Store, name: str | None, path: str) -> None:
    if name is None:
        return
    if not (isinstance(store, CastoreStore) and isinstance(store.castore, LocalCastore)):
        raise StoreError(f"--root is for local stores, not for {store.uri}")
    set_root(store.castore, name, path)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "add": add,
    "import": import_nar,
    "copy": copy,
    "key": key,
}


def _copy_realisations(source: Store, target: Store) -> int:
    """Tell ``target`` which outputs became what it has, as far as ``source`` can list it; how many it did not know."""
    told = 0
    if isinstance(source, CastoreStore) and isinstance(target, KnowsRealisations):
        for known in source.castore.realisations.list():
            if target.query(known.path) is not None and target.realisation(known.id) is None:
                target.put_realisation(known)
                told += 1
    return told
