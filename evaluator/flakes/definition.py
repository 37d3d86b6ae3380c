"""What a ``flake.nix`` says of itself and its inputs.

Specification: the Nix manual, "nix flake", "Flake format".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evaluator.builtins.flake_refs import Ref
from evaluator.code.functions import FormalsLambda
from evaluator.fetching import Tree
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.lock_file import InputPath
from evaluator.flakes.own_settings import read_settings
from evaluator.flakes.reference import parse_input, plain_address, shown
from evaluator.runtime.errors import EvalError, TypeFault
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, Closure, ContextString, PartialPrimop, Primop
from evaluator.syntax import tree as syntax

if TYPE_CHECKING:
    from evaluator.session import Session

_KNOWN = frozenset(["description", "inputs", "outputs", "nixConfig"])


@dataclass
class Input:
    """An input as a flake wants it: an address, or another input that it follows; and what its own inputs shall be.

    Neither of the two, where only something is said about the inputs of an input.
    """

    ref: Ref | None = None
    flake: bool = True
    follows: InputPath | None = None
    overrides: dict[str, Input] = field(default_factory=dict)


@dataclass
class Flake:
    """A flake that was fetched. ``original`` is how it was asked for; ``resolved`` has no names of a registry any more;
    ``locked`` means exactly this tree. ``folder`` is the store path of the folder of its ``flake.nix``."""

    original: Ref
    resolved: Ref
    locked: Ref
    tree: Tree
    folder: str
    description: str | None
    inputs: dict[str, Input]
    #: What ``nixConfig`` says, as text.
    settings: dict[str, str] = field(default_factory=dict)


def without_folder(ref: Ref, address: bool = False) -> Ref:
    """A reference to the tree that a flake lies in; ``address``: take the folder out of its address, too."""
    found = {name: value for name, value in ref.items() if name != "dir"}
    url = found.get("url")
    if address and isinstance(url, str):
        found["url"] = plain_address(url)
    return found


def fetch_tree(session: Session, ref: Ref) -> tuple[Tree, Ref, Ref]:
    """The tree of a reference, the reference without names of a registry, and the one that means exactly that tree.

    Raises EvalError.
    """
    fetcher = fetcher_of(session)
    resolved = fetcher.resolved(session, ref)
    tree = fetcher.flake_tree(session, without_folder(resolved))
    locked = dict(tree.items)
    if "dir" in resolved:
        locked["dir"] = resolved["dir"]
    return tree, resolved, locked


def fetch_flake(session: Session, ref: Ref, root: InputPath = ()) -> Flake:
    """A flake, fetched and read; ``root`` is the way to the input whose lock file its ``follows`` refer to."""
    tree, resolved, locked = fetch_tree(session, ref)
    below = str(locked.get("dir", ""))
    return read_flake(session, ref, resolved, locked, tree, f"{tree.path}/{below}" if below else tree.path, root)


def read_flake(
    session: Session, ref: Ref, resolved: Ref, locked: Ref, tree: Tree, folder: str, root: InputPath
) -> Flake:
    """The flake in ``folder``, which lies in ``tree``. Raises EvalError."""
    path = f"{folder}/flake.nix"
    if not session.files.exists(path):
        raise session.files.missing(
            path, f"source tree referenced by '{shown(resolved)}' does not contain a '{path[len(tree.path) + 1 :]}'"
        )
    parsed = session.parsed(path)
    if not isinstance(parsed.source.root, syntax.AttrSet):
        raise EvalError(f"file '{path}' must be an attribute set, without anything around it")
    value = session.import_file(path)
    assert isinstance(value, Attrs)
    for name in ("description", "inputs"):
        computed = _computed(parsed.source.root, [name])
        if computed is not None:
            raise EvalError(
                f"flake attribute '{'.'.join(computed)}' is computed; Nix wants it written out:"
                " as a string, a set, true or false",
                value.place_of(name),
            )
    for name in sorted(value.items):
        if name not in _KNOWN:
            raise EvalError(f"flake '{shown(resolved)}' has an unsupported attribute '{name}'", value.place_of(name))
    description = _string(value, "description") if value.has("description") else None
    inputs = _inputs(value, "inputs", root) if value.has("inputs") else {}
    for name, each in inputs.items():
        if each.follows is None and each.ref is None:
            each.ref = {"type": "indirect", "id": name}
    if not value.has("outputs"):
        raise EvalError(f"flake '{shown(resolved)}' lacks attribute 'outputs'")
    outputs = value.get("outputs")
    if not isinstance(outputs, Closure | Primop | PartialPrimop):
        raise _mismatch(value, "outputs", outputs, "a function")
    if isinstance(outputs, Closure):
        code = outputs.function
        if isinstance(code, FormalsLambda):
            for name in code.names:
                if name != "self" and name not in inputs:
                    inputs[name] = Input(ref={"type": "indirect", "id": name})
    settings = read_settings(session, value.find("nixConfig")) if value.has("nixConfig") else {}
    return Flake(ref, resolved, locked, tree, folder, description, inputs, settings)


def _computed(at: syntax.Expr, wanted: list[str]) -> list[str] | None:
    """The way to something in the attributes ``wanted`` of a set (in all, if none are named) that is to be worked out.

    Whoever reads a ``flake.nix`` for its inputs wants to evaluate nothing.
    """
    if isinstance(at, syntax.Paren):
        return _computed(at.inner, wanted)
    if not isinstance(at, syntax.AttrSet):
        return None if _is_written_out(at) else []
    for binding in at.bindings:
        if isinstance(binding, syntax.AttrBinding):
            steps = [step.name if isinstance(step, syntax.Name) else "…" for step in binding.path.steps]
            if wanted and steps[:1] != wanted:
                continue
            for step in binding.path.steps:
                if isinstance(step, syntax.Interpolation) and not _is_written_out(step.expr):
                    return steps
            inner = _computed(binding.value, [])
            if inner is not None:
                return steps + inner
        elif isinstance(binding, syntax.Inherit):
            for name in binding.names:
                if isinstance(name, syntax.Name) and (not wanted or name.name in wanted):
                    return [name.name]
    return None


def _is_written_out(expr: syntax.Expr) -> bool:
    if isinstance(expr, syntax.Str | syntax.Path):
        return not any(isinstance(part, syntax.Interpolation) for part in expr.parts)
    if isinstance(expr, syntax.Var):
        return expr.name in ("true", "false", "null")
    return isinstance(expr, syntax.Int | syntax.Float | syntax.Uri | syntax.Lambda | syntax.ListExpr)


def _inputs(attrs: Attrs, name: str, root: InputPath) -> dict[str, Input]:
    value = attrs.get(name)
    if not isinstance(value, Attrs):
        raise _mismatch(attrs, name, value, "a set")
    found: dict[str, Input] = {}
    for key in sorted(value.items):
        try:
            found[key] = _input(value, key, root)
        except EvalError as error:
            error.note(f"in flake input '{key}'", value.place_of(key))
            raise
    return found


def _input(attrs: Attrs, name: str, root: InputPath) -> Input:
    value = attrs.get(name)
    if not isinstance(value, Attrs):
        raise _mismatch(attrs, name, value, "a set")
    result = Input()
    items: Ref = {}
    for key in sorted(value.items):
        if key == "flake":
            result.flake = _boolean(value, key)
        elif key == "inputs":
            result.overrides = _inputs(value, key, root)
        elif key == "follows":
            result.follows = (*root, *follows_path(_string(value, key)))
        else:
            items[key] = _scalar(value, key)
    if "type" in items:
        result.ref = items
    elif "url" in items:
        del items["url"]
        if items:
            raise EvalError(f"unexpected flake input attribute '{min(items)}'", value.place_of(min(items)))
        result.ref = parse_input(_string(value, "url"))
    elif items:
        raise EvalError(f"unexpected flake input attribute '{min(items)}'", value.place_of(min(items)))
    return result


def follows_path(text: str) -> InputPath:
    """``a/b`` as a way to an input."""
    return tuple(part for part in text.split("/") if part)


def _scalar(attrs: Attrs, name: str) -> object:
    value = attrs.get(name)
    if isinstance(value, ContextString):
        return value.text
    if not isinstance(value, (str, bool, int)) or (isinstance(value, int) and value < 0):
        raise TypeFault(
            f"flake input attribute '{name}' is {type_name(value)} while a string, Boolean, or integer is expected",
            attrs.place_of(name),
        )
    return value


def _string(attrs: Attrs, name: str) -> str:
    value = attrs.get(name)
    if not isinstance(value, str):
        raise _mismatch(attrs, name, value, "a string")
    return value


def _boolean(attrs: Attrs, name: str) -> bool:
    value = attrs.get(name)
    if not isinstance(value, bool):
        raise _mismatch(attrs, name, value, "a Boolean")
    return value


def _mismatch(attrs: Attrs, name: str, value: object, wanted: str) -> TypeFault:
    return TypeFault(f"flake attribute '{name}' is {type_name(value)} while {wanted} is expected", attrs.place_of(name))
