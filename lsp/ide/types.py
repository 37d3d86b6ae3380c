"""What goes into the features and what comes out: plain data on absolute code-point offsets."""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.syntax.tree import Source
from lsp.ide.values import Values


@dataclass(frozen=True)
class Snapshot:
    """One version of one document, and where to ask for values in it.

    ``roots`` are the folders that paths are shown relative to (the workspace's, nixpkgs).
    """

    path: str
    source: Source
    version: int
    values: Values
    roots: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.source.text


@dataclass(frozen=True)
class FileRange:
    """A stretch ``[start, end)`` of a file; ``path`` is absolute."""

    path: str
    start: int
    end: int


@dataclass(frozen=True)
class Link:
    """A place in a sentence: ``label`` leads there. ``line`` is 1-based, 0 when unknown."""

    label: str
    place: FileRange
    line: int = 0


@dataclass(frozen=True)
class Hover:
    """What to show about ``[start, end)`` of the document, part by part; :mod:`lsp.ide.markup` makes text of it.

    ``code`` is Nix syntax (what it is and its value), ``about`` one line of plain words, ``doc`` Markdown,
    ``facts`` short lines (label, text), ``places`` lead to where it comes from, ``notes`` say what to take with care.
    """

    start: int
    end: int
    code: str
    about: str = ""
    doc: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    places: tuple[tuple[str, Link], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One completion. ``kind``: a value's kind (as in ``evaluator.service.protocol.Facts``), or "keyword", "variable",
    "argument", "file", "folder". ``insert`` is what is put in (empty: the label). ``alike``: what was typed is not in
    it, the name is only similar."""

    label: str
    kind: str = ""
    detail: str = ""
    doc: str = ""
    insert: str = ""
    alike: bool = False


@dataclass(frozen=True)
class Completion:
    """The items for ``[start, end)``, which each of them replaces; ``typed`` is what of it stands before the cursor."""

    start: int
    end: int
    typed: str = ""
    items: tuple[Item, ...] = ()
    incomplete: bool = False
