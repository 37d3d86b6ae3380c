"""What a conversation works on: a session, the variables that were bound, and the files that they came from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from evaluator.code.coerce import as_attrs
from evaluator.command import asking
from evaluator.command.derivations import instantiated
from evaluator.command.flags import Options
from evaluator.entry import apply_arguments
from evaluator.io.files import Files, ParsedFile, syntax_fault
from evaluator.lowering.lower import Lowering
from evaluator.lowering.scope import Scope
from evaluator.runtime.compare import is_derivation
from evaluator.runtime.errors import TypeFault
from evaluator.runtime.source import Place, SourceFile
from evaluator.runtime.values import Attrs, Code, Env
from evaluator.session import base_env
from evaluator.stores.access import LocalAccess
from evaluator.syntax.parser import parse


class Bench:
    """Evaluates expressions in which everything bound so far has a name. All methods raise EvalError.

    Everything but :meth:`names` is for the evaluation's thread.
    """

    def __init__(self, options: Options) -> None:
        self._options: Final = options
        self._files: Final = Files()
        self._loaded: list[tuple[str, bool]] = []
        self._slots: dict[str, int] = {}
        self._env: Env = base_env()
        self.access: Final = LocalAccess(options.store, options.read_write is not False, options.settings)
        self.session = asking.new_session(options, self._files, self.access)
        self._given = asking.arguments(options, self.session)

    # --- expressions -----------------------------------------------------------------------------

    def _code(self, text: str) -> Code:
        parsed = ParsedFile(SourceFile("«repl»", text), parse(text), (0, 0, 0))
        fault = syntax_fault(parsed)
        if fault is not None:
            raise fault
        scope = Scope(None, self._slots)
        self.session.check_names(parsed, scope)
        lowering = Lowering(self.session, parsed.file, os.getcwd())
        return lowering.expr(parsed.source.root, 0, scope)

    def evaluate(self, text: str) -> object:
        """The forced value of an expression."""
        return self._code(text).eval(self._env)

    def bind(self, name: str, text: str) -> None:
        """``name = text``: evaluated when it is first needed. The name's old value stays with who uses it."""
        self._add({name: self._code(text).thunk(self._env)})

    def _add(self, values: dict[str, object]) -> None:
        # Code that was made before, and is lowered bit by bit, goes on with the names that it knows.
        slots = self._slots.copy()
        for name, value in values.items():
            slots[name] = len(self._env)
            self._env.append(value)
        self._slots = slots

    def build(self, text: str) -> list[tuple[str, str]]:
        """Builds the derivation that an expression is; its outputs, by name, and where they are in the store."""
        value = self.evaluate(text)
        if not isinstance(value, Attrs) or not is_derivation(value):
            raise TypeFault("expression does not evaluate to a derivation, so I can't build it")
        drv_path = instantiated(self.session, value).partition("!")[0]
        outputs = self.session.recipe_of(drv_path).outputs
        self.access.make(self.session, [f"!{name}!{drv_path}" for name in outputs])
        return [(name, output.path) for name, output in sorted(outputs.items())]

    # --- files -----------------------------------------------------------------------------------

    def add_value(self, value: object) -> int:
        """Binds the attributes of a set, which functions are called for; how many."""
        attrs = as_attrs(apply_arguments(value, self._given))
        self._add(attrs.items)
        return len(attrs.items)

    def add_expression(self, text: str) -> int:
        """Binds the attributes of the set that an expression is; how many. They come back after :meth:`reload`."""
        count = self.add_value(self.evaluate(text))
        self._loaded.append((text, True))
        return count

    def load(self, given: str) -> int:
        """Binds the attributes of the set in a file (as on the command line); how many."""
        count = self.add_value(self.session.import_file(asking.located(self.session, given)))
        if (given, False) not in self._loaded:
            self._loaded.append((given, False))
        return count

    def load_flake(self, given: str) -> int:
        """Binds what a flake (as on the command line) is: its outputs, inputs and the rest; how many."""
        from evaluator.flakes.reference import parse_located, shown

        return self.add_expression(f'builtins.getFlake "{shown(parse_located(given, os.getcwd()))}"')

    def reload(self) -> list[tuple[str, int]]:
        """Forgets all variables, and reads again what was loaded: each with the number of its attributes."""
        loaded, self._loaded = self._loaded, []
        self.session = asking.new_session(self._options, self._files, self.access)
        self._given = asking.arguments(self._options, self.session)
        self._slots, self._env = {}, base_env()
        counts: list[tuple[str, int]] = []
        for at, (text, is_expression) in enumerate(loaded):
            try:
                counts.append((text, self.add_expression(text) if is_expression else self.load(text)))
            except BaseException:
                # What could not be read now may be read the next time.
                self._loaded += [one for one in loaded[at:] if one not in self._loaded]
                raise
        return counts

    # --- names -----------------------------------------------------------------------------------

    def names(self) -> Iterable[str]:
        """The variables that were bound."""
        return self._slots

    def place_of(self, text: str) -> Place | None:
        """Where the attribute was defined that an expression of the form ``a.b.c`` selects."""
        head, dot, last = text.rpartition(".")
        if not dot or not last:
            return None
        found = self.evaluate(head)
        return found.place_of(last.strip('"')) if isinstance(found, Attrs) else None
