"""After every edit the tree is the one that reading the whole text gives: nodes, positions, comments, problems, fault.

The edits are those of people who type: letter by letter, with quotes and braces that are open meanwhile; deletions;
lines that are pasted, moved, commented out, indented, joined; undone again. TVIX_EDITS=20000 makes as many in files of
nixpkgs (if NIXPKGS names one), TVIX_SEED others.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.syntax.cursor import walk
from evaluator.syntax.incremental import edit
from evaluator.syntax.parser import parse
from evaluator.syntax.tree import AttrBinding, Source
from tests.syntax.checks import check_tree, difference

ROOT: Final = Path(__file__).resolve().parent.parent.parent
COUNT: Final = int(os.environ.get("TVIX_EDITS", "400"))
SEED: Final = int(os.environ.get("TVIX_SEED", "2026"))
LARGEST: Final = 40_000

parse("")  # raises Python's recursion limit for good, which hypothesis would complain about in the middle of a test

TYPED: Final = [
    *"{}[]();:,.=@?!+-*/<>\"'$#\n \t\r~&|\\%_", "${", "''", "let ", " in ", "inherit ", "if ", " then ", " else ",
    "with ", "assert ", "rec ", " or ", "a", "b", "x:", "1", "1.0", "./a", "~/", "//", "++", "->", "&&", "||", "...",
    "==", " = ", ";\n", "/*", "*/", "# ", "|>", "<|", "\0", "é", "😀", "\udcff", "http:x", "<n>", "''$", "'''", "$$",
    "\\${", "<<<<<<< a\n", "\n=======\n", "  a = 1;\n", "x = {\n", "};\n", "}\n", "\"\n", "inherit (a) b;\n", "\n\n",
    "\n  b = if lib.x.y then { inherit (c) d; } else \"e${f}\" + ''\n    g\n  '';\n", "{ a, b ? 1, ... }@c: ",
    "\n  \"${a}\".b = rec { c = [ 1 ./d <e> ]; };", "\n  # one\n  /* two */\n  c.d.e = f: g: f { };", "let a = 1; in ",
    "\n  a1.c = 1;", "\n  a2 = { c = 1; };", "\n  a3.b = 1; a3.d = 2;", "\n  inherit (x) a4 a5;", '\n  "a6" = 1;',
    '\n  ${"a7"} = 1;', "\n  inherit new; new = 1;",
]  # fmt: skip
#: Where people put the cursor: behind one of these.
PLACES: Final = ["\n", ";", "{", "}", '"', "=", " ", "''", "(", "[", ".", "/", "#", "${", ","]


class Editor:
    """A text under edit, its tree kept up edit by edit, each compared with reading everything."""

    def __init__(self, text: str) -> None:
        self.source: Source = parse(text)
        self.cursor = 0
        self.edits = 0
        self.log: list[tuple[int, int, str]] = []
        self._done: list[tuple[int, int, str]] = []

    @property
    def text(self) -> str:
        return self.source.text

    def replace(self, start: int, end: int, new: str, undoing: bool = False) -> None:
        """One edit; the cursor goes behind what is new."""
        old = self.text
        self.log.append((start, end, new))
        edited = edit(self.source, start, end, new)
        whole = parse(edited.text)
        assert edited.text == f"{old[:start]}{new}{old[end:]}"
        assert difference(edited, whole) == "", self.log
        assert fault_of(edited) == fault_of(whole), self.log
        self.source = edited
        self.cursor = start + len(new)
        self.edits += 1
        if not undoing:
            self._done.append((start, start + len(new), old[start:end]))

    def jump(self, place: int, mark: str) -> None:
        """Behind the next ``mark`` from a place (as large as you like) on."""
        at = place % (len(self.text) + 1)
        found = self.text.find(mark, at)
        self.cursor = at if found < 0 else found + len(mark)

    def type(self, typed: str) -> None:
        for letter in typed:
            self.replace(self.cursor, self.cursor, letter)

    def delete(self, count: int) -> None:
        self.replace(self.cursor, min(len(self.text), self.cursor + count), "")

    def backspace(self, count: int) -> None:
        for _ in range(min(count, 8, self.cursor)):
            self.replace(self.cursor - 1, self.cursor, "")

    def overwrite(self, count: int, new: str) -> None:
        self.replace(self.cursor, min(len(self.text), self.cursor + count), new)

    def lines(self, count: int) -> tuple[int, int]:
        """The range of some lines, the one with the cursor first."""
        start = self.text.rfind("\n", 0, self.cursor) + 1
        end = start
        for _ in range(count):
            found = self.text.find("\n", end)
            end = found + 1 if found >= 0 else len(self.text)
        return start, end

    def copy(self, count: int, to: int) -> None:
        """Lines are pasted somewhere else."""
        start, end = self.lines(count)
        copied = self.text[start:end]
        self.jump(to, "\n")
        self.replace(self.cursor, self.cursor, copied)

    def move(self, count: int, to: int) -> None:
        """Lines are cut, and pasted somewhere else."""
        start, end = self.lines(count)
        cut = self.text[start:end]
        self.replace(start, end, "")
        self.jump(to, "\n")
        self.replace(self.cursor, self.cursor, cut)

    def each_line(self, count: int, change: Callable[[str], tuple[int, str]]) -> None:
        """``change`` says of each line's text how much of its beginning goes, and what comes instead."""
        start, end = self.lines(count)
        rest = len(self.text) - end
        while start < len(self.text) - rest:
            stop = self.text.find("\n", start)
            stop = len(self.text) if stop < 0 else stop
            removed, new = change(self.text[start:stop])
            self.replace(start, start + removed, new)
            start = stop + 1 + len(new) - removed

    def surround(self, count: int, opener: str, closer: str) -> None:
        start, end = self.cursor, min(len(self.text), self.cursor + count)
        self.replace(end, end, closer)
        self.replace(start, start, opener)

    def undo(self, count: int) -> None:
        for _ in range(min(count, len(self._done))):
            self.replace(*self._done.pop(), undoing=True)

    def act(self, kind: int, place: int, size: int, typed: str) -> None:
        """One thing that people do; any numbers will do."""
        few, some, many = size % 3 + 1, size % 12 + 1, size % 400 + 1
        if kind != 0 and kind % 3:
            self.jump(place, PLACES[place % len(PLACES)])
        if kind <= 5:
            self.type(typed)
        elif kind == 6:
            self.replace(self.cursor, self.cursor, typed)
        elif kind == 7:
            self.delete(few)
        elif kind == 8:
            self.delete(many)
        elif kind == 9:
            self.backspace(some)
        elif kind == 10:
            self.overwrite(some, typed)
        elif kind == 11:
            self.overwrite(many, typed)
        elif kind == 12:
            self.copy(some, place // 7)
        elif kind == 13:
            self.move(some, place // 7)
        elif kind == 14:
            self.each_line(some, commented)
        elif kind == 15:
            self.each_line(some, deeper)
        elif kind == 16:
            self.each_line(some, shallower)
        elif kind == 17:
            opener = "([{\"'/"[size % 6]
            self.surround(many, *{"'": ("''", "''"), "/": ("/*", "*/"), "{": ("{ a = ", "; }")}.get(
                opener, (opener, {"(": ")", "[": "]"}.get(opener, opener))))  # fmt: skip
        else:
            self.undo(some)


KINDS: Final = 19


def commented(line: str) -> tuple[int, str]:
    return (1, "") if line.startswith("#") else (0, "#")


def deeper(line: str) -> tuple[int, str]:
    return 0, "  "


def shallower(line: str) -> tuple[int, str]:
    return min(2, len(line) - len(line.lstrip(" "))), ""


def fault_of(source: Source) -> tuple[int, int, list[int], bool] | None:
    fault = source.fault
    return None if fault is None else (fault.place, fault.reach, fault.inside, fault.too_high)


def real_files(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*.nix")) if path.is_file() and 310 < path.stat().st_size < LARGEST]


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


FILES: Final = [path for room in ("examples", "benchmarks", "tests") for path in real_files(ROOT / room)]
places = st.integers(0, LARGEST)
actions = st.lists(
    st.tuples(st.integers(0, KINDS - 1), places, st.integers(0, 400), st.sampled_from(TYPED)), min_size=1, max_size=12
)


def test_there_are_real_files() -> None:
    assert len(FILES) >= 20


@given(st.sampled_from(FILES), actions)
@settings(max_examples=60, deadline=None)
def test_any_edits_of_real_files(path: Path, done: list[tuple[int, int, int, str]]) -> None:
    editor = Editor(read(path))
    for action in done:
        editor.act(*action)
    check_tree(editor.source)


@given(st.lists(st.sampled_from(TYPED), max_size=30).map("".join), actions)
@settings(max_examples=100, deadline=None)
def test_any_edits_of_what_is_hardly_nix(text: str, done: list[tuple[int, int, int, str]]) -> None:
    editor = Editor("{\n" + "".join(f"  a{i} = {{ b = [ {i} ]; }};\n" for i in range(70)) + text)
    for action in done:
        editor.act(*action)


def edit_at_random(rng: random.Random, paths: Sequence[Path], count: int) -> int:
    """``count`` edits, in another file after some; how many of the texts there were on the way were broken."""
    done = broken = 0
    while done < count:
        editor = Editor(read(rng.choice(paths)))
        for _ in range(rng.randrange(1, 25)):
            editor.act(rng.randrange(KINDS), rng.randrange(LARGEST), rng.randrange(400), rng.choice(TYPED))
            broken += editor.source.fault is not None
        check_tree(editor.source)
        done += editor.edits
    return broken


@pytest.mark.timeout(3600)
def test_edits_in_nixpkgs(nixpkgs: Path) -> None:
    rng = random.Random(SEED)
    folders = [nixpkgs / "lib", nixpkgs / "nixos" / "modules", nixpkgs / "pkgs" / "build-support"]
    assert edit_at_random(rng, [path for folder in folders for path in real_files(folder)], COUNT)


@pytest.mark.parametrize(
    "text, old, new",
    [
        # A carriage return in the indentation: is `d` indented no deeper than the line of its brace?
        ("  a = f {inherit (b) c;\n\r d = 1;\n    e = 2;\n  };\n", "};\n", "} ;\n"),
        # The same kinds of tokens after the edit as before, but further on.
        ("  a = ''\n    if ${\n  };\n };\n};\n", "\n  };", "\n#  };"),
        # What is typed before a faulty binding, and grows into it.
        ("  a = let b = [ 1 + ];\n", "let b", "let ab"),
        # A string that the reading has seen only the beginning of.
        ('  a = f\n\n  b.c = {\n    d = "e; f\n g";\n  };\n', "f\n g", "f g"),
        # A set that does not fit where it stands, but was read before.
        ("  a = { b = 1; c = 2; d = 3; };\n", "a = {", "a = [ {"),
        ("  a = { b = 1; c = 2; d = 3; };\n", "a = {", "a = ["),
    ],
)
def test_what_was_once_wrong(text: str, old: str, new: str) -> None:
    """One edit: what ``old`` and ``new`` have in common at both ends stays."""
    editor = Editor("{ f, b }:\n{\n" + text + "".join(f"  z{i} = [ {i} ];\n" for i in range(40)) + "}\n")
    front = common(old, new)
    back = common(old[front:][::-1], new[front:][::-1])
    at = editor.text.index(old)
    editor.replace(at + front, at + len(old) - back, new[front : len(new) - back])


def common(left: str, right: str) -> int:
    """How many letters both start with."""
    return next(
        (i for i, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), min(len(left), len(right))
    )


LINES: Final = 1500


def large() -> str:
    """A text shaped like a package set: much of it beside every edit."""
    lines = [
        f'  package{i} = callPackage ../tools/{i} {{ inherit (lib) a{i}; b = "${{c}}"; }};\n' for i in range(LINES)
    ]
    return "{ lib, callPackage, c }:\n\nwith lib;\n\n{\n" + "".join(lines) + "}\n"


@pytest.mark.parametrize(
    "typed",
    ["\n  new = callPackage ../new { a = [ b ]; };", '\n  new = "${a}b" + \'\'c\'\';', "\n  inherit (a) b;",
     "\n  # a comment = {", "\n  /* a comment = { */", "\n  new = { a, b }: let c = a; in with b; c ++ [ ];"],
)  # fmt: skip
def test_a_keystroke_reads_little_whatever_is_typed(typed: str) -> None:
    source = parse(large())
    everything = source.effort
    spent = 0
    cursor = source.text.index(";\n", len(source.text) // 2) + 1
    for letter in typed:
        source = edit(source, cursor, cursor, letter)
        cursor += 1
        spent += source.effort
        # A quote that has just been opened makes one look where it could end.
        assert source.effort * 5 < everything, (source.text[cursor - 60 : cursor], source.effort, everything)
    assert spent * 50 < everything * len(typed)
    assert not source.problems


def test_what_lies_beside_an_edit_is_shared() -> None:
    before = parse(large())
    bindings = {id(node.value) for node, _ in walk(before.root) if isinstance(node, AttrBinding)}
    cursor = before.text.index(";\n", len(before.text) // 2) + 1
    after = edit(before, cursor, cursor, "\n  new = {")
    assert after.problems
    kept = sum(id(node.value) in bindings for node, _ in walk(after.root) if isinstance(node, AttrBinding))
    assert kept >= len(bindings) - 2


@pytest.mark.parametrize("start, end", [(-5, 3), (3, 1), (10**9, 10**9 + 1)])
def test_places_outside_are_clamped(start: int, end: int) -> None:
    text = large()
    edited = edit(parse(text), start, end, " ")
    low = max(0, min(start, len(text)))
    assert edited.text == f"{text[:low]} {text[max(low, min(end, len(text))) :]}"
    assert difference(edited, parse(edited.text)) == ""
