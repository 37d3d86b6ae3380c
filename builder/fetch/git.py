"""Revisions of Git repositories.

What is on this machine is read where it is; what is elsewhere is fetched into a bare repository in the user's cache
folder, one for each address. Contents are read as they are in the repository, not as a checkout would change them (end
of lines, LFS, ``$Format$``), straight into the castore.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from builder.fetch.failure import FetchError
from builder.fetch.git_command import git, git_status, plain_url, running, said, without_filters
from builder.fetch.keeping import keep, output_path
from builder.fetch.limits import Limits
from builder.fetch.memory import Memory
from builder.fetch.transfer import is_local
from builder.fetch.tree import Folder, keep_folder
from store.castore.nodes import FileNode, Node, SymlinkNode
from store.castore.path_info import PathInfo
from store.chunking import WHOLE
from store.composition.castore_store import CastoreStore
from store.hashes import Hash

_PIECE = 1 << 18
_MOST_NESTED = 20  # submodules in submodules
REVISION = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"(?!-|.*(?:\.\.|@\{|//|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])")


@dataclass(frozen=True)
class GitSource:
    """What is wanted of a repository. Without ``rev`` what ``ref`` is now; without ``ref`` the default branch.

    ``all_refs``: ``rev`` may be on any branch or tag. ``shallow``: the history does not matter. ``export_ignore``:
    leave out what ``.gitattributes`` says so of.
    """

    url: str
    ref: str = ""
    rev: str = ""
    shallow: bool = False
    submodules: bool = False
    all_refs: bool = False
    export_ignore: bool = True
    name: str = "source"


@dataclass(frozen=True)
class GitFetched:
    """A revision in the store. ``ref``: the branch it was found on (empty where only ``rev`` was given)."""

    info: PathInfo
    rev: str
    ref: str
    rev_count: int | None
    last_modified: int


def fetch_git(
    store: CastoreStore, source: GitSource, expected: Hash | None = None, limits: Limits | None = None
) -> GitFetched:
    """The tree of a revision; ``expected`` is its NAR's hash. Raises FetchError."""
    bounds = limits or Limits()
    check_source(source)
    memory = Memory(bounds.folder)
    if not source.rev:
        rev, ref = _newest(source, memory, bounds)
        source = replace(source, rev=rev, ref=ref)
    key = {
        "kind": "git",
        "rev": source.rev,
        "name": source.name,
        "shallow": source.shallow,
        "submodules": source.submodules,
        "export_ignore": source.export_ignore,
        "store": store.uri,
        # What a submodule's relative address means depends on that of the repository.
        "url": source.url if source.submodules else "",
    }
    known = memory.recall(**key)
    if known is not None:
        info = store.query(known[0]["path"])
        if info is not None and (expected is None or info.path == _path(store, source, expected)):
            return GitFetched(info, source.rev, source.ref, known[0]["rev_count"], known[0]["last_modified"])
    with store.transaction(), _repository(source, bounds) as repository:
        what = _what(source)
        rev = source.rev
        dated = git(repository, "log", "-1", "--format=%ct", "--no-show-signature", rev, limits=bounds, what=what)
        count: int | None = None
        if not source.shallow:
            _refuse_shallow(repository, source, bounds)
            count = int(git(repository, "rev-list", "--count", rev, limits=bounds, what=what))
        node = keep_folder(_Reading(store, bounds).tree(repository, source, 0), store.castore)
        info = keep(store, f"{source.url}?rev={rev}", source.name, node, expected)
    value = {"path": info.path, "rev_count": count, "last_modified": int(dated)}
    memory.remember(value, **key)
    return GitFetched(info, rev, source.ref, count, int(dated))


def check_source(source: GitSource) -> None:
    """Refuses what git could take for something else. Raises FetchError."""
    if source.rev and not REVISION.fullmatch(source.rev):
        raise FetchError(f"'{source.rev}' is no Git revision: write its 40 hexadecimal digits, or 'ref' for a branch")
    if source.ref and not _REF.fullmatch(source.ref):
        raise FetchError(f"'{source.ref}' is no possible name of a Git branch or tag")
    plain_url(source.url)


