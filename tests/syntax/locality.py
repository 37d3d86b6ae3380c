"""How far the harm of a fault reaches: which of the bindings beside it are still there, and how much work it makes."""

from __future__ import annotations

import random
from dataclasses import dataclass

from evaluator.syntax.cursor import child_base, children
from evaluator.syntax.parser import parse
from evaluator.syntax.strings import static_name
from evaluator.syntax.tree import AttrBinding, Binding, Name, Node, Source

#: What people type, and what merges and slips of the hand leave.
PIECES = [
    *"{}[]();:,.=@?!+-*/<>\"'$#\n \t\r~&|\\%_", "${", "''", "let ", " in ", "inherit ", "if ", " then ", " else ",
    "with ", "assert ", "rec ", " or ", "a", "b", "x:", "1", "1.0", "./a", "~/", "//", "++", "->", "&&", "||", "...",
    "==", " = ", ";\n", "/*", "*/", "|>", "<|", "\0", "é", "😀", "\udcff", "http:x", "<n>", "''$", "'''", "$$", "\\${",
    "\n<<<<<<< HEAD\n", "\n=======\n", "x = ", "x = {\n", "x = [ ", "x = (", "x = \"", "x = ''", "lib.", "inherit (",
    "{ a, ", "if a", "/** ", "};\n", "}\n",
]  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """Replace ``[start, end)`` by ``new``."""

    start: int
    end: int
    new: str

    def of(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


def mutation(rng: random.Random, text: str) -> Mutation:
    """Something typed, something deleted, stretches swapped, a line doubled or deleted, the end cut off."""
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(8)
    if kind <= 2:
        return Mutation(at, at, rng.choice(PIECES))
    if kind <= 4:
        return Mutation(at, min(len(text), at + rng.choice([1, 1, 1, 2, 5, 30])), "")
    if kind == 5:
        middle = min(len(text), at + rng.randrange(1, 20))
        last = min(len(text), middle + rng.randrange(1, 20))
        return Mutation(at, last, text[middle:last] + text[at:middle])
    if kind == 6:
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at) + 1
        return Mutation(start, end, "") if end else Mutation(at, at, text[start:at])
    return Mutation(at, len(text), "")


def bindings(source: Source) -> list[tuple[tuple[str, ...], int, int]]:
    """Every binding with the attributes that it is in, its own name last, and where it stands."""
    found: list[tuple[tuple[str, ...], int, int]] = []
    stack: list[tuple[Node, int, tuple[str, ...]]] = [(source.root, 0, ())]
    while stack:
        node, base, inside = stack.pop()
        if isinstance(node, Binding):
            start = base + node.start
            if isinstance(node, AttrBinding):
                inside = (*inside, *(_name(source.text, step, start) for step in node.path.steps))
            found.append((inside, start, base + node.end))
        inner = child_base(node, base)
        stack.extend((child, inner, inside) for child in children(node))
    return found


def _name(text: str, step: Node, base: int) -> str:
    if isinstance(step, Name):
        return step.name
    return static_name(text, step, base) or text[base + step.start : base + step.end]


@dataclass(frozen=True)
class Harm:
    """Of ``beside`` bindings that a mutation does not touch ``kept`` are still there, ``named`` in the same attributes.

    ``effort`` are the tokens made for it, for each that the text has.
    """

    beside: int
    kept: int
    named: int
    effort: float
    source: Source


def harm(before: Source, change: Mutation) -> Harm:
    """What a mutation does to the bindings that do not hold it."""
    after = parse(change.of(before.text))
    shift = len(change.new) - (change.end - change.start)
    there: dict[tuple[int, str], tuple[str, ...]] = {}
    for inside, start, end in bindings(after):
        there[start, after.text[start:end].rstrip()] = inside
    beside = kept = named = 0
    for inside, start, end in bindings(before):
        if start < change.end + (change.start == change.end) and end > change.start:
            continue
        beside += 1
        moved = shift if start >= change.end else 0
        found = there.get((start + moved, before.text[start:end].rstrip()))
        kept += found is not None
        named += found == inside
    return Harm(beside, kept, named, after.effort / max(1, before.effort), after)
