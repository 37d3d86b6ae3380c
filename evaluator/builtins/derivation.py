"""``derivationStrict``: from a set of attributes to a derivation and its paths. Nothing is written to a store.

Specification: the Nix manual, "Derivations" and "Advanced Attributes". What a value's string context names
becomes an input of the derivation; the result is ``{ drvPath, OUTPUT… }``, strings whose context names the
derivation just made.
"""

from __future__ import annotations

from typing import Final, final

from evaluator.builtins import json
from evaluator.builtins.control import say
from evaluator.builtins.table import Builtin
from evaluator.builtins.wide import WideForce, force_widely
from evaluator.code.coerce import (
    NO_CONTEXT,
    as_attrs,
    as_bool,
    as_list,
    as_string_no_context,
    attribute_of,
    coerce_into,
    format_float,
    rejoin,
)
from evaluator.runtime.errors import ALWAYS, EvalError, Unrealised
from evaluator.runtime.source import Place
from evaluator.runtime.values import COUNTERS, NULL, Attrs, ContextString, force
from evaluator.session import Session
from store import hashes
from store.derivation import IMPURE, Derivation, Output
from store.store_path import DRV_EXTENSION, MAX_NAME_LENGTH, NAME_CHARACTERS, downstream_placeholder
from store.store_path import placeholder as store_placeholder

_METHODS: Final = {"recursive": "r:", "nar": "r:", "flat": "", "text": "text:", "git": "git:"}


@final
class _Recipe:
    """What ``derivationStrict`` has read of its argument so far."""

    def __init__(self, name: str, attrs: Attrs) -> None:
        self.name: Final = name
        self.attrs: Final = attrs
        self.env: Final[dict[str, str]] = {}
        self.args: Final[list[str]] = []
        self.context: Final[set[str]] = set()
        self.builder = ""
        self.system = ""
        self.outputs: list[str] = ["out"]
        self.output_hash: str | None = None
        self.output_hash_algo: str | None = None
        self.output_hash_method: str | None = None
        self.content_addressed = False
        self.impure = False
        self.structured: dict[str, str] | None = None

    def set_outputs(self, names: list[str]) -> None:
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise EvalError(f"duplicate derivation output '{name}'")
            if name == "drvPath":
                raise EvalError("invalid derivation output name 'drvPath'")
            seen.add(name)
        if not names:
            raise EvalError("derivation cannot have an empty set of outputs")
        self.outputs = names

    def set_hash_method(self, text: str) -> None:
        method = _METHODS.get(text)
        if method is None:
            raise EvalError(f"invalid value '{text}' for 'outputHashMode' attribute")
        self.output_hash_method = method

    def set_hash_algo(self, text: str) -> None:
        # An unknown name is as good as none: the hash may name its algorithm itself.
        self.output_hash_algo = text if hashes.is_algo(text) else None


