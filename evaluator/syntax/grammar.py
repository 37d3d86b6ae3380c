"""``nix.lark``, the grammar of record, as something that can be asked.

Two questions: is a text Nix (slowly, for the tests of the parser), and which tokens may follow a run of tokens.
Importing this module imports Lark, so those who may not need it import it late. Making Lark's tables takes 0.3 s: they
are kept in the user's cache directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from lark import Lark, Token
from lark.exceptions import UnexpectedInput
from lark.lexer import Lexer, TerminalDef
from platformdirs import user_cache_dir

_FILE: Final = Path(__file__).with_name("nix.lark")

#: The token after the last one.
END: Final = "$END"
#: Stands in a run of tokens for text that is no token.
BAD: Final = "BAD"

_PATH_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/")

# Modes, named as the terminals that are read in them begin.
_OUTSIDE: Final = ""
_STRING: Final = "STRING_"
_INDENTED: Final = "INDENTED_"
_PATH: Final = "PATH_"
_ENTERS: Final = {
    "QUOTE": _STRING,
    "TWO_QUOTES": _INDENTED,
    "PATH": _PATH,
    "HOME_PATH": _PATH,
    "LBRACE": _OUTSIDE,
    "DOLLAR": _OUTSIDE,
}
_LEAVES: Final = frozenset(["RBRACE", "STRING_CLOSE", "INDENTED_CLOSE", "PATH_END"])


class Terminals(Lexer):
    """Reads text into terminals: the longest match of the current mode, as the grammar says."""

    def __init__(self, terminals: Iterable[TerminalDef], ignored: Iterable[str]) -> None:
        self._ignored: Final = frozenset(ignored)
        self._modes: Final[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}
        in_order = sorted(terminals, key=lambda terminal: (-terminal.priority, terminal.pattern.type != "str"))
        for mode in (_OUTSIDE, _STRING, _INDENTED, _PATH):
            self._modes[mode] = [
                (terminal.name, re.compile(terminal.pattern.to_regexp()))
                for terminal in in_order
                if _mode_of(terminal.name) == mode or (mode and terminal.name == "DOLLAR")
            ]

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Token]:
        """As Lark calls it."""
        text = str(lexer_state.text.text)
        for name, start, end in self.read(text):
            yield Token(name, text[start:end], start, end_pos=end)

    def read(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Name, start and end of each terminal; :data:`BAD` for a character that none begins with."""
        modes = [_OUTSIDE]
        at = 0
        slash = False
        while True:
            mode = modes[-1]
            if mode == _PATH and (at == len(text) or not self._path_goes_on(text, at)):
                yield (BAD if slash else "PATH_END"), at, at
                modes.pop()
                continue
            if at == len(text):
                return
            name, end = self._longest(mode, text, at)
            if name in _ENTERS:
                modes.append(_ENTERS[name])
            elif name in _LEAVES and len(modes) > 1:
                modes.pop()
            if name not in self._ignored:
                yield name, at, end
            at = end
            if modes[-1] == _PATH:
                slash = text[at - 1] == "/"

    def _longest(self, mode: str, text: str, at: int) -> tuple[str, int]:
        best, reached = BAD, at + 1
        for name, pattern in self._modes[mode]:
            match = pattern.match(text, at)
            if match is not None and (match.end() > reached or (best == BAD and match.end() == reached)):
                best, reached = name, match.end()
        return best, reached

    def _path_goes_on(self, text: str, at: int) -> bool:
        return text[at] in _PATH_CHARACTERS or text.startswith("${", at)


def _mode_of(name: str) -> str:
    for mode in (_STRING, _INDENTED, _PATH):
        if name.startswith(mode):
            return mode
    return _OUTSIDE


class LarkLexer(Terminals):
    """The same, made as Lark makes it."""

    __future_interface__ = 1

    def __init__(self, lexer_conf: Any) -> None:
        super().__init__(lexer_conf.terminals, lexer_conf.ignore)


class Grammar:
    """The grammar, loaded.

    ``order`` lists its terminals; ``spelling`` says how those are written whose text does not vary, and ``named`` how
    what is written so is called.
    """

    def __init__(self) -> None:
        text = _FILE.read_text(encoding="utf-8")
        self._lark: Final = Lark(
            text, parser="lalr", lexer=LarkLexer, maybe_placeholders=False, cache=_cache_file() or False
        )
        self.terminals: Final = Terminals(self._lark.lexer_conf.terminals, self._lark.lexer_conf.ignore)
        self.spelling: Final[dict[str, str]] = {
            terminal.name: str(terminal.pattern.value)
            for terminal in self._lark.terminals
            if terminal.pattern.type == "str"
        }
        self.named: Final = {text: name for name, text in self.spelling.items()}
        self.order: Final = [*(terminal.name for terminal in self._lark.terminals), END]

    def accepts(self, text: str) -> bool:
        """Whether a text has the form of Nix (names defined twice and the like are not looked at)."""
        try:
            self._lark.parse(text)
        except UnexpectedInput:
            return False
        return True

    def follow(self, tokens: Iterable[str]) -> frozenset[str] | None:
        """The terminals that may follow a run of tokens from the start of a text; None when the run itself is wrong.

        :data:`END` among them says that a text may end there.
        """
        cursor = self._lark.parse_interactive("")
        try:
            for name in tokens:
                cursor.feed_token(Token(name, name))
        except UnexpectedInput:
            return None
        accepted: set[str] = cursor.accepts()  # type: ignore[no-untyped-call]
        return frozenset(accepted)


def _cache_file() -> str:
    """Where Lark keeps its tables (it checks that they are those of the same grammar); nowhere if empty."""
    folder = Path(user_cache_dir("tvix-lsp", appauthor=False))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return ""
    return str(folder / "nix.lark.tables") if os.access(folder, os.W_OK) else ""
