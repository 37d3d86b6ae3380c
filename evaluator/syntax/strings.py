"""What a string literal says: escapes read, indentation stripped, as C++ Nix does it.

The tree keeps strings as written (:class:`~evaluator.syntax.tree.Text`); these
functions read them when somebody needs the value.
"""

from __future__ import annotations

from evaluator.syntax.tree import Interpolation, Node, Paren, Path, Str, Text


class StringPart:
    """One piece of a string: literal ``text``, or ``interpolation`` when that is not None."""

    def __init__(self, text: str, interpolation: Interpolation | None) -> None:
        self.text = text
        self.interpolation = interpolation


def is_static(node: Node) -> bool:
    """Whether an attribute name is known without evaluation: a string without interpolation, or ``${"…"}``."""
    if isinstance(node, Interpolation):
        inner: Node = node.expr
        while isinstance(inner, Paren):
            inner = inner.inner
        return isinstance(inner, Str) and is_static(inner)
    if isinstance(node, Str):
        for part in node.parts:
            if isinstance(part, Interpolation):
                return False
        return True
    return False


def static_name(source: str, node: Node, base: int) -> str | None:
    """The name that a string or ``${"…"}`` in an attribute path spells; None when it must be computed."""
    if isinstance(node, Interpolation):
        inner: Node = node.expr
        while isinstance(inner, Paren):
            inner = inner.inner
        if isinstance(inner, Str):
            return static_name(source, inner, base)
        return None
    if isinstance(node, Str):
        cooked = parts(source, node, base)
        if not cooked:
            return ""
        if len(cooked) == 1 and cooked[0].interpolation is None:
            return cooked[0].text
    return None


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
        self.text = text
        self.plain = plain
        self.interpolation = interpolation


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
    start = 0
    i = 0
    size = len(raw)
    while True:
        # A "$" and a single "'" are pieces of their own to C++ Nix; as plain text the outcome is the same.
        i = raw.find("''", i)
        if i < 0:
            break
        if _is_dollar_quote(raw, i, start):
            i += 1
            continue
        if i > start:
            result.append(_Piece(raw[start:i], True, None))
        following = raw[i + 2] if i + 2 < size else ""
        if following == "'":
            result.append(_Piece("''", False, None))
            i += 3
        elif following == "$":
            result.append(_Piece("$", False, None))
            i += 3
        else:
            result.append(_Piece(unescape(raw[i + 2 : i + 4]), False, None))
            i += 4
        start = i
    if start < size:
        result.append(_Piece(raw[start:], True, None))


def _is_dollar_quote(raw: str, i: int, start: int) -> bool:
    return False


def _indented(source: str, node: Str, base: int) -> list[StringPart]:
    """Strip the smallest indentation of all lines, as ``stripIndentation`` of C++ Nix."""
    pieces = _pieces(source, node, base)
    minimum = 1_000_000
    at_start = True
    current = 0
    for piece in pieces:
        if not piece.plain:
            # Anything but plain text ends the indentation of its line.
            if at_start:
                at_start = False
                if current < minimum:
                    minimum = current
            continue
        for character in piece.text:
            if at_start:
                if character == " ":
                    current += 1
                elif character == "\n":
                    current = 0
                else:
                    at_start = False
                    if current < minimum:
                        minimum = current
            elif character == "\n":
                at_start = True
                current = 0
    result: list[StringPart] = []
    buffer: list[str] = []
    at_start = True
    dropped = 0
    last = len(pieces) - 1
    for index, piece in enumerate(pieces):
        if piece.interpolation is not None:
            at_start = False
            dropped = 0
            literal = "".join(buffer)
            if literal:
                result.append(StringPart(literal, None))
            buffer = []
            result.append(StringPart("", piece.interpolation))
            continue
        if not piece.plain:
            at_start = False
            dropped = 0
            buffer.append(piece.text)
            continue
        out: list[str] = []
        for character in piece.text:
            if at_start:
                if character == " ":
                    if dropped >= minimum:
                        out.append(character)
                    dropped += 1
                elif character == "\n":
                    dropped = 0
                    out.append(character)
                else:
                    at_start = False
                    dropped = 0
                    out.append(character)
            else:
                out.append(character)
                if character == "\n":
                    at_start = True
                    dropped = 0
        literal = "".join(out)
        if index == last:
            # A last line of nothing but blanks is not part of the string.
            newline = literal.rfind("\n")
            if newline >= 0 and literal[newline + 1 :].strip(" ") == "":
                literal = literal[: newline + 1]
        buffer.append(literal)
    literal = "".join(buffer)
    if literal:
        result.append(StringPart(literal, None))
    return result
