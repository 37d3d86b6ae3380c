"""``tvix-lsp inspect``: what the server would answer at a place, for bug reports and for trying things."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsp import uri as uris
from lsp.documents import Document
from lsp.ide.completion import completion
from lsp.ide.definition import definition
from lsp.ide.hover import hover
from lsp.ide.markup import plain
from lsp.ide.types import Completion, FileRange, Hover
from lsp.nixpkgs import Machine, enclosing
from lsp.session import Session
from lsp.settings import FILE_NAME

_SHOWN = 30
_PROJECT_MARKS = (FILE_NAME, "flake.nix", ".git", "npins")


class BadPlace(ValueError):
    """The place on the command line is none; the message says why."""


@dataclass(frozen=True)
class Answers:
    """What the features say at one place."""

    document: Document
    offset: int
    hover: Hover | None
    definition: list[FileRange]
    completion: Completion | None


def inspect(place: str, command: Sequence[str], *, as_json: bool, budget: float) -> str:
    """The answers at ``FILE:LINE:COL`` as text or JSON; ``command`` starts a worker. Raises :class:`BadPlace`."""
    path, line, column = parse_place(place)
    session = Session(Machine.here(), command)
    answers = asyncio.run(_ask(session, path, line, column, budget))
    value = _as_json(session, answers)
    if as_json:
        return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"
    return _as_text(place, answers, value).encode("utf-8", "replace").decode()


def parse_place(place: str) -> tuple[str, int, int]:
    """``FILE:LINE:COL`` as an absolute path and two numbers that count from 1. Raises :class:`BadPlace`."""
    path, _, rest = place.rpartition(":")
    path, _, line = path.rpartition(":")
    if not (path and line.isdecimal() and rest.isdecimal() and int(line) > 0 and int(rest) > 0):
        raise BadPlace(f"expected FILE:LINE:COL with line and column counted from 1, got {place!r}")
    return os.path.abspath(path), int(line), int(rest)


async def _ask(session: Session, path: str, line: int, column: int, budget: float) -> Answers:
    document = _open(session, path, budget)
    offset = _offset(document, line, column)
    try:
        session.start()
        # Told as an open document is, so that evaluation sees what the features see.
        document = session.open(uris.from_path(path), 1, document.text)
        snapshot = session.snapshot(document)
        return Answers(
            document,
            offset,
            await hover(snapshot, offset),
            await definition(snapshot, offset),
            await completion(snapshot, offset),
        )
    finally:
        await session.stop()


def _open(session: Session, path: str, budget: float) -> Document:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise BadPlace(f"{path}: {error.strerror}") from error
    document = session.documents.read(path)
    if document is None:
        raise BadPlace(f"{path}: cannot be read")
    session.settle([project_of(path)], None)
    session.settings = replace(session.settings, budget=budget)
    return document


def project_of(path: str) -> str:
    """The folder that an editor would have opened for a file: the nearest above it that looks like a project."""
    folder = os.path.dirname(path)
    above = folder
    while True:
        if any(os.path.exists(os.path.join(above, mark)) for mark in _PROJECT_MARKS):
            return above
        if above == os.path.dirname(above):
            return enclosing(folder) or folder
        above = os.path.dirname(above)


def _offset(document: Document, line: int, column: int) -> int:
    starts = document.lines.starts
    if line > len(starts):
        raise BadPlace(f"{document.path}: there is no line {line}, the file has {len(starts)}")
    width = document.lines.line_end(line - 1) - starts[line - 1]
    if column > width + 1:
        raise BadPlace(f"{document.path}: line {line} has no column {column}, it ends at {width + 1}")
    return starts[line - 1] + column - 1


def _as_json(session: Session, answers: Answers) -> dict[str, Any]:
    found = answers.completion
    shown = answers.hover
    return {
        "place": _place(answers.document, answers.offset, answers.offset),
        "hover": None if shown is None else {"text": plain(shown), **_place(answers.document, shown.start, shown.end)},
        "definition": [_in_file(session, place) for place in answers.definition],
        "completion": None
        if found is None
        else {
            "incomplete": found.incomplete,
            "replaces": answers.document.text[found.start : answers.offset],
            "items": [
                {"label": item.label, "kind": item.kind, "detail": item.detail, "insert": item.insert or item.label}
                for item in found.items
            ],
        },
    }


def _in_file(session: Session, place: FileRange) -> dict[str, Any]:
    document = session.documents.read(place.path)
    if document is None:
        return {"file": place.path, "line": 1, "column": 1}
    return _place(document, place.start, place.end)


def _place(document: Document, start: int, end: int) -> dict[str, Any]:
    """A range with lines and columns (code points) that count from 1; the end is the first column behind it."""
    found: dict[str, Any] = {"file": document.path}
    for prefix, offset in (("", start), ("end_", end)):
        line = document.lines.line_of(offset)
        found[f"{prefix}line"] = line + 1
        found[f"{prefix}column"] = offset - document.lines.starts[line] + 1
    return found


def _as_text(place: str, answers: Answers, value: dict[str, Any]) -> str:
    parts = [place, "", "hover"]
    parts += _indented(plain(answers.hover) if answers.hover is not None else "nothing")
    parts += ["", "definition"]
    parts += _indented(
        "\n".join(f"{found['file']}:{found['line']}:{found['column']}" for found in value["definition"]) or "nothing"
    )
    parts += ["", "completion"]
    found = answers.completion
    if found is None or not found.items:
        parts += _indented("nothing")
    else:
        width = max(len(item.label) for item in found.items[:_SHOWN])
        for item in found.items[:_SHOWN]:
            parts += _indented(f"{item.label:{width}}  {item.detail or item.kind}".rstrip())
        if len(found.items) > _SHOWN or found.incomplete:
            parts += _indented(f"… {len(found.items)} shown by an editor{', and more' if found.incomplete else ''}")
    return "\n".join(parts) + "\n"


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.split("\n")]
