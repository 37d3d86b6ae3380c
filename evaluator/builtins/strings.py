"""Strings. Lengths and offsets count bytes, as in Nix."""

from __future__ import annotations

import re
from typing import Final, final

from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import ForEach, force_widely
from evaluator.code.coerce import NO_CONTEXT, as_int, as_list, as_string, coerce, coerce_into, make_string, rejoin
from evaluator.runtime.bulk import LARGE_TEXT, ask_for, let_go
from evaluator.runtime.bulk import joined as glued
from evaluator.runtime.errors import EvalError
from evaluator.runtime.values import ContextString, force, spend
from evaluator.session import Session


def byte_view(text: str) -> str:
    """The bytes of a string as characters below 256: what counts and cuts bytes works on this."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def from_byte_view(text: str) -> str:
    """The string that :func:`byte_view` was given."""
    if text.isascii():
        return text
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def to_string(session: Session, value: object) -> object:
    return coerce(session, value, False, True, "while evaluating the first argument passed to builtins.toString")


def string_length(session: Session, value: object) -> object:
    text = as_string(
        coerce(session, value, True, False, "while evaluating the argument passed to builtins.stringLength")
    )
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogateescape"))


def substring(session: Session, start: object, length: object, value: object) -> object:
    begin = as_int(start, "while evaluating the first argument (the start offset) passed to builtins.substring")
    if begin < 0:
        raise EvalError("negative start position in 'substring'")
    size = as_int(length, "while evaluating the second argument (the substring length) passed to builtins.substring")
    found = coerce(
        session, value, True, False, "while evaluating the third argument (the string) passed to builtins.substring"
    )
    context = NO_CONTEXT
    text = ""
    if isinstance(found, str):
        text = found
    elif isinstance(found, ContextString):
        text = found.text
        context = found.context
    if size == 0:
        return make_string("", context)
    if text.isascii():
        if begin == 0 and (size < 0 or size >= len(text)):
            return found
        cut = text[begin:] if size < 0 else text[begin : begin + size]
    else:
        data = text.encode("utf-8", "surrogateescape")
        part = data[begin:] if size < 0 else data[begin : begin + size]
        cut = part.decode("utf-8", "surrogateescape")
    return ContextString(cut, context) if context else cut


_JOINED: Final = "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep"


def concat_strings_sep(session: Session, separator: object, value: object) -> object:
    between = separator
    context = NO_CONTEXT
    if isinstance(between, ContextString):
        context = between.context
        glue = between.text
    else:
        glue = as_string(
            between, "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep"
        )
    items = as_list(
        value,
        "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep",
    )
    return force_widely(session, _Join(session, glue, context, items))


@final
class _Join(ForEach):
    """Elements put together with ``glue`` between them; ``context`` is that of the glue."""

    def __init__(self, session: Session, glue: str, context: frozenset[str], items: list[object]) -> None:
        super().__init__(items)
        self.session: Final = session
        self.glue: Final = glue
        self.context: Final = context
        self.pieces: list[str] = []
        self.joined: set[str] | None = None

    def begin(self) -> None:
        self.pieces = []
        self.joined = None

    def take(self, item: object) -> None:
        spend(1)
        element = force(item)
        if isinstance(element, str):
            self.pieces.append(element)
        elif isinstance(element, ContextString):
            self.pieces.append(element.text)
            self._join(element.context)
        else:
            parts: list[str] = []
            try:
                found = coerce_into(self.session, element, parts, NO_CONTEXT, True, False)
            except EvalError as error:
                error.explain(_JOINED, None)
                raise
            self.pieces.append("".join(parts))
            self._join(found)

    def _join(self, context: frozenset[str]) -> None:
        if not context:
            return
        if self.joined is None:
            self.joined = set(context)
        else:
            self.joined |= context

    def result(self) -> object:
        text = rejoin(glued(self.pieces, self.glue))
        let_go(self.pieces)
        if self.joined is not None:
            return ContextString(text, self.context | self.joined)
        return make_string(text, self.context)


_REPLACED: Final = "while evaluating one of the strings to replace passed to builtins.replaceStrings"
_REPLACEMENT: Final = "while evaluating one of the replacement strings passed to builtins.replaceStrings"


@final
class _Replacer:
    """The texts to look for in ``replaceStrings``, prepared."""

    def __init__(self, source: list[object], patterns: list[str]) -> None:
        self.source: Final = source  # kept alive: its identity is the key under which this is remembered
        self.patterns: Final = patterns
        self.has_empty: Final = "" in patterns
        self.odd: Final = any([not _is_characters(pattern) for pattern in patterns])
        index: dict[str, int] = {}
        for at in range(len(patterns)):
            index.setdefault(patterns[at], at)
        self.index: Final = index
        self.finder: Final = re.compile("|".join([re.escape(pattern) for pattern in patterns]))


def _is_characters(text: str) -> bool:
    """Whether the text is whole characters (no bytes that are not UTF-8)."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


