"""Derivations as JSON: what ``nix show-derivation`` prints, and reading it back.

Specification: the output of Nix 2.8's ``nix show-derivation``; ``name``, which later ones add, is understood. An
output has ``path`` if it is known beforehand, and ``hashAlgo`` (with ``r:`` for archives) and ``hash`` (hexadecimal)
if it is fixed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from store.derivation import IMPURE, Derivation, Output
from store.store_path import derivation_name, to_text


class DerivationJsonError(ValueError):
    """JSON that is not a derivation, with the reason."""


def to_value(drv: Derivation) -> dict[str, Any]:
    """``drv`` as JSON has it (inside of an object that maps the paths of derivations to this)."""
    return {
        "outputs": {name: _output(output) for name, output in sorted(drv.outputs.items())},
        "inputSrcs": sorted(drv.input_srcs),
        "inputDrvs": {path: sorted(outputs) for path, outputs in sorted(drv.input_drvs.items())},
        "system": drv.system,
        "builder": drv.builder,
        "args": list(drv.args),
        "env": dict(sorted(drv.env.items())),
    }


def to_json(drvs: Mapping[str, Derivation]) -> bytes:
    """The text for derivations by their paths. Bytes that are not UTF-8 are written as they are."""
    value = {path: to_value(drv) for path, drv in sorted(drvs.items())}
    return json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "surrogateescape") + b"\n"


def parse(data: bytes) -> dict[str, Derivation]:
    """The derivations in a text that :func:`to_json` or ``nix show-derivation`` wrote, by their paths."""
    try:
        value = json.loads(to_text(data))
    except ValueError as error:
        raise DerivationJsonError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DerivationJsonError("expected an object of derivations by their paths")
    return {path: from_value(drv, derivation_name(path)) for path, drv in value.items()}


def from_value(value: object, name: str) -> Derivation:
    """The derivation that JSON has as ``value``; its own ``name`` goes first. Raises :class:`DerivationJsonError`."""
    fields = _object(value, "a derivation")
    missing = {"outputs", "inputSrcs", "inputDrvs", "system", "builder", "args", "env"} - fields.keys()
    if missing:
        raise DerivationJsonError(f"a derivation has no {', '.join(sorted(missing))}")
    outputs = {key: _read_output(output) for key, output in _object(fields["outputs"], "outputs").items()}
    return Derivation(
        _text(fields.get("name", name), "name"),
        outputs,
        {path: set(_texts(names, path)) for path, names in _object(fields["inputDrvs"], "inputDrvs").items()},
        set(_texts(fields["inputSrcs"], "inputSrcs")),
        _text(fields["system"], "system"),
        _text(fields["builder"], "builder"),
        _texts(fields["args"], "args"),
        {key: _text(text, key) for key, text in _object(fields["env"], "env").items()},
    )


def _output(output: Output) -> dict[str, Any]:
    value: dict[str, Any] = {}
    if output.path:
        value["path"] = output.path
    if output.method_algo:
        value["hashAlgo"] = output.method_algo
    if output.kind == IMPURE:
        value["impure"] = True
    elif output.hash:
        value["hash"] = output.hash
    return value


def _read_output(value: object) -> Output:
    fields = _object(value, "an output")
    impure = fields.get("impure") is True
    digest = "impure" if impure else _text(fields.get("hash", ""), "hash")
    return Output(_text(fields.get("path", ""), "path"), _text(fields.get("hashAlgo", ""), "hashAlgo"), digest)


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DerivationJsonError(f"{what}: expected an object")
    return value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise DerivationJsonError(f"{what}: expected a string")
    return value


def _texts(value: object, what: str) -> list[str]:
    if not isinstance(value, list):
        raise DerivationJsonError(f"{what}: expected a list")
    return [_text(item, what) for item in value]
