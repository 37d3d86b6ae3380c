"""Reads the files of cases in ``cases/``.

A case is a title, a text, its outline (:mod:`evaluator.syntax.outline`) and its problems::

    ### missing value
    { a = ; }
    ---
    (set (bind a _))
    ! expected-expression 5-5
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).resolve().parent / "cases"


@dataclass(frozen=True)
class Case:
    """One text with what reading it must give; problems are written ``code start-end``."""

    title: str
    text: str
    outline: str
    problems: tuple[str, ...]


def cases_in(name: str) -> list[Case]:
    """The cases of ``cases/<name>.txt``."""
    found: list[Case] = []
    content = (CASES / f"{name}.txt").read_text(encoding="utf-8")
    for block in ("\n" + content).split("\n### ")[1:]:
        title, _, rest = block.partition("\n")
        text, _, answer = rest.rpartition("\n---\n")
        lines = answer.strip("\n").split("\n")
        problems = tuple(line[2:] for line in lines[1:] if line.startswith("! "))
        found.append(Case(title, text, lines[0], problems))
    return found
