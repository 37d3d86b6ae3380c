"""``flake.lock``: a graph of inputs, each with the reference that was written and the one that it was locked to.

Specification: the Nix manual, "nix flake", "Lock files"; versions 5 to 7 are read, 7 is written, to the byte as Nix
writes it. Versions 5 and 6 have a part of what is locked under ``info``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from evaluator.builtins.flake_refs import Ref
from evaluator.flakes.reference import is_relative, shown
from evaluator.runtime.errors import EvalError

InputPath = tuple[str, ...]


@dataclass(eq=False)
class Node:
    """A flake or tree in the graph. ``inputs`` lead to nodes, or say which input of the root they follow.

    The root has neither ``original`` nor ``locked``.
    """

    original: Ref = field(default_factory=dict)
    locked: Ref = field(default_factory=dict)
    flake: bool = True
    inputs: dict[str, Node | InputPath] = field(default_factory=dict)


class LockFile:
    """A lock file, read or made."""

    def __init__(self, root: Node | None = None) -> None:
        self.root = root or Node()

    def to_json(self) -> dict[str, Any]:
        """The file as data."""
        names: dict[int, str] = {}
        nodes: dict[str, Any] = {}
        taken: set[str] = set()

        def dump(wanted: str, node: Node) -> str:
            known = names.get(id(node))
            if known is not None:
                return known
            name = wanted
            number = 2
            while name in taken:
                name = f"{wanted}_{number}"
                number += 1
            taken.add(name)
            names[id(node)] = name
            row: dict[str, Any] = {}
            if node.inputs:
                row["inputs"] = {
                    key: dump(key, found) if isinstance(found, Node) else list(found)
                    for key, found in sorted(node.inputs.items())
                }
            if node.original:
                row["original"] = node.original
                row["locked"] = node.locked
                if not node.flake:
                    row["flake"] = False
            nodes[name] = row
            return name

        root = dump("root", self.root)
        return {"nodes": nodes, "root": root, "version": 7}

    def text(self) -> str:
        """The file as it is written."""
        return json.dumps(self.to_json(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def find(self, path: InputPath) -> Node | None:
        """The node that an input leads to; None when there is none, or a circle."""
        return self._find(path, 0)

    def _find(self, path: InputPath, depth: int) -> Node | None:
        node = self.root
        for at, name in enumerate(path):
            found = node.inputs.get(name)
            if found is None or depth > 100:
                return None
            if not isinstance(found, Node):
                return self._find((*found, *path[at + 1 :]), depth + 1)
            node = found
        return node

    def check(self) -> None:
        """Raises EvalError for an input that follows one that there is not."""
        for path, found in self.all_inputs():
            if not isinstance(found, Node) and found and self.find(found) is None:
                raise EvalError(
                    f"input '{path_text(path)}' follows a non-existent input '{path_text(found)}'; "
                    "see 'tvix-eval flake metadata' for the inputs that there are"
                )

    def all_inputs(self) -> Iterator[tuple[InputPath, Node | InputPath]]:
        """Every input by the way to it, sorted; each node is entered once."""
        done: set[int] = set()

        def walk(prefix: InputPath, node: Node) -> Iterator[tuple[InputPath, Node | InputPath]]:
            if id(node) in done:
                return
            done.add(id(node))
            for name, found in sorted(node.inputs.items()):
                yield (*prefix, name), found
                if isinstance(found, Node):
                    yield from walk((*prefix, name), found)

        yield from walk((), self.root)


def read(text: str, where: str) -> LockFile:
    """A lock file's text as a graph. Raises EvalError, naming ``where``."""
    try:
        data = json.loads(text)
        version = data.get("version", 0)
        if version not in (5, 6, 7):
            raise EvalError(f"lock file '{where}' has unsupported version {version}; 5, 6 and 7 are read")
        rows = data["nodes"]
        known: dict[str, Node] = {}

        def node_of(name: str) -> Node:
            node = known.get(name)
            if node is None:
                if name not in rows:
                    raise EvalError(f"lock file '{where}' references missing node '{name}'")
                row = rows[name]
                node = known[name] = Node()
                if name != data["root"]:
                    node.original = dict(row["original"])
                    node.locked = {**row.get("info", {}), **row["locked"]}
                    node.flake = row.get("flake", True) is True
                for key, found in row.get("inputs", {}).items():
                    node.inputs[str(key)] = tuple(map(str, found)) if isinstance(found, list) else node_of(str(found))
            return node

        found = LockFile(node_of(str(data["root"])))
    except RecursionError:
        raise EvalError(f"lock file '{where}' is broken: its inputs are too deep") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise EvalError(
            f"lock file '{where}' is broken: {error!r}; 'git checkout' a good one, or remove it and lock anew"
        ) from None
    for path, node in found.all_inputs():
        if isinstance(node, Node) and not is_locked(node.locked):
            raise EvalError(f"lock file '{where}' has an input '{path_text(path)}' that is not locked to anything")
    return found


def is_locked(ref: Ref) -> bool:
    """Whether a reference can only ever mean one thing."""
    return "narHash" in ref or "rev" in ref or is_relative(ref)


def path_text(path: InputPath) -> str:
    """The way to an input as Nix prints it: ``a/b``."""
    return "/".join(path)


def difference(old: LockFile, new: LockFile) -> str:
    """What changed, as Nix reports it."""
    before, after = dict(old.all_inputs()), dict(new.all_inputs())
    lines: list[str] = []
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        named = f"input '{path_text(path)}'"
        if now is None:
            lines.append(f"• Removed {named}")
        elif was is None:
            lines += [f"• Added {named}:", f"    {_told(now)}"]
        elif _told(was) != _told(now):
            lines += [f"• Updated {named}:", f"    {_told(was)}", f"  → {_told(now)}"]
    return "\n".join(lines)


def _told(found: Node | InputPath) -> str:
    if not isinstance(found, Node):
        return f"follows '{path_text(found)}'"
    modified = found.locked.get("lastModified")
    dated = f" ({time.strftime('%Y-%m-%d', time.gmtime(modified))})" if isinstance(modified, int) else ""
    return f"'{shown(found.locked)}'{dated}"
