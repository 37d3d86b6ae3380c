"""``import`` and ``scopedImport``: the values of files, and derivations out of their ``.drv`` files."""

from __future__ import annotations

from typing import Final

from evaluator.builtins.table import Builtin
from evaluator.code.coerce import as_attrs, coerce_to_path
from evaluator.runtime.values import Attrs, ContextString
from evaluator.session import Session
from store.derivation import Derivation
from store.store_path import downstream_placeholder, is_derivation, is_store_path


def import_value(session: Session, value: object) -> object:
    path = coerce_to_path(session, value)
    if is_derivation(path) and is_store_path(path):
        drv = session.find_recipe(path)
        if drv is not None:
            return _derivation(path, drv)
    return session.import_file(path)


def scoped_import(session: Session, names: object, value: object) -> object:
    scope = as_attrs(names, "while evaluating the first argument passed to builtins.scopedImport")
    return session.import_scoped(scope, coerce_to_path(session, value))


def _derivation(drv_path: str, drv: Derivation) -> Attrs:
    """A derivation that was read, as a value: what ``derivation`` answers, without the attributes it was made of."""
    shared: dict[str, object] = {
        "drvPath": ContextString(drv_path, frozenset(["=" + drv_path])),
        "name": drv.env.get("name", drv.name),
        "type": "derivation",
    }
    contents: list[dict[str, object]] = []
    every: list[object] = []
    for output in sorted(drv.outputs):
        items: dict[str, object] = {}
        path = drv.outputs[output].path or downstream_placeholder(drv_path, output)
        items["outPath"] = ContextString(path, frozenset([f"!{output}!{drv_path}"]))
        items["outputName"] = output
        made = Attrs(items, None)
        shared[output] = made
        contents.append(items)
        every.append(made)
    shared["all"] = every
    for items in contents:
        items.update(shared)
    return Attrs(contents[0], None)


TABLE: Final[list[Builtin]] = [
    Builtin(
        "import",
        1,
        True,
        import_value,
        "import *path*\n\nThe value of the Nix file, or of `default.nix` in the directory.",
    ),
    Builtin(
        "scopedImport",
        2,
        True,
        scoped_import,
        "scopedImport *scope* *path*\n\n`import`, with the attributes of *scope* as variables.",
    ),
]
