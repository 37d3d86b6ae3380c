"""Local repositories as they are on disk: the files that Git tracks, with what was changed and not committed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder.fetch.failure import FetchError
from builder.fetch.git import head_ref
from builder.fetch.git_command import git, git_status, said, without_filters
from builder.fetch.limits import Limits


@dataclass
class Worktree:
    """A folder with a repository. ``head`` is the commit that is checked out (empty before the first).

    ``dirty``: tracked files differ from it. ``files`` are the tracked ones, relative, which are there; ``folders``
    those that hold them. ``shallow``: there is no history to count.
    """

    path: str
    head: str
    ref: str
    dirty: bool
    last_modified: int
    shallow: bool
    files: frozenset[str]
    folders: frozenset[str]

    def keeps(self, path: str, kind: str) -> bool:
        """Whether the entry at the absolute ``path`` goes in: :data:`store.nar.Filter`."""
        below = path[len(self.path) + 1 :]
        return below in (self.folders if kind == "directory" else self.files)

    def rev_count(self, limits: Limits) -> int:
        """How many commits lead to ``head``."""
        what = f"cannot count the commits of '{self.path}'"
        return int(git(self.path, "rev-list", "--count", self.head, limits=limits, what=what)) if self.head else 0


def worktree(path: str, limits: Limits, *, submodules: bool = False, export_ignore: bool = False) -> Worktree | None:
    """The repository whose working tree is ``path``; None when there is none, or a bare one. Raises FetchError."""
    if not os.path.lexists(Path(path) / ".git"):
        return None
    what = f"cannot read the Git repository '{path}'"
    code, out, err = git_status(path, "rev-parse", "--verify", "-q", "HEAD^{commit}", limits=limits)
    head = out.decode().strip() if code == 0 else ""
    if code != 0 and err:
        raise FetchError(f"{what}: {said(err)}")
    dirty = True
    modified = 0
    if head:
        dirty = _is_dirty(path, limits, submodules)
        dated = git(path, "log", "-1", "--format=%ct", "--no-show-signature", "HEAD", limits=limits, what=what)
        modified = int(dated)
    shallow = git(path, "rev-parse", "--is-shallow-repository", limits=limits, what=what).strip() == b"true"
    words = ["ls-files", "-z", "--full-name", *(["--recurse-submodules"] if submodules else [])]
    listed = git(path, *words, limits=limits, what=what)
    names = [name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name]
    if export_ignore and names:
        names = _exported(path, names, limits, what)
    folders = {name[:at] for name in names for at in _slashes(name)}
    files = frozenset(names)
    if not submodules:
        # A submodule is tracked, as a folder; what is in it is not.
        folders |= {name for name in files if os.path.isdir(f"{path}/{name}") and not os.path.islink(f"{path}/{name}")}
    return Worktree(path, head, head_ref(path, limits), dirty, modified, shallow, files, frozenset(folders))


def _is_dirty(path: str, limits: Limits, submodules: bool) -> bool:
    """Whether tracked files, with ``submodules`` those of submodules, too, differ from what is checked out."""
    what = f"cannot read the Git repository '{path}'"
    # Git would look into submodules by itself, but with the filters that they bring.
    words = ["diff", "HEAD", "--no-ext-diff", "--no-textconv", "--quiet"]
    words.append("--ignore-submodules=" + ("dirty" if submodules else "all"))
    code, _, err = git_status(path, *words, "--", limits=limits, settings=without_filters(path, limits))
    if code not in (0, 1):
        raise FetchError(f"{what}: {said(err)}")
    if code == 1 or not submodules:
        return code == 1
    staged = git(path, "ls-files", "-s", "-z", limits=limits, what=what)
    for line in staged.split(b"\0"):
        head, _, name = line.partition(b"\t")
        if head.startswith(b"160000 "):
            below = f"{path}/{name.decode('utf-8', 'surrogateescape')}"
            if os.path.lexists(f"{below}/.git") and _is_dirty(below, limits, True):
                return True
    return False


def _slashes(name: str) -> list[int]:
    return [at for at, char in enumerate(name) if char == "/"]


def _exported(path: str, names: list[str], limits: Limits, what: str) -> list[str]:
    """The files that neither they nor a folder above them are marked ``export-ignore``."""
    if not any(name.rpartition("/")[2] == ".gitattributes" for name in names):
        return names
    asked = sorted({name[:at] for name in names for at in _slashes(name)} | set(names))
    feed = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in asked)
    out = git(path, "check-attr", "-z", "--stdin", "export-ignore", limits=limits, what=what, feed=feed)
    fields = out.split(b"\0")
    ignored = {
        fields[at].decode("utf-8", "surrogateescape") for at in range(0, len(fields) - 2, 3) if fields[at + 2] == b"set"
    }
    return [name for name in names if name not in ignored and not any(name[:at] in ignored for at in _slashes(name))]
