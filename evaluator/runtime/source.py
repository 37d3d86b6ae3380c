"""Files and places in them, as the evaluator refers to them in positions and errors."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final


class SourceFile:
    """A file (or an expression from the command line) that code was lowered from.

    ``path`` is absolute, or a name in guillemets («string») for text that is no file. Of a store object that is read
    where it would be copied from, ``origin`` is the file there; else it is empty.
    Offsets are code points into ``text``.
    """

    def __init__(self, path: str, text: str, origin: str = "") -> None:
        self.path: Final = path
        self.text: Final = text
        self.origin: Final = origin
        self._lines: list[int] | None = None

    def _starts(self) -> list[int]:
        """The offsets at which lines begin."""
        lines = self._lines
        if lines is None:
            lines = [0]
            at = self.text.find("\n")
            while at >= 0:
                lines.append(at + 1)
                at = self.text.find("\n", at + 1)
            self._lines = lines
        return lines

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """0-based line and column, both in code points."""
        lines = self._starts()
        line = bisect_right(lines, offset) - 1
        return line, offset - lines[line]

    def line_column(self, offset: int) -> tuple[int, int]:
        """1-based line, and column in bytes (1-based, as C++ Nix counts), of a code-point offset."""
        line, column = self.line_and_column(offset)
        before = self.text[offset - column : offset]
        return line + 1, len(before.encode("utf-8", "surrogateescape")) + 1

    def line_start(self, line: int) -> int:
        """The offset at which a 1-based line begins; the text's end when there are fewer lines."""
        lines = self._starts()
        return lines[line - 1] if 1 <= line <= len(lines) else len(self.text)

    def is_real(self) -> bool:
        """Whether there is a file behind it."""
        return self.path.startswith("/")


class Place:
    """A stretch of a source file: what a position is made of."""

    def __init__(self, file: SourceFile, start: int, end: int) -> None:
        self.file: Final = file
        self.start: Final = start
        self.end: Final = end

    def __str__(self) -> str:
        line, column = self.file.line_column(self.start)
        return f"{self.file.path}:{line}:{column}"


class Positions:
    """Where the attributes of a set were defined. Shared between sets, so it may know more names than a set has."""

    def find(self, name: str) -> Place | None:
        """The place of the attribute's definition, None when it has none (made by a builtin)."""
        return None


class LiteralPositions(Positions):
    """The attributes of one set literal, or of a function's formals: name -> absolute start of the name."""

    def __init__(self, file: SourceFile, starts: dict[str, int]) -> None:
        self.file: Final = file
        self.starts: Final = starts

    def find(self, name: str) -> Place | None:
        start = self.starts.get(name)
        if start is None:
            return None
        # A quoted name is two characters longer; one with escapes is cut short, which nobody minds.
        quoted = self.file.text.startswith('"', start)
        return Place(self.file, start, start + len(name) + (2 if quoted else 0))


class Names:
    """What can tell whether it has an attribute."""

    def has(self, name: str) -> bool:
        raise NotImplementedError


class MergedPositions(Positions):
    """``left // right``, worked out only when somebody asks."""

    def __init__(self, left: Positions | None, right: Positions | None, right_names: Names) -> None:
        self.left: Final = left
        self.right: Final = right
        self.right_names: Final = right_names

    def find(self, name: str) -> Place | None:
        return _found(self, name)


class MaskedPositions(Positions):
    """Positions of which only those with some names count."""

    def __init__(self, positions: Positions, names: dict[str, object]) -> None:
        self.positions: Final = positions
        self.names: Final = names

    def find(self, name: str) -> Place | None:
        return _found(self, name)


class ListedPositions(Positions):
    """A set made by ``listToAttrs``: an attribute stands where its element's ``name`` stands."""

    def __init__(self, elements: dict[str, Positions]) -> None:
        self.elements: Final = elements

    def find(self, name: str) -> Place | None:
        return _found(self, name)


class OwnPositions(Positions):
    """Each name with a set of positions of its own (``zipAttrsWith`` and the like: the last that has it)."""

    def __init__(self, owners: dict[str, Positions]) -> None:
        self.owners: Final = owners

    def find(self, name: str) -> Place | None:
        return _found(self, name)


def _found(at: Positions | None, name: str) -> Place | None:
    # A loop: overlays and folds make these chains longer than any stack.
    while at is not None:
        if isinstance(at, MergedPositions):
            at = at.right if at.right_names.has(name) else at.left
        elif isinstance(at, OwnPositions):
            at = at.owners.get(name)
        elif isinstance(at, MaskedPositions):
            if name not in at.names:
                return None
            at = at.positions
        elif isinstance(at, ListedPositions):
            at = at.elements.get(name)
            name = "name"
        else:
            return at.find(name)
    return None


def first_place(positions: Positions | None) -> Place | None:
    """The first attribute of the literal that a set came from (of ``a // b`` that of ``a``), None for no literal."""
    while True:
        if isinstance(positions, MergedPositions):
            positions = positions.right if positions.left is None else positions.left
        elif isinstance(positions, MaskedPositions):
            positions = positions.positions
        else:
            break
    if not isinstance(positions, LiteralPositions) or not positions.starts:
        return None
    first = ""
    for name in positions.starts:
        if not first or positions.starts[name] < positions.starts[first]:
            first = name
    return positions.find(first)
