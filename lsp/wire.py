"""Answers of the features in the words of the Language Server Protocol."""

from __future__ import annotations

from typing import Final

from lsprotocol import types

from evaluator.service.protocol import Failure
from evaluator.syntax import problems
from evaluator.syntax.positions import LineIndex
from lsp import uri as uris
from lsp.documents import Change, Document, Documents
from lsp.ide import diagnostics as ide_diagnostics
from lsp.ide import failures as ide_failures
from lsp.ide import markup
from lsp.ide.types import Completion, FileRange, Hover, Item, Link
from lsp.stored import on_disk

_KINDS: Final = {
    "derivation": types.CompletionItemKind.Class,
    "set": types.CompletionItemKind.Module,
    "list": types.CompletionItemKind.Value,
    "string": types.CompletionItemKind.Text,
    "path": types.CompletionItemKind.File,
    "int": types.CompletionItemKind.Value,
    "float": types.CompletionItemKind.Value,
    "bool": types.CompletionItemKind.Value,
    "null": types.CompletionItemKind.Value,
    "function": types.CompletionItemKind.Function,
    "builtin": types.CompletionItemKind.Function,
    "keyword": types.CompletionItemKind.Keyword,
    "variable": types.CompletionItemKind.Variable,
    "argument": types.CompletionItemKind.Variable,
    "file": types.CompletionItemKind.File,
    "folder": types.CompletionItemKind.Folder,
    "": types.CompletionItemKind.Field,
}

_STEPS: Final = 8
"""So many steps that led to an error are shown."""

_SEVERITIES: Final = {
    problems.ERROR: types.DiagnosticSeverity.Error,
    problems.WARNING: types.DiagnosticSeverity.Warning,
    problems.INFORMATION: types.DiagnosticSeverity.Information,
    problems.HINT: types.DiagnosticSeverity.Hint,
}


def offset(lines: LineIndex, position: types.Position) -> int:
    """The code-point offset of a position."""
    return lines.offset(position.line, position.character)


def span(lines: LineIndex, start: int, end: int) -> types.Range:
    """A range of code points as positions."""
    return types.Range(types.Position(*lines.position(start)), types.Position(*lines.position(end)))


def change(event: types.TextDocumentContentChangeEvent) -> Change:
    """A change of a document's text."""
    if isinstance(event, types.TextDocumentContentChangePartial):
        start, end = event.range.start, event.range.end
        return Change(event.text, (start.line, start.character), (end.line, end.character))
    return Change(event.text)


def hover(found: Hover, lines: LineIndex, markdown: bool) -> types.Hover:
    """What hover shows, as Markdown or as plain text."""
    if markdown:
        contents = types.MarkupContent(types.MarkupKind.Markdown, markup.markdown(found, _fragment))
    else:
        contents = types.MarkupContent(types.MarkupKind.PlainText, markup.plain(found))
    return types.Hover(contents, span(lines, found.start, found.end))


def locations(found: list[FileRange], documents: Documents) -> list[types.Location]:
    """Places in files, open or not; what cannot be read is pointed to as a whole."""
    result: list[types.Location] = []
    for place in found:
        document = documents.read(place.path)
        if document is None:
            start = types.Position(0, 0)
            result.append(types.Location(uris.from_path(place.path), types.Range(start, start)))
        else:
            result.append(types.Location(document.uri, span(document.lines, place.start, place.end)))
    return result


def completion(
    found: Completion, lines: LineIndex, cursor: int, *, replacing: bool, markdown: bool
) -> types.CompletionList:
    """A list of completions. ``replacing``: the client knows both ways, to insert and to replace what follows."""
    typed = span(lines, found.start, cursor)
    whole = span(lines, found.start, max(cursor, found.end))
    kind = types.MarkupKind.Markdown if markdown else types.MarkupKind.PlainText

    def item(index: int, item: Item) -> types.CompletionItem:
        text = item.insert or item.label
        edit: types.TextEdit | types.InsertReplaceEdit = types.TextEdit(typed, text)
        if replacing and whole != typed:
            edit = types.InsertReplaceEdit(text, typed, whole)
        return types.CompletionItem(
            item.label,
            kind=_KINDS.get(item.kind),
            detail=item.detail or item.kind or None,
            documentation=types.MarkupContent(kind, item.doc) if item.doc else None,
            sort_text=f"{index:05}",
            # A client filters by the letters; what is only alike would never be seen.
            filter_text=found.typed if item.alike else None,
            text_edit=edit,
        )

    return types.CompletionList(found.incomplete, [item(index, one) for index, one in enumerate(found.items)])


def diagnostics(document: Document, documents: Documents) -> list[types.Diagnostic]:
    """What is wrong with a document: its syntax, and what evaluating it has shown."""
    lines = document.lines

    def related(problem: problems.Problem) -> list[types.DiagnosticRelatedInformation] | None:
        if problem.related_start < 0:
            return None
        place = types.Location(document.uri, span(lines, problem.related_start, problem.related_end))
        return [types.DiagnosticRelatedInformation(place, ide_diagnostics.related_text(problem.code))]

    found = [
        types.Diagnostic(
            span(lines, problem.start, problem.end),
            problem.message,
            severity=_SEVERITIES.get(problem.severity, types.DiagnosticSeverity.Error),
            code=problem.code,
            source="tvix-lsp",
            related_information=related(problem),
        )
        for problem in ide_diagnostics.diagnostics(document.source, wait=False)
    ]
    return found + [_failure(failure, document, documents) for failure in document.failures]


def _failure(failure: Failure, document: Document, documents: Documents) -> types.Diagnostic:
    """What evaluation says is wrong, with the steps that led there."""
    wrong = ide_failures.is_error(failure)
    steps: list[types.DiagnosticRelatedInformation] = []
    for frame in failure.frames[:_STEPS]:
        if frame.at is not None:
            (place,) = locations([FileRange(frame.at.path, frame.at.start, frame.at.end)], documents)
            steps.append(types.DiagnosticRelatedInformation(place, frame.text))
    return types.Diagnostic(
        span(document.lines, failure.at.start, failure.at.end),
        ide_failures.message(failure),
        severity=types.DiagnosticSeverity.Error if wrong else types.DiagnosticSeverity.Information,
        code=ide_failures.code(failure),
        source="tvix-lsp",
        related_information=steps or None,
    )


def _fragment(link: Link) -> str:
    """Where a link in Markdown leads: editors take `#L12` as a line."""
    return uris.from_path(on_disk(link.place.path)) + (f"#L{link.line}" if link.line else "")
