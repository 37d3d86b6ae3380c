"""What goes wrong when a file is evaluated: the worker finds it, here is what becomes of that in an editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from evaluator.service.protocol import Failure, Location, TraceFrame


@dataclass(frozen=True)
class Offer:
    """Something that a user may allow to be built or fetched: what to call that, and what it is."""

    title: str
    elements: tuple[str, ...]


def message(failure: Failure) -> str:
    """What to say of a failure: Nix's message, and what may have been meant."""
    if not failure.meant:
        return failure.message
    *others, last = failure.meant
    return f"{failure.message}\nDid you mean {'one of ' + ', '.join(others) + ' or ' if others else ''}{last}?"


def code(failure: Failure) -> str:
    """The code of a failure's diagnostic."""
    if failure.kind in ("evaluation", "untracked"):
        return failure.kind
    return f"fetch-{failure.kind}" if failure.kind in ("unfetched", "barred", "fetching") else f"build-{failure.kind}"


def is_error(failure: Failure) -> bool:
    """Whether something is wrong; else it is only that something was not built yet."""
    return failure.kind in ("evaluation", "failed")


def offers(failures: Sequence[Failure], start: int, end: int) -> list[Offer]:
    """What may be built for the failures that touch a range; all at once, too, if there is more in the file."""
    touched = [each for each in failures if each.at.start <= end and start <= each.at.end]
    found: dict[str, Offer] = {}
    for failure in touched:
        if failure.kind in ("unbuilt", "unfetched", "failed"):
            again = " again" if failure.kind == "failed" else ""
            for element, title in zip(failure.elements, failure.offers, strict=True):
                found.setdefault(element, Offer(title + again, (element,)))
    waiting = {element: None for failure in failures if failure.kind == "unbuilt" for element in failure.elements}
    result = list(found.values())
    if result and len(waiting) > 1:
        result.append(Offer(f"Build all {len(waiting)} that this file needs", tuple(waiting)))
    return result


def shifted(failures: tuple[Failure, ...], path: str, start: int, end: int, length: int) -> tuple[Failure, ...]:
    """Failures of the file at ``path`` after ``length`` code points took the place of ``[start, end)`` of its text.

    Those in which something was changed are left out: evaluation will tell.
    """
    found: list[Failure] = []
    for failure in failures:
        at = _moved(failure.at, start, end, length)
        if at is None:
            continue
        frames: list[TraceFrame] = []
        for frame in failure.frames:
            if frame.at is None or frame.at.path != path:
                frames.append(frame)
            elif (place := _moved(frame.at, start, end, length)) is not None:
                frames.append(msgspec.structs.replace(frame, at=place))
        found.append(msgspec.structs.replace(failure, at=at, frames=tuple(frames)))
    return tuple(found)


def _moved(at: Location, start: int, end: int, length: int) -> Location | None:
    if at.end <= start:
        return at
    if at.start < end:
        return None
    delta = length - (end - start)
    return msgspec.structs.replace(at, start=at.start + delta, end=at.end + delta)
