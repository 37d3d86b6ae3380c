"""The outputs of a flake at a glance: ``tvix-eval flake show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from evaluator.code.coerce import as_string
from evaluator.flakes.reference import shown
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import Attrs

if TYPE_CHECKING:
    from evaluator.flakes.locking import Locked
    from evaluator.session import Session

#: Outputs by system and name, and what a derivation there is called.
_BY_SYSTEM: Final = {
    "packages": "package",
    "checks": "derivation",
    "devShells": "development environment",
}
#: Outputs by system only.
_ONE_BY_SYSTEM: Final = {
    "defaultPackage": "package",
    "devShell": "development environment",
    "formatter": "package",
}
#: Outputs by name.
_NAMED: Final = {
    "nixosModules": ("nixos-module", "NixOS module"),
    "nixosConfigurations": ("nixos-configuration", "NixOS configuration"),
    "overlays": ("nixpkgs-overlay", "Nixpkgs overlay"),
    "templates": ("template", "template"),
}
_ONE: Final = {
    "nixosModule": _NAMED["nixosModules"],
    "overlay": _NAMED["overlays"],
    "defaultTemplate": _NAMED["templates"],
}
_UNKNOWN: Final = {"type": "unknown"}
_OMITTED: Final = "omitted"
_HIDDEN: Final = "hidden"

_Shape = dict[str, "object"]


def outline(flake: object, session: Session, found: Locked, *, as_json: bool, all_systems: bool, legacy: bool) -> str:
    """The outputs as text or JSON. What cannot be evaluated is shown as an error in its place.

    ``all_systems``: not only those for this machine's. ``legacy``: what is in ``legacyPackages``, too.
    """
    assert isinstance(flake, Attrs)
    outputs = flake.get("outputs")
    assert isinstance(outputs, Attrs)
    shape = {name: _output(outputs, name, session.system, all_systems, legacy) for name in sorted(outputs.items)}
    if as_json:
        return json.dumps(_data(shape)) + "\n"
    lines = [shown(found.flake.locked)]
    _draw(shape, "", lines)
    return "\n".join(lines) + "\n"


def _data(shape: object) -> object:
    """The shape as Nix's JSON has it: what is left out is empty, and of things it says what they are only."""
    if not isinstance(shape, dict):
        return shape
    if shape.get("type") in (_OMITTED, _HIDDEN):
        return {}
    return {name: _data(found) for name, found in shape.items() if name != "called"}


def _output(outputs: Attrs, name: str, system: str, all_systems: bool, legacy: bool) -> object:
    try:
        value = outputs.get(name)
        if name in _ONE:
            return _one(name, value, _ONE[name])
        if not isinstance(value, Attrs):
            return _UNKNOWN
        if name in _NAMED:
            return {key: _one(key, value.get(key), _NAMED[name]) for key in sorted(value.items)}
        if name == "hydraJobs":
            return _jobs(value)
        if name in _BY_SYSTEM or name in _ONE_BY_SYSTEM or name in ("apps", "defaultApp", "legacyPackages"):
            return {
                key: _system(name, value, key, legacy)
                if key == system or all_systems
                else {"type": _OMITTED, "flag": "--all-systems"}
                for key in sorted(value.items)
            }
    except EvalError as error:
        return {"type": "error", "message": error.message}
    return _UNKNOWN


def _system(name: str, value: Attrs, system: str, legacy: bool) -> object:
    if name == "legacyPackages":
        return _legacy(value.get(system)) if legacy else {"type": _OMITTED, "flag": "--legacy"}
    if name == "defaultApp":
        return {"type": "app"}
    if name in _ONE_BY_SYSTEM:
        return _derivation(value, system, _ONE_BY_SYSTEM[name])
    inner = value.get(system)
    if not isinstance(inner, Attrs):
        return _UNKNOWN
    if name == "apps":
        return {key: {"type": "app"} for key in sorted(inner.items)}
    return {key: _derivation(inner, key, _BY_SYSTEM[name]) for key in sorted(inner.items)}


def _derivation(outer: Attrs, name: str, called: str) -> object:
    try:
        value = outer.get(name)
        if isinstance(value, Attrs) and is_derivation(value):
            return _described(value, called)
    except EvalError as error:
        return {"type": "error", "message": error.message}
    return _UNKNOWN


def _described(value: Attrs, called: str) -> _Shape:
    shape: _Shape = {"type": "derivation", "name": as_string(value.get("name")), "called": called}
    meta = value.get("meta") if value.has("meta") else None
    if isinstance(meta, Attrs) and meta.has("description"):
        shape["description"] = as_string(meta.get("description"))
    return shape


def _jobs(value: object) -> object:
    """Derivations in sets in sets."""
    if not isinstance(value, Attrs):
        return _UNKNOWN
    if is_derivation(value):
        return _described(value, "derivation")
    shape: _Shape = {}
    for name in sorted(value.items):
        try:
            shape[name] = _jobs(value.get(name))
        except EvalError as error:
            shape[name] = {"type": "error", "message": error.message}
    return shape


def _legacy(value: object) -> object:
    """The derivations in a set; what else is in it, sets above all, is not looked into."""
    if not isinstance(value, Attrs):
        return _UNKNOWN
    found = {name: _derivation(value, name, "package") for name in sorted(value.items)}
    return {name: {"type": _HIDDEN} if shape is _UNKNOWN else shape for name, shape in found.items()}


def _one(name: str, value: object, kind: tuple[str, str]) -> object:
    shape: _Shape = {"type": kind[0], "called": kind[1]}
    if kind[0] == "template" and isinstance(value, Attrs) and value.has("description"):
        shape["description"] = as_string(value.get("description"))
    return shape


def _draw(shape: dict[str, object], prefix: str, lines: list[str]) -> None:
    for at, (name, found) in enumerate(shape.items()):
        last = at == len(shape) - 1
        start = f"{prefix}{'└' if last else '├'}───{name}"
        assert isinstance(found, dict)
        if found.get("type") == _HIDDEN:
            continue
        if isinstance(found.get("type"), str):
            lines.append(f"{start}{_said(found)}")
        else:
            lines.append(start)
            _draw(found, prefix + ("    " if last else "│   "), lines)


def _said(found: dict[str, object]) -> str:
    kind = found["type"]
    if kind == "derivation":
        return f": {found['called']} '{found['name']}'"
    if kind == "template":
        return f": template{': ' + str(found['description']) if 'description' in found else ''}"
    if kind == _OMITTED:
        return f" omitted (use '{found['flag']}' to show)"
    if kind == "error":
        return f": error: {str(found['message']).splitlines()[0]}"
    return f": {found.get('called', kind)}"
