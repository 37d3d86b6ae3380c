"""What ``tvix-lsp check`` has found, as text, JSON or SARIF.

Lines and columns count from 1, columns in code points; the end of a range is the first column behind it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from evaluator.syntax import problems
from lsp.ide.diagnostics import CODES, related_text

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_SARIF_LEVELS: Final = {
    problems.ERROR: "error",
    problems.WARNING: "warning",
    problems.INFORMATION: "note",
    problems.HINT: "note",
}


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of a file."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic of one file. ``fix``: its title and what to put where; ``file`` is the path as it was given."""

    file: str
    range: Range
    code: str
    severity: str
    message: str
    related: Range | None = None
    fix: tuple[str, tuple[tuple[Range, str], ...]] | None = None


def as_text(findings: Sequence[Finding]) -> str:
    """One line each, ``file:line:column: severity: message [code]``; a second place gets a line of its own."""
    lines: list[str] = []
    for finding in findings:
        place = finding.range
        lines.append(
            f"{finding.file}:{place.line}:{place.column}: {finding.severity}: {finding.message} [{finding.code}]"
        )
        if finding.related is not None:
            other = finding.related
            lines.append(f"{finding.file}:{other.line}:{other.column}: note: {related_text(finding.code)}")
    return "".join(f"{line}\n" for line in lines)


def as_json(findings: Sequence[Finding]) -> str:
    """One list of objects with ``file``, ``range``, ``code``, ``severity`` and ``message``."""
    found = [
        {
            "file": finding.file,
            "range": {
                "start": {"line": finding.range.line, "column": finding.range.column},
                "end": {"line": finding.range.end_line, "column": finding.range.end_column},
            },
            "code": finding.code,
            "severity": finding.severity,
            "message": finding.message,
        }
        for finding in findings
    ]
    return json.dumps(found, indent=2) + "\n"


def as_sarif(findings: Sequence[Finding]) -> str:
    """A log in the Static Analysis Results Interchange Format 2.1.0 (OASIS)."""
    from evaluator.version import number

    names = sorted({finding.code for finding in findings})
    rules = [
        {
            "id": name,
            "shortDescription": {"text": CODES[name].summary},
            "defaultConfiguration": {"level": _SARIF_LEVELS[CODES[name].severity]},
        }
        for name in names
    ]
    run = {
        "tool": {"driver": {"name": "tvix-lsp", "version": number() or "0", "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"WORKING_DIRECTORY": {"uri": Path.cwd().as_uri() + "/"}},
        "results": [_result(finding, names.index(finding.code)) for finding in findings],
    }
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


FORMATS: Final[dict[str, Callable[[Sequence[Finding]], str]]] = {"text": as_text, "json": as_json, "sarif": as_sarif}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": _SARIF_LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": _location(finding.file, finding.range)}],
    }
    if finding.related is not None:
        location = {"physicalLocation": _location(finding.file, finding.related)}
        result["relatedLocations"] = [{**location, "message": {"text": related_text(finding.code)}}]
    if finding.fix is not None:
        title, edits = finding.fix
        replacements = [{"deletedRegion": _region(where), "insertedContent": {"text": text}} for where, text in edits]
        change = {"artifactLocation": _artifact(finding.file), "replacements": replacements}
        result["fixes"] = [{"description": {"text": title}, "artifactChanges": [change]}]
    return result


def _location(file: str, where: Range) -> dict[str, Any]:
    return {"artifactLocation": _artifact(file), "region": _region(where)}


def _artifact(file: str) -> dict[str, str]:
    """A file as SARIF names it: relative to the working directory where it lies below that."""
    path = os.path.relpath(file)
    if path.startswith(".."):
        return {"uri": "file://" + quote(os.path.abspath(file), errors="surrogateescape")}
    return {"uri": quote(path.replace(os.sep, "/"), errors="surrogateescape"), "uriBaseId": "WORKING_DIRECTORY"}


def _region(where: Range) -> dict[str, int]:
    return {
        "startLine": where.line,
        "startColumn": where.column,
        "endLine": where.end_line,
        "endColumn": where.end_column,
    }