def head_ref(folder: str, limits: Limits) -> str:
    """The branch that is checked out in a repository of this machine; ``HEAD`` when there is none."""
    code, out, _ = git_status(folder, "symbolic-ref", "--short", "-q", "HEAD", limits=limits)
    return out.decode("utf-8", "surrogateescape").strip() if code == 0 else "HEAD"


def _what(source: GitSource) -> str:
    return f"cannot fetch the Git repository '{source.url}'"


def _path(store: CastoreStore, source: GitSource, expected: Hash) -> str:
    return output_path(store, source.url, source.name, True, expected)


# --- which revision ----------------------------------------------------------------------------------


def _newest(source: GitSource, memory: Memory, limits: Limits) -> tuple[str, str]:
    """The revision that a branch or tag is at, and its name."""
    url = plain_url(source.url)
    if is_local(source.url):
        ref = source.ref or head_ref(url, limits)
        code, out, err = git_status(url, "rev-parse", "--verify", "-q", f"{ref}^{{commit}}", limits=limits)
        if code != 0:
            raise _no_ref(source, ref, err)
        return out.decode().strip(), ref
    key = {"kind": "git-ref", "url": source.url, "ref": source.ref}
    known = memory.recall(**key)
    if known is not None and (known[1] < limits.ttl or not limits.network):
        return known[0]["rev"], known[0]["ref"]
    limits.require_network(source.url)
    rev, ref = _asked(source, url, limits)
    memory.remember({"rev": rev, "ref": ref}, **key)
    return rev, ref


def _asked(source: GitSource, url: str, limits: Limits) -> tuple[str, str]:
    """What the server says that a ref is at; without a ref its default branch."""
    wanted = source.ref or "HEAD"
    patterns = [wanted] if wanted.startswith("refs/") or wanted == "HEAD" else [f"refs/heads/{wanted}", wanted]
    out = git("/", "ls-remote", "--symref", "--", url, *patterns, limits=limits, what=_what(source), remote=True)
    found: dict[str, str] = {}
    branch = ""
    for line in out.decode("utf-8", "surrogateescape").splitlines():
        left, _, name = line.partition("\t")
        if left.startswith("ref: ") and name == "HEAD":
            branch = left.removeprefix("ref: ").removeprefix("refs/heads/")
        else:
            found[name] = left
    for name in (wanted, f"refs/heads/{wanted}", f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}", *found):
        if REVISION.fullmatch(found.get(name, "")):
            return found[name], source.ref or branch or "HEAD"
    raise _no_ref(source, wanted, "")


def _no_ref(source: GitSource, ref: str, err: str) -> FetchError:
    why = f": {said(err)}" if err else ""
    return FetchError(f"{_what(source)}: it has no branch or tag '{ref}', or no commit on it{why}")


# --- repositories ------------------------------------------------------------------------------------


@contextmanager
def _repository(source: GitSource, limits: Limits) -> Iterator[str]:
    """A repository of this machine that has the revision of ``source``."""
    url = plain_url(source.url)
    if is_local(source.url):
        if not _has(url, source.rev, limits):
            raise _no_revision(source)
        yield url
        return
    import fcntl

    stem = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    folder = limits.folder / "git" / (stem + ("-shallow" if source.shallow else ""))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "HEAD").exists():
            git(str(folder), "init", "-q", "--bare", limits=limits, what=_what(source))
        if not _has(str(folder), source.rev, limits):
            limits.require_network(source.url)
            _fetch(str(folder), url, source, limits)
        yield str(folder)


def _has(repository: str, rev: str, limits: Limits) -> bool:
    code, _, err = git_status(repository, "cat-file", "-e", f"{rev}^{{commit}}", limits=limits)
    if code != 0 and ("not a git repository" in err or "dubious ownership" in err or "cannot change to" in err):
        raise FetchError(f"cannot read the Git repository '{repository}': {said(err)}")
    return code == 0


