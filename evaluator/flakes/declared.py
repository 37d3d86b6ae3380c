"""The inputs that a flake's text declares, however broken it is."""

from __future__ import annotations

from evaluator.names import static_name
from evaluator.syntax.tree import AttrBinding, AttrSet, Expr, Lambda, Node


def declared_inputs(root: Expr, text: str) -> dict[str, tuple[int, int]]:
    """Where the names of a flake's inputs stand that are declared under ``inputs``: absolute ranges.

    Under "" the range of the word ``inputs`` itself or, where there is none, of ``outputs``.
    """
    found: dict[str, tuple[int, int]] = {}
    if not isinstance(root, AttrSet):
        return found
    for binding in root.bindings:
        if not isinstance(binding, AttrBinding):
            continue
        base = binding.start
        steps = binding.path.steps
        first = static_name(steps[0], base, text)
        if first == "inputs":
            found[""] = (base + steps[0].start, base + steps[0].end)
            if len(steps) > 1:
                _add(found, steps[1], base, text)
            elif isinstance(binding.value, AttrSet):
                for inner in binding.value.bindings:
                    if isinstance(inner, AttrBinding):
                        _add(found, inner.path.steps[0], base + inner.start, text)
        elif first == "outputs":
            found.setdefault("", (base + steps[0].start, base + steps[0].end))
    return found


def wanted_text(root: Expr, text: str) -> str:
    """What of a flake's text says which inputs it wants: what it declares, and the arguments of its outputs."""
    found: list[str] = []
    if isinstance(root, AttrSet):
        for binding in root.bindings:
            if not isinstance(binding, AttrBinding):
                continue
            first = static_name(binding.path.steps[0], binding.start, text)
            end = binding.end
            if first == "outputs" and isinstance(binding.value, Lambda):
                end = binding.start + binding.value.body.start
            if first in ("inputs", "outputs"):
                found.append(text[binding.start : end])
    return "\n".join(found)


def _add(found: dict[str, tuple[int, int]], step: Node, base: int, text: str) -> None:
    name = static_name(step, base, text)
    if name:
        found.setdefault(name, (base + step.start, base + step.end))
