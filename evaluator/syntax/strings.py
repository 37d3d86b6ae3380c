"""What a string literal says: escapes read, indentation stripped, as C++ Nix does it.

The tree keeps strings as written (:class:`~evaluator.syntax.tree.Text`); these
functions read them when somebody needs the value.
"""

from __future__ import annotations

import re
from typing import Final

from evaluator.syntax.tree import Expr, Interpolation, Node, Paren, Path, Str, Text, Uri

_NO_LINE: Final = 1_000_000

# C++ Nix reads a "$" or "'" that nothing else takes in as a piece of its own.
_PLAIN: Final = re.compile(r"(?:[^$']|\$[^{']|'[^'$])++|[$']")


class StringPart:
    """One piece of a string: literal ``text``, or ``interpolation`` when that is not None."""

    def __init__(self, text: str, interpolation: Interpolation | None) -> None:
        self.text: Final = text
        self.interpolation: Final = interpolation


def is_static(node: Node) -> bool:
    """Whether an attribute name is known without evaluation: a string without interpolation, ``${"…"}``, ``${a:b}``."""
    if isinstance(node, Interpolation):
        inner = _unwrapped(node.expr)
        return (isinstance(inner, Str) and is_static(inner)) or isinstance(inner, Uri)
    if isinstance(node, Str):
        for part in node.parts:  # all() would make a generator here
            if isinstance(part, Interpolation):
                return False
        return True
    return False


def static_name(source: str, node: Node, base: int) -> str | None:
    """The name that a string, ``${"…"}`` or ``${a:b}`` in an attribute path spells; None when it must be computed."""
    if isinstance(node, Interpolation):
        inner = _unwrapped(node.expr)
        if isinstance(inner, Str):
            return static_name(source, inner, base)
        return inner.text if isinstance(inner, Uri) else None
    if isinstance(node, Uri):
        return node.text
    if isinstance(node, Str):
        cooked = parts(source, node, base)
        if not cooked:
            return ""
        if len(cooked) == 1 and cooked[0].interpolation is None:
            return cooked[0].text
    return None


def _unwrapped(expr: Expr) -> Expr:
    while isinstance(expr, Paren):
        expr = expr.inner
    return expr


def parts(source: str, node: Str, base: int) -> list[StringPart]:
    """The pieces of a string as evaluation sees them.

    Literal text has its escapes read and, in a ``''`` string, its indentation
    stripped; neighbouring literals are one piece and empty ones are left out.
    ``base`` is the absolute offset that the node's offsets are relative to.
    """
    if node.indented:
        return _indented(source, node, base)
    result: list[StringPart] = []
    for part in node.parts:
        if isinstance(part, Interpolation):
            result.append(StringPart("", part))
        elif isinstance(part, Text):
            result.append(StringPart(unescape(source[base + part.start : base + part.end]), None))
    return result


def path_parts(source: str, node: Path, base: int) -> list[StringPart]:
    """The pieces of a path; literal text is as written (paths have no escapes)."""
    result: list[StringPart] = []
    for part in node.parts:
        if isinstance(part, Interpolation):
            result.append(StringPart("", part))
        elif isinstance(part, Text):
            result.append(StringPart(source[base + part.start : base + part.end], None))
    return result


def unescape(raw: str) -> str:
    r"""Read the escapes of a ``"`` string: ``\n \r \t``, ``\x`` for any other ``x``; CR and CRLF become LF."""
    if "\\" not in raw and "\r" not in raw:
        return raw
    out: list[str] = []
    i = 0
    size = len(raw)
    while i < size:
        character = raw[i]
        if character == "\\" and i + 1 < size:
            i += 1
            character = raw[i]
            if character == "n":
                out.append("\n")
            elif character == "r":
                out.append("\r")
            elif character == "t":
                out.append("\t")
            else:
                out.append(character)
        elif character == "\r":
            out.append("\n")
            if i + 1 < size and raw[i + 1] == "\n":
                i += 1
        else:
            out.append(character)
        i += 1
    return "".join(out)


class _Piece:
    """A lexical piece of a ``''`` string: only plain text takes part in indentation."""

    def __init__(self, text: str, plain: bool, interpolation: Interpolation | None) -> None:
        self.text: Final = text
        self.plain: Final = plain
        self.interpolation: Final = interpolation


def _pieces(source: str, node: Str, base: int) -> list[_Piece]:
    """Plain stretches, escapes (already read) and interpolations in turn."""
    result: list[_Piece] = []
    first = True
    for part in node.parts:
        if isinstance(part, Interpolation):
            result.append(_Piece("", False, part))
        elif isinstance(part, Text):
            raw = source[base + part.start : base + part.end]
            if first:
                raw = _without_first_line(raw)
            _split_escapes(raw, result)
        first = False
    return result


