"""Flake references: taken apart and put together.

Specification: the Nix manual, "nix flake", "Flake references" and "Types". A reference is a set of attributes
(``type`` says of which kind) or a text: ``github:OWNER/REPO/REF``, ``git+https://…?ref=…``, ``path:/…``,
``https://….tar.gz``, ``ID/REF/REV``. Only absolute paths are references here: nothing says relative to what.
"""

from __future__ import annotations

import re
from typing import Final

from evaluator.runtime.errors import EvalError

_ID: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]*")
_REV: Final = re.compile(r"[0-9a-fA-F]{40}")
_REF: Final = re.compile(r"[a-zA-Z0-9@][a-zA-Z0-9_.\/@+-]*")
_INDIRECT: Final = re.compile(rf"({_ID.pattern}(?:/{_REF.pattern})?)(?:#(.*))?", re.DOTALL)
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)
_HOST: Final = re.compile(r"[a-zA-Z0-9.-]*")
_FORGES: Final = frozenset(["github", "gitlab", "sourcehut"])
_TRANSPORTS: Final = frozenset(["http", "https", "file"])
_NUMBERS: Final = frozenset(["revCount", "lastModified"])
_FLAGS: Final = frozenset(["shallow", "submodules", "lfs", "exportIgnore", "allRefs", "verifyCommit"])
_GIT: Final = _FLAGS | frozenset(["ref", "rev", "keytype", "publicKey", "publicKeys"])
_HG: Final = frozenset(["ref", "rev"])
_PATH: Final = _NUMBERS | frozenset(["rev", "narHash"])
_ARCHIVE: Final = _PATH
_ARCHIVE_ONLY: Final = frozenset(["url", "name", "unpack"])
# What stands in addresses as it is, besides letters and digits.
_IN_QUERY: Final = "-._~:@/?"
_IN_PATH: Final = "-._~:@/"

Ref = dict[str, object]
"""The attributes of a reference: strings, non-negative integers, Booleans."""


def _quote(text: str, keep: str) -> str:
    from urllib.parse import quote

    return quote(text, safe=keep, errors="surrogateescape")


def _unquote(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text, errors="surrogateescape")


