"""What may come next: names, attributes of what stands before the dot, files, commands."""

from __future__ import annotations

import os
import re
from typing import Final

from evaluator.repl.commands import COMMANDS, Talk
from evaluator.runtime.errors import EvalError, Interrupted
from evaluator.runtime.printer import attribute
from evaluator.runtime.values import Attrs

_SECONDS: Final = 2.0
_MOST: Final = 1000

_KEYWORDS: Final = "assert else if in inherit let or rec then with".split()
_FILE: Final = re.compile(r"(?:^|[\s(\[{=])((?:~|\.{1,2}|)/[\w.+/~-]*)$")
_ENTRY: Final = re.compile(r"<([\w.+/-]*)$")
_NAME: Final = re.compile(r"[A-Za-z_][\w'-]*$")
_COMMAND: Final = re.compile(r"\s*(:[a-z]*)$")
_LOADING: Final = re.compile(r"\s*:l(?:oad)?\s+(\S*)$")


class Completion:
    """One proposal: it replaces the last ``replaces`` characters before the cursor."""

    def __init__(self, text: str, replaces: int) -> None:
        self.text: Final = text
        self.replaces: Final = replaces


def completions(talk: Talk, before: str) -> list[Completion]:
    """Proposals for the text before the cursor, sorted. Evaluates what stands before a dot, for a moment at most."""
    if found := _COMMAND.match(before):
        return _those(list(COMMANDS), found[1])
    if found := _LOADING.match(before):
        if not found[1].startswith("<"):
            return _files(found[1])
    if found := _FILE.search(before):
        return _files(found[1])
    if found := _ENTRY.search(before):
        return _entries(talk, found[1])
    found = _NAME.search(before)
    typed = found[0] if found else ""
    head = before[: len(before) - len(typed)]
    if head.endswith("."):
        expression = selected(head[:-1])
        return _those(_attributes(talk, expression), typed) if expression else []
    if not typed:
        return []
    names = {*_KEYWORDS, *talk.bench.names(), *talk.bench.session.globals}
    return _those(sorted(name for name in names if not name.startswith("__") or typed.startswith("__")), typed)


def selected(text: str) -> str:
    """The expression at the end of a text from which an attribute is selected: ``a.b``, ``(f x).y``; empty if none."""
    at = len(text)
    while at > 0:
        start = _operand(text, at)
        if start == at:
            return ""
        at = start
        if at == 0 or text[at - 1] != ".":
            break
        at -= 1
    return text[at:]


def _operand(text: str, end: int) -> int:
    """Where a name, string, set or parenthesis that ends at ``end`` starts; ``end`` if there is none."""
    last = text[end - 1]
    if last == '"':
        start = text.rfind('"', 0, end - 1)
        return start if start >= 0 else end
    if last in ")}]":
        depth = 0
        for at in range(end - 1, -1, -1):
            if text[at] in ")}]":
                depth += 1
            elif text[at] in "([{":
                depth -= 1
                if depth == 0:
                    return at
        return end
    name = _NAME.search(text[:end])
    return name.start() if name else end


def _attributes(talk: Talk, expression: str) -> list[str]:
    def find() -> list[str]:
        session = talk.bench.session
        # What is traced on the way would be written all over the line that is being typed.
        before, session.trace_output = session.trace_output, []
        try:
            value = talk.bench.evaluate(expression)
            return sorted(attribute(name) for name in value.items) if isinstance(value, Attrs) else []
        finally:
            session.trace_output = before

    try:
        return talk.aside(find, _SECONDS)
    except (EvalError, Interrupted, RecursionError, MemoryError):
        return []


def _those(names: list[str], typed: str) -> list[Completion]:
    found = [name for name in names if name.startswith(typed)]
    return [Completion(name, len(typed)) for name in found[:_MOST]]


def _files(typed: str) -> list[Completion]:
    folder, _, start = typed.rpartition("/")
    where = os.path.expanduser(folder) if folder.startswith("~") else folder or ("/" if "/" in typed else ".")
    try:
        with os.scandir(where) as entries:
            names = sorted(entry.name + "/" * entry.is_dir() for entry in entries if entry.name.startswith(start))
    except OSError:
        return []
    shown = [name for name in names if not name.startswith(".") or start.startswith(".")]
    return [Completion(name, len(start)) for name in shown[:_MOST]]


def _entries(talk: Talk, typed: str) -> list[Completion]:
    """What ``<…`` may name: the search path's entries, and files in those that are folders."""
    folder, slash, start = typed.rpartition("/")
    names: set[str] = set()
    if slash:
        try:
            names.update(one.text for one in _files(talk.bench.session.find_file(folder) + "/" + start))
        except EvalError:
            return []
    else:
        for prefix, path in talk.bench.session.search_path:
            if prefix:
                names.add(prefix)
            else:
                names.update(one.text for one in _files(path + "/" + start))
    return [
        Completion(name if name.endswith("/") else name + ">", len(start))
        for name in sorted(names)
        if name.startswith(start)
    ][:_MOST]
