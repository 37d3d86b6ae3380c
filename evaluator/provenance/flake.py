"""A flake.nix that is being edited: its outputs, called with the inputs that it is locked to."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from evaluator.code.functions import FormalsLambda, call
from evaluator.flakes.declared import declared_inputs, wanted_text
from evaluator.io.files import ParsedFile
from evaluator.provenance.context import FileContext, quiet
from evaluator.runtime.brief import expected
from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import LiteralPositions, Place
from evaluator.runtime.values import NULL, Attrs, Closure, Code, Env, Thunk, force
from evaluator.session import Session, base_env
from evaluator.syntax import tree

if TYPE_CHECKING:
    from evaluator.flakes.in_place import InPlace


def is_flake(path: str, root: tree.Expr) -> bool:
    """Whether a file is a flake: by its name, and that it is a set."""
    return path.endswith("/flake.nix") and isinstance(root, tree.AttrSet)


class Flakes:
    """The inputs of the flakes that are being edited. They outlast an edit that changes neither what a flake wants nor
    its lock file: else each would evaluate all of nixpkgs anew."""

    def __init__(self, session: Session) -> None:
        self._session: Final = session
        self._known: Final[dict[str, tuple[str, InPlace]]] = {}

    def open(self, parsed: ParsedFile) -> InPlace:
        """The inputs of a flake; loads what knows of flakes."""
        from evaluator.flakes.in_place import in_place

        path = parsed.file.path
        key = self._key(parsed)
        known = self._known.get(path)
        if known is not None and known[0] == key:
            return known[1]
        found = in_place(self._session, os.path.dirname(path))
        self._known.pop(path, None)
        if found.lasting:
            self._known[path] = (key, found)
        return found

    def look_again(self) -> None:
        """Something is there that was not: what could not be locked may be now."""
        for path in [path for path, (_, found) in self._known.items() if found.faults]:
            del self._known[path]

    def _key(self, parsed: ParsedFile) -> str:
        files = self._session.files
        lock = os.path.dirname(parsed.file.path) + "/flake.lock"
        text = ""
        if files.exists(lock):
            with suppress(EvalError):
                text = files.read_text(lock)
        return text + "\0" + wanted_text(parsed.source.root, parsed.source.text)


def call_flake(context: FileContext, given: InPlace) -> None:
    """Makes a file the flake that it is: its value is that of its outputs, which are worked out on demand."""
    places = declared_inputs(context.parsed.source.root, context.parsed.source.text)
    outputs = Thunk(_Outputs(context, given, places), base_env())
    context.outputs = outputs
    context.packages = Thunk(_Packages(context.session, given), base_env())
    for path, name in given.trees.items():
        if name in places:
            context.asked_at[path] = Place(context.parsed.file, *places[name])
    for name in {*places, *given.faults}:
        where = places.get(name) or places.get("")
        if where is not None:
            context.asked_at[given.locking(name)] = Place(context.parsed.file, *where)


def look_at_outputs(session: Session, outputs: Attrs) -> None:
    """Works each output out as far as to its form, those for one system for the session's, so that calls are seen."""
    for name in sorted(outputs.items):
        value = quiet(outputs, name)
        if isinstance(value, Attrs) and value.has(session.system):
            quiet(value, session.system)


class _Outputs(Code):
    """``outputs`` of the flake's text, called."""

    def __init__(self, context: FileContext, given: InPlace, places: dict[str, tuple[int, int]]) -> None:
        self._context: Final = context
        self._given: Final = given
        self._places: Final = places

    def eval(self, env: Env) -> object:
        flake = self._context.run()
        if not isinstance(flake, Attrs):
            raise expected("a set", flake)
        function = flake.get("outputs")
        if function is None:
            raise EvalError("the flake has no attribute 'outputs'", Place(self._context.parsed.file, 0, 1))
        if not isinstance(function, Closure):
            raise expected("a function", function, flake.place_of("outputs"))
        return call(function, self._arguments(function.function))

    def _arguments(self, code: object) -> Attrs:
        session = self._context.session
        given = self._given
        items: dict[str, object] = dict(given.inputs.items)
        if isinstance(code, FormalsLambda):
            wanted = [name for index, name in enumerate(code.names) if code.defaults[index] is None]
            if not code.ellipsis:
                known = set(code.names)
                items = {name: value for name, value in items.items() if name in known}
        else:
            wanted = list(given.faults)
        for name in wanted:
            if name and name not in items:
                items[name] = Thunk(_Lacking(session, given, name), base_env())
        if "self" in items or not isinstance(code, FormalsLambda) or code.ellipsis or "self" in code.names:
            items["self"] = Thunk(_Self(self._context, given), base_env())
        starts = {name: start for name, (start, _) in self._places.items()}
        return Attrs(items, LiteralPositions(self._context.parsed.file, starts))


class _Packages(Code):
    """The package set of this machine's kind that the input ``nixpkgs`` has."""

    def __init__(self, session: Session, given: InPlace) -> None:
        self._session: Final = session
        self._given: Final = given

    def eval(self, env: Env) -> object:
        found: object = self._given.inputs
        for name in ("nixpkgs", "legacyPackages", self._session.system):
            found = found.get(name) if isinstance(found, Attrs) else None
        return NULL if found is None else found


class _Self(Code):
    """The flake itself, as its outputs see it."""

    def __init__(self, context: FileContext, given: InPlace) -> None:
        self._context: Final = context
        self._given: Final = given

    def eval(self, env: Env) -> object:
        outputs = force(self._context.outputs)
        if not isinstance(outputs, Attrs):
            raise expected("a set", outputs)
        items: dict[str, object] = dict(outputs.items)
        items.update(self._given.source.items)
        items["inputs"] = self._given.inputs
        items["outputs"] = outputs
        items["sourceInfo"] = self._given.source
        items["_type"] = "flake"
        return Attrs(items, outputs.positions)


class _Lacking(Code):
    """An input that there is none of."""

    def __init__(self, session: Session, given: InPlace, name: str) -> None:
        self._session: Final = session
        self._given: Final = given
        self._name: Final = name

    def eval(self, env: Env) -> object:
        raise self._given.refuse(self._session, self._name)