def _query(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in text.split("&"):
        if part:
            name, equals, value = part.partition("=")
            if equals:
                parameters[_unquote(name)] = _unquote(value)
    return parameters


def _is_rev(text: str) -> bool:
    return _REV.fullmatch(text) is not None


def _is_ref(text: str) -> bool:
    return _REF.fullmatch(text) is not None


def _number(name: str, text: str, whole: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise EvalError(f"'{text}' is no number for '{name}' in the flake reference '{whole}'")
    return int(text)


def _take(result: Ref, parameters: dict[str, str], names: frozenset[str], whole: str) -> None:
    """Puts the parameters with these names, and ``dir``, into the result, each as what it is."""
    if parameters.get("dir"):
        result["dir"] = parameters["dir"]
    for name in sorted(parameters):
        if name not in names:
            continue
        value = parameters[name]
        if name in _NUMBERS:
            result[name] = _number(name, value, whole)
        elif name in _FLAGS:
            result[name] = value == "1"
        else:
            result[name] = value


def parse_flake_ref(text: str) -> Ref:
    """The attributes of a flake reference. Raises EvalError."""
    indirect = _INDIRECT.fullmatch(text)
    if indirect is not None:
        if indirect.group(2):
            raise EvalError(f"unexpected fragment '{_unquote(indirect.group(2))}' in flake reference '{text}'")
        return _indirect(indirect.group(1), {}, text)
    body, _, fragment = text.partition("#")
    if fragment:
        raise EvalError(f"unexpected fragment '{_unquote(fragment)}' in flake reference '{text}'")
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
        return _indirect(_unquote(rest), parameters, text)
    if scheme in _FORGES:
        return _forge(scheme, rest, parameters, text)
    if scheme == "git" or (application == "git" and plus):
        return _fetched("git", transport or "git", rest, parameters, _GIT, text)
    if application == "hg" and plus:
        return _fetched("hg", transport, rest, parameters, _HG, text)
    if application in ("tarball", "file") and plus and transport in _TRANSPORTS:
        return _fetched(application, transport, rest, parameters, _ARCHIVE, text)
    if scheme in _TRANSPORTS:
        return _fetched("tarball", scheme, rest, parameters, _ARCHIVE, text)
    raise EvalError(f"input '{text}' is unsupported")


def _indirect(body: str, parameters: dict[str, str], whole: str) -> Ref:
    parts = body.split("/")
    if not _ID.fullmatch(parts[0]):
        raise EvalError(f"'{parts[0]}' is not a valid flake ID")
    result: Ref = {"id": parts[0], "type": "indirect"}
    if len(parts) == 2 and _is_rev(parts[1]):
        result["rev"] = parts[1]
    elif len(parts) > 1:
        if not _is_ref(parts[1]):
            raise EvalError(f"in flake URL '{whole}', '{parts[1]}' is not a commit hash or branch/tag name")
        result["ref"] = parts[1]
    if len(parts) == 3:
        if not _is_rev(parts[2]):
            raise EvalError(f"in flake URL '{whole}', '{parts[2]}' is not a commit hash")
        result["rev"] = parts[2]
    elif len(parts) > 3:
        raise EvalError(f"flake URL '{whole}' is invalid: it must be like 'ID/REF/REV'")
    if parameters.get("dir"):
        result["dir"] = parameters["dir"]
    return result


def _path(text: str, whole: str) -> Ref:
    path, _, query = text.partition("?")
    path = _unquote(path)
    if path.startswith("//"):
        raise EvalError(f"path URL '{whole}' should not have an authority ('{path[2:].partition('/')[0]}')")
    if not path.startswith("/") and not whole.startswith("path:"):
        raise EvalError(f"flake reference '{whole}' is not an absolute path")
    result: Ref = {"path": path, "type": "path"}
    parameters = _query(query)
    for name in parameters:
        if name not in _PATH and name != "dir":
            raise EvalError(f"path URL '{whole}' has unsupported parameter '{name}'")
    _take(result, parameters, _PATH, whole)
    return result


def _forge(kind: str, rest: str, parameters: dict[str, str], whole: str) -> Ref:
    parts = [_unquote(part) for part in rest.split("/")]
    if len(parts) < 2 or not parts[0] or not parts[1]:
        raise EvalError(f"'{whole}' is invalid: it must be like '{kind}:OWNER/REPO'")
    result: Ref = {"owner": parts[0], "repo": parts[1], "type": kind}
    if len(parts) > 2:
        tail = "/".join(parts[2:])
        if len(parts) == 3 and _is_rev(tail):
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
            if not _HOST.fullmatch(value):
                raise EvalError(f"URL '{whole}' contains an invalid instance host")
            result["host"] = value
    if "ref" in result and "rev" in result:
        raise EvalError(f"URL '{whole}' contains both a commit hash and a branch/tag name")
    _take(result, parameters, frozenset(["narHash"]), whole)
    return result


def _fetched(
    kind: str, transport: str, rest: str, parameters: dict[str, str], known: frozenset[str], whole: str
) -> Ref:
    """A reference whose ``url`` is an address; parameters that are not ``known`` belong to the address."""
    result: Ref = {"type": kind}
    _take(result, parameters, known, whole)
    kept: dict[str, str] = {}
    for name, value in parameters.items():
        if name not in known and name != "dir" and (known is not _ARCHIVE or name not in _ARCHIVE_ONLY):
            kept[name] = value
    result["url"] = f"{transport}:{_spelled(rest)}{_question(kept)}"
    return result


def _spelled(rest: str) -> str:
    """What follows the scheme of an address, its path spelled as Nix spells it."""
    authority = ""
    path = rest
    if rest.startswith("//"):
        end = rest.find("/", 2)
        if end < 0:
            return rest
        authority, path = rest[:end], rest[end:]
    return authority + _quote(_unquote(path), _IN_PATH)


def _question(parameters: dict[str, str]) -> str:
    """A query, sorted, with its question mark; empty without parameters."""
    parts: list[str] = []
    for name in sorted(parameters):
        parts.append(f"{_quote(name, _IN_QUERY)}={_quote(parameters[name], _IN_QUERY)}")
    return "?" + "&".join(parts) if parts else ""


def _given(ref: Ref, name: str) -> str:
    """A string attribute, empty when it is missing."""
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


def _chosen(ref: Ref, names: list[str]) -> dict[str, str]:
    """Those of the attributes that are given, as parameters; false ones are left out."""
    result: dict[str, str] = {}
    for name in names:
        value = ref.get(name)
        if isinstance(value, bool):
            if value:
                result[name] = "1"
        elif isinstance(value, int):
            result[name] = str(value)
        elif isinstance(value, str) and value:
            result[name] = value
    return result


def ref_to_text(ref: Ref) -> str:
    """The text of a flake reference. Raises EvalError when an attribute is missing."""
    kind = _required(ref, "type")
    if kind == "indirect":
        text = "flake:" + _required(ref, "id")
        for name in ("ref", "rev"):
            if _given(ref, name):
                text += "/" + _given(ref, name)
        return text + _question(_chosen(ref, ["dir"]))
    if kind in _FORGES:
        owner = _quote(_required(ref, "owner"), "-._~:@")
        text = f"{kind}:{owner}/{_required(ref, 'repo')}"
        tail = _given(ref, "ref") or _given(ref, "rev")
        if tail:
            text += "/" + _quote(tail, _IN_PATH)
        return text + _question(_chosen(ref, ["dir", "host", "narHash"]))
    if kind == "path":
        names = ["dir", "lastModified", "narHash", "rev", "revCount"]
        return f"path:{_quote(_required(ref, 'path'), _IN_PATH)}" + _question(_chosen(ref, names))
    if kind == "git":
        flags = ["exportIgnore", "lfs", "shallow", "submodules", "verifyCommit"]
        return _extended(ref, "git", ["dir", "keytype", "publicKey", "ref", "rev", *flags])
    if kind == "hg":
        return _extended(ref, "hg", ["dir", "ref", "rev"])
    if kind == "tarball" or kind == "file":
        return _extended(ref, "", ["dir", "narHash"])
    raise EvalError(f"input type '{kind}' is unsupported")


def _extended(ref: Ref, application: str, names: list[str]) -> str:
    """The address of a reference with ``application+`` before it and attributes added to its query."""
    url = _required(ref, "url")
    found = _SCHEME.fullmatch(url)
    if found is None:
        raise EvalError(f"'{url}' is not a valid URL")
    transport = found.group(1)
    rest, _, query = found.group(2).partition("?")
    parameters = _query(query)
    parameters.update(_chosen(ref, names))
    if application and transport != application:
        transport = f"{application}+{transport}"
    return f"{transport}:{_spelled(rest)}{_question(parameters)}"
