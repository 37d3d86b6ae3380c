"""Names that could be completed, collected cheaply by the thousand, and the few of them that fit as items."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from evaluator.service.protocol import Answer, Member
from lsp.ide import rank
from lsp.ide.types import Completion, Item

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*\Z")
_BEFORE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*\Z")
_AFTER: Final = re.compile(r"[A-Za-z0-9_'-]*")
_RESERVED: Final = frozenset({"assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"})


@dataclass(frozen=True)
class Word:
    """The word at the cursor: ``[start, end)``, and what of it stands before the cursor."""

    start: int
    end: int
    typed: str

    def begins(self, offset: int) -> bool:
        """Whether what begins at ``offset`` is what is being typed, and no name that was there before."""
        return self.typed != "" and offset == self.start


def word_at(text: str, offset: int) -> Word:
    """The word that the cursor is in or behind; an empty one in front of a word and anywhere else."""
    line = text.rfind("\n", 0, offset) + 1
    before = _BEFORE.search(text, line, offset)
    if before is None:
        return Word(offset, offset, "")
    after = _AFTER.match(text, offset)
    return Word(before.start(), after.end() if after is not None else offset, text[before.start() : offset])


def is_bare(name: str) -> bool:
    """Whether a name can stand without quotes."""
    return _PLAIN.match(name) is not None and name not in _RESERVED


class Candidates:
    """What could take the place of a word. Groups order what fits equally well: the lower comes first."""

    def __init__(self, word: Word) -> None:
        self._word: Final = word
        self._names: Final[list[str]] = []
        self._groups: Final[list[int]] = []
        self._what: Final[list[Item | Member]] = []
        self._quoting = True
        self._unsure = False

    def add(self, item: Item, group: int = 0) -> None:
        """One item."""
        self._names.append(item.label)
        self._groups.append(group)
        self._what.append(item)

    def add_members(
        self, answer: Answer, group: int = 0, *, without: Set[str] = frozenset(), quoting: bool = False
    ) -> None:
        """The members of an answer, except some. ``quoting``: names that need quotes are written with them."""
        self._unsure = self._unsure or answer.state != "value"
        self._quoting = quoting
        members = [member for member in answer.members if member.name not in without] if without else answer.members
        self._names.extend([member.name for member in members])
        self._what.extend(members)
        self._groups.extend([group] * (len(self._names) - len(self._groups)))

    def ranked(self) -> Completion:
        """Those that fit the word, best first."""
        word = self._word
        found, more = rank.best(self._names, word.typed, self._groups)
        items = [self._item(index, fit) for index, fit in found]
        kept = tuple(item for item in items if item is not None)
        return Completion(word.start, word.end, word.typed, kept, more or self._unsure)

    def _item(self, index: int, fit: int) -> Item | None:
        what = self._what[index]
        alike = fit == rank.ALIKE
        if isinstance(what, Item):
            return Item(what.label, what.kind, what.detail, what.doc, what.insert, alike)
        insert = ""
        if not is_bare(what.name):
            if not self._quoting:
                return None
            escaped = what.name.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
            insert = f'"{escaped}"'
        return Item(what.name, what.kind, what.detail, what.doc, insert, alike)
