"""Flake references as people write them: relative to a folder, with an attribute path after ``#``.

Specification: the Nix manual, "nix flake", "Flake references". A path means the Git repository that it lies in, if it
lies in one; the folder below its top is the attribute ``dir``.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote

from evaluator.builtins.flake_refs import Ref, parse_flake_ref, ref_to_text
from evaluator.runtime.errors import EvalError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*(?:/[^?#]*)?")


def parse_installable(text: str, base: str) -> tuple[Ref, str]:
    """What ``REFERENCE#ATTRIBUTES`` on a command line means, seen from the folder ``base``. Raises EvalError."""
    body, _, fragment = text.partition("#")
    return parse_located(body, base), unquote(fragment, errors="surrogateescape")


def parse_located(text: str, base: str) -> Ref:
    """A reference on a command line: a path is looked for, upwards too. Raises EvalError."""
    if is_path(text):
        return _found(text, base)
    found = parse_flake_ref(text)
    path = found.get("path")
    if found["type"] == "path" and isinstance(path, str) and not path.startswith("/"):
        found["path"] = os.path.normpath(os.path.join(base, path))
    return found


def parse_input(text: str) -> Ref:
    """A reference in a ``flake.nix``: a relative path stays one, and is relative to that flake. Raises EvalError."""
    if is_path(text) and not text.startswith("/"):
        path, _, query = text.partition("?")
        return parse_flake_ref(f"path:{path}{'?' + query if query else ''}")
    found = parse_flake_ref(text)
    folder = found.get("dir")
    url = found.get("url")
    if found["type"] in ("git", "hg", "tarball") and isinstance(folder, str) and isinstance(url, str):
        # Lock files have it in both places.
        found["url"] = f"{url}{'&' if '?' in url else '?'}dir={quote(folder, safe='/-._~')}"
    return found


def plain_address(url: str) -> str:
    """An address without the folder that is in it."""
    base, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("dir=")]
    return base + ("?" + "&".join(kept) if kept else "")


def is_path(text: str) -> bool:
    """Whether a reference is a path: neither an address nor a name for the registry."""
    return not _SCHEME.match(text) and not _NAME.fullmatch(text.partition("?")[0])


def is_relative(ref: Ref) -> bool:
    """Whether a reference means a folder beside or below the flake that names it."""
    path = ref.get("path")
    return ref.get("type") == "path" and isinstance(path, str) and not path.startswith("/")


def shown(ref: Ref) -> str:
    """The text of a reference."""
    return ref_to_text(ref)


def _found(text: str, base: str) -> Ref:
    path, _, query = text.partition("?")
    folder = os.path.normpath(os.path.join(base, unquote(path, errors="surrogateescape")))
    if not os.path.isdir(folder):
        reason = "it is not a directory" if os.path.lexists(folder) else "it does not exist"
        raise EvalError(f"path '{folder}' is not a flake (because {reason})")
    at = folder
    while not os.path.exists(os.path.join(at, "flake.nix")):
        above = os.path.dirname(at)
        if above == at or os.path.lexists(os.path.join(at, ".git")) or os.stat(above).st_dev != os.stat(at).st_dev:
            raise EvalError(
                f"path '{folder}' is not part of a flake (neither it nor its parent directories contain a 'flake.nix'"
                " file)"
            )
        at = above
    from builder.fetch.git import top_of  # loading it takes as long as a small evaluation

    top = top_of(at)
    if not top:
        return parse_flake_ref(f"path:{_quoted(at)}{'?' + query if query else ''}")
    found = parse_flake_ref(f"git+file://{_quoted(top)}{'?' + query if query else ''}")
    if at != top:
        if "dir" in found:
            raise EvalError(f"flake URL '{text}' has an inconsistent 'dir' parameter: it lies in '{at}' already")
        found["dir"] = os.path.relpath(at, top)
    if os.path.exists(os.path.join(top, ".git", "shallow")):
        found["shallow"] = True
    return found


def _quoted(path: str) -> str:
    return quote(path, safe="/-._~:@+", errors="surrogateescape")
