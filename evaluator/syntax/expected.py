"""What may come next at a place in a text: for completion, and for messages that name what was expected.

The grammar of record answers, fed with the short text before the place: from the start of the binding around it (or
of the innermost construct whose beginning the rest of the text cannot change). What stands in the
text before that counts only by what it has opened. So the answer takes a few milliseconds, however long the file is.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from evaluator.syntax.comments import comment_at
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.tokens import (
    BAD,
    EOF,
    FLOAT,
    ID,
    IND_CLOSE,
    IND_OPEN,
    INDENTED,
    INT,
    PATH,
    PATH_CLOSE,
    PATH_OPEN,
    SEARCH_PATH,
    SPELLING,
    STR_CLOSE,
    STR_OPEN,
    STRING,
    TEXT,
    URI,
)
from evaluator.syntax.tree import (
    Apply,
    Assert,
    AttrSet,
    Binary,
    Binding,
    Interpolation,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Node,
    Paren,
    Select,
    Source,
    Unary,
    With,
)

if TYPE_CHECKING:
    from evaluator.syntax.grammar import Grammar

# How the terminals are called whose text varies.
_NAMES: Final = {
    "$END": "end of file",
    "ID": "identifier",
    "INT": "integer",
    "FLOAT": "float",
    "URI": "URI",
    "SEARCH_PATH": "search path",
    "PATH": "path",
    "HOME_PATH": "path",
    "QUOTE": "string",
    "TWO_QUOTES": "string",
}
_VARYING: Final = {ID: "ID", INT: "INT", FLOAT: "FLOAT", URI: "URI", SEARCH_PATH: "SEARCH_PATH", BAD: "BAD"}

_CLOSES: Final = {STR_CLOSE: "STRING_CLOSE", IND_CLOSE: "INDENTED_CLOSE", PATH_CLOSE: "PATH_END"}

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_'-]*\Z")
_LONGEST_WORD: Final = 200

_BINDING: Final = ("ID", "ASSIGN", "ID", "SEMICOLON")  # stands for bindings before the one at hand


def expected_at(source: Source, offset: int) -> list[str]:
    """What may come next at ``offset`` (absolute code point): keywords and signs as written, kinds of other tokens.

    ``["let", …, ";", …, "identifier", "string"]``, in the order of the grammar. Of a word that ends at the offset the
    place counts where it begins. Empty where nothing can be said: in comments and strings, after broken text.
    """
    if comment_at(source, offset) is not None:
        return []
    word = _WORD.search(source.text, max(0, offset - _LONGEST_WORD), offset)
    may_follow = follow(source, offset if word is None else word.start())
    return [] if may_follow is None else spelled(may_follow)


def spelled(terminals: frozenset[str], quoted: bool = False) -> list[str]:
    """Terminals as people write them, in the order of the grammar; ``quoted``: signs and keywords as in messages."""
    known = grammar()
    found: list[str] = []
    for name in known.order:
        if name in terminals and name in _NAMES:
            found.append(_NAMES[name])
        elif name in terminals and name in known.spelling:
            found.append(f"`{known.spelling[name]}`" if quoted else known.spelling[name])
    return list(dict.fromkeys(found))


# --- the grammar, loaded once --------------------------------------------------------------------

_loaded: Final[list[Grammar]] = []
_loading: Final = threading.Lock()


def grammar() -> Grammar:
    """The grammar of record. Loading it takes some tenths of a second the first time ever, then less."""
    with _loading:
        if not _loaded:
            from evaluator.syntax.grammar import Grammar

            _loaded.append(Grammar())
    return _loaded[0]


def is_ready() -> bool:
    """Whether the grammar is loaded, so that everything here answers at once."""
    return bool(_loaded)


def prepare() -> None:
    """Load the grammar in the background."""
    if not _loaded and not _loading.locked():
        threading.Thread(target=grammar, name="grammar", daemon=True).start()


# --- the text before a place ---------------------------------------------------------------------


def follow(source: Source, end: int) -> frozenset[str] | None:
    """The terminals that may follow the text before ``end``; None when that is broken or ends in a string."""
    places = path_at(source, end).places
    for start in _starts(places, end):
        tokens = _Run(source, end).tokens(places, start)
        found = grammar().follow(tokens) if tokens is not None else None
        if found is not None:
            return found
    return None


def _starts(places: Sequence[Place], end: int) -> list[int]:
    """Where in the chain to begin, best first: the innermost binding, then the constructs inside it from outside."""
    anchor = 0
    for index, place in enumerate(places):
        if isinstance(place.node, Binding):
            anchor = index
    inside = [
        index
        for index in range(anchor + 1, len(places))
        if isinstance(places[index].node, Paren | ListExpr | Interpolation | AttrSet) and places[index].start < end
    ]
    return [anchor, *inside]


class _Run:
    """Collects the terminals of the text before ``end``, leaving out what cannot matter."""

    def __init__(self, source: Source, end: int) -> None:
        self.source: Final = source
        self.end: Final = end
        self.out: Final[list[str]] = []
        self.open: Final = {p.related_start for p in source.problems if p.code == "missing-closer"}

    def tokens(self, places: Sequence[Place], start: int) -> list[str] | None:
        """The terminals from ``places[start]`` on; None when the text ends inside a string."""
        first = places[start]
        at = first.start
        if isinstance(first.node, Binding):
            self.open_bindings(places[:start], before=first.start)
            start += 1
        elif isinstance(first.node, Interpolation):
            self.out.extend(("QUOTE", "DOLLAR"))
            at += 2
            start += 1
        for place in places[start:]:
            if at > self.end:
                break
            begin = self.enter(place)
            if begin is None:
                continue
            skipped, begins = begin
            if not self.read(at, place.start):
                return None
            self.out.extend(skipped)
            at = begins
        return self.out if self.read(at, self.end) else None

    def enter(self, place: Place) -> tuple[Sequence[str], int] | None:
        """Terminals that stand for the beginning of a construct, and where its text goes on; None: read it all."""
        node = place.node
        base = child_base(node, place.base)
        body: Node | None = None
        instead: Sequence[str] = ()
        if isinstance(node, Let):
            body, instead = node.body, ("LET", "IN")
        elif isinstance(node, Lambda):
            body, instead = node.body, ("ID", "COLON")
        elif isinstance(node, With):
            body, instead = node.body, ("WITH", "ID", "SEMICOLON")
        elif isinstance(node, Assert):
            body, instead = node.body, ("ASSERT", "ID", "SEMICOLON")
        if body is not None and base + body.start <= self.end and self.has_body(node, base + body.start):
            return instead, base + body.start
        if isinstance(node, ListExpr) and not self.is_past(place, place.start):
            items = [item for item in node.items if base + item.start < self.end]
            return (("LBRACKET",), base + items[-1].start) if items else None
        if isinstance(node, AttrSet | Let | LegacyLet):
            return self.enter_bindings(place)
        return None

    def has_body(self, node: Node, start: int) -> bool:
        """Whether the body is there, or its hole after the word or sign that asks for it."""
        before = self.source.text[:start].rstrip() if start <= 400 else self.source.text[start - 400 : start].rstrip()
        return before.endswith("in" if isinstance(node, Let) else ":" if isinstance(node, Lambda) else ";")

    def enter_bindings(self, place: Place) -> tuple[Sequence[str], int] | None:
        node = place.node
        if not isinstance(node, AttrSet | Let | LegacyLet):
            return None
        opener = place.start if isinstance(node, Let) else self.source.text.find("{", place.start, place.end)
        if opener < 0:
            return None
        if self.is_past(place, opener):
            if not isinstance(node, AttrSet) or not node.bindings:
                return None
            return (*_opening(node), *_BINDING, "RBRACE"), place.end
        base = place.base
        done = [binding for binding in node.bindings if base + binding.end <= self.end]
        if not done:
            return None
        return (*_opening(node), *_BINDING), base + done[-1].end

    def is_past(self, place: Place, opener: int) -> bool:
        """Whether the end of the text lies behind the closing bracket."""
        return self.end >= place.end and opener not in self.open and not isinstance(place.node, Let)

    def open_bindings(self, places: Sequence[Place], before: int) -> None:
        """The beginning of the construct (the last of ``places``) whose bindings hold the place."""
        node = places[-1].node
        if not _begins_expression(places):
            self.out.append("ID")  # so that the brace can open a set only
        self.out.extend(_opening(node))
        if isinstance(node, AttrSet | Let | LegacyLet) and places[-1].base + node.bindings[0].start < before:
            self.out.extend(_BINDING)

    def read(self, start: int, end: int) -> bool:
        """The terminals of a stretch of text; false when it ends inside a string."""
        if end <= start:
            return True
        text = self.source.text[start:end]
        lexer = Lexer(text, 0, len(text), False)
        lexer.run()
        self.out.extend(terminals(lexer, grammar()))
        return not any(problem.code == "unterminated-string" for problem in lexer.problems)


def _begins_expression(places: Sequence[Place]) -> bool:
    """Whether nothing stands before the last of ``places`` in its expression, as before the ``{`` of a function."""
    for index in range(len(places) - 1, 0, -1):
        outer = places[index - 1]
        if outer.start < places[index].start:
            return not isinstance(outer.node, Apply | Binary | Unary | Select | ListExpr)
    return True


def _opening(node: Node) -> tuple[str, ...]:
    if isinstance(node, Let):
        return ("LET",)
    if isinstance(node, LegacyLet):
        return ("LET", "LBRACE")
    if isinstance(node, AttrSet) and node.recursive:
        return ("REC", "LBRACE")
    return ("LBRACE",)


def terminals(lexer: Lexer, known: Grammar) -> list[str]:
    """The tokens of the fast lexer as the terminals of the grammar."""
    found: list[str] = []
    modes: list[str] = []
    begins = False  # a path
    for index, kind in enumerate(lexer.kinds):
        start, end = lexer.starts[index], lexer.ends[index]
        if kind == EOF:
            break
        if kind == STRING:
            found += ["QUOTE", "STRING_TEXT", "STRING_CLOSE"] if end > start + 2 else ["QUOTE", "STRING_CLOSE"]
        elif kind == INDENTED:
            found += ["TWO_QUOTES", "INDENTED_TEXT", "INDENTED_CLOSE"]
        elif kind == PATH:
            found += ["HOME_PATH" if lexer.text[start] == "~" else "PATH", "PATH_END"]
        elif kind == STR_OPEN:
            found.append("QUOTE")
            modes.append("STRING_TEXT")
        elif kind == IND_OPEN:
            found.append("TWO_QUOTES")
            modes.append("INDENTED_TEXT")
        elif kind == PATH_OPEN:
            modes.append("PATH_TEXT")
            begins = True
        elif kind == TEXT:
            if begins:
                found.append("HOME_PATH" if lexer.text[start] == "~" else "PATH")
            else:
                found.append(modes[-1])
            begins = False
        elif kind in _CLOSES:
            modes.pop()
            found.append(_CLOSES[kind])
        else:
            found.append(_VARYING.get(kind) or known.named[SPELLING[kind]])
    return found
