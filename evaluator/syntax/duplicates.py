"""Attributes and formal arguments that are defined twice.

Nix merges ``a.b = 1; a.c = 2;`` and ``a = { b = 1; }; a.c = 2;`` while parsing and
rejects what cannot be merged. The rules are those of C++ Nix since 2.26: a path may go
through a set that is written out, not through anything else; two sets written out
are merged, and so are the sets written out in them (older ones reject the latter).
"""

from __future__ import annotations

from typing import Final

from evaluator.syntax.problems import Problem
from evaluator.syntax.strings import static_name
from evaluator.syntax.tree import (
    AttrBinding,
    AttrSet,
    Binding,
    Expr,
    Formals,
    Inherit,
    Name,
    Node,
    Paren,
    Str,
    Text,
)


def needs_check(source: str, bindings: list[Binding], base: int) -> bool:
    """Whether :func:`check_bindings` could find anything: a quick look at the first names only."""
    if len(bindings) < 2:
        if not bindings:
            return False
        only = bindings[0]
        if not isinstance(only, Inherit) or len(only.names) < 2:
            return False
    seen: set[str] = set()
    count = 0
    for binding in bindings:
        if isinstance(binding, AttrBinding):
            step = binding.path.steps[0]
            if isinstance(step, Name):
                seen.add(step.name)
            else:
                name = _plain_name(source, step, base + binding.start)
                if name is None:
                    return True
                seen.add(name)
            count += 1
        elif isinstance(binding, Inherit):
            for node in binding.names:
                if not isinstance(node, Name):
                    return True
                seen.add(node.name)
                count += 1
    return len(seen) != count


def _plain_name(source: str, step: Node, base: int) -> str | None:
    """What a string says that has nothing to be read specially; None for all else."""
    if not isinstance(step, Str) or step.indented or len(step.parts) != 1:
        return None
    part = step.parts[0]
    if not isinstance(part, Text):
        return None
    raw = source[base + part.start : base + part.end]
    if "\\" in raw or "$" in raw or "\r" in raw:
        return None
    return raw


class _Slot:
    """What is known of one attribute while merging: where it is, and its members when it is a set."""

    def __init__(self, start: int, end: int) -> None:
        self.start: Final = start
        self.end: Final = end
        self.members: dict[str, _Slot] | None = None
        # A set written out whose members have not been looked at yet.
        self.value: AttrSet | None = None
        self.value_base: int = 0


def check_bindings(source: str, bindings: list[Binding], base: int, problems: list[Problem]) -> None:
    """Append a ``duplicate-attribute`` problem for each attribute that Nix would reject.

    ``base`` is the absolute offset that the bindings' offsets are relative to. What lies
    inside a value is not looked at, except where it is merged with another.
    """
    _Checker(source, problems).add_all(bindings, base, {}, "")


class _Checker:
    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source: Final = source
        self.problems: Final = problems

    def add_all(self, bindings: list[Binding], base: int, members: dict[str, _Slot], prefix: str) -> None:
        for binding in bindings:
            at = base + binding.start
            if isinstance(binding, AttrBinding):
                self.add(binding, at, members, prefix)
            elif isinstance(binding, Inherit):
                for node in binding.names:
                    name = self.name_of(node, at)
                    if name is None:
                        continue
                    slot = _Slot(at + node.start, at + node.end)
                    if name in members:
                        self.duplicate(prefix + name, slot, members[name])
                    else:
                        members[name] = slot

    def add(self, binding: AttrBinding, at: int, members: dict[str, _Slot], prefix: str) -> None:
        steps = binding.path.steps
        start = at + binding.path.start
        last = len(steps) - 1
        for index in range(last):
            name = self.name_of(steps[index], at)
            if name is None:
                return
            prefix += name
            found = members.get(name)
            if found is None:
                found = _Slot(start, at + steps[index].end)
                found.members = {}
                members[name] = found
            inner = self.members_of(found, prefix)
            if inner is None:
                self.duplicate(prefix, _Slot(start, at + steps[index].end), found)
                return
            members = inner
            prefix += "."
        name = self.name_of(steps[last], at)
        if name is None:
            return
        slot = _Slot(start, at + binding.path.end)
        value = _written_set(binding.value)
        if value is not None:
            slot.value = value
            slot.value_base = at
        self.merge(members, name, slot, prefix)

    def merge(self, members: dict[str, _Slot], name: str, slot: _Slot, prefix: str) -> None:
        """Put an attribute among ``members``: sets written out are merged, anything else is a duplicate."""
        found = members.get(name)
        if found is None:
            members[name] = slot
            return
        new = self.members_of(slot, prefix + name)
        into = self.members_of(found, prefix + name) if new is not None else None
        if new is None or into is None:
            self.duplicate(prefix + name, slot, found)
            return
        for key, member in new.items():
            self.merge(into, key, member, f"{prefix}{name}.")

    def members_of(self, slot: _Slot, prefix: str) -> dict[str, _Slot] | None:
        """The members of an attribute that is a set written out, else None."""
        if slot.members is None and slot.value is not None:
            members: dict[str, _Slot] = {}
            # Its own duplicates were reported when it was read.
            _Checker(self.source, []).add_all(slot.value.bindings, slot.value_base, members, prefix + ".")
            slot.members = members
        return slot.members

    def name_of(self, node: Node, at: int) -> str | None:
        if isinstance(node, Name):
            return node.name
        return static_name(self.source, node, at)

    def duplicate(self, name: str, second: _Slot, first: _Slot) -> None:
        self.problems.append(
            Problem(
                "duplicate-attribute",
                f"attribute `{name}` is already defined",
                second.start,
                second.end,
                None,
                first.start,
                first.end,
            )
        )


def _written_set(value: Expr) -> AttrSet | None:
    """The set that a value is when it is written out, parentheses aside."""
    while isinstance(value, Paren):
        value = value.inner
    return value if isinstance(value, AttrSet) else None


def check_formals(formals: Formals, name: Name | None, base: int, problems: list[Problem]) -> None:
    """Append a ``duplicate-formal`` problem for each name given twice, the ``@`` name included."""
    seen: dict[str, Name] = {}
    for formal in formals.formals:
        key = formal.name.name
        first = seen.get(key)
        if first is None:
            seen[key] = formal.name
        else:
            _duplicate_formal(formal.name, first, base, problems)
    if name is not None:
        first = seen.get(name.name)
        if first is not None:
            _duplicate_formal(name, first, base, problems)


def _duplicate_formal(second: Name, first: Name, base: int, problems: list[Problem]) -> None:
    problems.append(
        Problem(
            "duplicate-formal",
            f"formal argument `{second.name}` is named twice",
            base + second.start,
            base + second.end,
            None,
            base + first.start,
            base + first.end,
        )
    )
