"""Files that a flake refers to and Git does not track: the editor sees them, Nix does not."""

from __future__ import annotations

import os
from typing import Final

from evaluator.io.files import Files
from evaluator.provenance.data import Failure
from evaluator.provenance.describe import location, sendable
from evaluator.provenance.route import References
from evaluator.runtime.source import Place

_HIGHEST: Final = 12  # folders above a file in which its flake is looked for


class Tracked:
    """What Git tracks of the repositories that flakes lie in, asked again when a repository's index has changed."""

    def __init__(self, files: Files, references: References) -> None:
        self._files: Final = files
        self._references: Final = references
        self._known: Final[dict[str, tuple[tuple[int, int, int], frozenset[str]]]] = {}

    def complaints(self, path: str) -> list[Failure]:
        """One for each path in a flake's file that leads to a file which Git does not track."""
        found: list[Failure] = []
        references = self._references.of(path)
        if not references or not self._in_flake(path):
            return found
        top = self._top(path)
        tracked = self._of(top) if top else None
        if tracked is None:
            return found
        parsed = self._files.parse(path)
        for target in sorted(references):
            if target.startswith(top + "/") and os.path.isfile(target) and target[len(top) + 1 :] not in tracked:
                for start, end in references[target]:
                    at = location(Place(parsed.file, start, end))
                    if at is not None:
                        name = sendable(target[len(top) + 1 :])
                        message = f"'{name}' is not tracked by Git, so Nix does not see it: 'git add {name}'"
                        found.append(Failure(message, at, (), "untracked"))
        return found

    def _in_flake(self, path: str) -> bool:
        folder = os.path.dirname(path)
        for _ in range(_HIGHEST):
            if self._files.exists(folder + "/flake.nix"):
                return True
            if folder == "/" or os.path.lexists(folder + "/.git"):
                return False
            folder = os.path.dirname(folder)
        return False

    def _top(self, path: str) -> str:
        from builder.fetch.git import top_of

        return top_of(os.path.dirname(path))

    def _of(self, top: str) -> frozenset[str] | None:
        """The files that Git tracks, relative to the top; None where that cannot be said."""
        try:
            status = os.stat(top + "/.git/index")
        except OSError:
            return None  # no repository of the usual kind, or nothing was ever added
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)  # Git renames a new one into its place
        known = self._known.get(top)
        if known is not None and known[0] == stamp:
            return known[1]
        from builder.fetch.failure import FetchError
        from builder.fetch.git_command import git
        from builder.fetch.limits import Limits

        try:
            listed = git(top, "ls-files", "-z", "--full-name", limits=Limits(), what=f"cannot read '{top}'")
        except FetchError:
            return None
        names = frozenset(name.decode("utf-8", "surrogateescape") for name in listed.split(b"\0") if name)
        self._known[top] = (stamp, names)
        return names
