"""The kinds of inputs that flakes and ``fetchTree`` have, and how each becomes a tree.

A folder or a working tree of this machine is not copied: its files are read where they are, under the store path that
they would have. All else goes to the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from evaluator.builtins.control import say
from evaluator.fetching import Tree
from evaluator.runtime.errors import EvalError, UnexpectedHash
from store import store_path
from store.hashes import Hash, HashError, parse

if TYPE_CHECKING:
    from builder.fetch.worktree import Worktree
    from evaluator.flakes.means import Means
    from evaluator.session import Session

_UNSAID = frozenset(["narHash", "lastModified", "exportIgnore", "revCount"])


def is_pinned(items: dict[str, object]) -> bool:
    """Whether an input can only ever be one thing."""
    return "narHash" in items or ("rev" in items and items.get("type") not in ("path", "indirect"))


def describe(items: dict[str, object]) -> str:
    """What an input is called in messages."""
    from evaluator.builtins.flake_refs import ref_to_text

    if items.get("type") in ("download", "unpacked", "closure"):
        return text_of(items, "url")
    try:
        return ref_to_text({name: value for name, value in items.items() if name not in _UNSAID})
    except EvalError:
        return str(items.get("url") or items.get("path") or items.get("type"))


def text_of(items: dict[str, object], name: str) -> str:
    """An attribute of an input that is a string; empty where there is none."""
    value = items.get(name)
    return value if isinstance(value, str) else ""


def fetch_input(session: Session, means: Means, items: dict[str, object]) -> Tree:
    """What an input gives now, whose kind is its ``type``.

    Raises EvalError for a kind that does not exist, and where the tree is not the one that was pinned; FetchError,
    StoreError or OSError where it cannot be had.
    """
    kind = str(items.get("type"))
    if kind == "path":
        return _path(session, items)
    if kind == "git":
        return _git(session, means, items)
    if kind == "hg":
        return _hg(means, items)
    if kind in ("tarball", "file"):
        return _archive(means, items, kind == "tarball")
    if kind in ("github", "gitlab", "sourcehut"):
        return _forge(means, items, kind)
    raise EvalError(f"input type '{kind}' is unsupported")


def _path(session: Session, items: dict[str, object]) -> Tree:
    path = text_of(items, "path")
    if not path.startswith("/"):
        raise EvalError(f"cannot fetch input 'path:{path}' because it uses a relative path")
    files = session.files
    if is_pinned(items):
        files.admit(path)
    if not files.exists(path):
        raise EvalError(f"path '{path}' does not exist")
    at = files.origin(path)
    # A folder of a tree has what the tree has: without what was left out there.
    whole = store_path.split(path)[0] if path.startswith(store_path.STORE_DIR + "/") else ""
    copy = files.copy(whole) if whole else None
    keep = None if copy is None or not copy.left_out else _others(copy.left_out)
    stored, digest = _copied(session, at, text_of(items, "name") or "source", keep, at)
    modified = items.get("lastModified")
    if not isinstance(modified, int):
        modified = 1 if path.startswith(store_path.STORE_DIR + "/") else _newest(at)
    return _checked(stored, digest, {**items, "lastModified": modified}, modified)


def _git(session: Session, means: Means, items: dict[str, object]) -> Tree:
    from builder.fetch.git import GitSource, fetch_git
    from builder.fetch.transfer import is_local, local_path
    from builder.fetch.worktree import worktree
    from evaluator.flakes.reference import plain_address

    url = plain_address(text_of(items, "url"))
    submodules = items.get("submodules") is True
    export_ignore = items.get("exportIgnore") is True
    name = text_of(items, "name") or "source"
    if is_local(url) and "ref" not in items and "rev" not in items:
        top = str(local_path(url.partition("?")[0]))
        found = worktree(top, means.limits(), submodules=submodules, export_ignore=export_ignore)
        if found is not None:
            return _worktree(session, means, items, found, name)
    source = GitSource(
        url=url,
        ref=text_of(items, "ref"),
        rev=text_of(items, "rev"),
        shallow=items.get("shallow") is True,
        submodules=submodules,
        all_refs=items.get("allRefs") is True,
        export_ignore=export_ignore,
        name=name,
    )
    fetched = fetch_git(means.store(), source, _expected(items), means.limits())
    locked = {**items, "rev": fetched.rev, "lastModified": fetched.last_modified}
    if fetched.ref:
        locked["ref"] = fetched.ref
    if fetched.rev_count is not None:
        locked["revCount"] = fetched.rev_count
    return _checked(fetched.info.path, fetched.info.nar_sha256, locked, fetched.last_modified)


def _worktree(session: Session, means: Means, items: dict[str, object], found: Worktree, name: str) -> Tree:
    if found.dirty:
        if not means.settings().allow_dirty:
            raise EvalError(f"Git tree '{found.path}' is dirty: commit its changes, or allow it with --allow-dirty")
        if means.settings().warn_dirty:
            say(session, f"warning: Git tree '{found.path}' is dirty")
    stored, digest = _copied(session, found.path, name, found.keeps, found.path)
    session.files.add_worktree(stored, found.path)
    locked = {**items, "lastModified": found.last_modified}
    if not found.dirty:
        locked |= {"rev": found.head, "ref": found.ref}
        if items.get("shallow") is not True:
            if found.shallow:
                raise EvalError(
                    f"'{found.path}' is a shallow Git repository, but a non-shallow repository is needed; say"
                    " 'shallow = true', or fetch its history with 'git fetch --unshallow'"
                )
            locked["revCount"] = found.rev_count(means.limits())
    dirty = found.head if found.dirty else ""
    return _checked(stored, digest, locked, found.last_modified, dirty)


def _hg(means: Means, items: dict[str, object]) -> Tree:
    from builder.fetch.mercurial import fetch_mercurial

    rev = text_of(items, "rev") or text_of(items, "ref")
    name = text_of(items, "name") or "source"
    url = text_of(items, "url")
    fetched = fetch_mercurial(means.store(), url, rev, name, _expected(items), means.limits())
    locked = {**items, "rev": fetched.rev, "revCount": fetched.rev_count, "branch": fetched.branch}
    return _checked(fetched.info.path, fetched.info.nar_sha256, locked)


def _archive(means: Means, items: dict[str, object], unpack: bool) -> Tree:
    from builder.fetch.url import fetch_file, fetch_tarball
    from evaluator.flakes.reference import plain_address

    url = plain_address(text_of(items, "url"))
    name = text_of(items, "name") or "source"
    store = means.store()
    if unpack:
        fetched = fetch_tarball(store, url, name, _expected(items), means.limits(), dated=True)
    else:
        # What pins it is the hash of its archive, not of its contents.
        fetched = fetch_file(store, url, name, None, means.limits())
    locked = {**items, **({"url": fetched.immutable} if fetched.immutable else {})}
    modified = -1 if fetched.last_modified is None else fetched.last_modified
    return _checked(fetched.info.path, fetched.info.nar_sha256, locked, modified)


def _forge(means: Means, items: dict[str, object], kind: str) -> Tree:
    from builder.fetch.memory import Memory
    from builder.fetch.url import fetch_tarball
    from evaluator.flakes import forges

    texts = {name: value for name, value in items.items() if isinstance(value, str)}
    if "rev" not in texts:
        memory = Memory(means.limits().folder)
        key = {"kind": kind, **{name: texts.get(name, "") for name in ("host", "owner", "repo", "ref")}}
        known = memory.recall(**key)
        if known is not None and (known[1] < means.limits().ttl or not means.network):
            texts["rev"] = known[0]["rev"]
        else:
            texts["rev"] = forges.newest(kind, texts, means.limits())
            memory.remember({"rev": texts["rev"]}, **key)
    url = forges.archive(kind, texts, means.limits().tokens)
    fetched = fetch_tarball(means.store(), url, "source", _expected(items), means.limits(), dated=True)
    modified = -1 if fetched.last_modified is None else fetched.last_modified
    locked = {**items, "rev": texts["rev"], "lastModified": modified}
    locked.pop("ref", None)
    return _checked(fetched.info.path, fetched.info.nar_sha256, locked, modified)


def _copied(
    session: Session, origin: str, name: str, keep: Callable[[str, str], bool] | None, shown: str
) -> tuple[str, bytes]:
    """The store path that a tree of this machine gets, which reads as the tree itself; and its NAR's hash."""
    files = session.files
    files.admit(origin)
    left_out: set[str] = set()

    def asked(path: str, kind: str) -> bool:
        if keep is None or keep(path, kind):
            return True
        left_out.add(path)
        return False

    try:
        digest = files.nar_sha256(origin) if keep is None else files.sieved_sha256(origin, asked)
        stored = store_path.source_path(name, digest.hex())
    except OSError as error:
        raise EvalError(f"reading '{shown}': {error.strerror}") from None
    except ValueError as error:
        raise EvalError(str(error)) from None
    files.add_copy(stored, origin, left_out)
    return stored, digest


