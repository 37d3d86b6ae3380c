"""XML: ``toXML`` and what ``--xml`` prints. The format is Nix's own."""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.attrs import sorted_names
from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import WideForce, force_widely
from evaluator.code.coerce import NO_CONTEXT, make_string
from evaluator.code.functions import FormalsLambda, LambdaCode, PlainLambda
from evaluator.runtime.bulk import PIECE, joined, packed
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.runtime.printer import number
from evaluator.runtime.source import Place
from evaluator.runtime.values import (
    COUNTERS,
    NULL,
    Attrs,
    Closure,
    ContextString,
    PathValue,
    Thunk,
    descend,
    force,
    overflow,
    spend,
)
from evaluator.session import Session

_WIDEST_INDENT: Final = 20_000
"""Each level indents by two: the text grows with the square of the depth."""

_HEADER: Final = "<?xml version='1.0' encoding='utf-8'?>\n"
_ESCAPES: Final = str.maketrans({'"': "&quot;", "<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": "&#xA;"})


class _Writer:
    """Puts one value down; ``seen`` are the derivations that were written in full."""

    def __init__(self, session: Session, locations: bool, strict: bool) -> None:
        self.session: Final = session
        self.locations: Final = locations
        self.strict: Final = strict
        self.pieces: Final[list[str]] = [_HEADER]
        self.seen: Final[set[str]] = set()
        self.context: frozenset[str] = NO_CONTEXT

    def empty(self, indent: str, name: str, attributes: str = "") -> None:
        self.pieces.append(f"{indent}<{name}{attributes} />\n")

    def location(self, place: Place | None) -> str:
        """The attributes for a place, in their alphabetical order before ``name``; empty when not wanted."""
        if not self.locations or place is None or not place.file.is_real():
            return ""
        line, column = place.file.line_column(place.start)
        return f"{attribute('column', str(column))}{attribute('line', str(line))}"

    def path_of(self, place: Place | None) -> str:
        if not self.locations or place is None or not place.file.is_real():
            return ""
        return attribute("path", place.file.path)

    def value(self, value: object, indent: str) -> None:
        if self.strict:
            value = force(value)
        elif isinstance(value, Thunk):
            if value.code is not None:
                self.empty(indent, "unevaluated")
                return
            value = value.payload
        if isinstance(value, bool):
            self.empty(indent, "bool", attribute("value", "true" if value else "false"))
        elif isinstance(value, int):
            self.empty(indent, "int", attribute("value", str(value)))
        elif isinstance(value, float):
            self.empty(indent, "float", attribute("value", number(value)))
        elif isinstance(value, str):
            self.empty(indent, "string", attribute("value", value))
        elif isinstance(value, ContextString):
            self.context = self.context | value.context
            self.empty(indent, "string", attribute("value", value.text))
        elif isinstance(value, PathValue):
            self.empty(indent, "path", attribute("value", value.path))
        elif value is NULL:
            self.empty(indent, "null")
        elif isinstance(value, list):
            self._descend(indent)
            self.pieces.append(f"{indent}<list>\n")
            start = len(self.pieces)
            missed: Unrealised | None = None
            depth = COUNTERS.depth
            for item in value:
                spend(1)
                try:
                    self.value(item, indent + "  ")
                except EvalError as error:
                    missed = self.session.missed(missed, error, depth)
                    if missed is None:
                        raise
                start = packed(self.pieces, start)
            if missed is not None:
                raise missed
            self.pieces.append(f"{indent}</list>\n")
            COUNTERS.depth -= 1
        elif isinstance(value, Attrs):
            self._descend(indent)
            if is_derivation(value):
                self.derivation(value, indent)
            else:
                self.pieces.append(f"{indent}<attrs>\n")
                self.attributes(value, indent + "  ")
                self.pieces.append(f"{indent}</attrs>\n")
            COUNTERS.depth -= 1
        elif isinstance(value, Closure):
            self.function(value, indent)
        else:
            self.empty(indent, "unevaluated")

    def _descend(self, indent: str) -> None:
        if len(indent) > _WIDEST_INDENT:
            raise overflow()
        descend()

    def attributes(self, attrs: Attrs, indent: str) -> None:
        begin = len(self.pieces)
        missed: Unrealised | None = None
        depth = COUNTERS.depth
        for name in sorted_names(attrs):
            spend(1)
            place = attrs.place_of(name) if self.locations else None
            start = self.location(place)
            self.pieces.append(f"{indent}<attr{start}{attribute('name', name)}{self.path_of(place)}>\n")
            try:
                self.value(attrs.items[name], indent + "  ")
            except EvalError as error:
                missed = self.session.missed(missed, error, depth)
                if missed is None:
                    error.note(f"while evaluating attribute '{name}'", attrs.place_of(name))
                    raise
            self.pieces.append(f"{indent}</attr>\n")
            begin = packed(self.pieces, begin)
        if missed is not None:
            raise missed

    def derivation(self, attrs: Attrs, indent: str) -> None:
        drv_path = self._text(attrs, "drvPath")
        out_path = self._text(attrs, "outPath")
        start = "" if drv_path is None else attribute("drvPath", drv_path)
        end = "" if out_path is None else attribute("outPath", out_path)
        self.pieces.append(f"{indent}<derivation{start}{end}>\n")
        if drv_path and drv_path not in self.seen:
            self.seen.add(drv_path)
            self.attributes(attrs, indent + "  ")
        else:
            self.empty(indent + "  ", "repeated")
        self.pieces.append(f"{indent}</derivation>\n")

    def _text(self, attrs: Attrs, name: str) -> str | None:
        """A string attribute's text, None when it is no string or (not strict) not evaluated."""
        value = attrs.items.get(name)
        if isinstance(value, Thunk):
            if value.code is not None and not self.strict:
                return None
            value = force(value)
        if isinstance(value, str):
            return value
        if isinstance(value, ContextString):
            return value.text
        return None

    def function(self, closure: Closure, indent: str) -> None:
        code = closure.function
        place = code.place() if self.locations and isinstance(code, LambdaCode) else None
        self.pieces.append(f"{indent}<function{self.location(place)}{self.path_of(place)}>\n")
        inner = indent + "  "
        if isinstance(code, FormalsLambda):
            start = attribute("ellipsis", "1") if code.ellipsis else ""
            if code.at_name:
                start += attribute("name", code.at_name)
            self.pieces.append(f"{inner}<attrspat{start}>\n")
            for name in sorted(code.names):
                self.empty(inner + "  ", "attr", attribute("name", name))
            self.pieces.append(f"{inner}</attrspat>\n")
        elif isinstance(code, PlainLambda):
            self.empty(inner, "varpat", attribute("name", code.argument))
        self.pieces.append(f"{indent}</function>\n")