def derivation_strict(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the argument passed to builtins.derivationStrict")
    place = attrs.place_of("name")
    if not attrs.has("name"):
        attribute_of(attrs, "name", "in the attrset passed as argument to builtins.derivationStrict")
    try:
        name = as_string_no_context(
            attrs.find("name"), "while evaluating the `name` attribute passed to builtins.derivationStrict"
        )
    except EvalError as error:
        error.note("while evaluating the derivation attribute 'name'", place)
        raise
    return force_widely(session, _Making(attrs, name, place))


@final
class _Making(WideForce):
    """All that the attributes of one derivation miss is made at once; then there may be more."""

    def __init__(self, attrs: Attrs, name: str, place: Place | None) -> None:
        self.attrs: Final = attrs
        self.name: Final = name
        self.place: Final = place

    def attempt(self, session: Session) -> object:
        return _attempt(session, self.attrs, self.name, self.place)


def _attempt(session: Session, attrs: Attrs, name: str, place: Place | None) -> object:
    try:
        return _instantiated(session, _read(session, attrs, name))
    except EvalError as error:
        raise _evaluating(error, name, place) from None
    except ValueError as error:
        # BadStorePath, HashError, DerivationError: their messages are those of Nix.
        raise _evaluating(EvalError(str(error)), name, place) from None


def _evaluating(error: EvalError, name: str, place: Place | None) -> EvalError:
    """Notes which derivation an error belongs to: in a long chain of dependencies that says most."""
    if place is not None:
        error.locate(place)
    at = "«none»" if place is None else str(place)
    error.note(f"while evaluating derivation '{name}'\n  whose name attribute is located at {at}", None, ALWAYS)
    return error


def _read(session: Session, attrs: Attrs, name: str) -> _Recipe:
    """Evaluates all attributes of a derivation."""
    recipe = _Recipe(name, attrs)
    items = attrs.items
    if "__structuredAttrs" in items and as_bool(
        attrs.find("__structuredAttrs"),
        "while evaluating the `__structuredAttrs` attribute passed to builtins.derivationStrict",
    ):
        recipe.structured = {}
    ignore_nulls = "__ignoreNulls" in items and as_bool(
        attrs.find("__ignoreNulls"),
        "while evaluating the `__ignoreNulls` attribute passed to builtins.derivationStrict",
    )
    missed: Unrealised | None = None
    for key in sorted(items):
        if key == "__ignoreNulls":
            continue
        depth = COUNTERS.depth
        found: object = NULL
        try:
            found = attrs.get(key)
            if found is NULL and ignore_nulls:
                continue
            _read_attribute(session, recipe, key, found)
        except EvalError as error:
            missed = session.missed(missed, error, depth)
            if missed is None:
                error.note(f"while evaluating attribute '{key}' of derivation '{name}'", attrs.place_of(key))
                raise
            if isinstance(found, list):
                _gather(session, attrs, found)
    if missed is not None:
        raise missed
    structured = recipe.structured
    if structured is not None:
        # Sorted by bytes, as the keys of every JSON object that Nix writes.
        pieces = [structured[key] for key in sorted(structured, key=_bytes)]
        recipe.env["__json"] = "{" + ",".join(pieces) + "}"
    return recipe


def _gather(session: Session, attrs: Attrs, elements: list[object]) -> None:
    """Evaluates all elements of a list one of which misses something, to see what others miss."""
    depth = COUNTERS.depth
    for element in elements:
        try:
            _text(session, _Recipe("", attrs), force(element))
        except EvalError as error:
            COUNTERS.depth = depth
            if not isinstance(error, Unrealised):
                return


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _read_attribute(session: Session, recipe: _Recipe, key: str, value: object) -> None:
    if key == "args":
        for argument in as_list(value):
            argument = force(argument)
            try:
                recipe.args.append(_text(session, recipe, argument))
            except EvalError as error:
                error.explain("while evaluating an element of the argument list", None)
                raise
        return
    if key == "__contentAddressed":
        recipe.content_addressed = as_bool(value)
        return
    if key == "__impure":
        recipe.impure = as_bool(value)
        return
    structured = recipe.structured
    if structured is not None:
        if key != "__structuredAttrs":
            _read_structured(session, recipe, structured, key, value)
        return
    text = _text(session, recipe, value)
    recipe.env[key] = text
    if key == "builder":
        recipe.builder = text
    elif key == "system":
        recipe.system = text
    elif key == "outputs":
        recipe.set_outputs(text.split())
    elif key == "outputHash":
        recipe.output_hash = text
    elif key == "outputHashAlgo":
        recipe.set_hash_algo(text)
    elif key == "outputHashMode":
        recipe.set_hash_method(text)


def _read_structured(session: Session, recipe: _Recipe, structured: dict[str, str], key: str, value: object) -> None:
    pieces: list[str] = []
    context = json.write(session, key, pieces, NO_CONTEXT)
    pieces.append(":")
    context = json.write(session, value, pieces, context)
    recipe.context.update(context)
    structured[key] = "".join(pieces)
    if key == "builder":
        if isinstance(value, ContextString):
            recipe.builder = value.text
            recipe.context.update(value.context)
        else:
            recipe.builder = as_string_no_context(value)
    elif key == "system":
        recipe.system = as_string_no_context(value)
    elif key == "outputs":
        recipe.set_outputs([as_string_no_context(output) for output in as_list(value)])
    elif key == "outputHash":
        recipe.output_hash = as_string_no_context(value)
    elif key == "outputHashAlgo":
        recipe.set_hash_algo(as_string_no_context(value))
    elif key == "outputHashMode":
        recipe.set_hash_method(as_string_no_context(value))


def _text(session: Session, recipe: _Recipe, value: object) -> str:
    """A forced value as the text of an environment variable; its context goes to the recipe's."""
    if isinstance(value, str):
        return value
    if isinstance(value, ContextString):
        recipe.context.update(value.context)
        return value.text
    if isinstance(value, bool):
        return "1" if value else ""
    if isinstance(value, int):
        return str(value)
    if value is NULL:
        return ""
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, list) and not value:
        return ""
    if isinstance(value, list):
        # One level here, so that a long list of inputs does not join as many frozen sets.
        pieces: list[str] = []
        last = len(value) - 1
        for index in range(len(value)):
            element = force(value[index])
            if isinstance(element, list):
                pieces.append(_text(session, recipe, element))
                if index < last and element:
                    pieces.append(" ")
                continue
            pieces.append(_text(session, recipe, element))
            if index < last:
                pieces.append(" ")
        return rejoin("".join(pieces))
    parts: list[str] = []
    recipe.context.update(coerce_into(session, value, parts, NO_CONTEXT, True, True))
    return parts[0] if len(parts) == 1 else rejoin("".join(parts))


