"""Where is it defined?

Names of the file lead to what binds them; what the file only receives (an argument of the file itself, an attribute of
a set, an inherited name, a name from a ``with``) leads to where evaluation says that it comes from.
"""

from __future__ import annotations

from evaluator import names
from evaluator.names import Bound
from evaluator.service.protocol import Answer, Facts, Target
from evaluator.syntax.tree import Inherit, Path, Text
from lsp.ide import literals, places, static
from lsp.ide.subject import (
    ARGUMENT,
    ATTRIBUTE,
    FORMAL,
    INHERITED,
    PATH,
    SEARCH_PATH,
    SELECTED,
    VARIABLE,
    Subject,
    subject_at,
)
from lsp.ide.types import FileRange, Snapshot


async def definition(snapshot: Snapshot, offset: int) -> list[FileRange]:
    """The places that define what stands at ``offset``, best first; usually one, because several make people choose."""
    subject = subject_at(snapshot, offset)
    if subject is None:
        return []
    if subject.kind == PATH:
        return await _path(snapshot, subject)
    if subject.kind == SEARCH_PATH:
        return await _evaluated_path(snapshot, subject)
    found = static.resolution(snapshot, subject)
    if found is not None and found.kind == names.BOUND:
        return await _bound(snapshot, subject, found.bounds)
    here = [FileRange(snapshot.path, subject.start, subject.end)]
    if subject.kind == VARIABLE:
        return await _evaluated(snapshot, subject.target)
    if subject.kind in (SELECTED, INHERITED):
        if places_found := await _evaluated(snapshot, subject.target):
            return places_found
        written = literals.selected(snapshot, subject)
        if written is not None:
            return [written[0]]
        return here if subject.kind == INHERITED else []
    return here if subject.kind in (ATTRIBUTE, FORMAL, ARGUMENT) else []


async def _bound(snapshot: Snapshot, subject: Subject, bounds: list[Bound]) -> list[FileRange]:
    first = bounds[0]
    own = [static.place_of(snapshot, bound) for bound in bounds]
    if first.kind == names.FORMAL:
        # On the formal itself there is nothing else to tell; a use of an inner function's formal leads to the formal.
        if subject.kind == FORMAL or static.is_supplied(snapshot, first):
            return await _evaluated(snapshot, subject.target, through=True) or own
        return own
    if first.kind == names.INHERITED and isinstance(first.holder.node, Inherit):
        # Nobody wants to stop at the word in the `inherit`.
        return await _inherited(snapshot, first) or own
    return own


async def _inherited(snapshot: Snapshot, bound: Bound) -> list[FileRange]:
    subject = subject_at(snapshot, bound.start)
    if subject is None or subject.kind != INHERITED:
        return []
    return await definition(snapshot, bound.start)


async def _evaluated(snapshot: Snapshot, target: Target | None, *, through: bool = False) -> list[FileRange]:
    facts = await _facts(snapshot, target)
    location = places.origin(facts, through=through) if facts is not None else None
    return [places.place(location)] if location is not None else []


async def _facts(snapshot: Snapshot, target: Target | None) -> Facts | None:
    if target is None:
        return None
    answer: Answer = await snapshot.values.describe(target)
    return answer.facts if answer.state == "value" else None


async def _path(snapshot: Snapshot, subject: Subject) -> list[FileRange]:
    node = subject.chain[-1].node
    if isinstance(node, Path) and all(isinstance(part, Text) for part in node.parts):
        file = places.file_of(places.absolute(subject.label, snapshot.path))
        return [FileRange(file, 0, 0)] if file is not None else []
    return await _evaluated_path(snapshot, subject)


async def _evaluated_path(snapshot: Snapshot, subject: Subject) -> list[FileRange]:
    facts = await _facts(snapshot, subject.target)
    file = places.file_of(facts.preview) if facts is not None and facts.kind == "path" else None
    return [FileRange(file, 0, 0)] if file is not None else []
