"""Source trees: ``fetchGit``, ``fetchMercurial`` and ``fetchTree``, and what all fetchers share.

Evaluation downloads nothing: a tree that ``narHash`` pins has a store path that the hash alone determines. What
else the set of a tree says is known only where the arguments say it; asking for the rest is an error.
"""

from __future__ import annotations

import os
import time
from typing import Final, final

from evaluator.builtins.flake_refs import parse_flake_ref
from evaluator.runtime.coerce import as_string, as_string_no_context, canonical, coerce, make_string
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, Code, ContextString, Env, PathValue, Thunk, force
from evaluator.session import Session
from store import store_path
from store.hashes import Hash, HashError, parse_allow_empty

NOT_HERE: Final = "evaluation does not download"
_HEXADECIMAL: Final = frozenset("0123456789abcdef")


@final
class Unfetched(Code):
    """An attribute that only the fetched thing could tell."""

    def __init__(self, name: str, url: str) -> None:
        self.name: Final = name
        self.url: Final = url

    def eval(self, env: Env) -> object:
        raise EvalError(f"the attribute '{self.name}' of '{self.url}' is known only after fetching, and {NOT_HERE}")


def unfetched(name: str, url: str) -> object:
    """A delayed error for an attribute that only the fetched thing could tell."""
    env: Env = [None]
    return Thunk(Unfetched(name, url), env)


def read_hash(text: str, algo: str | None) -> Hash:
    try:
        return parse_allow_empty(text, algo)
    except HashError as error:
        raise EvalError(str(error)) from None


def pinned(name: str, recursive: bool, expected: Hash, hint: str) -> object:
    """The path of a fixed output as a string with itself as context."""
    try:
        path = store_path.fixed_output_path(name, recursive, expected)
    except store_path.BadStorePath as error:
        raise EvalError(f"{hint}: {error}") from None
    return make_string(path, frozenset([path]))


_COMMON: Final = frozenset(["type", "narHash", "lastModified", "revCount", "__final"])
_FORGE: Final = frozenset(["owner", "repo", "ref", "rev", "host", "treeHash"])
_ALLOWED: Final = {
    "git": frozenset(
        [
            "url",
            "ref",
            "rev",
            "shallow",
            "submodules",
            "lfs",
            "exportIgnore",
            "allRefs",
            "name",
            "dirtyRev",
            "dirtyShortRev",
            "verifyCommit",
            "keytype",
            "publicKey",
            "publicKeys",
        ]
    ),
    "hg": frozenset(["url", "ref", "rev", "name"]),
    "path": frozenset(["path", "rev"]),
    "tarball": frozenset(["url", "name", "unpack", "rev"]),
    "file": frozenset(["url", "name", "unpack", "rev"]),
    "github": _FORGE,
    "gitlab": _FORGE,
    "sourcehut": _FORGE,
    "indirect": frozenset(["id", "ref", "rev"]),
}
_REQUIRED: Final = {
    "git": ["url"],
    "hg": ["url"],
    "path": ["path"],
    "tarball": ["url"],
    "file": ["url"],
    "github": ["owner", "repo"],
    "gitlab": ["owner", "repo"],
    "sourcehut": ["owner", "repo"],
    "indirect": ["id"],
}


def _is_revision(text: str) -> bool:
    return len(text) in (40, 64) and _HEXADECIMAL.issuperset(text)


def _inputs(session: Session, who: str, attrs: Attrs) -> dict[str, object]:
    """The attributes of an input: strings, Booleans and non-negative integers, checked."""
    items: dict[str, object] = {}
    for name in sorted(attrs.items):
        value = attrs.get(name)
        if isinstance(value, (str, ContextString, PathValue)):
            text = as_string(coerce(session, value, False, False))
            items[name] = _as_url(text) if name == "url" and who != "fetchTree" else text
        elif isinstance(value, bool):
            items[name] = value
        elif isinstance(value, int):
            if value < 0:
                raise EvalError(f"negative value given for '{who}' argument '{name}': {value}")
            items[name] = value
        elif name == "publicKeys":
            continue
        else:
            raise TypeFault(
                f"argument '{name}' to '{who}' is {type_name(value)} while a string, Boolean or integer is expected",
                attrs.place_of(name),
            )
    return items


def _as_url(text: str) -> str:
    """A local path as an address."""
    return "file://" + text if text.startswith("/") else text


def _text(items: dict[str, object], name: str) -> str:
    value = items.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeFault(f"input attribute '{name}' is not a string")
    return value


def _check_input(kind: str, items: dict[str, object]) -> None:
    allowed = _ALLOWED[kind]
    for name in items:
        if name not in allowed and name not in _COMMON:
            raise EvalError(f"input attribute '{name}' not supported by scheme '{kind}'")
    for name in _REQUIRED[kind]:
        if name not in items:
            raise EvalError(f"input attribute '{name}' is missing")
    rev = _text(items, "rev")
    if rev and not _is_revision(rev):
        raise EvalError(f"invalid Git revision '{rev}': a commit hash has 40 hexadecimal digits")


def _address(kind: str, items: dict[str, object]) -> str:
    """What an input is called in messages."""
    url = _text(items, "url")
    if url:
        return url
    if kind in ("github", "gitlab", "sourcehut"):
        return f"{kind}:{_text(items, 'owner')}/{_text(items, 'repo')}"
    return _text(items, "path") or f"flake:{_text(items, 'id')}"