def _fetch(repository: str, url: str, source: GitSource, limits: Limits) -> None:
    depth = ["--depth=1"] if source.shallow else []
    words = ["fetch", "--quiet", "--force", "--no-tags", *depth, "--", url]
    wishes: list[str] = []
    if source.all_refs:
        wishes.append("+refs/*:refs/*")
    else:
        # Most servers answer a wish for a revision; where one does not, its branch is asked for.
        wishes.append(f"{source.rev}:refs/tvix/{source.rev}")
        if source.ref.startswith("refs/"):
            wishes.append(f"+{source.ref}:{source.ref}")
        elif source.ref and source.ref != "HEAD":
            wishes += [f"+refs/heads/{source.ref}:refs/heads/{source.ref}", f"+{source.ref}:refs/tvix/{source.ref}"]
        else:
            wishes.append("+HEAD:refs/tvix/HEAD")
    err = ""
    for wish in wishes:
        code, _, err = git_status(repository, *words, wish, limits=limits, remote=True)
        if code == 0 and _has(repository, source.rev, limits):
            return
        if code == 0:
            err = ""
    if err:
        raise FetchError(f"{_what(source)}: {said(err)}")
    raise _no_revision(source)


def _no_revision(source: GitSource) -> FetchError:
    where = f" on '{source.ref}'" if source.ref else ""
    return FetchError(
        f"{_what(source)}: it has no revision '{source.rev}'{where}; say the 'ref' that it is on, or 'allRefs = true'"
    )


def _refuse_shallow(repository: str, source: GitSource, limits: Limits) -> None:
    out = git(repository, "rev-parse", "--is-shallow-repository", limits=limits, what=_what(source))
    if out.strip() == b"true":
        raise FetchError(
            f"'{source.url}' is a shallow Git repository, but a non-shallow repository is needed; "
            "say 'shallow = true', or fetch its history with 'git fetch --unshallow'"
        )


# --- trees -------------------------------------------------------------------------------------------


