"""Where a value came from, step by step: what ``tvix-eval --origin`` prints.

For each attribute on the way to the value: where it was defined, through ``//``, ``inherit``, ``listToAttrs``,
``mapAttrs`` and names that stand for others; what was called there; what it took the place of. Then what made the
value itself. Nothing is guessed: names are followed with the values that they had when the file was evaluated.
"""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins.lists import CallOnBoth
from evaluator.code.functions import LambdaCode
from evaluator.entry import apply_arguments, select_path
from evaluator.io.files import ParsedFile
from evaluator.names import bound_at, resolve, scopes
from evaluator.provenance.context import FileContext
from evaluator.provenance.origin import documentation, made
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import (
    ListedPositions,
    LiteralPositions,
    MergedPositions,
    OwnPositions,
    Place,
    Positions,
)
from evaluator.runtime.values import Attrs, Closure, PartialPrimop, Primop, Thunk, force
from evaluator.session import Session
from evaluator.syntax import tree
from evaluator.syntax.cursor import Place as TreePlace
from evaluator.syntax.cursor import path_at

_HOPS: Final = 16
_OVERRIDDEN: Final = 8
_WIDTH: Final = 160


@final
class Step:
    """One thing that happened: ``what`` in words, ``place`` where (None: nowhere in a text)."""

    def __init__(self, what: str, place: Place | None) -> None:
        self.what: Final = what
        self.place: Final = place

    def text(self) -> str:
        """The line that stands there, shortened."""
        if self.place is None:
            return ""
        text = self.place.file.text
        start = text.rfind("\n", 0, self.place.start) + 1
        end = text.find("\n", self.place.start)
        line = text[start : end if end >= 0 else len(text)].strip()
        return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


@final
class Link:
    """An attribute on the way to a value (its ``name`` empty for the value itself) and how it came to be."""

    def __init__(self, name: str, steps: list[Step]) -> None:
        self.name: Final = name
        self.steps: Final = steps


@final
class Definition:
    """A place where a set's attribute is defined, and by what means if it is no binding."""

    def __init__(self, place: Place, means: str) -> None:
        self.place: Final = place
        self.means: Final = means


def definitions(attrs: Attrs, name: str) -> list[Definition]:
    """Where an attribute is defined, then the definitions that ``//`` put it in the place of, nearest first."""
    found: list[Definition] = []
    pending: list[Positions | None] = [attrs.positions]
    while pending and len(found) <= _OVERRIDDEN:
        at = pending.pop()
        if isinstance(at, MergedPositions):
            pending.append(at.left)
            if at.right_names.has(name):
                pending.append(at.right)
            continue
        if at is None:
            continue
        place = at.find(name)
        if place is not None and not any(same_place(place, other.place) for other in found):
            found.append(Definition(place, _means(at, name)))
    return found


def _means(at: Positions, name: str) -> str:
    if isinstance(at, ListedPositions):
        return "listToAttrs"
    if isinstance(at, OwnPositions):
        owner = at.owners.get(name)
        return "zipAttrsWith" if isinstance(owner, LiteralPositions) else ""
    return ""


def same_place(left: Place, right: Place) -> bool:
    """Whether two places start at the same spot of the same file."""
    return left.file is right.file and left.start == right.start


