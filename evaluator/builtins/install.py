"""Puts the families of built-in functions together for a session."""

from __future__ import annotations

import time
from typing import Final

from evaluator.builtins import (
    attrs,
    context,
    control,
    derivation,
    fetchers,
    hashing,
    json,
    lists,
    paths,
    regex,
    strings,
    toml,
    versions,
    xml,
)
from evaluator.builtins.derivation_expression import DERIVATION
from evaluator.builtins.table import Builtin
from evaluator.runtime.values import NULL, Attrs, Primop
from evaluator.session import LANGUAGE_VERSION, NIX_VERSION, Session
from store.store_path import STORE_DIR

#: Functions that are in scope without ``builtins.``; all others are there as ``__name``.
UNPREFIXED: Final = frozenset(
    [
        "abort",
        "baseNameOf",
        "break",
        "derivation",
        "derivationStrict",
        "dirOf",
        "fetchGit",
        "fetchMercurial",
        "fetchTarball",
        "fetchTree",
        "fromTOML",
        "import",
        "isNull",
        "map",
        "placeholder",
        "removeAttrs",
        "scopedImport",
        "throw",
        "toString",
    ]
)

FAMILIES: Final[list[list[Builtin]]] = [
    lists.TABLE,
    attrs.TABLE,
    control.TABLE,
    strings.TABLE,
    regex.TABLE,
    json.TABLE,
    toml.TABLE,
    xml.TABLE,
    hashing.TABLE,
    context.TABLE,
    paths.TABLE,
    derivation.TABLE,
    versions.TABLE,
    fetchers.TABLE,
]


def install(session: Session) -> None:
    """Fills the session's globals and its ``builtins`` set."""
    items: dict[str, object] = {}
    scope = session.globals
    for family in FAMILIES:
        for builtin in family:
            items[builtin.name] = Primop(builtin.name, builtin.arity, builtin.run, session, builtin.strict, builtin.doc)
    search_path: list[object] = []
    for prefix, path in session.search_path:
        entry: dict[str, object] = {"prefix": prefix, "path": path}
        search_path.append(Attrs(entry, None))
    items["nixPath"] = search_path
    items["nixVersion"] = NIX_VERSION
    items["langVersion"] = LANGUAGE_VERSION
    items["storeDir"] = STORE_DIR
    items["currentSystem"] = session.system
    items["currentTime"] = int(time.time())
    items["true"] = True
    items["false"] = False
    items["null"] = NULL
    for name, value in items.items():
        if name in UNPREFIXED or name in ("true", "false", "null"):
            scope[name] = value
        scope["__" + name] = value
    builtins = Attrs(items, None)
    items["builtins"] = builtins
    scope["builtins"] = builtins
    session.builtins = builtins
    derivation_function = session.expression(DERIVATION, "/", "«derivation»")
    items["derivation"] = derivation_function
    scope["derivation"] = derivation_function
