"""What can be wrong with a Nix text: the table of codes, and one occurrence of one.

:data:`TABLE` is the only place where codes, severities and summaries live; the
pages of ``docs/diagnostics`` and the groups of ``tvix-lsp check --select`` follow it.
"""

from __future__ import annotations

from typing import Final

ERROR: Final = "error"
WARNING: Final = "warning"
INFORMATION: Final = "information"
HINT: Final = "hint"

#: The name that selects all codes of this table.
GROUP: Final = "syntax"


class Code:
    """One row of the table: a stable name, its severity, one sentence on what it means."""

    def __init__(self, name: str, severity: str, summary: str) -> None:
        self.name: Final = name
        self.severity: Final = severity
        self.summary: Final = summary


class Edit:
    """Replace ``[start, end)`` (absolute code points) by ``text``."""

    def __init__(self, start: int, end: int, text: str) -> None:
        self.start: Final = start
        self.end: Final = end
        self.text: Final = text

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Edit) and self.start == other.start and self.end == other.end and self.text == other.text
        )

    def __hash__(self) -> int:
        return hash((self.start, self.end, self.text))

    def __repr__(self) -> str:
        return f"Edit({self.start}, {self.end}, {self.text!r})"


class Fix:
    """The one obvious repair: what it does in words, and the edits that do it."""

    def __init__(self, title: str, edits: list[Edit]) -> None:
        self.title: Final = title
        self.edits: Final = edits

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fix) and self.title == other.title and self.edits == other.edits

    def __hash__(self) -> int:
        return hash(self.title)

    def __repr__(self) -> str:
        return f"Fix({self.title!r}, {self.edits!r})"


class Problem:
    """One occurrence: ``[start, end)`` are absolute code points.

    ``related_start``/``related_end`` name a second place that explains the first
    (the earlier definition of a duplicate attribute); -1 when there is none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        start: int,
        end: int,
        fix: Fix | None = None,
        related_start: int = -1,
        related_end: int = -1,
    ) -> None:
        self.code: Final = code
        self.message: Final = message
        self.start: Final = start
        self.end: Final = end
        self.fix: Final = fix
        self.related_start: Final = related_start
        self.related_end: Final = related_end

    @property
    def severity(self) -> str:
        """``error``, ``warning``, ``information`` or ``hint``, from the table."""
        return TABLE[self.code].severity

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Problem)
            and self.code == other.code
            and self.message == other.message
            and self.start == other.start
            and self.end == other.end
            and self.fix == other.fix
            and self.related_start == other.related_start
            and self.related_end == other.related_end
        )

    def __hash__(self) -> int:
        return hash((self.code, self.start, self.end))

    def __repr__(self) -> str:
        return f"Problem({self.code!r}, {self.message!r}, {self.start}, {self.end})"


def shifted(problem: Problem, by: int) -> Problem:
    """The same problem, ``by`` code points further on."""
    fix = problem.fix
    if fix is not None:
        fix = Fix(fix.title, [Edit(edit.start + by, edit.end + by, edit.text) for edit in fix.edits])
    related = problem.related_start
    if related >= 0:
        return Problem(
            problem.code,
            problem.message,
            problem.start + by,
            problem.end + by,
            fix,
            related + by,
            problem.related_end + by,
        )
    return Problem(problem.code, problem.message, problem.start + by, problem.end + by, fix)


def _table() -> dict[str, Code]:
    rows = [
        Code("expected-expression", ERROR, "An expression is missing."),
        Code("expected-token", ERROR, "A token is missing that the construct needs."),
        Code("unexpected-token", ERROR, "Something stands where it cannot."),
        Code("invalid-character", ERROR, "A character that no Nix token starts with."),
        Code("unterminated-string", ERROR, "A string is never closed."),
        Code("unterminated-comment", ERROR, "A `/*` comment is never closed."),
        Code("missing-semicolon", ERROR, "A binding, `with`, `assert` or `inherit` lacks its `;`."),
        Code("missing-closer", ERROR, "A bracket, brace or parenthesis is never closed."),
        Code("missing-comma", ERROR, "Two formal arguments stand without a comma between them."),
        Code("missing-name", ERROR, "An attribute name is missing."),
        Code("needs-parentheses", ERROR, "This expression can stand here only in parentheses."),
        Code("non-associative", ERROR, "Comparisons cannot be chained without parentheses."),
        Code("mixed-pipes", ERROR, "`|>` and `<|` cannot be mixed without parentheses."),
        Code("trailing-slash", ERROR, "A path cannot end in a slash."),
        Code("integer-too-large", ERROR, "An integer literal does not fit in 64 bits."),
        Code("float-out-of-range", ERROR, "A float literal is too large or too small."),
        Code("duplicate-attribute", ERROR, "An attribute is defined twice."),
        Code("duplicate-formal", ERROR, "A formal argument is named twice."),
        Code("dynamic-in-let", ERROR, "`let` takes no attribute names that must be computed."),
        Code("dynamic-in-inherit", ERROR, "`inherit` takes no names that must be computed."),
        Code("null-byte", ERROR, "A NUL character, which Nix does not accept."),
        Code("conflict-marker", ERROR, "A merge conflict of git has been left in the text."),
        Code("nesting-too-deep", ERROR, "The text is nested more deeply than can be read."),
        Code("experimental-pipe", INFORMATION, "Pipe operators are experimental in Nix."),
    ]
    return {row.name: row for row in rows}


#: All syntax diagnostics by code.
TABLE: Final[dict[str, Code]] = _table()
