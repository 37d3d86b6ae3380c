"""The texts that the editor has open, edited in place, parsed when somebody asks.

Positions of the wire (line and column in the negotiated encoding) are turned into code points here, nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluator.syntax.parser import parse
from evaluator.syntax.positions import UTF16, LineIndex
from evaluator.syntax.tree import Source
from lsp import uri as uris

_SURROGATES: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Change:
    """One edit: ``text`` takes the place of what lies between two positions (line, column); None: of everything."""

    text: str
    start: tuple[int, int] | None = None
    end: tuple[int, int] | None = None


class Document:
    """One text, with its version, its lines and its tree. ``path`` is where it lies or would lie."""

    def __init__(self, uri: str, path: str, version: int, text: str, encoding: str = UTF16) -> None:
        self.uri: Final = uri
        self.path: Final = path
        self.version = version
        self._lines = LineIndex(_clean(text), encoding)
        self._source: Source | None = None

    @property
    def text(self) -> str:
        return self._lines.text

    @property
    def lines(self) -> LineIndex:
        """The positions of the text as it is now; they stay those of this text when it is edited later."""
        return self._lines

    @property
    def source(self) -> Source:
        """The tree of the text as it is now; it never raises, however broken the text is."""
        if self._source is None:
            self._source = parse(self.text)
        return self._source

    def edit(self, changes: Iterable[Change], version: int) -> None:
        """Applies the changes one after the other, each to what the one before it left."""
        for change in changes:
            new = _clean(change.text)
            if change.start is not None and change.end is not None:
                start = self._lines.offset(*change.start)
                end = max(start, self._lines.offset(*change.end))
                new = f"{self.text[:start]}{new}{self.text[end:]}"
            self._lines = LineIndex(new, self._lines.encoding)
        self.version = version
        self._source = None


class Documents:
    """The open documents, by URI and by path."""

    def __init__(self) -> None:
        self.encoding = UTF16
        self._by_uri: Final[dict[str, Document]] = {}

    def open(self, uri: str, version: int, text: str, folder: str) -> Document:
        """A document is opened (again). One that is not on disk is taken to lie in ``folder``."""
        path = uris.to_path(uri)
        if path is None:
            earlier = self._by_uri.get(uri)
            path = earlier.path if earlier is not None else uris.stand_in(uri, folder)
        document = Document(uri, path, version, text, self.encoding)
        self._by_uri[uri] = document
        return document

    def get(self, uri: str) -> Document | None:
        return self._by_uri.get(uri)

    def close(self, uri: str) -> Document | None:
        """The document that was open under the URI, if any."""
        return self._by_uri.pop(uri, None)

    def at(self, path: str) -> Document | None:
        """The open document that lies at a path."""
        return next((document for document in self._by_uri.values() if document.path == path), None)

    def read(self, path: str) -> Document | None:
        """The document at a path, open or on disk (then with version -1); None when it cannot be read."""
        if (found := self.at(path)) is not None:
            return found
        try:
            text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
        except (OSError, ValueError):
            return None
        return Document(uris.from_path(path), path, -1, text, self.encoding)

    def __iter__(self) -> Iterator[Document]:
        return iter(list(self._by_uri.values()))


def _clean(text: str) -> str:
    """The text as it came over the wire. A lone surrogate is no character there, and no byte of a file either."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)
