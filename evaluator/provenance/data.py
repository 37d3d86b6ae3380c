"""Plain data about values: what the worker tells and the editor's features read."""

from __future__ import annotations

import msgspec


class Location(msgspec.Struct, frozen=True):
    """A place in a file: absolute path, code-point offsets, and the same as 0-based line/column (code points).

    ``end`` equals ``start`` where only a point is known.
    """

    path: str
    start: int
    end: int
    line: int = 0
    column: int = 0


class TraceFrame(msgspec.Struct, frozen=True):
    """One step that led to an error: what was being done, and where (None: nowhere in a file).

    ``kind`` is "step", "call" (of a function of the language: many of them say little) or "context" (said on purpose,
    by ``addErrorContext`` or by what a derivation is called).
    """

    text: str
    at: Location | None = None
    kind: str = "step"


class Failure(msgspec.Struct, frozen=True):
    """Something that goes wrong when a file is evaluated.

    ``at`` is the stretch of the file that is nearest to it, ``frames`` are other places that led there, innermost
    first. ``kind``: "evaluation"; or something that has to be built is not: "unbuilt" (nobody has allowed it yet),
    "never" (nobody may), "building", "failed" (the message ends with its log's last lines); or fetched: "unfetched",
    "barred" (nobody may), "fetching"; or a file that Git does not track: "untracked". What is missing is named by
    ``elements`` (of a string context), and ``offers`` say what somebody may want done about each. ``meant``: names that
    may have been meant by a mistyped one.
    """

    message: str
    at: Location
    frames: tuple[TraceFrame, ...] = ()
    kind: str = "evaluation"
    elements: tuple[str, ...] = ()
    meant: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()


class Target(msgspec.Struct, frozen=True):
    """The value that is asked for: the node with this range, then the attributes selected from it.

    The range is that of an expression, or of the :class:`~evaluator.syntax.tree.Name` of a formal,
    of an ``@`` name or argument, of a binding's attribute-path step (the value of the path
    up to and including that step), or of a name in ``inherit``.
    """

    path: str
    start: int
    end: int
    attrs: tuple[str, ...] = ()


class Facts(msgspec.Struct, frozen=True):
    """What is known about one value.

    ``kind``: "derivation", "set", "list", "string", "path", "int", "float", "bool", "null",
    "function", "builtin". ``preview`` is Nix syntax, shortened, without forcing what is not yet forced
    below the first level. ``defined`` is where the attribute, formal or binding that holds
    the value stands; ``made`` is where the value itself came from (a function's lambda,
    a derivation's call, a set's literal). For derivations ``name``, ``version``, ``description``,
    ``homepage``, ``outputs`` may be filled (empty means absent). ``size`` counts attributes or elements (-1: neither).
    """

    kind: str
    preview: str
    defined: Location | None = None
    made: Location | None = None
    doc: str = ""
    name: str = ""
    version: str = ""
    description: str = ""
    homepage: str = ""
    outputs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    formals: tuple[tuple[str, bool], ...] = ()
    size: int = -1


class Member(msgspec.Struct, frozen=True):
    """One attribute of a set. ``kind`` as in :class:`Facts`, or "" where it is not forced yet."""

    name: str
    kind: str = ""
    detail: str = ""
    doc: str = ""
    defined: Location | None = None