def _others(left_out: set[str]) -> Callable[[str, str], bool]:
    def keep(path: str, kind: str) -> bool:
        return path not in left_out

    return keep


def _newest(path: str) -> int:
    """When something in a file or tree was last changed, in seconds."""
    found = os.lstat(path).st_mtime
    for directory, folders, names in os.walk(path):
        for name in (*folders, *names):
            found = max(found, os.lstat(os.path.join(directory, name)).st_mtime)
    return int(found)


def _checked(path: str, digest: bytes, items: dict[str, object], modified: int = -1, dirty: str = "") -> Tree:
    """A tree, if it is the one that was pinned. Raises EvalError."""
    got = Hash("sha256", digest)
    wanted = _expected(items)
    if wanted is not None and wanted != got:
        raise UnexpectedHash(
            f"NAR hash mismatch in input '{describe(items)}':\n  specified: {wanted.sri()}\n  got:       {got.sri()}\n"
            "if the change is meant, lock it anew"
        )
    locked = {name: value for name, value in items.items() if name not in ("name", "__final")}
    locked["narHash"] = got.sri()
    return Tree(path, got.sri(), locked, modified, dirty)


def _expected(items: dict[str, object]) -> Hash | None:
    given = text_of(items, "narHash")
    if not given:
        return None
    try:
        return parse(given, "sha256")
    except HashError as error:
        raise EvalError(str(error)) from None
