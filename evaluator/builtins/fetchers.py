"""Fetchers, and what belongs to flakes.

A fetch whose content is pinned by a hash has a store path that the hash alone determines: its value is that path, and
reading from it fetches. One without a hash is fetched at once, where that is allowed.
"""

from __future__ import annotations

from typing import Final

from evaluator.builtins.fetch_trees import fetch_git, fetch_mercurial, fetch_tree, fetching, pinned, read_hash
from evaluator.builtins.flake_refs import parse_flake_ref, ref_to_text
from evaluator.builtins.table import Builtin
from evaluator.code.coerce import (
    as_attrs,
    as_bool,
    as_string,
    as_string_no_context,
    canonical,
    coerce,
    make_string,
)
from evaluator.fetching import channel_url
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, ContextString, PathValue, force
from evaluator.session import Session
from store import store_path
from store.hashes import Hash

# --- fetchurl and fetchTarball ---------------------------------------------------------------------


def _download(session: Session, who: str, value: object, unpack: bool, name: str) -> object:
    value = force(value)
    url: str | None = None
    expected: Hash | None = None
    named = False
    from_set = isinstance(value, Attrs)
    if isinstance(value, Attrs):
        for key in sorted(value.items):
            if key == "url":
                url = as_string_no_context(value.items[key])
            elif key == "sha256":
                expected = read_hash(as_string_no_context(value.items[key]), "sha256")
            elif key == "name":
                named = True
                name = as_string_no_context(value.items[key])
            else:
                raise EvalError(f"unsupported argument '{key}' to '{who}'", value.place_of(key))
        if url is None:
            raise EvalError("'url' argument required")
    else:
        url = as_string_no_context(value)
    if who == "fetchTarball":
        url = channel_url(url)
    if not name:
        name = url.rstrip("/").rpartition("/")[2] if "/" in url else url
    try:
        store_path.check_name(name, name)
    except store_path.BadStorePath as error:
        if named:
            remedy = (
                f"Please change the value for the 'name' attribute passed to '{who}', "
                "so that it can create a valid store path."
            )
        elif from_set:
            remedy = (
                f"Please add a valid 'name' attribute to the argument for '{who}', "
                "so that it can create a valid store path."
            )
        else:
            remedy = (
                f"Please pass an attribute set with 'url' and 'name' attributes to '{who}', "
                "so that it can create a valid store path."
            )
        fault = str(error).removeprefix("store path ")
        raise EvalError(f"invalid store path name when fetching URL '{url}': name {fault}. {remedy}") from None
    if expected is None:
        path = fetching(session).download(session, url, name, unpack, "")
        return make_string(path, frozenset([path]))
    kind = "unpacked" if unpack else "download"
    items: dict[str, object] = {"type": kind, "url": url, "name": name, "hash": expected.sri()}
    return pinned(session, name, unpack, expected, f"cannot name what '{who}' fetches from '{url}'", items)


def fetch_url(session: Session, value: object) -> object:
    return _download(session, "fetchurl", value, False, "")


def fetch_tarball(session: Session, value: object) -> object:
    return _download(session, "fetchTarball", value, True, "source")


# --- closures, flakes, outputs ---------------------------------------------------------------------


def _store_object(session: Session, value: object, name: str) -> str:
    path = coerce_path_text(session, value)
    try:
        found, rest = store_path.split(path)
    except store_path.BadStorePath as error:
        raise EvalError(str(error)) from None
    if rest:
        raise EvalError(f"path '{path}' is not a store path (attribute '{name}' of 'fetchClosure')")
    return found


def coerce_path_text(session: Session, value: object) -> str:
    """The absolute path that a path or string is, without asking whether it is there."""
    value = force(value)
    if isinstance(value, PathValue):
        return value.path
    text = as_string(coerce(session, value, False, False))
    if not text.startswith("/"):
        raise TypeFault(f"string '{text}' doesn't represent an absolute path")
    return canonical(text)


