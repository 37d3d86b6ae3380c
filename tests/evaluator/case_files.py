"""Reads files of cases: Nix expressions, each with the value or the error that it must give.

A case is an expression (it may have blank lines inside) and its answer; a blank line follows the answer,
``#`` begins a comment between cases::

    1 + 1
    => 2

    { a = 1; }.b
    !! attribute 'b' missing
    @@ 1:12

An error may also have its trace, one ``..`` for each frame from the outermost on, with its place after ``@``; and in
``??`` what is said to have been meant. Places in other files begin with the file's name.

``=>`` is the value as ``nix-instantiate --eval --strict`` prints it, ``!!`` the message of the error
(``!!`` and nothing: some error), ``@@`` where it is (line:column; `-` no place). Relative paths start in the folder
``tree`` beside the file of cases, which answers call ``@TREE@``. Every case was compared with
Nix 2.8, and is again where it is installed. ``~~`` says in what a case differs from Nix 2.8 on purpose: because
newer versions of Nix (or we) have it otherwise; then only what ``~~ value`` / ``~~ message`` / ``~~ place``
does not name is compared (``~~ all``: nothing, Nix 2.8 cannot evaluate it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).resolve().parent / "cases"
MARKS = ("=>", "!!", "@@", "..", "??", "~~")


@dataclass
class Case:
    """One expression with what it must give."""

    file: str
    line: int
    expression: str
    value: str | None = None
    message: str | None = None
    place: str | None = None
    differs: set[str] = field(default_factory=set)
    frames: list[str] = field(default_factory=list)
    meant: str = ""
    directory: str = "/"

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line}"


def read_cases(path: Path) -> list[Case]:
    """The cases of a file. Raises ValueError for a case without an answer."""
    tree = path.parent / "tree"
    directory = str(tree) if tree.is_dir() else "/"
    cases: list[Case] = []
    lines: list[str] = []
    start = 0
    current: Case | None = None
    for number, line in enumerate(path.read_text("utf-8", "surrogateescape").split("\n"), 1):
        mark, text = line[:2], line[3:].replace("@TREE@", directory)
        if current is None and mark not in MARKS:
            if not lines and (not line or line.startswith("#")):
                continue
            if not lines:
                start = number
            lines.append(line)
        elif mark in MARKS and (lines or current is not None):
            if current is None:
                current = Case(f"{path.parent.name}/{path.stem}", start, "\n".join(lines), directory=directory)
                lines = []
            if mark == "=>":
                current.value = text
            elif mark == "!!":
                current.message = text
            elif mark == "@@":
                current.place = text
            elif mark == "..":
                current.frames.append(text)
            elif mark == "??":
                current.meant = text
            else:
                current.differs.update(text.partition(":")[0].split())
        elif line or current is None:
            raise ValueError(f"{path}:{number}: an expression is expected")
        else:
            cases.append(current)
            current = None
    if current is not None:
        cases.append(current)
    for case in cases:
        if case.value is None and case.message is None:
            raise ValueError(f"{path}:{case.line}: a case without => or !!")
    if lines:
        raise ValueError(f"{path}:{start}: a case without an answer")
    return cases


def cases_under(*folders: str) -> list[Case]:
    """The cases of all files in these folders of ``cases/``."""
    found: list[Case] = []
    for folder in folders:
        for path in sorted((CASES / folder).glob("*.txt")):
            found.extend(read_cases(path))
    return found


def by_file(cases: list[Case]) -> dict[str, list[Case]]:
    """The cases of each file."""
    files: dict[str, list[Case]] = {}
    for case in cases:
        files.setdefault(case.file, []).append(case)
    return files


def errors_of_nix(cases: list[Case]) -> list[Case]:
    """The cases whose error Nix gives, too."""
    return [case for case in cases if case.message is not None and "all" not in case.differs]