_REPLACERS: Final[dict[int, _Replacer]] = {}
_MOST_REPLACERS: Final = 256


def _replacer(source: list[object]) -> _Replacer:
    known = _REPLACERS.get(id(source))
    if known is not None and known.source is source:
        return known
    patterns = [as_string(item, _REPLACED) for item in source]
    made = _Replacer(source, patterns)
    if len(_REPLACERS) >= _MOST_REPLACERS:
        _REPLACERS.clear()
    _REPLACERS[id(source)] = made
    return made


def replace_strings(session: Session, old: object, new: object, value: object) -> object:
    sources = as_list(old, "while evaluating the first argument passed to builtins.replaceStrings")
    targets = as_list(new, "while evaluating the second argument passed to builtins.replaceStrings")
    if len(sources) != len(targets):
        raise EvalError("'from' and 'to' arguments passed to builtins.replaceStrings have different lengths")
    given = value
    context = NO_CONTEXT
    if isinstance(given, str):
        text = given
    elif isinstance(given, ContextString):
        text = given.text
        context = given.context
    else:
        for source in sources:
            as_string(source, _REPLACED)
        as_string(given, "while evaluating the third argument passed to builtins.replaceStrings")
        raise AssertionError("unreachable")
    if len(sources) == 1:
        pattern = as_string(sources[0], _REPLACED)
        if pattern and (text.isascii() or (_is_characters(text) and _is_characters(pattern))):
            if pattern not in text:
                return given
            target = force(targets[0])
            if isinstance(target, ContextString):
                return ContextString(rejoin(_with(text, pattern, target.text)), context | target.context)
            return make_string(rejoin(_with(text, pattern, as_string(target, _REPLACEMENT))), context)
    elif not sources:
        return given
    replacer = _replacer(sources)
    if not text.isascii() and (replacer.has_empty or replacer.odd or not _is_characters(text)):
        replacer = _Replacer(sources, [byte_view(pattern) for pattern in replacer.patterns])
        return _replaced(replacer, byte_view(text), targets, context, True)
    return _replaced(replacer, text, targets, context, False)


def _with(text: str, pattern: str, target: str) -> str:
    """``text`` with ``target`` for each ``pattern``."""
    size = len(text)
    if size > LARGE_TEXT or len(target) * size > 64 * LARGE_TEXT:
        ask_for(size + text.count(pattern) * len(target))
    return text.replace(pattern, target)


def _replaced(replacer: _Replacer, text: str, targets: list[object], context: frozenset[str], as_bytes: bool) -> object:
    pieces: list[str] = []
    texts: dict[str, str] = {}
    finder = replacer.finder
    at = 0
    size = len(text)
    while at <= size:
        spend(1)
        match = finder.search(text, at)
        if match is None:
            break
        start = match.start()
        found = match.group()
        if start > at:
            pieces.append(text[at:start])
        target = texts.get(found)
        if target is None:
            # Forced only now: a replacement that is not needed may be an error.
            replacement = force(targets[replacer.index[found]])
            if isinstance(replacement, ContextString):
                context = context | replacement.context
                target = replacement.text
            else:
                target = as_string(replacement, _REPLACEMENT)
            if as_bytes:
                target = byte_view(target)
            texts[found] = target
        pieces.append(target)
        if found:
            at = start + len(found)
        else:
            # An empty pattern matches before every byte (and at the end), and lets that byte through.
            if start < size:
                pieces.append(text[start])
            at = start + 1
    if at < size:
        pieces.append(text[at:])
    joined = glued(pieces)
    let_go(pieces)
    return make_string(from_byte_view(joined) if as_bytes else rejoin(joined), context)


TABLE: Final[list[Builtin]] = [
    Builtin(
        "toString",
        1,
        True,
        to_string,
        "toString *e*\n\n*e* as a string: numbers, null (empty), Booleans (`1` and empty), lists (joined with blanks), "
        "paths (not copied to the store), sets with `__toString` or `outPath`.",
    ),
    Builtin("stringLength", 1, True, string_length, "stringLength *s*\n\nThe number of bytes of a string."),
    Builtin(
        "substring",
        3,
        True,
        substring,
        "substring *start* *len* *s*\n\n*len* bytes of *s* from byte *start* (from 0); "
        "with a negative *len* everything to the end.",
    ),
    Builtin(
        "concatStringsSep",
        2,
        True,
        concat_strings_sep,
        "concatStringsSep *separator* *list*\n\nThe strings of a list with a separator between them.",
    ),
    Builtin(
        "replaceStrings",
        3,
        True,
        replace_strings,
        "replaceStrings *from* *to* *s*\n\n*s* with every occurrence of a string in *from* replaced by the one at the "
        "same index in *to*. Of several that match at one place, the first in *from* counts.",
    ),
]
