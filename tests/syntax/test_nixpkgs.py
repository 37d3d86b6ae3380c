"""All of a real nixpkgs parses, and every tree is sound."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from evaluator.syntax.parser import parse
from tests.syntax.checks import check_tree


def read(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def faults(paths: list[Path]) -> list[str]:
    """Which of the files have problems."""
    found: list[str] = []
    for path in paths:
        problems = parse(read(path)).problems
        if problems:
            found.append(f"{path}: {problems[0]}")
    return found


def test_all_of_nixpkgs_parses(nixpkgs: Path) -> None:
    paths = [path for path in sorted(nixpkgs.rglob("*.nix")) if path.is_file()]
    assert len(paths) > 10_000
    chunks = [paths[at : at + 2000] for at in range(0, len(paths), 2000)]
    with ProcessPoolExecutor(2) as pool:
        assert [fault for chunk in pool.map(faults, chunks) for fault in chunk] == []


def test_trees_of_real_files_are_sound(nixpkgs: Path) -> None:
    for path in sorted((nixpkgs / "lib").rglob("*.nix")):
        check_tree(parse(read(path)))
