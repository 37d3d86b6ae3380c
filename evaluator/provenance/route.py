"""How a file is reached: who calls its functions, and with what.

In this order: a package file below ``pkgs/by-name`` is the attribute of its name; a file that runs
without arguments runs; a file that another one names by path (``callPackage ./x``, ``import ./x``) is reached
through that one, which is itself reached this way; at last the names of its arguments tell
(``pkgs``, ``lib``, ``final: prev:``, package names).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from evaluator.code.coerce import canonical
from evaluator.code.functions import FormalsLambda, call
from evaluator.io.files import Files, ParsedFile
from evaluator.provenance.context import FileContext, unknown, unwrapped
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import EMPTY_ATTRS, Attrs, Closure, Env, force
from evaluator.session import Session
from evaluator.syntax import tree
from evaluator.syntax.cursor import Place as TreePlace
from evaluator.syntax.cursor import child_base, children

_DEEPEST: Final = 6
_MOST_FILES: Final = 4000
ENTRIES: Final = (
    "default.nix",
    "shell.nix",
    "flake.nix",
    "release.nix",
    "configuration.nix",
    "nixos/configuration.nix",
)


class Route:
    """``text`` tells people; ``given`` are the arguments of the file's outermost functions, outermost first."""

    def __init__(self, text: str, given: Sequence[object]) -> None:
        self.text: Final = text
        self.given: Final = list(given)


def outer_lambda(root: tree.Expr) -> tuple[tree.Lambda, int] | None:
    """The function that a file is, below ``let``, ``with`` and ``assert``; None if it is none. With its base, 0."""
    at = unwrapped(root)
    while isinstance(at, tree.Let | tree.With | tree.Assert):
        at = unwrapped(at.body)
    return (at, 0) if isinstance(at, tree.Lambda) else None


def curried(lambda_: tree.Lambda) -> list[tree.Lambda]:
    """The function and the functions that it answers directly: ``final: prev: …`` are two."""
    found = [lambda_]
    body = unwrapped(lambda_.body)
    while isinstance(body, tree.Lambda):
        found.append(body)
        body = unwrapped(body.body)
    return found


def runs_alone(root: tree.Expr) -> bool:
    """Whether a file has a value without arguments: it is no function, or all its formals have defaults."""
    found = outer_lambda(root)
    if found is None:
        return True
    formals = found[0].formals
    return formals is not None and all(formal.default is not None for formal in formals.formals)


def by_name(path: str, nixpkgs: str) -> str:
    """The attribute that a file below ``pkgs/by-name`` of this checkout is; empty if it is none."""
    folder = f"{nixpkgs}/pkgs/by-name/"
    if not nixpkgs or not path.startswith(folder):
        return ""
    parts = path[len(folder) :].split("/")
    return parts[1] if len(parts) == 3 and parts[2] == "package.nix" else ""


class References:
    """Which files a file names by literal paths, and where."""

    def __init__(self, files: Files) -> None:
        self._files: Final = files
        self._known: Final[dict[str, tuple[ParsedFile, dict[str, list[tuple[int, int]]]]]] = {}

    def of(self, path: str) -> dict[str, list[tuple[int, int]]]:
        """Files named -> absolute ranges of the path literals. Empty for what cannot be read."""
        try:
            parsed = self._files.parse(path)
        except EvalError:
            return {}
        known = self._known.get(path)
        if known is not None and known[0] is parsed:
            return known[1]
        found: dict[str, list[tuple[int, int]]] = {}
        directory = os.path.dirname(path)
        text = parsed.source.text
        for node, base in _paths(parsed.source.root):
            literal = text[base + node.start : base + node.end]
            if literal.startswith(("./", "../", "/")) or "/" in literal:
                target = canonical(literal if literal.startswith("/") else f"{directory}/{literal}")
                if not target.endswith(".nix"):
                    if self._files.exists(target + "/default.nix"):
                        target += "/default.nix"
                    else:
                        continue
                found.setdefault(target, []).append((base + node.start, base + node.end))
        self._known[path] = (parsed, found)
        return found


def _paths(root: tree.Expr) -> Iterator[tuple[tree.Path, int]]:
    stack: list[tuple[tree.Node, int]] = [(root, 0)]
    while stack:
        node, base = stack.pop()
        if isinstance(node, tree.Path):
            if all(isinstance(part, tree.Text) for part in node.parts):
                yield node, base
            continue
        inner = child_base(node, base)
        stack.extend((child, inner) for child in children(node))


def call_around(chain: Sequence[TreePlace]) -> list[TreePlace]:
    """The chain up to the call that the node at its end is an argument of: the outermost application around it."""
    end = len(chain) - 1
    while end > 0:
        above = chain[end - 1].node
        if isinstance(above, tree.Paren) or (isinstance(above, tree.Apply)):
            end -= 1
            continue
        break
    return list(chain[: end + 1])


def given_of(calls: list[Env], depth: int) -> list[object]:
    """The arguments behind an observed environment of a file's function, ``depth`` functions deep, outermost first."""
    env: object = calls[0]
    given: list[object] = []
    for _ in range(depth):
        assert isinstance(env, list)
        given.append(env[1])
        env = env[0]
    given.reverse()
    return given


def by_shape(lambda_: tree.Lambda, pkgs: Attrs | None) -> Route | None:
    """Arguments told by their names; None without a package set or a shape that is known."""
    if pkgs is None:
        return None
    functions = curried(lambda_)
    formals = lambda_.formals
    if formals is None:
        names = [function.name.name for function in functions if function.name is not None]
        if len(functions) >= 2 and names[:2] in (["final", "prev"], ["self", "super"]):
            return Route("an overlay: its arguments are nixpkgs", [pkgs, pkgs])
        if names == ["pkgs"] or names == ["ps"]:
            return Route("its argument is nixpkgs", [pkgs])
        return None
    wanted = [formal.name.name for formal in formals.formals]
    if not wanted and not formals.ellipsis:
        return Route("called without arguments", [EMPTY_ATTRS])
    is_module = bool({"config", "options"} & set(wanted)) and not {"stdenv", "fetchurl"} & set(wanted)
    items: dict[str, object] = {}
    for name in wanted:
        if name == "pkgs":
            items[name] = pkgs
        elif is_module and name in ("config", "options"):
            items[name] = unknown(name)
        elif name in pkgs.items:
            items[name] = pkgs.items[name]
    if is_module:
        return Route("a module: pkgs and lib are those of nixpkgs, config is not known", [Attrs(items, pkgs.positions)])
    return Route("arguments by name from nixpkgs", [Attrs(items, pkgs.positions)])


def automatic(session: Session, context: FileContext) -> object:
    """Runs a file that needs no arguments, calling its function with none; of a flake the outputs. Raises EvalError."""
    if context.outputs is not None:
        return force(context.outputs)
    value = context.run()
    if isinstance(value, Closure) and isinstance(value.function, FormalsLambda):
        return call(value, EMPTY_ATTRS)
    return value
