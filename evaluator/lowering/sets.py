"""Sets as the text defines them, in pieces: ``a.b = …; a.c = …; inherit (d) e;`` merged as Nix merges them.

Nothing is code yet: values are trees, each with the offset that its own offsets are relative to.
"""

from __future__ import annotations

from typing import Final, final

from evaluator.runtime.source import SourceFile
from evaluator.runtime.values import spend
from evaluator.syntax import strings, tree


@final
class Entry:
    """One attribute of a set or let while it is lowered: a value, or the set that several paths make together."""

    def __init__(self, start: int, value: tree.Expr | None, base: int, nested: SetSpec | None, outer: bool) -> None:
        self.start: Final = start
        self.value: Final = value
        self.base: Final = base
        self.nested = nested
        self.outer: Final = outer  # inherited from the enclosing scope


@final
class Clause:
    """``inherit (source) names`` while it is lowered."""

    def __init__(self, source: tree.Expr, base: int, names: dict[str, int]) -> None:
        self.source: Final = source
        self.base: Final = base
        self.names: Final = names


@final
class Dynamic:
    """``${name} = value`` while it is lowered; the value may be nested."""

    def __init__(
        self, name: tree.Node, base: int, value: tree.Expr | None, nested: SetSpec | None, start: int, end: int
    ) -> None:
        self.name: Final = name
        self.base: Final = base
        self.value: Final = value
        self.nested: Final = nested
        self.start: Final = start
        self.end: Final = end


@final
class SetSpec:
    """The attributes of one set after ``a.b = …; a.c = …;`` have been merged as Nix merges them."""

    def __init__(self, recursive: bool) -> None:
        self.recursive: Final = recursive
        self.entries: Final[dict[str, Entry]] = {}
        self.clauses: Final[list[Clause]] = []
        self.dynamic: Final[list[Dynamic]] = []


class Pieces:
    """Puts sets together that the text of one file defines in pieces."""

    def __init__(self, file: SourceFile) -> None:
        self.file: Final = file

    def static_name(self, step: tree.Node, base: int) -> str | None:
        """The name of a step that needs no evaluation: an identifier, or a string without interpolation."""
        if isinstance(step, tree.Name):
            return step.name
        return strings.static_name(self.file.text, step, base)

    def spec(self, bindings: list[tree.Binding], base: int, recursive: bool) -> SetSpec:
        """The merged attributes of a list of bindings."""
        spec = SetSpec(recursive)
        self._add_bindings(spec, bindings, base)
        return spec

    def _add_bindings(self, spec: SetSpec, bindings: list[tree.Binding], base: int) -> None:
        for binding in bindings:
            spend(4)
            at = base + binding.start
            if isinstance(binding, tree.AttrBinding):
                self._add(spec, binding.path.steps, 0, binding.value, at)
            elif isinstance(binding, tree.Inherit):
                source = binding.source
                names: dict[str, int] = {}
                for node in binding.names:
                    name = self.static_name(node, at)
                    if name is not None:
                        names[name] = at + node.start
                if source is None:
                    for name in names:
                        if name not in spec.entries:
                            spec.entries[name] = Entry(names[name], None, at, None, True)
                else:
                    spec.clauses.append(Clause(source, at, names))

    def _add(self, spec: SetSpec, steps: list[tree.Node], index: int, value: tree.Expr, base: int) -> None:
        step = steps[index]
        last = index == len(steps) - 1
        name = self.static_name(step, base)
        if name is None:
            if isinstance(step, tree.Missing):
                return
            nested: SetSpec | None = None
            if not last:
                nested = SetSpec(False)
                self._add(nested, steps, index + 1, value, base)
            spec.dynamic.append(
                Dynamic(step, base, value if last else None, nested, base + step.start, base + step.end)
            )
            return
        known = spec.entries.get(name)
        if known is None:
            if last:
                spec.entries[name] = Entry(base + step.start, value, base, None, False)
            else:
                nested = SetSpec(False)
                spec.entries[name] = Entry(base + step.start, None, base, nested, False)
                self._add(nested, steps, index + 1, value, base)
            return
        # The name again: sets merge; anything else is a duplicate, which the syntax layer reports, and the first stays.
        into = self._as_spec(known)
        if into is None:
            return
        if not last:
            self._add(into, steps, index + 1, value, base)
            return
        while isinstance(value, tree.Paren):
            value = value.inner
        if isinstance(value, tree.AttrSet):
            self._add_bindings(into, value.bindings, base)

    def _as_spec(self, entry: Entry) -> SetSpec | None:
        if entry.nested is None:
            value = entry.value
            while isinstance(value, tree.Paren):
                value = value.inner
            if isinstance(value, tree.AttrSet):
                entry.nested = self.spec(value.bindings, entry.base, value.recursive)
        return entry.nested
