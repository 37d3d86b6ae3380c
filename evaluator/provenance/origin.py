"""Where a value was made, and what was written about it there."""

from __future__ import annotations

from evaluator.code.coerce import as_string
from evaluator.code.functions import FormalsLambda, LambdaCode, call
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import Place, first_place
from evaluator.runtime.values import Attrs, Closure, PartialPrimop, Primop, force
from evaluator.session import Session
from evaluator.syntax import tree
from evaluator.syntax.comments import comment_before
from evaluator.syntax.cursor import path_at


def made(session: Session, value: object) -> Place | None:
    """Where a forced value came from; None when nothing tells.

    A function: the name that its lambda is bound to, else the lambda. What ``makeOverridable`` wrapped (all of
    ``callPackage``'s results): the file whose function it called, because ``override`` still carries that function's
    formals with their positions. A derivation without: ``meta.position`` or the place of its ``name``. A functor:
    what it calls. Another set: its literal.
    """
    if isinstance(value, Closure):
        place = value.function.place()
        return None if place is None else _binding_of(session, place)
    if not isinstance(value, Attrs):
        return None
    origin = _overridable(value)
    if origin is not None:
        return origin
    try:
        if is_derivation(value):
            return _derivation(session, value)
        if "__functor" in value.items:
            return _functor(session, value)
    except EvalError:
        pass
    return first_place(value.positions)


def _formals_origin(arguments: object) -> Place | None:
    """The function that a ``functionArgs`` set was read off."""
    return first_place(arguments.positions) if isinstance(arguments, Attrs) else None


def _binding_of(session: Session, place: Place) -> Place:
    """The name in ``name = x: …`` for the place of that lambda; the place itself where no binding gives it a name."""
    parsed = session.files.parsed(place.file.path)
    if parsed is None or parsed.file is not place.file:
        return place
    for around in reversed(path_at(parsed.source, place.start).places):
        node = around.node
        if isinstance(node, tree.AttrBinding):
            value = node.value
            while isinstance(value, tree.Paren):
                value = value.inner
            if around.start + value.start == place.start:
                return Place(place.file, around.start + node.path.start, around.start + node.path.end)
            break
    return place


def _quietly(attrs: Attrs, name: str) -> object:
    """An attribute's value, None when it is missing or fails."""
    try:
        return attrs.get(name)
    except EvalError:
        return None


def _overridable(value: Attrs) -> Place | None:
    if "override" not in value.items:
        return None
    override = _quietly(value, "override")
    if isinstance(override, Attrs):
        return _formals_origin(_quietly(override, "__functionArgs"))
    if isinstance(override, Closure) and isinstance(override.function, FormalsLambda):
        return override.function.positions.find(override.function.names[0]) if override.function.names else None
    return None


def _derivation(session: Session, value: Attrs) -> Place | None:
    meta = _quietly(value, "meta")
    if isinstance(meta, Attrs):
        # nixpkgs says where the version, name or source stands; `meta` itself is its last resort.
        position = _quietly(meta, "position")
        if position is not None:
            found = _written_position(session, as_string(position))
            if found is not None:
                return found
    arguments = _quietly(value, "drvAttrs")
    if isinstance(arguments, Attrs):
        for name in ("name", "pname", "system"):
            place = arguments.place_of(name)
            if place is not None:
                return place
    return None


def _written_position(session: Session, text: str) -> Place | None:
    """A place out of ``FILE:LINE``, as ``meta.position`` has it."""
    path, _, line = text.rpartition(":")
    if not path.startswith("/") or not line.isdigit():
        return None
    try:
        file = session.files.parse(path).file
    except EvalError:
        return None
    start = file.line_start(int(line))
    end = file.text.find("\n", start)
    while start < len(file.text) and file.text[start] in " \t":
        start += 1
    return Place(file, start, end if end >= 0 else len(file.text))


def _functor(session: Session, value: Attrs) -> Place | None:
    place = _formals_origin(_quietly(value, "__functionArgs"))
    if place is not None:
        return place
    functor = _quietly(value, "__functor")
    inner = force(call(functor, value))
    if inner is value:
        return None
    return made(session, inner)


def documentation(session: Session, value: object, defined: Place | None) -> str:
    """The doc comment of a value, as Markdown: a builtin's own, else that of its definition or of its lambda."""
    if isinstance(value, Primop):
        return value.doc
    if isinstance(value, PartialPrimop):
        return value.primop.doc
    places = [defined]
    if isinstance(value, Closure) and isinstance(value.function, LambdaCode):
        places.append(value.function.place())
    elif isinstance(value, Attrs) and "__functor" in value.items:
        places.append(made(session, value))
    for place in places:
        if place is not None and place.file.is_real():
            parsed = session.files.parsed(place.file.path)
            if parsed is not None and parsed.file is place.file:
                text = _comment(parsed.source, place.start)
                if text:
                    return text
    return ""


def _comment(source: tree.Source, offset: int) -> str:
    """The comment before what starts at an offset, or before the binding whose value starts there."""
    found = comment_before(source, offset)
    if found is None:
        for place in reversed(path_at(source, offset).places):
            node = place.node
            if isinstance(node, tree.AttrBinding):
                if place.start + node.value.start >= offset - 1:
                    found = comment_before(source, place.start)
                break
    return "" if found is None else found.text
