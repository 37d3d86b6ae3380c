"""What happens while wishes are made true, event by event; what a build itself says comes wrapped in :class:`OfBuild`.

Events of one derivation come in their order; those of different ones are mixed. They come from several threads, one at
a time. :func:`as_json` gives each as plain data.
"""

from __future__ import annotations

from typing import Any

from builder.events import BuildEvent, BuiltOutput, Failed, LogLine, Phase, Queued, Resources, Started, Succeeded
from store.records import dataclass, fields


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done, as far as it is known: derivations to build, paths to fetch, their archives' bytes.

    It comes again when something could not be fetched and is built instead.
    """

    builds: tuple[str, ...]
    fetches: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Fetching:
    """A path is being fetched from a substituter; ``size`` is that of its archive in bytes."""

    path: str
    source: str
    size: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """It has come."""

    path: str


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """It has not: another substituter is asked, or it is built."""

    path: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A substituter does not answer, or not sensibly; it is passed over."""

    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process or thread builds the derivation already."""

    drv_path: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the derivation uses is known now: ``resolved`` is built in its place."""

    drv_path: str
    resolved: str


@dataclass(frozen=True, slots=True)
class OfBuild:
    """What the build of a derivation says."""

    drv_path: str
    event: BuildEvent


@dataclass(frozen=True, slots=True)
class Made:
    """The derivation's outputs are there; ``by_others``: another process made them while this one waited."""

    drv_path: str
    outputs: dict[str, str]
    by_others: bool = False


@dataclass(frozen=True, slots=True)
class NotMade:
    """The outputs of a derivation, or a path, will not be there.

    ``kind`` is one of :class:`builder.outcome.BuildFailed`'s, or ``"dependency"``: then ``because_of`` names what
    failed.
    """

    path: str
    kind: str
    why: str
    log: tuple[str, ...] = ()
    because_of: str | None = None


Event = Planned | Fetching | Fetched | FetchFailed | Unanswered | Waiting | Resolved | OfBuild | Made | NotMade

_NAMES: dict[type[Any], str] = {
    Planned: "planned",
    Fetching: "fetching",
    Fetched: "fetched",
    FetchFailed: "fetch-failed",
    Unanswered: "unanswered",
    Waiting: "waiting",
    Resolved: "resolved",
    Made: "made",
    NotMade: "not-made",
    Queued: "queued",
    Started: "started",
    LogLine: "log",
    Phase: "phase",
    Resources: "resources",
    Succeeded: "succeeded",
    Failed: "failed",
}


def as_json(event: Event) -> dict[str, Any]:
    """An event as plain data: ``event`` is its name; those of builds have the derivation as ``drvPath``."""
    if isinstance(event, OfBuild):
        return {"event": _NAMES[type(event.event)], "drvPath": event.drv_path, **_plain(event.event)}
    return {"event": _NAMES[type(event)], **_plain(event)}


def _plain(event: object) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name in fields(event):
        value = getattr(event, name)
        if value is not None:
            head, *rest = name.split("_")
            plain[head + "".join(word.capitalize() for word in rest)] = _value(value)
    return plain


def _value(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, BuiltOutput):
        return {"path": "/" + value.path, "narSize": value.nar_size, "references": list(value.found)}
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return value
