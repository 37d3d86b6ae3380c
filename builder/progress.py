"""What happens while wishes are made true, event by event; what a build itself says comes wrapped in :class:`OfBuild`.

Events of one derivation come in their order; those of different ones are mixed. They come from several threads, one at
a time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done, as far as it is known: derivations to build, paths to fetch, their archives' bytes."""

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
    """It has not: what wanted it is built instead, or fails."""

    path: str
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another process or thread builds the derivation already."""

    drv_path: str


@dataclass(frozen=True, slots=True)
class Done:
    """The derivation's outputs are there: ``how`` is ``"built"``, ``"fetched"`` or ``"found"``."""

    drv_path: str
    outputs: dict[str, str]
    how: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The derivation's outputs will not be there. ``because_of`` names the input that failed, if it was one."""

    drv_path: str
    kind: str
    why: str
    log: tuple[str, ...]
    because_of: str | None = None


Event = Planned | Fetching | Fetched | FetchFailed | Waiting | Done | Failed
