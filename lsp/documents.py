"""The texts that the editor has open, edited in place; the trees follow when somebody asks.

Positions of the wire (line and column in the negotiated encoding) are turned into code points here, nowhere else.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from evaluator.syntax.incremental import edit, reread
from evaluator.syntax.parser import parse
from evaluator.syntax.positions import UTF16, LineIndex
from evaluator.syntax.tree import Source
from lsp import uri as uris
from lsp.stored import on_disk

if TYPE_CHECKING:
    from evaluator.service.protocol import Failure

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#: Edits no further apart than this many code points are one.
_NEAR: Final = 1000
#: After more edits than this, far apart, reading everything is quicker.
_MANY: Final = 6


@dataclass(frozen=True)
class Change:
    """One edit: ``text`` takes the place of what lies between two positions (line, column); None: of everything."""

    text: str
    start: tuple[int, int] | None = None
    end: tuple[int, int] | None = None


def spare_collector() -> None:
    """Has Python's cycle collector run seldom, for a process that keeps trees.

    Every keystroke makes and frees as many objects as the file has bindings, in none of which there are cycles. Left as
    it is, the collector would look at all trees over and over.
    """
    gc.set_threshold(100_000, 20, 20)


class Document:
    """One text, with its version, its lines and its tree. ``path`` is where it lies or would lie."""

    def __init__(self, uri: str, path: str, version: int, text: str, encoding: str = UTF16) -> None:
        self.uri: Final = uri
        self.path: Final = path
        self.version = version
        self._lines = LineIndex(_clean(text), encoding)
        # The tree of an earlier text, and what has become of that text since.
        self._source: Source | None = None
        self._since: list[_Stretch] = []
        #: What goes wrong when it is evaluated, as far as that is known.
        self.failures: tuple[Failure, ...] = ()

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
        source = self._source
        if source is None or len(self._since) > _MANY:
            source = parse(self.text)
        else:
            for stretch in self._since[:-1]:
                source = edit(source, stretch.start, stretch.old_end, stretch.text)
            for stretch in self._since[-1:]:
                source = reread(source, self.text, stretch.start, stretch.old_end)
        self._since.clear()
        self._source = source
        return source

    def edit(self, changes: Iterable[Change], version: int) -> None:
        """Applies the changes one after the other, each to what the one before it left."""
        for change in changes:
            new = _clean(change.text)
            if change.start is not None and change.end is not None:
                start = self._lines.offset(*change.start)
                end = max(start, self._lines.offset(*change.end))
            else:
                start, end, new = _difference(self.text, new)
            self._replace(start, end, new)
        self.version = version

    def _replace(self, start: int, end: int, new: str) -> None:
        """``new`` takes the place of a range of the text; the tree is told when somebody asks for it."""
        if start == end and not new:
            return
        self._lines = self._lines.edited(start, end, new)
        if self.failures:
            from lsp.ide.failures import shifted

            self.failures = shifted(self.failures, self.path, start, end, len(new))
        if self._source is None or len(self._since) > _MANY:
            return  # everything is going to be read
        last = self._since[-1] if self._since else None
        if last is None or not last.touches(start, end):
            last = _Stretch(start)
            self._since.append(last)
        last.replace(start, end, len(new))
        last.text = self.text[last.start : last.end]


class _Stretch:
    """``[start, end)`` of a text, called ``text``, is what ``[start, old_end)`` of an earlier text has become."""

    def __init__(self, at: int) -> None:
        self.start = self.end = self.old_end = at
        self.text = ""

    def touches(self, start: int, end: int) -> bool:
        """Whether a range of the text is near."""
        return start <= self.end + _NEAR and end >= self.start - _NEAR

    def replace(self, start: int, end: int, length: int) -> None:
        """``length`` code points take the place of a range of the text."""
        if end > self.end:
            self.old_end += end - self.end
            self.end = end
        self.start = min(self.start, start)
        self.end += length - (end - start)


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
        path = on_disk(path)
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


def _difference(old: str, new: str) -> tuple[int, int, str]:
    """The range in which two texts differ, of the old one, and what is there in the new one."""
    shorter = min(len(old), len(new))
    front = _common(shorter, lambda start, end: old[start:end] == new[start:end])
    size, length = len(old), len(new)
    back = _common(
        shorter - front, lambda start, end: old[size - end : size - start] == new[length - end : length - start]
    )
    return front, size - back, new[front : length - back]


def _common(most: int, same: Callable[[int, int], bool]) -> int:
    """How many code points, ``most`` at the most, are the same: found by halves, which is quicker than one by one."""
    low, high = 0, most
    if same(0, most):
        return most
    while low < high:
        middle = (low + high + 1) // 2
        if same(low, middle):
            low = middle
        else:
            high = middle - 1
    return low
