"""Source trees: ``fetchGit``, ``fetchMercurial`` and ``fetchTree``, and what all fetchers share.

A tree that ``narHash`` pins has a store path that the hash alone determines: it is fetched when somebody reads from it,
or asks for what the arguments do not say. Any other is fetched at once (:mod:`evaluator.flakes.fetcher`).
"""

from __future__ import annotations

import time
from typing import Final, final

from evaluator.builtins.flake_refs import parse_flake_ref
from evaluator.code.coerce import as_attrs, as_string, as_string_no_context, canonical, coerce, make_string
from evaluator.fetching import Tree
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, Code, ContextString, Env, PathValue, Thunk, force
from evaluator.session import Fetching, Session
from store import store_path
from store.hashes import Hash, HashError, parse_allow_empty

_HEXADECIMAL: Final = frozenset("0123456789abcdef")


@final
class OnDemand(Code):
    """An attribute of a pinned tree that only the tree itself can tell: asking for it fetches the tree."""

    def __init__(self, session: Session, name: str, items: dict[str, object]) -> None:
        self.session: Final = session
        self.name: Final = name
        self.items: Final = items

    def eval(self, env: Env) -> object:
        found = described(fetching(self.session).tree(self.session, self.items), self.items, False)
        value = found.get(self.name)
        if value is None:
            kind = _text(self.items, "type")
            raise EvalError(f"'{_address(kind, self.items)}' does not tell the attribute '{self.name}'")
        return value


def fetching(session: Session) -> Fetching:
    """Who fetches for a session."""
    found = session.fetcher
    return session.flakes.fetcher(session) if found is None else found


def read_hash(text: str, algo: str | None) -> Hash:
    try:
        return parse_allow_empty(text, algo)
    except HashError as error:
        raise EvalError(str(error)) from None


def pinned(session: Session, name: str, recursive: bool, expected: Hash, hint: str, items: dict[str, object]) -> object:
    """The path of a fixed output as a string with itself as context; ``items`` say how it is fetched when needed."""
    try:
        path = store_path.fixed_output_path(name, recursive, expected)
    except store_path.BadStorePath as error:
        raise EvalError(f"{hint}: {error}") from None
    fetching(session).declare(session, path, items)
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
    """A local path, or ``USER@HOST:PATH`` as ssh has it, as an address."""
    if text.startswith("/"):
        return "file://" + text
    user, at, place = text.partition("@")
    if at and "/" not in user:
        # The last colon, as in Nix; the path is from the root, whether it begins there or not.
        host, colon, path = place.rpartition(":")
        if colon and "//" not in text:
            return f"ssh://{user}@{host}/{path}"
    return text


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
        _text(items, name)
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


def described(tree: Tree, items: dict[str, object], empty_rev: bool) -> Attrs:
    """The set that a fetched tree is. ``empty_rev``: one without a revision has one of zeros, as fetchGit has it."""
    kind = _text(tree.items, "type")
    result: dict[str, object] = {
        "narHash": tree.nar_hash,
        "outPath": make_string(tree.path, frozenset([tree.path])),
    }
    rev = _text(tree.items, "rev")
    if not rev and empty_rev:
        rev = "0" * 40
    if rev:
        result["rev"] = rev
        result["shortRev"] = rev[: 12 if kind == "hg" else 7]
    if tree.dirty:
        result["dirtyRev"] = tree.dirty + "-dirty"
        result["dirtyShortRev"] = tree.dirty[:7] + "-dirty"
    if "revCount" in tree.items:
        result["revCount"] = tree.items["revCount"]
    elif empty_rev:
        result["revCount"] = 0
    if kind == "git":
        result["submodules"] = items.get("submodules", False)
    if "branch" in tree.items:
        result["branch"] = tree.items["branch"]
    if tree.modified >= 0:
        result["lastModified"] = tree.modified
        result["lastModifiedDate"] = _date(tree.modified)
    return Attrs(result, None)


def _tree(session: Session, items: dict[str, object], empty_rev: bool) -> object:
    """The set that an input is: of a pinned one without fetching it."""
    nar_hash = _text(items, "narHash")
    if not nar_hash:
        return described(fetching(session).tree(session, items), items, empty_rev)
    kind = _text(items, "type")
    address = _address(kind, items)
    expected = read_hash(nar_hash, "sha256")
    name = _text(items, "name") or "source"
    result: dict[str, object] = {"narHash": expected.sri()}
    result["outPath"] = pinned(session, name, True, expected, f"cannot name what is fetched from '{address}'", items)
    wanted = ["lastModified", "lastModifiedDate"] if kind != "hg" and kind != "file" else []
    rev = _text(items, "rev")
    if rev:
        result["rev"] = rev
        result["shortRev"] = rev[: 12 if kind == "hg" else 7]
    elif kind == "git" or kind == "hg" or kind == "github" or kind == "gitlab" or kind == "sourcehut":
        wanted += ["rev", "shortRev"]
    if "revCount" in items:
        result["revCount"] = items["revCount"]
    elif kind == "git" or kind == "hg":
        wanted.append("revCount")
    if kind == "git":
        result["submodules"] = items.get("submodules", False)
    modified = items.get("lastModified")
    if isinstance(modified, int):
        result["lastModified"] = modified
        result["lastModifiedDate"] = _date(modified)
    for attribute in wanted:
        if attribute not in result:
            env: Env = [None]
            result[attribute] = Thunk(OnDemand(session, attribute, items), env)
    return Attrs(result, None)


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
    if kind == "path" and _text(items, "path").startswith("/"):
        items["path"] = canonical(_text(items, "path"))
    return _tree(session, items, False)


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
    if "exportIgnore" not in items:
        items["exportIgnore"] = True
    return _tree(session, items, True)


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
    tree = as_attrs(_tree(session, items, False))
    # Nix answers this of trees fetched by fetchTree only.
    found: dict[str, object] = {name: tree.items[name] for name in tree.items if name != "narHash"}
    return Attrs(found, None)
