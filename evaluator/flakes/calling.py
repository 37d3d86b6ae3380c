"""From a flake to its outputs: ``getFlake``, and what follows ``#`` on a command line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from evaluator.builtins.fetch_trees import described
from evaluator.builtins.flake_refs import Ref, parse_flake_ref
from evaluator.builtins.json import parse
from evaluator.code.functions import call
from evaluator.corepkgs import FOLDER
from evaluator.entry import split_path
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.locking import Locked, lock_flake
from evaluator.flakes.reference import is_relative, shown
from evaluator.runtime.errors import EvalError, MissingAttribute
from evaluator.runtime.values import Attrs, force

if TYPE_CHECKING:
    from evaluator.session import Session


def get_flake(session: Session, text: str) -> object:
    """What ``getFlake`` answers for a reference. Raises EvalError."""
    ref = parse_flake_ref(text)
    fetcher = fetcher_of(session)
    if fetcher.pure and not ("narHash" in ref or "rev" in ref):
        raise EvalError(f"cannot call 'getFlake' on unlocked flake reference '{text}' (use --impure to override)")
    return outputs_of(session, lock_flake(session, ref))


def outputs_of(session: Session, found: Locked) -> object:
    """The outputs of a locked flake, with what else belongs to it."""
    return _call(session, found, described(found.flake.tree, found.flake.locked, False), False)


def inputs_of(session: Session, found: Locked, source: Attrs) -> Attrs:
    """The inputs of a locked flake whose tree is ``source``; nothing of its own is looked at."""
    inputs = _call(session, found, source, True)
    assert isinstance(inputs, Attrs)
    return inputs


def _call(session: Session, found: Locked, source: Attrs, inputs_only: bool) -> object:
    function = session.import_file(os.path.join(FOLDER, "call-flake.nix"))
    items: dict[str, object] = {
        "lock": parse(json.dumps(_with_places(found))),
        "source": source,
        "dir": str(found.flake.locked.get("dir", "")),
        "inputsOnly": inputs_only,
    }
    return force(call(function, Attrs(items, None)))


def _with_places(found: Locked) -> dict[str, Any]:
    """The lock file as data; nodes with relative paths say in whose tree they lie, and where."""
    data = found.lock.to_json()
    nodes = data["nodes"]
    places: dict[str, tuple[str, str]] = {data["root"]: (data["root"], str(found.flake.locked.get("dir", "")))}
    pending = [data["root"]]
    while pending:
        name = pending.pop()
        for inner in nodes[name].get("inputs", {}).values():
            if not isinstance(inner, str) or inner in places:
                continue
            node = nodes[inner]
            if is_relative(node["locked"]):
                owner, folder = places[name]
                path = os.path.normpath(os.path.join(folder, node["locked"]["path"], node["locked"].get("dir", "")))
                if path == ".." or path.startswith("../"):
                    raise EvalError(
                        f"the relative path '{node['locked']['path']}' of the input '{inner}' of flake"
                        f" '{shown(found.flake.resolved)}' leads out of the source tree of its flake"
                    )
                places[inner] = (owner, "" if path == "." else path)
                nodes[inner] = {**node, "within": {"node": owner, "dir": places[inner][1]}}
            else:
                places[inner] = (inner, node["locked"].get("dir", ""))
            pending.append(inner)
    return data


def candidates(fragment: str, system: str) -> list[str]:
    """The attribute paths that ``#FRAGMENT`` may mean, likeliest first; with a dot before it, only itself."""
    if fragment.startswith("."):
        return [fragment[1:]]
    if not fragment:
        return [f"packages.{system}.default", f"defaultPackage.{system}"]
    return [f"packages.{system}.{fragment}", f"legacyPackages.{system}.{fragment}", fragment]


def select_output(flake: object, fragment: str, system: str, ref: Ref, whole: bool = True) -> object:
    """What ``REF#FRAGMENT`` is. Raises MissingAttribute.

    ``whole``: without a fragment and a default it is the outputs themselves.
    """
    assert isinstance(flake, Attrs)
    outputs = flake.get("outputs")
    paths = candidates(fragment, system)
    for path in paths:
        found = _selected(outputs, split_path(path))
        if found is not None:
            return found
    if not fragment and whole:
        assert outputs is not None
        return outputs
    quoted = [f"'{path}'" for path in paths]
    listed = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    raise MissingAttribute(f"flake '{shown(ref)}' does not provide attribute {listed}")


def _selected(value: object, path: list[str]) -> object:
    for name in path:
        value = force(value)
        if not isinstance(value, Attrs):
            return None
        value = value.get(name)
        if value is None:
            return None
    return force(value)
