"""What the cursor is in the middle of: a select, an attribute path, formals, a list, a string …

For completion and everything else that works while a text is being typed, so the text around the cursor may be as
broken as it likes. All offsets are absolute code points.
"""

from __future__ import annotations

from typing import Final, final

from evaluator.syntax.comments import comment_at
from evaluator.syntax.cursor import Place, child_base, path_at
from evaluator.syntax.strings import static_name
from evaluator.syntax.tree import (
    AttrBinding,
    AttrPath,
    AttrSet,
    Binary,
    Binding,
    Float,
    Formal,
    Formals,
    HasAttr,
    Inherit,
    Int,
    Lambda,
    LegacyLet,
    Let,
    ListExpr,
    Missing,
    Name,
    Node,
    Path,
    SearchPath,
    Select,
    Source,
    Str,
    Text,
    Uri,
    Var,
)

# What a context is.
COMMENT: Final = "comment"
EXPRESSION: Final = "expression"  # where an operand may stand
LIST: Final = "list"  # where an item may stand
SELECT: Final = "select"  # in the path behind `subject.`
HAS_ATTR: Final = "has-attr"  # in the path behind `subject ?`
ATTRIBUTE: Final = "attribute"  # in the path of a binding
BINDINGS: Final = "bindings"  # where a binding may begin
INHERIT: Final = "inherit"  # among the names of an `inherit`
FORMALS: Final = "formals"  # among the formal arguments of a function
ARGUMENT: Final = "argument"  # in the name of a function's plain argument, or behind its `@`
STRING: Final = "string"
PATH: Final = "path"
SEARCH_PATH: Final = "search-path"
URI: Final = "uri"
NUMBER: Final = "number"


@final
class Context:
    """Where the cursor is. ``[start, end)`` is the word around it, empty when there is none.

    ``holder`` is the construct that ``kind`` speaks of (the select, the binding, the list …), None where the kind is a
    plain expression. ``steps`` are the names before the cursor in an attribute path, None for those that must be
    computed. ``around`` are the attributes that the cursor is in the values of, outermost first. ``chain`` leads from
    the root to what the cursor is in.
    """

    def __init__(
        self,
        kind: str,
        start: int,
        end: int,
        chain: list[Place],
        holder: Place | None,
        steps: list[str | None],
        around: list[str | None],
    ) -> None:
        self.kind: Final = kind
        self.start: Final = start
        self.end: Final = end
        self.chain: Final = chain
        self.holder: Final = holder
        self.steps: Final = steps
        self.around: Final = around


def context_at(source: Source, offset: int) -> Context:
    """What the cursor at ``offset`` is in the middle of. A word that ends or begins there counts."""
    return _Finder(source, offset).find()


def is_word(character: str) -> bool:
    """Whether a character can stand inside an identifier."""
    return (character.isalnum() and character.isascii()) or character in "_'-"


