"""Flake references: taken apart and put together.

Specification: the Nix manual, "nix flake", "Flake references" and "Types". A reference is a set of attributes
(``type`` says of which kind) or a text: ``github:OWNER/REPO/REF``, ``git+https://…?ref=…``, ``path:/…``,
``https://….tar.gz``, ``ID/REF/REV``. Only absolute paths are references here: nothing says relative to what.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from evaluator.runtime.errors import EvalError

_ID: Final = r"[a-zA-Z][a-zA-Z0-9_-]*"
_REV: Final = r"[0-9a-f]{40}"
_REF: Final = r"[a-zA-Z0-9@][a-zA-Z0-9_.\/@+-]*"
_INDIRECT: Final = re.compile(f"({_ID})(?:/(?:({_REV})|({_REF}?)(?:/({_REV}))?))?(?:#(.*))?")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)
_OWNER: Final = re.compile(r"[a-zA-Z0-9_.~-]+")
_FORGES: Final = frozenset(["github", "gitlab", "sourcehut"])
_ARCHIVES: Final = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst")
_NUMBERS: Final = frozenset(["revCount", "lastModified"])
_FLAGS: Final = frozenset(["shallow", "submodules", "lfs", "exportIgnore", "allRefs", "verifyCommit"])
_TEXTS: Final = frozenset(["ref", "rev", "narHash", "dir", "keytype", "publicKey", "publicKeys"])

Ref = dict[str, object]
"""The attributes of a reference: strings, non-negative integers, Booleans."""


def _query(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in text.split("&"):
        if part:
            name, equals, value = part.partition("=")
            if equals:
                parameters[unquote(name)] = unquote(value)
    return parameters


def _is_rev(text: str) -> bool:
    return re.fullmatch(_REV, text) is not None


def _is_ref(text: str) -> bool:
    return re.fullmatch(_REF, text) is not None and ".." not in text and not text.endswith("/")


def _number(name: str, text: str, whole: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise EvalError(f"'{text}' is no number for '{name}' in the flake reference '{whole}'")
    return int(text)


def _take(result: Ref, parameters: dict[str, str], names: frozenset[str], whole: str) -> None:
    """Moves the parameters with these names into the result, each as what it is."""
    for name in sorted(parameters):
        if name not in names:
            continue
        value = parameters[name]
        if name in _NUMBERS:
            result[name] = _number(name, value, whole)
        elif name in _FLAGS:
            result[name] = value == "1" or value == "true"
        else:
            result[name] = value


def parse_flake_ref(text: str) -> Ref:
    """The attributes of a flake reference. Raises EvalError."""
    indirect = _INDIRECT.fullmatch(text)
    if indirect is not None:
        if indirect.group(5):
            raise EvalError(f"unexpected fragment '{indirect.group(5)}' in flake reference '{text}'")
        result: Ref = {"id": indirect.group(1), "type": "indirect"}
        rev = indirect.group(2) or indirect.group(4)
        if indirect.group(3):
            result["ref"] = indirect.group(3)
        if rev:
            result["rev"] = rev
        return result
    body, _, fragment = text.partition("#")
    if fragment:
        raise EvalError(f"unexpected fragment '{unquote(fragment)}' in flake reference '{text}'")
    found = _SCHEME.fullmatch(body)
    if found is None:
        return _path(body, text)
    scheme = found.group(1)
    rest, _, query = found.group(2).partition("?")
    parameters = _query(query)
    application, plus, transport = scheme.partition("+")
    if scheme == "path":
        return _path(found.group(2), text)
    if scheme == "flake":
        return parse_flake_ref(rest)
    if scheme in _FORGES:
        return _forge(scheme, rest, parameters, text)
    if scheme == "git" or (application == "git" and plus):
        return _repository("git", transport or "git", rest, parameters, text)
    if application == "hg" and plus:
        return _repository("hg", transport, rest, parameters, text)
    if application in ("tarball", "file") and plus:
        return _archive(application, transport, rest, parameters, text)
    if scheme in ("http", "https", "file"):
        kind = "tarball" if rest.endswith(_ARCHIVES) else "file"
        return _archive(kind, scheme, rest, parameters, text)
    raise EvalError(f"input '{text}' is unsupported")


def _path(text: str, whole: str) -> Ref:
    path, _, query = text.partition("?")
    path = unquote(path)
    if path.startswith("//"):
        raise EvalError(f"path URL '{whole}' should not have an authority ('{path[2:].partition('/')[0]}')")
    if not path.startswith("/") and not whole.startswith("path:"):
        raise EvalError(f"flake reference '{whole}' is not an absolute path")
    result: Ref = {"path": path, "type": "path"}
    parameters = _query(query)
    for name in parameters:
        if name not in ("rev", "narHash", "revCount", "lastModified", "dir"):
            raise EvalError(f"path URL '{whole}' has unsupported parameter '{name}'")
    _take(result, parameters, _TEXTS | _NUMBERS, whole)
    return result


def _forge(kind: str, rest: str, parameters: dict[str, str], whole: str) -> Ref:
    parts = [unquote(part) for part in rest.split("/")]
    if len(parts) < 2 or not parts[0] or not parts[1]:
        raise EvalError(f"'{whole}' is invalid: it must be like '{kind}:OWNER/REPO'")
    result: Ref = {"owner": parts[0], "repo": parts[1], "type": kind}
    if len(parts) > 2:
        tail = "/".join(parts[2:])
        if _is_rev(tail):
            result["rev"] = tail
        elif _is_ref(tail):
            result["ref"] = tail
        else:
            raise EvalError(f"in URL '{whole}', '{tail}' is not a commit hash or branch/tag name")
    for name in sorted(parameters):
        value = parameters[name]
        if name == "rev":
            if "rev" in result:
                raise EvalError(f"URL '{whole}' contains multiple commit hashes")
            if not _is_rev(value):
                raise EvalError(f"hash '{value}' in URL '{whole}' is not a commit hash")
            result["rev"] = value
        elif name == "ref":
            if not _is_ref(value):
                raise EvalError(f"URL '{whole}' contains an invalid branch/tag name")
            if "ref" in result:
                raise EvalError(f"URL '{whole}' contains multiple branch/tag names")
            result["ref"] = value
        elif name == "host":
            if not _OWNER.fullmatch(value):
                raise EvalError(f"URL '{whole}' contains an invalid instance host")
            result["host"] = value
    if "ref" in result and "rev" in result:
        raise EvalError(f"URL '{whole}' contains both a commit hash and a branch/tag name")
    _take(result, parameters, frozenset(["narHash", "dir", "lastModified"]), whole)
    return result


def _repository(kind: str, transport: str, rest: str, parameters: dict[str, str], whole: str) -> Ref:
    result: Ref = {"type": kind}
    known = _TEXTS | _NUMBERS | _FLAGS if kind == "git" else frozenset(["ref", "rev", "narHash", "dir", "revCount"])
    _take(result, parameters, known, whole)
    result["url"] = f"{transport}:{rest}{_question(parameters, known)}"
    return result


def _archive(kind: str, transport: str, rest: str, parameters: dict[str, str], whole: str) -> Ref:
    result: Ref = {"type": kind}
    known = frozenset(["narHash", "dir", "rev", "revCount", "lastModified"])
    _take(result, parameters, known, whole)
    result["url"] = f"{transport}:{rest}{_question(parameters, known)}"
    return result


def _encode(text: str, keep: str) -> str:
    return quote(text, safe=keep)


def _question(parameters: dict[str, str], known: frozenset[str]) -> str:
    """The query with the parameters that are not ``known``, for they belong to the address."""
    parts = [
        f"{_encode(name, _QUERY)}={_encode(parameters[name], _QUERY)}"
        for name in sorted(parameters)
        if name not in known
    ]
    return "?" + "&".join(parts) if parts else ""


_QUERY: Final = "-._~!$'()*+,;=:@/?"
_PATH: Final = "-._~!$&'()*+,;=:@/"


def _given(ref: Ref, name: str) -> str:
    value = ref.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise EvalError(f"input attribute '{name}' is not a string")
    return value


def _required(ref: Ref, name: str) -> str:
    value = _given(ref, name)
    if not value:
        raise EvalError(f"input attribute '{name}' is missing")
    return value


def _parameters(ref: Ref, names: list[str]) -> str:
    parts: list[str] = []
    for name in sorted(names):
        value = ref.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, bool):
            if value:
                parts.append(f"{name}=1")
        elif isinstance(value, int):
            parts.append(f"{name}={value}")
        else:
            parts.append(f"{name}={_encode(str(value), _QUERY)}")
    return "?" + "&".join(parts) if parts else ""


def ref_to_text(ref: Ref) -> str:
    """The text of a flake reference. Raises EvalError when an attribute is missing."""
    kind = _required(ref, "type")
    if kind == "indirect":
        text = "flake:" + _required(ref, "id")
        for name in ("ref", "rev"):
            if _given(ref, name):
                text += "/" + _given(ref, name)
        return text + _parameters(ref, ["dir", "narHash"])
    if kind in _FORGES:
        tail = _given(ref, "ref") or _given(ref, "rev")
        text = f"{kind}:{_required(ref, 'owner')}/{_required(ref, 'repo')}"
        if tail:
            text += "/" + tail
        return text + _parameters(ref, ["dir", "host", "narHash"])
    if kind == "path":
        return f"path:{_encode(_required(ref, 'path'), _PATH)}" + _parameters(
            ref, ["dir", "lastModified", "narHash", "rev", "revCount"]
        )
    if kind == "git" or kind == "hg":
        url = _required(ref, "url")
        prefix = "" if url.startswith("git:") else kind + "+"
        return prefix + _extended(
            url, ref, ["dir", "ref", "rev"] + (["shallow", "submodules"] if kind == "git" else [])
        )
    if kind == "tarball" or kind == "file":
        url = _required(ref, "url")
        path = url.partition("?")[0]
        implied = url.startswith(("http:", "https:", "file:")) and path.endswith(_ARCHIVES) == (kind == "tarball")
        return ("" if implied else kind + "+") + _extended(url, ref, ["dir", "narHash"])
    raise EvalError(f"input type '{kind}' is unsupported")


def _extended(url: str, ref: Ref, names: list[str]) -> str:
    """An address with attributes added to its query."""
    added = _parameters(ref, names)
    if added and "?" in url:
        return f"{url}&{added[1:]}"
    return url + added
