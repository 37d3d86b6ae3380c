"""What ``--parse`` prints: frozen lines in current Nix's form, and the same trees from Nix itself."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from evaluator.syntax.parser import parse
from evaluator.syntax.printer import NotPrintable, show, show_name
from tests.syntax.case_files import Case, cases_in
from tests.syntax.printed import read

ROOT = Path(__file__).resolve().parent.parent.parent
FROZEN = ROOT / "tests" / "data" / "parsed.jsonl"
HOME = "/home/me"

# Of cases/printed.txt: what 2.8 does not know.
NEWER = {"pipes", "sets in sets that are merged"}


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def ours(path: Path) -> str:
    return show(parse(text_of(path)), str(path.parent), HOME)


@pytest.mark.parametrize("case", cases_in("printed"), ids=lambda case: case.title)
def test_case(case: Case) -> None:
    assert show(parse(case.text), "/base/dir", HOME) == case.outline


def nix_prints(nix_instantiate: str, files: Sequence[Path]) -> list[str | None]:
    """What Nix prints for each file; None for one that it does not accept."""
    run = subprocess.run(
        [nix_instantiate, "--parse", *map(str, files)],
        capture_output=True,
        env={**os.environ, "HOME": HOME},
        check=False,
    )
    lines = run.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
    if run.returncode == 0:
        assert len(lines) == len(files)
        return list(lines)
    if len(files) == 1:
        return [None]
    half = len(files) // 2
    return [*nix_prints(nix_instantiate, files[:half]), *nix_prints(nix_instantiate, files[half:])]


def test_cases_are_trees_of_nix(nix_instantiate: str, tmp_path: Path) -> None:
    cases = [case for case in cases_in("printed") if case.title not in NEWER]
    files = [tmp_path / f"{number}.nix" for number in range(len(cases))]
    for case, file in zip(cases, files, strict=True):
        file.write_text(case.text, encoding="utf-8")
    for case, file, theirs in zip(cases, files, nix_prints(nix_instantiate, files), strict=True):
        assert theirs is not None, case.title
        assert read(theirs) == read(ours(file)), case.title


def test_examples_as_frozen() -> None:
    """`scripts/freeze-parsed` has written down what C++ Nix says; examples that were edited since are left out."""
    rows = [json.loads(line) for line in FROZEN.read_text(encoding="utf-8").splitlines()]
    compared = 0
    for row in rows:
        path = ROOT / row["file"]
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"]:
            assert read(ours(path)) == read(row["printed"].replace("@ROOT@", str(ROOT))), row["file"]
            compared += 1
    assert compared > len(rows) // 2, "most examples have changed: run scripts/freeze-parsed"


def test_examples_as_nix_reads_them(nix_instantiate: str) -> None:
    files = sorted((ROOT / "examples").rglob("*.nix"))
    for file, theirs in zip(files, nix_prints(nix_instantiate, files), strict=True):
        assert theirs is not None, file
        assert read(ours(file)) == read(theirs), file


def differing(nix_instantiate: str, files: Sequence[Path]) -> list[str]:
    """The files whose trees differ, of those that Nix accepts."""
    return [
        str(file)
        for file, theirs in zip(files, nix_prints(nix_instantiate, files), strict=True)
        if theirs is not None and read(theirs) != read(ours(file))
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("folder", ["lib", "pkgs/stdenv", "pkgs/build-support", "nixos/modules"])
def test_trees_of_nixpkgs(nixpkgs: Path, nix_instantiate: str, folder: str) -> None:
    files = [path for path in sorted((nixpkgs / folder).rglob("*.nix")) if path.is_file()]
    assert len(files) > 50
    chunks = [files[at : at + 100] for at in range(0, len(files), 100)]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(differing, [nix_instantiate] * len(chunks), chunks))
    assert [file for chunk in found for file in chunk] == []


@pytest.mark.parametrize("text", ["", "{ a = ; }", "{ a = 1; a = 2; }", "(", "x: y: {"])
def test_broken_text_has_no_tree_to_print(text: str) -> None:
    with pytest.raises(NotPrintable):
        show(parse(text), "/", HOME)


def test_names() -> None:
    assert [show_name(name) for name in ["a-b", "or", "then", "", "1a", "a b", "${"]] == [
        "a-b",
        "or",
        '"then"',
        '""',
        '"1a"',
        '"a b"',
        '"\\${"',
    ]


def test_bytes_that_are_not_utf8_and_deep_trees() -> None:
    assert show(parse('"\udcff"'), "/", HOME) == '"\udcff"'
    depth = 800  # lists a little deeper are refused
    assert show(parse("[" * depth + "]" * depth), "/", HOME).count("(") == depth - 1
    depth = 1000
    assert show(parse("x: x" + " x" * depth), "/", HOME) == "(x: (x" + " x" * depth + "))"


def test_printed_trees_are_read_apart() -> None:
    """The reader that compares trees tells apart what is not the same tree."""
    forms = {
        read(text)
        for text in [
            "(a + b)", "(a b)", "((a + b) + c)", "(a + (b + c))", "[ (a) (b) ]", "[ ((a b)) ]", "(a).b", "((a) ? b)",
            "{ a = b; }", "rec { a = b; }", "{ inherit a; }", "{ a = a; }", "(a: b)", "({ a }: b)", "({ a } @ b: b)",
            "({ a ? b }: b)", "({ a, ... }: b)", "(a).b or (c)", '(a)."b c"', '(a)."${b}"', '"a"', '"\\\\$"',
            "[ ((a)) ]",
        ]
    }  # fmt: skip
    assert len(forms) == 23
    assert read("{ inherit (c) e d; a = 1; }") == read("{ a = 1; d = (c).d; e = (c).e; }")
    assert read('("" + a + "\\$")') == read('(a + "$")')
