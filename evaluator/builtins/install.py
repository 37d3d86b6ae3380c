"""Puts the families of built-in functions together."""

from __future__ import annotations

import time
from typing import Final, final

from evaluator.builtins import (
    attrs,
    context,
    control,
    derivation,
    fetchers,
    hashing,
    imports,
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
from evaluator.runtime.values import NULL, Attrs, Code, Primop, Thunk
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
    imports.TABLE,
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


@final
class CurrentTime(Code):
    """``currentTime``: the same all through a session; a thunk, so that it is known who wants it."""

    def __init__(self, session: Session, seconds: int) -> None:
        self.session: Final = session
        self.seconds: Final = seconds

    def resume(self, payload: object, extra: object) -> object:
        reads = self.session.files.reads
        if reads is not None:
            reads.refuse("it depends on the time")
        return self.seconds


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
    items["currentTime"] = Thunk(CurrentTime(session, int(time.time())), None)
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