def _instantiated(session: Session, recipe: _Recipe) -> object:
    """The result of ``derivationStrict``: fills in the paths."""
    name = recipe.name
    if not recipe.builder:
        raise EvalError("required attribute 'builder' missing")
    if not recipe.system:
        raise EvalError("required attribute 'system' missing")
    _check_name(name)
    if name.endswith(DRV_EXTENSION) and not (recipe.output_hash_method == "text:" and recipe.outputs == ["out"]):
        raise EvalError(
            f"derivation names are allowed to end in '{DRV_EXTENSION}' only if they produce a single derivation file"
        )
    input_drvs: dict[str, set[str]] = {}
    input_srcs: set[str] = set()
    for element in recipe.context:
        if element.startswith("!"):
            at = element.index("!", 1)
            path = element[at + 1 :]
            wanted = input_drvs.get(path)
            if wanted is None:
                input_drvs[path] = {element[1:at]}
            else:
                wanted.add(element[1:at])
        elif element.startswith("="):
            _add_closure(session, element[1:], input_drvs, input_srcs)
        else:
            input_srcs.add(element)
    drv = Derivation(
        name, _outputs(session, recipe), input_drvs, input_srcs, recipe.system, recipe.builder, recipe.args, recipe.env
    )
    drv_path = session.derivations.instantiate(drv)
    session.recipes[drv_path] = drv
    items: dict[str, object] = {"drvPath": ContextString(drv_path, frozenset(["=" + drv_path]))}
    for output, made in drv.outputs.items():
        text = made.path or downstream_placeholder(drv_path, output)
        items[output] = ContextString(text, frozenset([f"!{output}!{drv_path}"]))
    return Attrs(items, None)


def _check_name(name: str) -> None:
    fault = ""
    if not name:
        fault = "name must not be empty"
    elif len(name) > MAX_NAME_LENGTH:
        fault = f"name '{name}' must be no longer than {MAX_NAME_LENGTH} characters"
    elif not NAME_CHARACTERS.issuperset(name):
        for character in name:
            if character not in NAME_CHARACTERS:
                fault = f"name '{name}' contains illegal character '{character}'"
                break
    if fault:
        raise EvalError(f"invalid derivation name: {fault}. Please pass a different 'name'.")


def _outputs(session: Session, recipe: _Recipe) -> dict[str, Output]:
    expected = recipe.output_hash
    if expected is not None:
        if recipe.outputs != ["out"]:
            raise EvalError("multiple outputs are not supported in fixed-output derivations")
        try:
            found = hashes.parse_allow_empty(expected, recipe.output_hash_algo)
        except ValueError as error:
            raise EvalError(str(error)) from None
        if not expected:
            say(session, f"warning: found empty hash, assuming '{found.sri()}'")
        return {"out": Output("", (recipe.output_hash_method or "") + found.algo, found.base16())}
    if recipe.content_addressed or recipe.impure:
        if recipe.content_addressed and recipe.impure:
            raise EvalError("derivation cannot be both content-addressed and impure")
        method = recipe.output_hash_method
        algo = ("r:" if method is None else method) + (recipe.output_hash_algo or "sha256")
        return {output: Output("", algo, IMPURE if recipe.impure else "") for output in recipe.outputs}
    return {output: Output() for output in recipe.outputs}


def _add_closure(session: Session, drv_path: str, input_drvs: dict[str, set[str]], input_srcs: set[str]) -> None:
    """Adds everything that a ``.drv`` file refers to, near and far, and all outputs of the derivations therein."""
    pending = [drv_path]
    seen: set[str] = set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        input_srcs.add(path)
        if path.endswith(DRV_EXTENSION):
            drv = session.recipe_of(path)
            wanted = input_drvs.get(path)
            if wanted is None:
                input_drvs[path] = set(drv.outputs)
            else:
                wanted.update(drv.outputs)
            pending += drv.input_srcs
            pending += drv.input_drvs
        else:
            pending += session.references_of(path)


def placeholder(session: Session, output: object) -> object:
    return store_placeholder(
        as_string_no_context(output, "while evaluating the first argument passed to builtins.placeholder")
    )


TABLE: Final[list[Builtin]] = [
    Builtin(
        "derivationStrict",
        1,
        True,
        derivation_strict,
        "derivationStrict *attrs*\n\nComputes a derivation's paths at once: `{ drvPath, out, … }`. "
        "`derivation` is the lazy function around it.",
    ),
    Builtin(
        "placeholder",
        1,
        True,
        placeholder,
        "placeholder *output*\n\nA text that stands for the store path of this derivation's own *output*; "
        "the builder sees the path.",
    ),
]
