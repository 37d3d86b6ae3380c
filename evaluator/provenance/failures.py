"""What goes wrong when a file is evaluated: one failure for each cause, at the place in the file that is nearest to it.

The file's value is worked out with the arguments that it gets; a derivation as far as its paths, the attributes of a
set each by itself. An attribute that throws when it is asked for does so on purpose (nixpkgs is full of those).
"""

from __future__ import annotations

from typing import Final

from evaluator.provenance import route as routes
from evaluator.provenance.context import FileContext, quiet
from evaluator.provenance.data import Failure, Location, TraceFrame
from evaluator.provenance.describe import location, sendable, trace_frames
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import BuildFailure, EvalError, HoleForced, SyntaxFault, Unrealised
from evaluator.runtime.source import Place
from evaluator.runtime.values import Attrs
from evaluator.session import Session
from store.store_path import derivation_name

_MOST_ATTRIBUTES: Final = 300
"""Larger sets are whole package sets: nobody waits for all of those."""

_NOT_LOOKED_INTO: Final = frozenset(["legacyPackages"])


def failures(session: Session, context: FileContext) -> list[Failure]:
    """What fails in a file, in the order of its text. Evaluation may be interrupted and begun again."""
    found: dict[tuple[int, int, str], Failure] = {}
    value: object = None
    try:
        value = routes.automatic(session, context)
        if isinstance(value, Attrs) and is_derivation(value):
            value.get("drvPath")
    except EvalError as error:
        _add(found, context, error)
    if isinstance(value, Attrs) and not is_derivation(value):
        for name, inner in _each(found, context, value):
            if context.outputs is not None and isinstance(inner, Attrs) and name not in _NOT_LOOKED_INTO:
                ours = quiet(inner, session.system)
                if isinstance(ours, Attrs) and not is_derivation(ours):
                    _each(found, context, ours)
    return [found[key] for key in sorted(found)]


def _each(found: dict[tuple[int, int, str], Failure], context: FileContext, attrs: Attrs) -> list[tuple[str, object]]:
    """Notes what fails of a set's attributes, and answers the others; nothing of a set that is too large."""
    values: list[tuple[str, object]] = []
    if len(attrs.items) > _MOST_ATTRIBUTES:
        return values
    for name in sorted(attrs.items):
        try:
            inner = attrs.get(name)
            if isinstance(inner, Attrs) and quiet(inner, "type") == "derivation":
                inner.get("drvPath")
            values.append((name, inner))
        except EvalError as error:
            if not error.is_catchable():
                error.note(f"while evaluating the attribute '{name}'", attrs.place_of(name))
                _add(found, context, error)
    return values


def _add(found: dict[tuple[int, int, str], Failure], context: FileContext, error: EvalError) -> None:
    if isinstance(error, HoleForced) or isinstance(error, SyntaxFault):
        return  # the text is not finished there: that is said of the text itself
    path = context.parsed.file.path
    frames = trace_frames(error)
    at = _asked_at(context, error) or _nearest(context, error)
    if at is None:
        return
    kind = "evaluation"
    elements: tuple[str, ...] = ()
    if isinstance(error, Unrealised):
        kind = error.state or "evaluation"
        elements = (error.element,)
    elif isinstance(error, BuildFailure):
        kind = "failed"
        elements = (error.element,)
    offers = tuple(_offer(context.session, element) for element in elements)
    related = tuple(frame for frame in frames if frame.at is not None and not _same(frame, at, path))
    meant = tuple(map(sendable, error.suggestions()))
    failure = Failure(sendable(error.message), at, related, kind, elements, meant, offers)
    found.setdefault((at.start, at.end, failure.message), failure)


def _offer(session: Session, element: str) -> str:
    fetch = session.fetches.get(element)
    if fetch is not None:
        return sendable(fetch.title)
    return sendable(f"Build '{derivation_name(element)}'")


def _asked_at(context: FileContext, error: EvalError) -> Location | None:
    """Where the file itself asks for what is missing: a flake's input."""
    if isinstance(error, Unrealised) or isinstance(error, BuildFailure):
        return location(context.asked_at.get(error.element))
    return None


def _same(frame: TraceFrame, at: Location, path: str) -> bool:
    place = frame.at
    return place is not None and place.path == path and place.start == at.start


def _nearest(context: FileContext, error: EvalError) -> Location | None:
    """The innermost place of an error that lies in this version of the file."""
    file = context.parsed.file
    places: list[Place | None] = [error.pinned, error.place]
    if error.pinned is None and error.frames and error.frames[0].place is not None:
        places = []
    places += [frame.place for frame in error.trace()]
    for place in places:
        if place is not None and place.file is file:
            return location(place)
    return None