class _Reading:
    """Reads trees out of repositories."""

    def __init__(self, store: CastoreStore, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._known: dict[bytes, tuple[bytes, int]] = {}

    def tree(self, repository: str, source: GitSource, depth: int) -> Folder:
        what = _what(source)
        listing = git(
            repository, "ls-tree", "-r", "-t", "-z", "--full-tree", source.rev, limits=self._limits, what=what
        )
        rows: list[tuple[bytes, bytes, list[bytes]]] = []
        attributed = False
        for line in listing.split(b"\0"):
            if line:
                head, _, path = line.partition(b"\t")
                mode, _, name = head.split(b" ")
                parts = path.split(b"/")
                attributed = attributed or parts[-1] == b".gitattributes"
                rows.append((mode, name, parts))
        if source.export_ignore and attributed:
            exported = self._exported(repository, source)
            rows = [row for row in rows if b"/".join(row[2]) in exported]
        blobs = [name for mode, name, _ in rows if mode in (b"100644", b"100755", b"100664", b"120000")]
        self._take(repository, source, blobs, {name for mode, name, _ in rows if mode == b"120000"})
        addresses: dict[bytes, str] | None = None
        root = Folder()
        for mode, name, parts in rows:
            here = root
            for part in parts[:-1]:
                inner = here.entries[part]
                assert isinstance(inner, Folder)
                here = inner
            found: Folder | Node
            if mode == b"040000":
                found = Folder()
            elif mode == b"160000":
                found = Folder()
                if source.submodules:
                    if addresses is None:
                        addresses = self._addresses(repository, source)
                    found = self._submodule(source, b"/".join(parts), name.decode(), addresses, depth)
            elif mode == b"120000":
                found = SymlinkNode(self._links[name])
            else:
                digest, size = self._known[name]
                found = FileNode(digest, size, mode == b"100755")
            here.entries[parts[-1]] = found
        return root

    def _take(self, repository: str, source: GitSource, names: list[bytes], links: set[bytes]) -> None:
        """Takes blobs into the castore; targets of links are kept as they are."""
        self._links: dict[bytes, bytes] = {}
        wanted = [name for name in dict.fromkeys(names) if name not in self._known or name in links]
        blobs = self._store.castore.blobs
        with running(repository, "cat-file", "--batch", "--buffer") as process:
            out, to = process.stdout, process.stdin
            assert out is not None and to is not None

            def ask(to: IO[bytes] = to) -> None:
                try:
                    to.write(b"".join(name + b"\n" for name in wanted))
                    to.close()
                except OSError:
                    pass  # it ended early, which the reading side sees

            asking = threading.Thread(target=ask, daemon=True)
            asking.start()
            for name in wanted:
                self._limits.check()
                head = out.readline().split()
                if len(head) != 3 or head[1] != b"blob":
                    raise FetchError(f"{_what(source)}: its object {name.decode()} is missing or broken")
                size = int(head[2])
                if size <= WHOLE or name in links:
                    data = out.read(size)
                    found = (blobs.put_whole(data), len(data))
                    if name in links:
                        self._links[name] = data
                else:
                    found = blobs.put(_pieces(out, size))
                if found[1] != size or out.read(1) != b"\n":
                    raise FetchError(f"{_what(source)}: git ended in the middle of {name.decode()}")
                self._known[name] = found
            asking.join()

    def _exported(self, repository: str, source: GitSource) -> set[bytes]:
        """The paths that are not marked ``export-ignore``."""
        found: set[bytes] = set()
        settings = without_filters(repository, self._limits)  # it is for the names only, yet git reads contents, too
        with running(repository, "archive", "--format=tar", source.rev, settings=settings) as process:
            assert process.stdout is not None
            with tarfile.open(fileobj=process.stdout, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
                for entry in archive:
                    found.add(entry.name.rstrip("/").encode("utf-8", "surrogateescape"))
        return found

    def _addresses(self, repository: str, source: GitSource) -> dict[bytes, str]:
        """The addresses of submodules by their paths."""
        blob = f"{source.rev}:.gitmodules"
        code, out, _ = git_status(repository, "config", "--blob", blob, "--list", "-z", limits=self._limits)
        values: dict[str, dict[str, bytes]] = {}
        for item in out.split(b"\0") if code == 0 else ():
            key, _, value = item.partition(b"\n")
            name, _, variable = key.decode("utf-8", "surrogateescape").rpartition(".")
            values.setdefault(name, {})[variable] = value
        return {
            each["path"].rstrip(b"/"): each["url"].decode("utf-8", "surrogateescape")
            for each in values.values()
            if "path" in each and "url" in each
        }

    def _submodule(self, source: GitSource, path: bytes, rev: str, addresses: dict[bytes, str], depth: int) -> Folder:
        shown = path.decode("utf-8", "replace")
        if depth >= _MOST_NESTED:
            raise FetchError(f"{_what(source)}: its submodules are more than {_MOST_NESTED} deep, at '{shown}'")
        if path not in addresses:
            raise FetchError(f"{_what(source)}: its '.gitmodules' does not say where the submodule '{shown}' is from")
        if not is_local(source.url) and is_local(resolved(source.url, addresses[path])):
            raise FetchError(
                f"{_what(source)}: its submodule '{shown}' is to come from '{addresses[path]}', which is on this"
                " machine; a repository from elsewhere may not name it"
            )
        inner = replace(source, url=resolved(source.url, addresses[path]), ref="", rev=rev, all_refs=False)
        links = self._links
        try:
            check_source(inner)
            with _repository(inner, self._limits) as repository:
                return self.tree(repository, inner, depth + 1)
        except FetchError as error:
            raise FetchError(f"{error} (the submodule '{shown}' of '{source.url}')") from None
        finally:
            self._links = links


def resolved(base: str, url: str) -> str:
    """The address of a submodule, which may be relative to that of its repository."""
    if not url.startswith(("./", "../")):
        return url
    base = base.partition("?")[0].rstrip("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            at = max(base.rfind("/"), base.rfind(":"))
            base = base[:at] if at > 0 else base
            url = url[3:]
        else:
            url = url[2:]
    return f"{base}/{url}"


def _pieces(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        piece = source.read(min(size, _PIECE))
        if not piece:
            return
        size -= len(piece)
        yield piece


def top_of(path: str) -> str:
    """The folder at or above ``path`` that holds a repository; empty when there is none."""
    at = Path(path)
    for folder in (at, *at.parents):
        if os.path.lexists(folder / ".git"):
            return str(folder)
    return ""