def _without_first_line(raw: str) -> str:
    """The blanks and the newline right after the opening ``''`` are no part of the string."""
    i = 0
    while i < len(raw) and raw[i] == " ":
        i += 1
    if i < len(raw) and raw[i] == "\n":
        return raw[i + 1 :]
    return raw


def _split_escapes(raw: str, result: list[_Piece]) -> None:
    """Cut raw text at its escapes; ``''`` occurs in it only as the start of one."""
    start = 0
    size = len(raw)
    while True:
        i = raw.find("''", start)
        if i < 0:
            break
        _add_plain(raw[start:i], result)
        following = raw[i + 2] if i + 2 < size else ""
        start = i + 3
        if following == "'":
            result.append(_Piece("''", False, None))
        elif following == "$":
            result.append(_Piece("$", False, None))
        else:
            result.append(_Piece(unescape(raw[i + 2 : i + 4]), False, None))
            start = i + 4
    _add_plain(raw[start:], result)


def _add_plain(text: str, result: list[_Piece]) -> None:
    """Add text without escapes, in the pieces that C++ Nix makes of it."""
    if "$" not in text and "'" not in text:
        if text:
            result.append(_Piece(text, True, None))
        return
    pieces: list[str] = _PLAIN.findall(text)
    for piece in pieces:
        result.append(_Piece(piece, piece != "$" and piece != "'", None))


def _smallest_indentation(pieces: list[_Piece]) -> int:
    """The fewest spaces that a line starts with, lines of nothing but spaces aside."""
    smallest = _NO_LINE
    at_start = True
    current = 0
    for piece in pieces:
        text = piece.text
        if not piece.plain:
            # An escape or interpolation ends the indentation of its line.
            if at_start:
                at_start = False
                smallest = min(smallest, current)
            continue
        i = 0
        size = len(text)
        while i < size:
            if at_start:
                begin = i
                while i < size and text[i] == " ":
                    i += 1
                current += i - begin
                if i == size:
                    break
                if text[i] == "\n":
                    current = 0
                else:
                    at_start = False
                    smallest = min(smallest, current)
                i += 1
            else:
                i = text.find("\n", i)
                if i < 0:
                    break
                at_start = True
                current = 0
                i += 1
    return smallest


class _Stripper:
    """Takes the indentation away; knows across pieces whether a line is just starting."""

    def __init__(self, indentation: int) -> None:
        self.indentation: Final = indentation
        self.at_start: bool = True
        self.dropped: int = 0

    def restart(self) -> None:
        """An interpolation stands here."""
        self.at_start = False
        self.dropped = 0

    def strip(self, text: str) -> str:
        out: list[str] = []
        i = 0
        size = len(text)
        while i < size:
            begin = i
            if self.at_start:
                while i < size and text[i] == " ":
                    i += 1
                room = self.indentation - self.dropped
                self.dropped += i - begin
                if room < 0:
                    room = 0
                if i - begin > room:
                    out.append(text[begin + room : i])
                if i == size:
                    break
                self.dropped = 0
                out.append(text[i])
                self.at_start = text[i] == "\n"
                i += 1
            else:
                i = text.find("\n", i) + 1
                if i == 0:
                    out.append(text[begin:])
                    break
                out.append(text[begin:i])
                self.at_start = True
        return "".join(out)


def _indented(source: str, node: Str, base: int) -> list[StringPart]:
    result: list[StringPart] = []
    literal = ""
    for part in indented_pieces(source, node, base):
        if part.interpolation is None:
            literal += part.text
            continue
        if literal:
            result.append(StringPart(literal, None))
            literal = ""
        result.append(part)
    if literal:
        result.append(StringPart(literal, None))
    return result


def indented_pieces(source: str, node: Str, base: int) -> list[StringPart]:
    """As :func:`parts` for a ``''`` string, but with literal text in the pieces that C++ Nix reads it in.

    The smallest indentation of all lines is stripped, exactly as there; pieces that are left empty stay.
    """
    pieces = _pieces(source, node, base)
    stripper = _Stripper(_smallest_indentation(pieces))
    result: list[StringPart] = []
    last = len(pieces) - 1
    for index, piece in enumerate(pieces):
        if piece.interpolation is not None:
            stripper.restart()
            result.append(StringPart("", piece.interpolation))
            continue
        # Escapes go through the same mill: a newline written as an escape starts a line here, though not above.
        text = stripper.strip(piece.text)
        if index == last:
            # A last line of nothing but spaces is no part of the string.
            newline = text.rfind("\n")
            if newline >= 0 and text[newline + 1 :].strip(" ") == "":
                text = text[: newline + 1]
        result.append(StringPart(text, None))
    return result
