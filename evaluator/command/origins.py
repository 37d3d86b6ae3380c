"""``--origin``: where a value came from, for people and (``--json``) for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from evaluator.command import asking
from evaluator.command.flags import Options
from evaluator.entry import split_path
from evaluator.provenance.chain import Origin, Step
from evaluator.provenance.describe import kind_of, preview, sendable
from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import Place
from evaluator.runtime.values import Attrs
from evaluator.session import Session


def origins(options: Options, session: Session) -> Iterator[str]:
    """The chain of each value that a command line asks for. Raises EvalError."""
    given = asking.arguments(options, session)
    for root in asking.roots(options, session):
        for path in options.attributes or [""]:
            origin = Origin(session)
            origin.trace(root, split_path(path), given)
            yield as_json(path, origin) if options.form == "json" else as_text(path, origin)


def as_text(path: str, origin: Origin) -> str:
    """The chain for people: what happened, and below it where, with the line that stands there."""
    title = f"{path or 'the value'}: {_summary(origin)}"
    lines = [sendable(title), ""]
    for link in origin.links:
        if not link.steps:
            continue
        lines.append(link.name or "the value")
        for step in link.steps:
            lines.append(f"  {step.what}" + ("" if step.place is None else f" at {step.place}"))
            if step.place is not None:
                lines.append(f"      {step.text()}")
        lines.append("")
    if origin.doc:
        lines.append("documentation")
        lines += [f"  {line}".rstrip() for line in origin.doc.strip().split("\n")]
        lines.append("")
    return "\n".join(lines)


def as_json(path: str, origin: Origin) -> str:
    """The chain as one JSON object; lines and columns count from 1, columns in bytes, as Nix prints them."""
    data = {
        "path": path,
        "kind": kind_of(origin.value),
        "value": _summary(origin),
        "links": [
            {"attribute": link.name or None, "steps": [_step(step) for step in link.steps]} for link in origin.links
        ],
        "documentation": origin.doc or None,
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _summary(origin: Origin) -> str:
    value = origin.value
    if isinstance(value, Attrs):
        with suppress(EvalError):
            value.get("name")  # what a derivation is shown by
    return sendable(preview(value, 80, 1))


def _step(step: Step) -> dict[str, object]:
    where: Place | None = step.place
    if where is None:
        return {"what": step.what, "file": None, "line": None, "column": None, "text": None}
    line, column = where.file.line_column(where.start)
    return {
        "what": step.what,
        "file": sendable(where.file.path),
        "line": line,
        "column": column,
        "text": sendable(step.text()),
    }
