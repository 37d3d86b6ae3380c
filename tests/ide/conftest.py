"""Cases as data: `cases/NAME.txt` is run by `test_NAME.py`, one test for each case in it.

A case begins with `#### TITLE`. Then follow the text with `$0` at the cursor, a line `----`, and lines that are either
facts for the fake evaluation or expectations (each file of cases says which it knows). The fake is asked about the text
of its target, with the selected attributes behind it: `describe lib.licenses = …`, `members stdenv = …`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evaluator.service.protocol import Answer, Facts, Location, Member, Target
from evaluator.syntax.parser import parse
from lsp.ide.types import Snapshot

CASES = Path(__file__).with_name("cases")


@dataclass
class FakeValues:
    """Answers from a table; what is not in it is unknown."""

    text: str
    facts: dict[str, Answer] = field(default_factory=dict)
    sets: dict[str, tuple[Member, ...]] = field(default_factory=dict)
    with_names: tuple[Member, ...] = ()
    supplied: tuple[Member, ...] = ()
    asked: list[str] = field(default_factory=list)

    def key(self, target: Target) -> str:
        return ".".join([self.text[target.start : target.end], *target.attrs])

    async def describe(self, target: Target) -> Answer:
        await asyncio.sleep(0)
        self.asked.append(self.key(target))
        return self.facts.get(self.key(target), Answer(0, "unknown"))

    async def members(self, target: Target, limit: int = 0) -> Answer:
        await asyncio.sleep(0)
        found = self.sets.get(self.key(target))
        return Answer(0, "unknown") if found is None else Answer(0, "value", members=found)

    async def scope(self, path: str, offset: int) -> Answer:
        await asyncio.sleep(0)
        return Answer(0, "value", members=self.with_names)

    async def arguments(self, path: str) -> Answer:
        await asyncio.sleep(0)
        return Answer(0, "value", members=self.supplied)


@dataclass
class Case:
    """One case: its snapshot, the cursor, and the lines that the test has to check."""

    title: str
    snapshot: Snapshot
    offset: int
    values: FakeValues
    expected: list[tuple[str, str]]


def read_case(title: str, lines: list[str], file: str = "case.nix") -> Case:
    """A case from its lines. Raises ValueError when there is no cursor."""
    divider = lines.index("----")
    marked = "\n".join(lines[:divider])
    offset = marked.index("$0")
    text = marked[:offset] + marked[offset + 2 :]
    values = FakeValues(text)
    expected: list[tuple[str, str]] = []
    for line in lines[divider + 1 :]:
        word, _, rest = line.strip().partition(" ")
        if word == "describe":
            key, _, facts = rest.partition(" = ")
            values.facts[key.strip()] = read_answer(facts)
        elif word == "members":
            key, _, members = rest.partition(" = ")
            values.sets[key.strip()] = read_members(members)
        elif word == "with":
            values.with_names = read_members(rest)
        elif word == "arguments":
            values.supplied = read_members(rest)
        elif word:
            expected.append((word, rest))
    path = str(CASES / "tree" / file)
    return Case(title, Snapshot(path, parse(text), 1, values, (str(CASES),)), offset, values, expected)


def read_members(text: str) -> tuple[Member, ...]:
    """`name name:kind "quoted name"`"""
    found = [word.strip('"').replace("_", " ") if word.startswith('"') else word for word in text.split()]
    pairs = [word.partition(":") for word in found]
    return tuple(Member(name, kind) for name, _, kind in pairs)


def read_answer(text: str) -> Answer:
    """`KIND PREVIEW [| field=value]…`, or `timeout`, or `error MESSAGE`."""
    head, *fields = [part.strip() for part in text.split(" | ")]
    kind, _, preview = head.partition(" ")
    if kind in ("timeout", "unknown", "cancelled"):
        return Answer(0, kind)
    if kind == "error":
        return Answer(0, "error", message=preview)
    known: dict[str, Any] = {}
    route, stale = "", False
    for part in fields:
        name, _, value = part.partition("=")
        if name in ("made", "defined"):
            path, _, line = value.rpartition(":")
            known[name] = Location(path, int(line) * 10, int(line) * 10 + 1, int(line) - 1)
        elif name == "formals":
            known[name] = tuple((formal.rstrip("?"), formal.endswith("?")) for formal in value.split())
        elif name in ("outputs", "notes"):
            known[name] = tuple(value.split(","))
        elif name == "size":
            known[name] = int(value)
        elif name == "route":
            route = value
        elif name == "stale":
            stale = True
        else:
            known[name] = value
    return Answer(0, "value", Facts(kind, preview, **known), route=route, stale=stale)


def read_cases(name: str) -> list[Case]:
    """The cases of `cases/NAME.txt`."""
    blocks = ("\n" + (CASES / f"{name}.txt").read_text()).split("\n#### ")[1:]
    file = "flake.nix" if name == "flake_schema" else "case.nix"
    return [read_case(lines[0], lines[1:], file) for lines in (block.split("\n") for block in blocks)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = read_cases(metafunc.module.__name__.rpartition(".")[2].removeprefix("test_"))
        metafunc.parametrize("case", cases, ids=[case.title for case in cases])


CaseOf = Callable[[str], Case]


@pytest.fixture
def case_of() -> CaseOf:
    """Makes a case of a text with `$0` at the cursor, about which nothing is known."""
    return lambda marked: read_case("", [*marked.split("\n"), "----"])
