"""What a build says while it runs: one stream that begins with ``Started`` and ends with ``Succeeded`` or ``Failed``.

``Queued`` is the scheduler's to say. All of them are frozen and hold plain data, so that they can be sent and kept.
"""

from __future__ import annotations

from enum import StrEnum

from store.castore.nodes import Node
from store.records import dataclass


class Why(StrEnum):
    """Why a build failed, in one word."""

    EXIT = "exit"  #: the builder ended with another status than 0, or by a signal
    OUTPUT = "output"  #: an output is missing or not what may be an output
    TIME = "time"  #: it took longer than it may
    SILENCE = "silence"  #: it said nothing for longer than it may
    LOG = "log"  #: it wrote more log than it may
    MEMORY = "memory"  #: it wanted more memory than it may have
    CANCELLED = "cancelled"  #: somebody asked for its end
    REFUSED = "refused"  #: this service does not build such a thing: another system, a malformed request
    SANDBOX = "sandbox"  #: the sandbox could not be set up
    UNREACHABLE = "unreachable"  #: a remote service went away


@dataclass(frozen=True, slots=True)
class Queued:
    """It waits for its turn."""


@dataclass(frozen=True, slots=True)
class Started:
    """It runs; ``runtime`` says in what (``crun``, ``bwrap``, …)."""

    runtime: str = ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log without its newline, as it came."""

    line: bytes


@dataclass(frozen=True, slots=True)
class Phase:
    """It entered a phase (``unpackPhase``), as its ``@nix`` lines say."""

    name: str


@dataclass(frozen=True, slots=True)
class Resources:
    """What it used, at its end. 0 where it is not known."""

    wall: float  #: seconds
    user: float = 0.0  #: seconds of processor
    system: float = 0.0  #: seconds of processor in the kernel
    memory: int = 0  #: bytes at the most
    log: int = 0  #: bytes of log


@dataclass(frozen=True, slots=True)
class BuiltOutput:
    """What lies at one of the request's outputs: canonical, in the service's castore, not yet registered anywhere."""

    path: str  #: as in ``BuildRequest.outputs``
    node: Node
    nar_sha256: bytes
    nar_size: int
    found: tuple[str, ...]  #: which of the needles stand in it, sorted


@dataclass(frozen=True, slots=True)
class Succeeded:
    """It made its outputs, in the order of the request."""

    outputs: tuple[BuiltOutput, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """It did not."""

    why: Why
    message: str  #: a sentence for people, without the log
    status: int = 0  #: the builder's exit status; 128 and the signal's number if one ended it
    tail: tuple[bytes, ...] = ()  #: the log's last lines
    kept: str | None = None  #: the folder that was kept (``--keep-failed``)


BuildEvent = Queued | Started | LogLine | Phase | Resources | Succeeded | Failed
