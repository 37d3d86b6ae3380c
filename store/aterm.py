"""The part of ATerm that derivations use: quoted strings and lists of them, written and read.

Specification: the Nix manual, "Derivation ATerm format". A string stands between quotes with ``\\``, ``"``,
newline, carriage return and tab escaped; a reader takes a backslash before any other character for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_STRING: Final = re.compile(r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_CONTROL: Final = {"n": "\n", "r": "\r", "t": "\t"}


QUOTE: Final = "\0"
"""Stands for a quote that opens or closes a text in what :func:`spelled` is given."""


class ATermError(ValueError):
    """The text is not what was expected; ``offset`` is where, in code points of the decoded text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"error parsing derivation: {message} (at character {offset})")
        self.offset: Final = offset


def to_aterm_string(text: str) -> str:
    """``text`` quoted."""
    return f'"{_escaped(text)}"'


def spelled(pieces: list[str]) -> str:
    """Many quoted texts with what stands between them, at the price of few.

    At even places of ``pieces`` stands structure, first and last too, with :data:`QUOTE` for the quotes that a text
    needs on its side; at odd places stand the texts. They are put together first and escaped as one.
    """
    whole = "".join(pieces)
    if whole.count(QUOTE) == len(pieces) - 1:
        return _escaped(whole).replace(QUOTE, '"')
    # A text has that character, which no Nix string can: one by one, then.
    return "".join([_escaped(piece) if at & 1 else piece.replace(QUOTE, '"') for at, piece in enumerate(pieces)])


def _escaped(text: str) -> str:
    # Most texts have nothing to escape, and looking for a character is five times as fast as replacing none.
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if "\n" in text:
        text = text.replace("\n", "\\n")
    if "\r" in text:
        text = text.replace("\r", "\\r")
    if "\t" in text:
        text = text.replace("\t", "\\t")
    return text


def sorted_by_bytes(texts: Iterable[str]) -> list[str]:
    """``texts`` in the order of their bytes.

    That is the order of code points, except that a lone surrogate stands for a byte lower than the first
    byte of what lies below it.
    """
    ordered = sorted(texts)
    if not "".join(ordered).isascii():
        ordered.sort(key=_bytes_of)
    return ordered


def _bytes_of(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Reader:
    """Reads one ATerm from its front to its end; every refusal is an :class:`ATermError`."""

    def __init__(self, data: bytes) -> None:
        self._text: Final = data.decode("utf-8", "surrogateescape")
        self._at = 0
        self._first = True

    def error(self, message: str) -> ATermError:
        """An error at the present place, to be raised."""
        return ATermError(message, self._at)

    def expect(self, token: str) -> None:
        """Step over ``token``. One that ends in ``[`` opens a list for :meth:`more`."""
        if not self._text.startswith(token, self._at):
            raise self.error(f"expected string '{token}'")
        self._at += len(token)
        self._first = token.endswith("[")

    def more(self) -> bool:
        """Inside a list: step over the comma before the next element, or over the end (then false)."""
        if self._text.startswith("]", self._at):
            self._at += 1
            self._first = False
            return False
        if self._first:
            self._first = False
        elif self._text.startswith(",", self._at):
            self._at += 1
        else:
            raise self.error("expected ',' or ']'")
        return True

    def string(self) -> str:
        """The string here, unescaped."""
        found = _STRING.match(self._text, self._at)
        if found is None:
            raise self.error("expected a string")
        self._at = found.end()
        text = found.group(1)
        if "\\" in text:
            return _ESCAPE.sub(_unescaped, text)
        return text

    def path(self) -> str:
        """The string here, which must be an absolute path."""
        text = self.string()
        if not text.startswith("/"):
            raise self.error(f"bad path '{text}' in derivation")
        return text

    def strings(self) -> list[str]:
        """The strings from here to the end of a list that :meth:`expect` opened."""
        found: list[str] = []
        while self.more():
            found.append(self.string())
        return found

    def end(self) -> None:
        """Nothing may follow."""
        if self._at != len(self._text):
            raise self.error("expected the end")


def _unescaped(found: re.Match[str]) -> str:
    character = found.group(1)
    return _CONTROL.get(character, character)