def _date(seconds: int) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds))


def _tree(session: Session, who: str, items: dict[str, object]) -> object:
    """The set that a fetched tree is. Raises EvalError unless its content is pinned (or is a local path)."""
    kind = _text(items, "type")
    address = _address(kind, items)
    result: dict[str, object] = {}
    nar_hash = _text(items, "narHash")
    if kind == "path" and not nar_hash:
        return _local_tree(session, items)
    if not nar_hash:
        raise EvalError(
            f"'{who}' would have to download '{address}', and {NOT_HERE}; "
            "give its 'narHash' and it is fetched when something is built from it"
        )
    expected = read_hash(nar_hash, "sha256")
    name = _text(items, "name") or "source"
    result["outPath"] = pinned(name, True, expected, f"cannot name what '{who}' fetches from '{address}'")
    result["narHash"] = expected.sri()
    if kind in ("git", "hg", "github", "gitlab", "sourcehut"):
        rev = _text(items, "rev")
        if rev:
            result["rev"] = rev
            result["shortRev"] = rev[: 12 if kind == "hg" else 7]
        else:
            result["rev"] = unfetched("rev", address)
            result["shortRev"] = unfetched("shortRev", address)
        if kind == "git" or kind == "hg":
            result["revCount"] = items.get("revCount", unfetched("revCount", address))
    if kind == "git":
        result["submodules"] = items.get("submodules", False)
    modified = items.get("lastModified")
    if isinstance(modified, int):
        result["lastModified"] = modified
        result["lastModifiedDate"] = _date(modified)
    elif kind != "hg" and kind != "file":
        result["lastModified"] = unfetched("lastModified", address)
        result["lastModifiedDate"] = unfetched("lastModifiedDate", address)
    return Attrs(result, None)


def _local_tree(session: Session, items: dict[str, object]) -> object:
    path = canonical(_text(items, "path")) if _text(items, "path").startswith("/") else ""
    if not path:
        raise EvalError(f"cannot fetch input 'path:{_text(items, 'path')}' because it uses a relative path")
    files = session.files
    if not files.exists(path):
        raise EvalError(f"path '{path}' does not exist")
    digest = files.nar_sha256(path)
    stored = store_path.source_path("source", digest.hex())
    modified = items.get("lastModified")
    seconds = modified if isinstance(modified, int) else int(_newest(files.origin(path)))
    if files.reads is not None and not isinstance(modified, int):
        files.reads.refuse("it depends on time stamps of files")
    result: dict[str, object] = {
        "lastModified": seconds,
        "lastModifiedDate": _date(seconds),
        "narHash": Hash("sha256", digest).sri(),
        "outPath": make_string(stored, frozenset([stored])),
    }
    return Attrs(result, None)


def _newest(path: str) -> float:
    """When the newest file under ``path`` was changed, in seconds."""
    newest = os.lstat(path).st_mtime
    for directory, folders, files in os.walk(path):
        for name in folders:
            newest = max(newest, os.lstat(os.path.join(directory, name)).st_mtime)
        for name in files:
            newest = max(newest, os.lstat(os.path.join(directory, name)).st_mtime)
    return newest


def fetch_tree(session: Session, value: object) -> object:
    value = force(value)
    if isinstance(value, Attrs):
        if "type" not in value.items:
            raise EvalError("argument 'type' is missing in call to 'fetchTree'")
        items = _inputs(session, "fetchTree", value)
    else:
        parsed = parse_flake_ref(as_string(coerce(session, value, False, False)))
        items = parsed
    kind = _text(items, "type")
    if kind not in _ALLOWED:
        raise EvalError(f"input type '{kind}' is not known to 'fetchTree'")
    if "dir" in items:
        items.pop("dir")
    _check_input(kind, items)
    if kind == "indirect":
        raise EvalError(f"'fetchTree' would look up '{_address(kind, items)}' in the flake registry, and {NOT_HERE}")
    return _tree(session, "fetchTree", items)


def fetch_git(session: Session, value: object) -> object:
    value = force(value)
    if isinstance(value, Attrs):
        if "type" in value.items:
            raise EvalError("unexpected argument 'type'", value.place_of("type"))
        items = _inputs(session, "fetchGit", value)
    else:
        items = {"url": _as_url(as_string(coerce(session, value, False, False)))}
    items["type"] = "git"
    _check_input("git", items)
    return _tree(session, "fetchGit", items)


def fetch_mercurial(session: Session, value: object) -> object:
    value = force(value)
    items: dict[str, object] = {}
    if isinstance(value, Attrs):
        for name in sorted(value.items):
            if name == "url":
                items["url"] = as_string(coerce(session, value.items[name], False, False))
            elif name == "rev" or name == "name" or name == "narHash":
                items[name] = as_string_no_context(value.items[name])
            else:
                raise EvalError(f"unsupported argument '{name}' to 'fetchMercurial'", value.place_of(name))
        if "url" not in items:
            raise EvalError("'url' argument required")
    else:
        items["url"] = as_string(coerce(session, value, False, False))
    rev = _text(items, "rev")
    if rev and not _is_revision(rev):
        items.pop("rev")
        items["ref"] = rev
    items["type"] = "hg"
    return _tree(session, "fetchMercurial", items)
