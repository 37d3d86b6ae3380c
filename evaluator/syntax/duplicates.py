"""Attributes and formal arguments that are defined twice.

Nix merges ``a.b = 1; a.c = 2;`` and ``a = { b = 1; }; a.c = 2;`` while parsing and
rejects what cannot be merged. The rules are those of C++ Nix since 2.26: a path may go
through a set that is written out, not through anything else; two sets written out
are merged, and so are the sets written out in them (older ones reject the latter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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

if TYPE_CHECKING:
    from mypy_extensions import i64


#: From so many bindings on it pays to look for lists that have been checked.
LARGE: Final = 64
#: How many bindings may be new in one of them, and how many in a row may be gone.
_NEW: Final = 8
_GONE: Final = 8


def needs_check(source: str, bindings: list[Binding], base: int, checked: list[list[Binding]]) -> bool:
    """Whether :func:`check_bindings` could find anything: a quick look at the first names only.

    ``checked`` are lists of bindings in which there is nothing to find.
    """
    if len(bindings) >= LARGE:
        for before in checked:
            new = _newcomers(before, bindings)
            if new is not None:
                return _repeats(source, new, bindings, base)
    if len(bindings) < 2:
        if not bindings:
            return False
        only = bindings[0]
        if not isinstance(only, Inherit) or len(only.names) < 2:
            return False
    names = _first_names(source, bindings, base)
    return names is None or len(set(names)) != len(names)


def _newcomers(before: list[Binding], now: list[Binding]) -> list[Binding] | None:
    """Those of the bindings ``now`` that were not there ``before``; None when they are many."""
    new: list[Binding] = []
    size: i64 = len(before)
    reached: i64 = 0
    for binding in now:
        stop = min(reached + _GONE, size)
        index = reached
        while index < stop and not _is_same(before[index], binding):
            index += 1
        if index < stop:
            reached = index + 1
        else:
            new.append(binding)
            if len(new) > _NEW:
                return None
    return new


def _is_same(one: Binding, other: Binding) -> bool:
    """Whether the one has been made of the other, perhaps at another place."""
    if one is other:
        return True
    if isinstance(one, AttrBinding):
        return isinstance(other, AttrBinding) and one.path is other.path
    return isinstance(one, Inherit) and isinstance(other, Inherit) and one.names is other.names


def _repeats(source: str, new: list[Binding], bindings: list[Binding], base: int) -> bool:
    """Whether a first name of ``new``, which are among ``bindings``, is there twice, or hard to tell."""
    added = _first_names(source, new, base)
    if added is None:
        return True
    if not added:
        return False
    everything = _first_names(source, bindings, base)
    if everything is None:
        return True
    names = set(added)
    found = 0
    for name in everything:
        if name in names:
            found += 1
    return len(names) != len(added) or found != len(added)


def _first_names(source: str, bindings: list[Binding], base: int) -> list[str] | None:
    """The first names of all paths and the inherited names; None if one of them is no plain name."""
    names: list[str] = []
    for binding in bindings:
        if isinstance(binding, AttrBinding):
            step = binding.path.steps[0]
            name = step.name if isinstance(step, Name) else _plain_name(source, step, base + binding.start)
            if name is None:
                return None
            names.append(name)
        elif isinstance(binding, Inherit):
            for node in binding.names:
                if not isinstance(node, Name):
                    return None
                names.append(node.name)
    return names


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
