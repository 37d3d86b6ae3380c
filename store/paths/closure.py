"""Closures: what a path refers to, and copying it all from one store into another."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from store.castore.background import ahead
from store.castore.path_info import PathInfo
from store.castore.services import Missing, Refused
from store.paths.archives import PiecesSource
from store.paths.protocol import Store, Taking, Unverified
from store.records import dataclass, field

if TYPE_CHECKING:
    from concurrent.futures import Future


def closure(store: Store, paths: Iterable[str]) -> list[PathInfo]:
    """``paths`` and all that they refer to, references before what refers to them. Raises :class:`Missing`."""
    infos: dict[str, PathInfo] = {}
    ordered: list[PathInfo] = []
    stack: list[tuple[str, bool]] = [(path, False) for path in sorted(set(paths), reverse=True)]
    while stack:
        path, done = stack.pop()
        if done:
            ordered.append(infos[path])
            continue
        if path in infos:
            continue
        info = store.query(path)
        if info is None:
            raise Missing(f"path '{path}' is not in {store.uri}")
        infos[path] = info
        stack.append((path, True))
        stack += [(reference, False) for reference in sorted(info.references, reverse=True) if reference not in infos]
    return ordered


@dataclass
class Progress:
    """How far copying is. ``total`` and ``size`` count what is to be copied, ``done`` and ``bytes`` what was."""

    total: int = 0
    size: int = 0
    done: int = 0
    bytes: int = 0
    skipped: int = 0
    copied: list[str] = field(default_factory=list)


def copy(
    source: Store,
    target: Store,
    paths: Iterable[str],
    *,
    jobs: int = 4,
    closed: bool = True,
    on_progress: Callable[[Progress], None] | None = None,
) -> Progress:
    """Copy ``paths`` (``closed``: and all that they refer to) from ``source`` into ``target``.

    What ``target`` has is passed over, so that a copy that broke off goes on where it was. Up to ``jobs`` objects are
    under way at once; each only after all that it refers to, so that ``target`` is closed at every moment. The first
    failure ends it, after what was under way.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait  # slow to load; closures need none of it

    progress = Progress()
    wanted: list[PathInfo] = []
    for info in closure(source, paths) if closed else [_known(source, path) for path in paths]:
        if target.query(info.path) is None:
            wanted.append(info)
        else:
            progress.skipped += 1
    progress.total = len(wanted)
    progress.size = sum(info.nar_size for info in wanted)
    waiting = {info.path: info for info in wanted}
    left: dict[str, int] = {}  # how many of its references are still to come
    users: dict[str, list[str]] = {}
    for info in wanted:
        needed = [path for path in set(info.references) if path in waiting and path != info.path]
        left[info.path] = len(needed)
        for path in needed:
            users.setdefault(path, []).append(info.path)
    ready = deque(path for path in waiting if not left[path])
    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="copy") as pool:
        running: dict[Future[PathInfo], str] = {}
        try:
            while ready or running:
                while ready and len(running) < 2 * jobs:
                    path = ready.popleft()
                    running[pool.submit(_copy_one, source, target, waiting[path])] = path
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    path = running.pop(future)
                    info = future.result()
                    progress.done += 1
                    progress.bytes += info.nar_size
                    progress.copied.append(path)
                    for user in users.get(path, ()):
                        left[user] -= 1
                        if not left[user]:
                            ready.append(user)
                    if on_progress is not None:
                        on_progress(progress)
        except BaseException:
            for future in running:
                future.cancel()
            raise
    return progress


def _known(store: Store, path: str) -> PathInfo:
    info = store.query(path)
    if info is None:
        raise Missing(f"path '{path}' is not in {store.uri}")
    return info


def _copy_one(source: Store, target: Store, info: PathInfo) -> PathInfo:
    taken = target.take(info, source) if isinstance(target, Taking) else None
    if taken is not None:
        return taken
    # Whoever adds an archive checks it: once is enough.
    pieces = source.unverified_nar(info) if isinstance(source, Unverified) else source.nar(info)
    with closing(ahead(pieces)) as coming:
        try:
            return target.add(info.with_node(None), PiecesSource(coming).read)
        except Refused as error:
            raise Refused(f"copying from {source.uri}: {error}") from error
