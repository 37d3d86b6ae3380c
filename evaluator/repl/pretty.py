"""Values as a conversation shows them: several lines for what has several parts, in colour where there is any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from evaluator.code.functions import LambdaCode
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import EvalError
from evaluator.runtime.printer import attribute, number, quoted
from evaluator.runtime.values import (
    NULL,
    Attrs,
    Closure,
    ContextString,
    PartialPrimop,
    PathValue,
    Primop,
    Thunk,
    force,
)

#: A style's name (the terminal knows its colour) and the text that has it.
Fragment = tuple[str, str]

NAME: Final = "class:name"
STRING: Final = "class:string"
NUMBER: Final = "class:number"
CONSTANT: Final = "class:constant"
SPECIAL: Final = "class:special"
ERROR: Final = "class:error"
PLAIN: Final = ""

#: Parts of a larger value are not evaluated for being shown, and no more of them are shown than this.
MOST_FORCED: Final = 100
MOST_SHOWN: Final = 500


def pretty(value: object, deep: bool = False) -> list[Fragment]:
    """A forced value as text; its parts are evaluated, and with ``deep`` theirs as well, however many.

    What fails on the way is shown as ``«error: …»``. Evaluates, so it may raise Interrupted.
    """
    printer = _Printer(deep)
    printer.value(value, 0, 0)
    return printer.out


def text_of(fragments: list[Fragment]) -> str:
    """The text without the colours."""
    return "".join(text for _, text in fragments)


class _Printer:
    def __init__(self, deep: bool) -> None:
        self.out: list[Fragment] = []
        self._deep = deep
        self._seen: set[int] = set()

    def put(self, style: str, text: str) -> None:
        self.out.append((style, text))

    def value(self, value: object, depth: int, indent: int) -> None:
        if isinstance(value, bool):
            self.put(CONSTANT, "true" if value else "false")
        elif isinstance(value, int):
            self.put(NUMBER, str(value))
        elif isinstance(value, float):
            self.put(NUMBER, number(value))
        elif isinstance(value, str):
            self.put(STRING, quoted(value))
        elif isinstance(value, ContextString):
            self.put(STRING, quoted(value.text))
        elif isinstance(value, PathValue):
            self.put(STRING, value.path)
        elif value is NULL:
            self.put(CONSTANT, "null")
        elif isinstance(value, list):
            self.sequence(value, depth, indent)
        elif isinstance(value, Attrs):
            self.attrs(value, depth, indent)
        else:
            self.put(SPECIAL, function_text(value))

    def sequence(self, value: list[object], depth: int, indent: int) -> None:
        if not value:
            self.put(PLAIN, "[ ]")
        elif not self.enter(value, depth, "[ ... ]"):
            return
        else:
            items: list[tuple[str, Callable[[], object]]] = [("", lambda item=item: force(item)) for item in value]  # type: ignore[misc]
            self.parts("[", items, list(value), "]", depth, indent)

    def attrs(self, value: Attrs, depth: int, indent: int) -> None:
        try:
            derivation = is_derivation(value)
        except EvalError:
            derivation = False
        if derivation and (depth or not self._deep):
            self.derivation(value)
        elif not value.items:
            self.put(PLAIN, "{ }")
        elif self.enter(value, depth, "{ ... }"):
            names = sorted(value.items)
            items: list[tuple[str, Callable[[], object]]] = [
                (attribute(name), lambda name=name: value.get(name))  # type: ignore[misc]
                for name in names
            ]
            self.parts("{", items, [value.items[name] for name in names], "}", depth, indent)

    def derivation(self, value: Attrs) -> None:
        try:
            path = value.get("drvPath")
        except EvalError as error:
            self.put(ERROR, f"«error: {error.message}»")
            return
        text = path.text if isinstance(path, ContextString) else path
        self.put(SPECIAL, f"«derivation {text}»" if isinstance(text, str) else "«derivation»")

    def enter(self, value: object, depth: int, short: str) -> bool:
        """Whether the parts of a value are to be shown; else it has been said why not."""
        if id(value) in self._seen:
            self.put(SPECIAL, "«repeated»")
            return False
        if depth > 0 and not self._deep:
            self.put(PLAIN, short)
            return False
        self._seen.add(id(value))
        return True

    def parts(
        self,
        start: str,
        parts: list[tuple[str, Callable[[], object]]],
        values: list[object],
        end: str,
        depth: int,
        indent: int,
    ) -> None:
        evaluated = self._deep or len(parts) <= MOST_FORCED
        shown = parts if self._deep else parts[:MOST_SHOWN]
        lines = len(parts) > 1 or self.nested(parts[0][1], evaluated)
        inner = indent + 2
        self.put(PLAIN, start)
        for at, (name, get) in enumerate(shown):
            self.put(PLAIN, "\n" + " " * inner if lines else " ")
            if name:
                self.put(NAME, name)
                self.put(PLAIN, " = ")
            pending = values[at]
            if not evaluated and isinstance(pending, Thunk) and pending.code is not None:
                self.put(SPECIAL, "…")
            else:
                self.part(get, depth + 1, inner)
            if name:
                self.put(PLAIN, ";")
        if len(shown) < len(parts):
            self.put(PLAIN, "\n" + " " * inner)
            self.put(SPECIAL, f"«{len(parts) - len(shown)} more»")
        self.put(PLAIN, "\n" + " " * indent + end if lines else " " + end)

    def part(self, get: Callable[[], object], depth: int, indent: int) -> None:
        try:
            self.value(get(), depth, indent)
        except EvalError as error:
            self.put(ERROR, f"«error: {error.message}»")

    def nested(self, get: Callable[[], object], evaluated: bool) -> bool:
        """Whether a part that stands alone has parts itself, and so gets a line of its own."""
        if not evaluated:
            return True
        try:
            value = get()
        except EvalError:
            return False
        return bool(value) if isinstance(value, list) else isinstance(value, Attrs)


def function_text(value: object) -> str:
    """A function in guillemets, with its name and place if it has them."""
    if isinstance(value, Closure):
        code = value.function
        place = code.place()
        name = code.name + " " if isinstance(code, LambdaCode) and code.name else ""
        return f"«lambda {name}@ {place}»" if place is not None else f"«lambda {name}»"
    if isinstance(value, Primop):
        return f"«primop {value.name}»"
    if isinstance(value, PartialPrimop):
        return f"«partially applied primop {value.primop.name}»"
    return "«unknown»"
