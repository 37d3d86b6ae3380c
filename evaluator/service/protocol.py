"""What the server and the evaluation worker say to each other.

Both directions carry *frames*: a 4-byte big-endian length, then that many bytes of
MessagePack (msgspec, tagged structs; the tag is the class's name). The server writes
:data:`ToWorker` messages to the worker's stdin, the worker writes :data:`FromWorker`
messages to its stdout; its log goes to stderr. Everything is plain data, so that
another language's evaluator can stand on the other side.

Offsets are absolute code points into the document's text. Text travels as bytes
(UTF-8, surrogateescape). A question is answered by exactly one :class:`Answer` with
its id; a cancelled one too (``state`` "cancelled"). Questions are answered in
order, except that background work (loading nixpkgs, catching up with an edit)
gives way to them.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

import msgspec

from evaluator.provenance.data import Facts, Failure, Location, Member, Target, TraceFrame

__all__ = [
    "PROTOCOL_VERSION",
    "Allow",
    "Answer",
    "Arguments",
    "Builds",
    "Cancel",
    "Configure",
    "Describe",
    "Diagnose",
    "Document",
    "Facts",
    "Failure",
    "FromWorker",
    "Location",
    "Member",
    "Members",
    "Refresh",
    "Scope",
    "Status",
    "StopBuilds",
    "Target",
    "ToWorker",
    "TraceFrame",
    "read_frame",
    "write_frame",
]

PROTOCOL_VERSION: Final = 3

# --- to the worker -------------------------------------------------------------------------------


class Configure(msgspec.Struct, frozen=True, tag=True):
    """Where things are; the worker begins anew and wants all open documents again.

    ``nixpkgs`` is the checkout for everything that names none itself ("" for none); ``search_path`` are ``NAME=PATH``
    or ``PATH`` entries for ``<…>``, ``roots`` the workspace's folders. ``builds`` says what may be built when a value
    can only be read out of what a derivation makes: "never" anything, "ask" (what :class:`Allow` names), "always".
    """

    roots: tuple[str, ...] = ()
    nixpkgs: str = ""
    search_path: tuple[str, ...] = ()
    system: str = ""
    builds: str = "never"


class Document(msgspec.Struct, frozen=True, tag=True):
    """The text of an open document, newest version wins; ``text`` None closes it (the disk counts again).

    ``path`` is absolute; a document that is not on disk has the path that it would have.
    """

    path: str
    version: int
    text: bytes | None


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Asks for :class:`Facts` of a target."""

    id: int
    target: Target
    budget_ms: int = 3000


class Members(msgspec.Struct, frozen=True, tag=True):
    """Asks for the attributes of a target's value (all names; details of at most ``limit``)."""

    id: int
    target: Target
    limit: int = 0
    budget_ms: int = 3000


class Scope(msgspec.Struct, frozen=True, tag=True):
    """Asks for the names that enclosing ``with`` expressions bring in at ``offset`` (lexical names are static)."""

    id: int
    path: str
    offset: int
    budget_ms: int = 3000


class Arguments(msgspec.Struct, frozen=True, tag=True):
    """Asks for the names that whoever calls the file's outermost function could supply (for its formals)."""

    id: int
    path: str
    budget_ms: int = 3000


class Diagnose(msgspec.Struct, frozen=True, tag=True):
    """Asks what goes wrong when a file is evaluated (``problems``). Background work: it gives way to all else."""

    id: int
    path: str
    budget_ms: int = 60000


class Allow(msgspec.Struct, frozen=True, tag=True):
    """Somebody wants these built (``elements`` of a :class:`Failure`), also if that failed before."""

    elements: tuple[str, ...]


class StopBuilds(msgspec.Struct, frozen=True, tag=True):
    """Nobody wants what is being built: it ends, and is not begun again unless it is allowed anew."""


class Refresh(msgspec.Struct, frozen=True, tag=True):
    """Files on disk that evaluation depends on are others than they were: answers may be, too."""


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Stops the question with this id, running or queued."""

    id: int


ToWorker = (
    Configure | Document | Describe | Members | Scope | Arguments | Diagnose | Allow | StopBuilds | Refresh | Cancel
)

# --- from the worker -----------------------------------------------------------------------------


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The answer to a question.

    ``state``: "value" (``facts``, ``members`` or ``problems`` filled), "error" (evaluation failed: ``message``, ``at``
    the text nearest to what is wrong, ``frames`` what led there, innermost first, ``meant`` names that may have been
    meant by a mistyped one), "building" (the value can only be known when something has been built or fetched, which
    is under way: ``message`` says what), "unbuilt" (the same, but somebody has to allow it), "unknown" (nothing reaches
    this place, or nothing is there), "timeout" (the budget was used up; the work may go on in the background),
    "cancelled". ``stale`` tells that the answer is of an older text; ``route`` how the file was reached, in words
    ("pkgs.hello", "arguments by name from nixpkgs").
    """

    id: int
    state: str
    facts: Facts | None = None
    members: tuple[Member, ...] = ()
    message: str = ""
    at: Location | None = None
    frames: tuple[TraceFrame, ...] = ()
    meant: tuple[str, ...] = ()
    stale: bool = False
    route: str = ""
    problems: tuple[Failure, ...] = ()


class Status(msgspec.Struct, frozen=True, tag=True):
    """What the worker is doing: ``state`` "loading", "evaluating", "idle"; ``text`` for people."""

    state: str
    text: str = ""


class Builds(msgspec.Struct, frozen=True, tag=True):
    """What is being built in the background: the derivations' ``names``, and what was said last (``text``).

    ``changed``: something has ended since, or was allowed: answers may be others now.
    """

    names: tuple[str, ...] = ()
    text: str = ""
    changed: bool = False


FromWorker = Answer | Status | Builds

_HEADER: Final = struct.Struct(">I")
_LIMIT: Final = 1 << 28


def write_frame(out: BinaryIO, payload: bytes) -> None:
    """Writes one frame and flushes."""
    out.write(_HEADER.pack(len(payload)) + payload)
    out.flush()


def read_frame(source: BinaryIO) -> bytes | None:
    """The next frame's payload; None at the end of the stream. Raises ValueError on a frame that is cut or absurd."""
    header = source.read(4)
    if not header:
        return None
    if len(header) < 4:
        raise ValueError("frame header cut short")
    (length,) = _HEADER.unpack(header)
    if length > _LIMIT:
        raise ValueError(f"frame of {length} bytes is over the limit of {_LIMIT}")
    payload = source.read(length)
    if len(payload) < length:
        raise ValueError("frame cut short")
    return payload
