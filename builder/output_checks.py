"""What a derivation says its outputs may refer to, and how large they may be.

Specification: the Nix manual, "Advanced Attributes": ``allowedReferences``, ``allowedRequisites``,
``disallowedReferences``, ``disallowedRequisites``; with structured attributes these, ``maxSize`` and ``maxClosureSize``
of each output in ``outputChecks``.
"""

from __future__ import annotations

from collections.abc import Mapping

from builder.prepare import attribute_texts, attributes_of, texts
from builder.request import RequestError
from builder.structured_attrs import Json
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation
from store.records import dataclass
from store.store_path import is_store_path

_LISTS = ("allowedReferences", "allowedRequisites", "disallowedReferences", "disallowedRequisites")


class OutputError(Exception):
    """What was built may not be registered: another hash than the fixed one, a reference that is not allowed…"""


@dataclass(frozen=True)
class _Checks:
    """What is asked of one output."""

    lists: Mapping[str, list[str]]
    max_size: int | None = None
    max_closure_size: int | None = None
    ignore_self: bool = True  # among requisites


def check_references(store: CastoreStore, drv: Derivation, outputs: Mapping[str, PathInfo]) -> None:
    """Raises :class:`OutputError` for the first output that is not as ``drv`` wants it."""
    try:
        attributes = attributes_of(drv)
        for name, info in outputs.items():
            checks = _unstructured(drv) if attributes is None else _structured(drv, attributes, name)
            if checks is not None:
                _check(store, info, outputs, checks)
    except RequestError as error:
        raise OutputError(str(error)) from None


def _unstructured(drv: Derivation) -> _Checks:
    found = {name: attribute_texts(drv, name) for name in _LISTS}
    return _Checks({name: value for name, value in found.items() if value is not None})


def _structured(drv: Derivation, attributes: Mapping[str, Json], output: str) -> _Checks | None:
    every = attributes.get("outputChecks")
    wanted = every.get(output) if isinstance(every, dict) else None
    if not isinstance(wanted, dict):
        return None
    return _Checks(
        {name: texts(wanted[name], name, drv, or_one=True) for name in _LISTS if name in wanted},
        _size(wanted, "maxSize", drv),
        _size(wanted, "maxClosureSize", drv),
        ignore_self=False,
    )


def _size(wanted: Mapping[str, Json], name: str, drv: Derivation) -> int | None:
    """A limit in bytes; None where there is none. Raises ``RequestError``."""
    if name not in wanted:
        return None
    value = wanted[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError(f"attribute '{name}' of derivation '{drv.name}' must be a number of bytes")
    return int(value)


def _check(store: CastoreStore, info: PathInfo, outputs: Mapping[str, PathInfo], checks: _Checks) -> None:
    if checks.max_size is not None and info.nar_size > checks.max_size:
        raise OutputError(f"path '{info.path}' is too large at {info.nar_size} bytes; limit is {checks.max_size} bytes")
    requisites = _requisites(store, info, outputs)
    size = sum(requisites.values())
    if checks.max_closure_size is not None and size > checks.max_closure_size:
        raise OutputError(
            f"closure of path '{info.path}' is too large at {size} bytes; limit is {checks.max_closure_size} bytes"
        )
    for name, given in checks.lists.items():
        named = {_path(text, outputs, store) for text in given}
        used = set(requisites if name.endswith("Requisites") else info.references)
        if name.endswith("Requisites") and checks.ignore_self:
            used.discard(info.path)
        bad = used - named if name.startswith("allowed") else used & named
        if bad:
            raise OutputError(
                f"output '{info.path}' is not allowed to refer to the following paths:"
                + "".join(f"\n  {path}" for path in sorted(bad))
            )


def _path(text: str, outputs: Mapping[str, PathInfo], store: CastoreStore) -> str:
    """The store path that a reference is spelled as: itself, or the name of an output."""
    if is_store_path(text, store.store_dir):
        return text
    if text in outputs:
        return outputs[text].path
    raise OutputError(f"derivation contains an illegal reference specifier '{text}'")


def _requisites(store: CastoreStore, info: PathInfo, outputs: Mapping[str, PathInfo]) -> dict[str, int]:
    """The closure of an output with the sizes of what is in it. The outputs themselves are not in the store yet."""
    own = {output.path: output for output in outputs.values()}
    sizes: dict[str, int] = {}
    left = [info.path]
    while left:
        path = left.pop()
        if path not in sizes:
            found = own.get(path) or store.query(path)
            if found is None:
                raise OutputError(f"'{info.path}' refers to '{path}', which is not in {store.uri}")
            sizes[path] = found.nar_size
            left += found.references
    return sizes