@final
class _Finder:
    def __init__(self, source: Source, offset: int) -> None:
        self.source: Final = source
        self.offset: Final = max(0, min(offset, len(source.text)))
        text = source.text
        start = self.offset
        while start > 0 and is_word(text[start - 1]):
            start -= 1
        while start < self.offset and text[start] in "'-":
            start += 1
        end = self.offset
        if start < end or text[end : end + 1] not in ("'", "-"):  # no word begins with those
            while end < len(text) and is_word(text[end]):
                end += 1
        self.start: Final = start
        self.end: Final = end

    def find(self) -> Context:
        source = self.source
        if comment_at(source, self.offset) is not None:
            return self.context(COMMENT, path_at(source, self.offset).places, None, [])
        places = path_at(source, self.offset).places
        literal = self.literal(places)
        if literal is not None:
            return literal
        kind = self.begun(places)
        if kind:
            return self.context(kind, places, None, [])
        if self.start < self.offset:
            places = path_at(source, self.start).places
        while len(places) > 1 and self.is_behind(places[-1]):
            places = places[:-1]
        places = self.unfinished(places)
        for index in range(len(places) - 1, -1, -1):
            found = self.at(places, index)
            if found is not None:
                return found
        return self.context(EXPRESSION, places, None, [])

    def context(self, kind: str, chain: list[Place], holder: Place | None, steps: list[str | None]) -> Context:
        return Context(kind, self.start, self.end, chain, holder, steps, self.around(chain, holder))

    def literal(self, places: list[Place]) -> Context | None:
        """Inside something that is no name: a string (unless it is one), a path, a number."""
        for index in range(len(places) - 1, max(len(places) - 3, -1), -1):
            place = places[index]
            node = place.node
            kind = ""
            if isinstance(node, Str):
                is_name = index > 0 and isinstance(places[index - 1].node, (AttrPath, Inherit))
                if is_name or not self.is_inside(place, node):
                    return None
                kind = STRING
            elif isinstance(node, Path):
                kind = PATH
            elif isinstance(node, SearchPath):
                kind = SEARCH_PATH
            elif isinstance(node, Uri):
                kind = URI
            elif isinstance(node, (Int, Float)):
                kind = NUMBER
            elif not isinstance(node, Text):
                return None
            if kind:
                if kind != STRING and self.offset == place.start:
                    return None
                return self.context(kind, places[: index + 1], place, [])
        return None

    def begun(self, places: list[Place]) -> str:
        """The kind of path whose first characters stand before the cursor, too few yet to be one; else empty."""
        text = self.source.text
        start = self.offset
        while start > 0 and (is_word(text[start - 1]) or text[start - 1] in "./+~"):
            start -= 1
        if text.startswith(("./", "../", "~/"), start, self.offset):
            return PATH
        if start > 0 and text[start - 1] == "<":
            for place in places:
                node = place.node
                if isinstance(node, Binary) and node.op == "<" and place.base + node.op_start == start - 1:
                    left = node.left
                    is_import = isinstance(left, Var) and left.name == "import"
                    return SEARCH_PATH if is_import or isinstance(left, Missing) else ""
        return ""

    def is_inside(self, place: Place, node: Str) -> bool:
        """Whether the cursor stands between the quotes of a string (or behind one that has no end)."""
        quote = "''" if node.indented else '"'
        if self.offset < place.start + len(quote):
            return False
        if self.offset < place.end:
            return self.offset <= place.end - len(quote) or not self.is_closed(place)
        return self.offset == place.end and not self.is_closed(place)

    def is_closed(self, place: Place) -> bool:
        for problem in self.source.problems:
            if problem.code == "unterminated-string" and problem.start == place.start:
                return False
        return True

    def unfinished(self, places: list[Place]) -> list[Place]:
        """The chain, into the binding before the cursor when that lacks its ``;`` and so still goes on."""
        place = places[-1]
        node = place.node
        if not isinstance(node, (AttrSet, Let, LegacyLet)):
            return places
        base = child_base(node, place.base)
        last: Node | None = None
        for binding in node.bindings:
            if base + binding.end > self.start:
                break
            last = binding
        if last is None or self.source.text[base + last.end - 1] == ";":
            return places
        if self.source.text[base + last.end : self.start].strip():
            return places
        return [*places, Place(last, base)]

    def at(self, places: list[Place], index: int) -> Context | None:
        """The context if the node at ``index`` of the chain says it; None when what is around it does."""
        place = places[index]
        node = place.node
        chain = places[: index + 1]
        below = places[index + 1].node if index + 1 < len(places) else None
        if self.is_behind(place):
            return None
        if isinstance(node, (Select, HasAttr)) and below is None and self.start > place.base + node.subject.end:
            # Behind the dot, and the path begins further on.
            if self.start < place.base + node.path.start:
                return self.context(HAS_ATTR if isinstance(node, HasAttr) else SELECT, chain, place, [])
        if isinstance(node, AttrPath) and index > 0:
            holder = places[index - 1]
            if isinstance(holder.node, AttrBinding):
                kind = ATTRIBUTE
            elif isinstance(holder.node, HasAttr):
                kind = HAS_ATTR
            else:
                kind = SELECT
            return self.context(kind, chain, holder, self.steps(node, place.base))
        if isinstance(node, Formals) and not isinstance(below, Formal):
            return self.context(FORMALS, chain, place, [])
        if isinstance(node, Formal) and (below is None or below is not node.default) and index > 0:
            return self.context(FORMALS, chain, places[index - 1], [])
        if isinstance(node, Lambda) and (below is None or below is node.name or below is node.body):
            if (below is not None and below is node.name) or self.text_before().endswith("@"):
                return self.context(ARGUMENT, chain, place, [])
        if isinstance(node, AttrBinding) and self.offset <= place.start + node.path.end:
            return self.context(ATTRIBUTE, chain, place, self.steps(node.path, place.start))
        if isinstance(node, Inherit) and (below is None or below is not node.source):
            if self.offset <= place.start + len("inherit"):
                return self.context(BINDINGS, chain, place, [])
            return self.context(INHERIT, chain, place, [])
        if isinstance(node, ListExpr) and place.start < self.offset:
            return self.context(LIST, chain, place, [])
        if isinstance(node, (AttrSet, LegacyLet)) and below is None and place.start < self.offset:
            return self.context(BINDINGS, chain, place, [])
        if isinstance(node, Let) and self.is_before_in(node, place.base, below):
            return self.context(BINDINGS, chain, place, [])
        if isinstance(node, (Missing, Name, Str, Text, Var)) or index == 0:
            return None
        if isinstance(node, Select) and below is node.subject:
            return None
        return self.context(EXPRESSION, chain, None, [])

    def is_before_in(self, node: Let, base: int, below: Node | None) -> bool:
        """Whether the cursor stands among the bindings of a ``let``, which may lack its ``in``."""
        if below is None:
            return self.start < base + node.body.start
        if below is not node.body or not isinstance(below, Missing):
            return False
        last = node.bindings[-1].end if node.bindings else node.start + len("let")
        return "in" not in self.source.text[base + last : self.start].split()

    def is_behind(self, place: Place) -> bool:
        """Whether the cursor stands behind the bracket or semicolon that closes the node."""
        if self.offset != place.end:
            return self.offset > place.end
        node = place.node
        last = self.source.text[place.end - 1 : place.end]
        if isinstance(node, Binding):
            return last == ";"
        if isinstance(node, ListExpr):
            return last == "]"
        return last == "}" and isinstance(node, (AttrSet, LegacyLet, Formals))

    def text_before(self) -> str:
        """A little of the text before the word, without the blanks behind it."""
        return self.source.text[max(0, self.start - 200) : self.start].rstrip()

    def steps(self, path: AttrPath, base: int) -> list[str | None]:
        """The names of a path that lie before the cursor, each with its dot."""
        found: list[str | None] = []
        for step in path.steps:
            end = base + step.end
            if isinstance(step, Missing) or not self.source.text[end : self.start].lstrip().startswith("."):
                break
            found.append(self.name_of(step, base))
        return found

    def name_of(self, step: Node, base: int) -> str | None:
        if isinstance(step, Name):
            return step.name
        return static_name(self.source.text, step, base)

    def around(self, chain: list[Place], holder: Place | None) -> list[str | None]:
        """The attributes whose values the cursor is in, those of ``holder`` itself apart."""
        found: list[str | None] = []
        for place in chain:
            node = place.node
            if isinstance(node, AttrBinding) and (holder is None or node is not holder.node):
                base = child_base(node, place.base)
                for step in node.path.steps:
                    if not isinstance(step, Missing):
                        found.append(self.name_of(step, base))
        return found


def describe(context: Context, source: Source) -> str:
    """A context as one line, for tests and bug reports: ``select lib.licenses. typing "g" in meta.license``."""
    words = [context.kind]
    holder = context.holder
    text = source.text
    if holder is not None:
        node = holder.node
        base = child_base(node, holder.base)
        if isinstance(node, (Select, HasAttr)):
            words.append(text[base + node.subject.start : base + node.subject.end])
        elif isinstance(node, Inherit) and node.source is not None and not isinstance(node.source, Missing):
            words.append("from " + text[base + node.source.start : base + node.source.end])
    if context.steps:
        words.append("after " + ".".join(["…" if step is None else step for step in context.steps]))
    if context.start < context.end:
        words.append(f'typing "{text[context.start : context.end]}"')
    if context.around:
        words.append("in " + ".".join(["…" if name is None else name for name in context.around]))
    return " ".join(words)