def fetch_closure(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the argument passed to builtins.fetchClosure")
    from_store = ""
    from_path = ""
    to_path = ""
    input_addressed = False
    for name in sorted(attrs.items):
        if name == "fromPath":
            from_path = _store_object(session, attrs.items[name], name)
        elif name == "toPath":
            found = attrs.get(name)
            to_path = "" if found == "" else _store_object(session, found, name)
        elif name == "fromStore":
            from_store = as_string_no_context(attrs.items[name])
        elif name == "inputAddressed":
            input_addressed = as_bool(
                attrs.find(name), f"while evaluating the attribute '{name}' passed to builtins.fetchClosure"
            )
        else:
            raise EvalError(f"attribute '{name}' isn't supported in call to 'fetchClosure'", attrs.place_of(name))
    if not from_path:
        raise EvalError("attribute 'fromPath' is missing in call to 'fetchClosure'")
    if input_addressed and to_path:
        raise EvalError("attribute 'toPath' cannot be set together with 'inputAddressed' in call to 'fetchClosure'")
    if not from_store:
        raise EvalError("attribute 'fromStore' is missing in call to 'fetchClosure'")
    scheme, separator, _ = from_store.partition("://")
    if not separator or scheme not in ("http", "https"):
        raise EvalError("'fetchClosure' only supports http:// and https:// stores")
    path = to_path or from_path
    declared: dict[str, object] = {"type": "closure", "url": from_store, "inputAddressed": input_addressed}
    fetching(session).declare(session, path, declared)
    return make_string(path, frozenset([path]))


def get_flake(session: Session, value: object) -> object:
    return session.flakes.call(session, as_string_no_context(value))


def parse_ref(session: Session, value: object) -> object:
    items: dict[str, object] = {}
    items.update(parse_flake_ref(as_string_no_context(value)))
    return Attrs(items, None)


def ref_to_string(session: Session, value: object) -> object:
    attrs = as_attrs(value)
    items: dict[str, object] = {}
    for name in sorted(attrs.items):
        found = attrs.get(name)
        if isinstance(found, bool):
            items[name] = found
        elif isinstance(found, int):
            if found < 0:
                raise EvalError(f"negative value given for flake ref attr {name}: {found}")
            items[name] = found
        elif isinstance(found, str):
            items[name] = found
        elif isinstance(found, ContextString):
            items[name] = found.text
        else:
            raise EvalError(
                "flake reference attribute sets may only contain integers, Booleans, and strings, "
                f"but attribute '{name}' is {type_name(found)}",
                attrs.place_of(name),
            )
    return ref_to_text(items)


def output_of(session: Session, drv: object, output: object) -> object:
    """The output of a derivation that a string refers to, by its placeholder."""
    name = as_string_no_context(output)
    if not isinstance(drv, ContextString) or len(drv.context) != 1:
        raise EvalError("'outputOf' needs a string whose context is exactly one derivation")
    element = min(drv.context)
    path = element[1:] if element.startswith("=") else element
    if path.startswith("!") or not path.endswith(".drv"):
        raise EvalError(f"'outputOf' of '{drv.text}' needs dynamic derivations, which are not supported")
    return make_string(store_path.downstream_placeholder(path, name), frozenset([f"!{name}!{path}"]))


def break_(session: Session, value: object) -> object:
    return value


TABLE: Final[list[Builtin]] = [
    Builtin(
        "fetchurl",
        1,
        True,
        fetch_url,
        "fetchurl *arg*\n\nA file from an address: `{ url, sha256, name }` or the address alone.",
    ),
    Builtin(
        "fetchTarball",
        1,
        True,
        fetch_tarball,
        "fetchTarball *arg*\n\nAn archive from an address, unpacked: `{ url, sha256, name }` or the address alone.",
    ),
    Builtin(
        "fetchGit",
        1,
        True,
        fetch_git,
        "fetchGit *arg*\n\nA Git repository's tree: `{ url, rev, ref, narHash, … }` or the address alone.",
    ),
    Builtin(
        "fetchMercurial",
        1,
        True,
        fetch_mercurial,
        "fetchMercurial *arg*\n\nA Mercurial repository's tree: `{ url, rev, name }` or the address alone.",
    ),
    Builtin(
        "fetchTree",
        1,
        True,
        fetch_tree,
        "fetchTree *arg*\n\nA tree out of an input set `{ type, … }` or a flake reference.",
    ),
    Builtin(
        "fetchClosure",
        1,
        True,
        fetch_closure,
        "fetchClosure *set*\n\nA store path from a binary cache: `{ fromStore, fromPath, toPath, inputAddressed }`.",
    ),
    Builtin("getFlake", 1, True, get_flake, "getFlake *ref*\n\nThe outputs of a flake."),
    Builtin(
        "parseFlakeRef",
        1,
        True,
        parse_ref,
        "parseFlakeRef *ref*\n\nA flake reference taken apart: `github:NixOS/nixpkgs?dir=lib` → `{ type, owner, … }`.",
    ),
    Builtin(
        "flakeRefToString",
        1,
        True,
        ref_to_string,
        "flakeRefToString *attrs*\n\nThe text of a flake reference, the reverse of `parseFlakeRef`.",
    ),
    Builtin(
        "outputOf",
        2,
        True,
        output_of,
        "outputOf *drv* *output*\n\nA placeholder for the named output of a derivation.",
    ),
    Builtin("break", 1, False, break_, "break *v*\n\n*v*; stops here when a debugger is attached."),
]