def attribute(name: str, value: str) -> str:
    """An attribute of an element, with the space before it."""
    if len(value) > PIECE:
        spend(len(value) >> 8)
    return f' {name}="{value.translate(_ESCAPES)}"'


def _document(session: Session, value: object, locations: bool, strict: bool) -> _Writer:
    """A value put down. All that has to be made for several parts of it is made at once."""
    document = _Document(value, locations, strict)
    force_widely(session, document)
    writer = document.writer
    assert writer is not None
    return writer


@final
class _Document(WideForce):
    """A value as XML: what wrote it."""

    def __init__(self, value: object, locations: bool, strict: bool) -> None:
        self.value: Final = value
        self.locations: Final = locations
        self.strict: Final = strict
        self.writer: _Writer | None = None

    def attempt(self, session: Session) -> object:
        writer = _Writer(session, self.locations, self.strict)
        self.writer = writer
        writer.pieces.append("<expr>\n")
        writer.value(self.value, "  ")
        writer.pieces.append("</expr>\n")
        return writer


def to_xml(session: Session, value: object, locations: bool, strict: bool = True) -> str:
    """A value as an XML document that ends with a newline; ``locations`` adds where attributes and functions stand.

    Unless ``strict``, what is not yet evaluated stays so.
    """
    return joined(_document(session, value, locations, strict).pieces)


def to_xml_builtin(session: Session, value: object) -> object:
    writer = _document(session, value, False, True)
    return make_string(joined(writer.pieces), writer.context)


TABLE: Final[list[Builtin]] = [
    Builtin("toXML", 1, True, to_xml_builtin, "toXML *e*\n\nThe value as an XML document."),
]