class Origin:
    """The chain of one value: its links outermost first, the value itself, its documentation (Markdown)."""

    def __init__(self, session: Session) -> None:
        self.session: Final = session
        self.links: Final[list[Link]] = []
        self.value: object = None
        self.doc = ""
        self._contexts: Final[dict[str, FileContext]] = {}

    def trace(self, root: object, path: list[str], given: Attrs) -> None:
        """Selects along a path from a file's value, and notes how each attribute came to be. Raises EvalError."""
        value = root
        defined: Place | None = None
        for name in path:
            value = apply_arguments(value, given)
            if isinstance(value, Attrs) and value.has(name):
                steps: list[Step] = []
                defined = self._attribute(value, name, steps)
                pending = value.find(name)
                if isinstance(pending, Thunk):
                    self._pending(pending, steps)
                self.links.append(Link(name, steps))
            value = select_path(value, _quoted(name), given)
        self.value = force(value)
        self.links.append(Link("", self._made(self.value, defined)))
        self.doc = documentation(self.session, self.value, defined)

    # --- attributes ----------------------------------------------------------------------------

    def _attribute(self, attrs: Attrs, name: str, steps: list[Step]) -> Place | None:
        """Notes where an attribute was defined and what stands there; the last place that is known."""
        found = definitions(attrs, name)
        if not found:
            steps.append(Step("made by a built-in function, which tells no place", None))
            return None
        last = self._follow(found[0].place, name, found[0].means, steps)
        for definition in found[1:]:
            steps.append(Step("in the place of the one defined", definition.place))
        return last

    def _follow(self, place: Place, name: str, means: str, steps: list[Step]) -> Place:
        """Notes a definition, and those that it stands for."""
        seen: list[Place] = []
        for _ in range(_HOPS):
            if any(same_place(place, other) for other in seen):
                break
            seen.append(place)
            steps.append(Step(f"defined by {means}" if means else "defined", place))
            following = None if means else self._next(place, name, steps)
            if following is None:
                break
            place, means = following.place, following.means
        return place

    def _next(self, place: Place, name: str, steps: list[Step]) -> Definition | None:
        """What the definition at a place stands for: where a name or selection leads, or an ``inherit``."""
        parsed = self._version(place)
        if parsed is None:
            return None
        whole = list(path_at(parsed.source, place.start).places)
        chain = list(whole)
        while chain:
            node = chain[-1].node
            if isinstance(node, tree.AttrBinding):
                path_end = chain[-1].start + node.path.end
                if place.end < path_end and not place.end > place.start:
                    return None
                if place.end < path_end and place.file.text[place.end : place.end + 1] == ".":
                    return None  # the set that several paths make together
                return self._stands_for(parsed, [*chain, TreePlace(node.value, chain[-1].start)], steps)
            if isinstance(node, tree.Inherit):
                return self._inherited(parsed, whole, node, place, steps)
            if isinstance(node, tree.Formal):
                steps.append(Step("an argument: what the caller passed", Place(parsed.file, place.start, place.end)))
                return self._where_inherited(parsed, [*chain, TreePlace(node.name, chain[-1].base)])
            if isinstance(node, tree.Lambda):
                return None
            chain.pop()
        return None

    def _stands_for(self, parsed: ParsedFile, chain: list[TreePlace], steps: list[Step]) -> Definition | None:
        link = chain[-1]
        node = link.node
        base = link.base
        while isinstance(node, tree.Paren):
            chain.append(TreePlace(node.inner, base))
            node = node.inner
        link = chain[-1]
        if isinstance(node, tree.Var) or (isinstance(node, tree.Select) and node.default is None):
            text = parsed.file.text[link.start : link.end]
            steps.append(Step(f"which is `{_short(text)}`", Place(parsed.file, link.start, link.end)))
            return self._where(parsed, chain)
        if isinstance(node, tree.Apply):
            self._called(parsed, chain, node, steps)
        return None

    def _where(self, parsed: ParsedFile, chain: list[TreePlace]) -> Definition | None:
        """Where the name or selection at the end of a chain was defined."""
        try:
            found = self._context(parsed).value_at(chain)
        except EvalError:
            found = None
        if found is not None and found.defined is not None:
            return Definition(found.defined, "")
        node = chain[-1].node
        if not isinstance(node, tree.Var):
            return None
        resolution = resolve(node.name, scopes(chain, parsed.source.text))
        if not resolution.bounds:
            return None
        bound = resolution.bounds[0]
        return Definition(Place(parsed.file, bound.start, bound.end), "")

    def _inherited(
        self, parsed: ParsedFile, chain: list[TreePlace], clause: tree.Inherit, place: Place, steps: list[Step]
    ) -> Definition | None:
        holder = next(link for link in reversed(chain) if link.node is clause)
        source = clause.source
        name = place.file.text[place.start : place.end]
        if source is None:
            steps.append(Step("inherited from the names around it", Place(parsed.file, holder.start, holder.end)))
            outside = scopes(
                [*chain[: chain.index(holder)], holder, TreePlace(clause.names[0], holder.start)], parsed.source.text
            )
            resolution = resolve(name, outside)
            if resolution.bounds:
                bound = resolution.bounds[0]
                if bound_at(chain, parsed.source.text) != resolution.bounds:
                    return Definition(Place(parsed.file, bound.start, bound.end), "")
            return self._where_inherited(parsed, chain)
        start = holder.start + source.start
        end = holder.start + source.end
        steps.append(Step(f"inherited from `{_short(parsed.file.text[start:end])}`", Place(parsed.file, start, end)))
        return self._where_inherited(parsed, chain)

    def _where_inherited(self, parsed: ParsedFile, chain: list[TreePlace]) -> Definition | None:
        try:
            found = self._context(parsed).value_at(chain)
        except EvalError:
            return None
        return None if found.defined is None else Definition(found.defined, "")

    def _called(self, parsed: ParsedFile, chain: list[TreePlace], node: tree.Apply, steps: list[Step]) -> None:
        """Notes a call that an attribute's definition is, and the function that is called."""
        base = chain[-1].base
        inner: tree.Expr = node
        way = list(chain)
        while isinstance(inner, tree.Apply | tree.Paren):
            inner = inner.function if isinstance(inner, tree.Apply) else inner.inner
            way.append(TreePlace(inner, base))
        start, end = base + inner.start, base + inner.end
        steps.append(Step(f"made by calling `{_short(parsed.file.text[start:end])}`", Place(parsed.file, start, end)))
        try:
            function = self._context(parsed).value_at(way).value
        except EvalError:
            return
        place = made(self.session, function)
        if place is not None:
            steps.append(Step("the function called", place))
        elif isinstance(function, Primop | PartialPrimop):
            name = function.name if isinstance(function, Primop) else function.primop.name
            steps.append(Step(f"the built-in function `{name}`", None))

    def _pending(self, thunk: Thunk, steps: list[Step]) -> None:
        """What is known of an attribute that nobody has evaluated yet."""
        code = thunk.code
        if isinstance(code, CallOnBoth):
            function = code.function
            if isinstance(function, Thunk) and function.code is None:
                function = function.payload
            if isinstance(function, Closure):
                steps.append(Step("given by mapAttrs to the function", function.function.place()))

    # --- values --------------------------------------------------------------------------------

    def _made(self, value: object, defined: Place | None) -> list[Step]:
        steps: list[Step] = []
        place = made(self.session, value)
        if place is not None:
            what = "made"
            if isinstance(value, Closure):
                what = "a function, defined"
            elif isinstance(value, Attrs) and value.has("override"):
                what = "made by the function that takes these arguments (`override` changes them)"
            steps.append(Step(what, place))
        if isinstance(value, Closure) and isinstance(value.function, LambdaCode):
            steps.append(Step("its lambda", value.function.place()))
        if isinstance(value, Attrs):
            try:
                if is_derivation(value):
                    self._derivation(value, steps)
            except EvalError:
                pass
        return steps

    def _derivation(self, value: Attrs, steps: list[Step]) -> None:
        arguments = value.get("drvAttrs")
        for name in ("name", "pname"):
            place = value.place_of(name)
            if place is not None:
                steps.append(Step(f"its `{name}`", place))
                break
        if isinstance(arguments, Attrs):
            place = arguments.place_of("builder")
            if place is not None:
                steps.append(Step("its `builder`: where it became a derivation", place))
        meta = value.get("meta") if value.has("meta") else None
        if isinstance(meta, Attrs):
            for name in ("description", "license", "maintainers"):
                place = meta.place_of(name)
                if place is not None:
                    steps.append(Step("its `meta`", place))
                    break

    # --- files ---------------------------------------------------------------------------------

    def _version(self, place: Place) -> ParsedFile | None:
        """The tree of the very text that a place lies in."""
        if not place.file.is_real():
            return None
        parsed = self.session.imported_version(place.file.path)
        return parsed if parsed is not None and parsed.file is place.file else None

    def _context(self, parsed: ParsedFile) -> FileContext:
        path = parsed.file.path
        context = self._contexts.get(path)
        if context is None:
            context = FileContext(self.session, parsed, "", [], None)
            self._contexts[path] = context
        return context


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _quoted(name: str) -> str:
    return name if name.isdecimal() else f'"{name}"'
