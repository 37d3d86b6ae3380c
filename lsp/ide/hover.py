"""What is this? Kind and value of what the cursor is on, where it comes from, and its documentation."""

from __future__ import annotations

from typing import Final

from evaluator.service.protocol import Answer, Facts
from lsp.ide import places, static
from lsp.ide.preview import laid_out
from lsp.ide.subject import OPERATOR, PATH, SEARCH_PATH, SELECTED, STRING, Subject, subject_at
from lsp.ide.types import Hover, Link, Snapshot

_FORMALS: Final = 12
_FORMALS_ON_ONE_LINE: Final = 4


async def hover(snapshot: Snapshot, offset: int) -> Hover | None:
    """What to show at ``offset``; None where there is nothing to say."""
    subject = subject_at(snapshot, offset)
    if subject is None:
        return None
    if subject.target is None:
        return _static(snapshot, subject, "")
    answer = await snapshot.values.describe(subject.target)
    if answer.state == "value" and answer.facts is not None:
        return _evaluated(snapshot, subject, answer, answer.facts)
    if answer.state == "error":
        return _failed(snapshot, subject, answer)
    if answer.state in ("building", "unbuilt"):
        note = answer.message if answer.state == "building" else f"{answer.message} (a code action does that)"
        return _static(snapshot, subject, note) or Hover(subject.start, subject.end, "", notes=(note,))
    return _static(snapshot, subject, "evaluating…" if answer.state == "timeout" else "")


def _evaluated(snapshot: Snapshot, subject: Subject, answer: Answer, facts: Facts) -> Hover:
    about = [facts.kind, static.in_words(snapshot, subject)]
    lines = [("version", facts.version), ("homepage", facts.homepage)]
    if facts.outputs and facts.outputs != ("out",):
        lines.append(("outputs", " ".join(facts.outputs)))
    if facts.size >= 0 and facts.kind in ("set", "list"):
        lines.append(("elements" if facts.kind == "list" else "attributes", str(facts.size)))
    lines.append(("by way of", answer.route))
    doc = "\n\n".join(part for part in (facts.description, facts.doc.strip()) if part)
    notes = list(facts.notes)
    if answer.stale:
        notes.append("of the text before the latest edit")
    return Hover(
        subject.start,
        subject.end,
        _code(subject.label, facts),
        " · ".join(part for part in about if part),
        doc,
        tuple((label, text) for label, text in lines if text),
        _places(snapshot, facts),
        tuple(notes),
    )


def _places(snapshot: Snapshot, facts: Facts) -> tuple[tuple[str, Link], ...]:
    made, defined = facts.made, facts.defined
    if made is not None and defined is not None and made.path == defined.path:
        made = None  # a few lines further on in the same file: nothing new
    found: list[tuple[str, Link]] = []
    if made is not None:
        found.append(("made in", places.link(made, snapshot.roots)))
    if defined is not None:
        found.append(("defined in", places.link(defined, snapshot.roots)))
    return tuple(found)


def _failed(snapshot: Snapshot, subject: Subject, answer: Answer) -> Hover:
    at = (("at", places.link(answer.at, snapshot.roots)),) if answer.at is not None else ()
    static_answer = _static(snapshot, subject, f"evaluation fails: {answer.message}")
    if static_answer is None:
        return Hover(subject.start, subject.end, "", notes=(f"evaluation fails: {answer.message}",), places=at)
    return Hover(
        subject.start,
        subject.end,
        static_answer.code,
        static_answer.about,
        places=(*static_answer.places, *at),
        notes=static_answer.notes,
    )


def _static(snapshot: Snapshot, subject: Subject, note: str) -> Hover | None:
    """What the text says by itself."""
    notes = (note,) if note else ()
    if subject.kind == PATH:
        absolute = places.absolute(subject.label, snapshot.path) if "${" not in subject.label else subject.label
        return Hover(subject.start, subject.end, absolute, "path", notes=notes)
    if subject.kind in (STRING, OPERATOR, SEARCH_PATH):
        return Hover(subject.start, subject.end, subject.label, subject.kind, notes=notes) if note else None
    about = static.in_words(snapshot, subject)
    written = static.written(snapshot, subject)
    if not (about or written or note) or (subject.kind == SELECTED and not (written or note)):
        return None
    code = f"{subject.label} = {written}" if written else subject.label
    return Hover(subject.start, subject.end, code, about, notes=notes)


def _code(label: str, facts: Facts) -> str:
    value = facts.preview
    if facts.kind == "derivation" and facts.name:
        value = f"«derivation {facts.name}»"
    elif facts.kind == "function" and facts.formals:
        value = _formals(facts.formals)
    return laid_out(label if label != value else "", value)


def _formals(formals: tuple[tuple[str, bool], ...]) -> str:
    """A function's formals as they are written; those with a default are marked."""
    shown = [f"{name} ? …" if optional else name for name, optional in formals[:_FORMALS]]
    if len(formals) > _FORMALS:
        shown.append("…")
    if len(shown) <= _FORMALS_ON_ONE_LINE:
        return f"{{ {', '.join(shown)} }}: …"
    return "{\n" + "".join(f"  {name},\n" for name in shown) + "}: …"
