"""Derivations: the ATerm text of a ``.drv`` file, and the paths that follow from it.

Specification: the Nix manual, "Store Derivation" and "Derivation ATerm format"::

    Derive([(OUTPUT,PATH,METHOD_ALGO,HASH),…],[(DRV,[OUTPUT,…]),…],[SRC,…],SYSTEM,BUILDER,[ARG,…],[(NAME,VALUE),…])

Everything but the arguments is sorted by bytes; inside strings only ``\\ " \\n \\r \\t`` are escaped; the text
is bytes, not necessarily UTF-8 (see :mod:`store`).

**Output paths.** An input-addressed output's path hashes the derivation *modulo* its fixed outputs: every input
derivation is replaced by a hash that does not depend on how fixed outputs are fetched, and the derivation's own
output paths are blanked out. :class:`DerivationHashes` computes it and remembers the hashes of inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from store import aterm
from store.aterm import QUOTE, spelled, to_aterm_string
from store.store_path import (
    DRV_EXTENSION,
    STORE_DIR,
    fixed_path,
    output_path,
    placeholder,
    sha256_hex,
    text_path,
    to_bytes,
)

#: What kind of derivation its outputs make it.
INPUT_ADDRESSED: Final = "input-addressed"  #: paths follow from the inputs (also before they are filled in)
FIXED: Final = "fixed"  #: one output whose hash is known beforehand
FLOATING: Final = "content-addressed"  #: paths follow from what the build makes
IMPURE: Final = "impure"  #: content-addressed, and built anew each time

# What stands between the names and values of an environment.
_FIRST_NAME: Final = "(" + QUOTE
_VALUE: Final = QUOTE + "," + QUOTE
_NEXT_NAME: Final = QUOTE + "),(" + QUOTE
_END: Final = QUOTE + ")"

_IMPURE_HEX: Final = "ddffc26775f61118da8597d1f2f62c544ec92461b31b5b1075ed8689a7ee8292"  # SHA-256 of "impure"


class DerivationError(ValueError):
    """A derivation that cannot be: its outputs do not go together, or an input is unknown."""


class Output:
    """One output, as the three texts that ATerm has for it.

    =============================  ==========  ==============  ===========
    kind                           path        method_algo     hash
    =============================  ==========  ==============  ===========
    input-addressed                the path    empty           empty
    the same, path not yet known   empty       empty           empty
    fixed                          the path    ``r:sha256`` …  hexadecimal
    floating                       empty       ``r:sha256`` …  empty
    impure                         empty       ``r:sha256`` …  ``impure``
    =============================  ==========  ==============  ===========

    ``method_algo`` is an algorithm after ``r:`` (hash of the NAR), ``text:``, ``git:`` or nothing (flat file).
    """

    def __init__(self, path: str = "", method_algo: str = "", hash: str = "") -> None:
        self.path = path
        self.method_algo: Final = method_algo
        self.hash: Final = hash

    @property
    def kind(self) -> str:
        """:data:`INPUT_ADDRESSED`, :data:`FIXED`, :data:`FLOATING` or :data:`IMPURE`."""
        if not self.method_algo:
            return INPUT_ADDRESSED
        if not self.hash:
            return FLOATING
        return IMPURE if self.hash == "impure" else FIXED

    @property
    def method(self) -> str:
        """``""``, ``"r:"``, ``"text:"`` or ``"git:"``."""
        return self.method_algo[: self.method_algo.find(":") + 1]

    @property
    def algo(self) -> str:
        """The hash algorithm, empty if input-addressed."""
        return self.method_algo[self.method_algo.find(":") + 1 :]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Output):
            return NotImplemented
        return self.path == other.path and self.method_algo == other.method_algo and self.hash == other.hash

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Output({self.path!r}, {self.method_algo!r}, {self.hash!r})"


class Derivation:
    """What is built: mutable until :meth:`DerivationHashes.instantiate` has filled in its paths.

    ``input_drvs`` maps derivations to the outputs of theirs that are used. ``name`` is not in the text of a
    ``.drv`` but in its path, without ``.drv``.
    """

    def __init__(
        self,
        name: str,
        outputs: dict[str, Output],
        input_drvs: dict[str, set[str]],
        input_srcs: set[str],
        system: str,
        builder: str,
        args: list[str],
        env: dict[str, str],
    ) -> None:
        self.name = name
        self.outputs = outputs
        self.input_drvs = input_drvs
        self.input_srcs = input_srcs
        self.system = system
        self.builder = builder
        self.args = args
        self.env = env

    def kind(self) -> str:
        """What kind of derivation this is; :class:`DerivationError` when its outputs disagree."""
        if not self.outputs:
            raise DerivationError("derivation must have at least one output")
        found = ""
        for output in self.outputs.values():
            kind = output.kind
            if found and kind != found:
                raise DerivationError("can't mix derivation output types")
            found = kind
        if found == FIXED:
            if len(self.outputs) > 1:
                raise DerivationError("only one fixed output is allowed for now")
            if "out" not in self.outputs:
                raise DerivationError('single fixed output must be named "out"')
        return found

    def references(self) -> list[str]:
        """The store paths that the ``.drv`` file refers to, sorted."""
        return sorted(self.input_srcs.union(self.input_drvs))

    def to_aterm(self) -> str:
        """The text of the ``.drv`` file."""
        return _Parts(self).text(_inputs(self.input_drvs), masked=False)

    def to_bytes(self) -> bytes:
        """The bytes of the ``.drv`` file."""
        return to_bytes(self.to_aterm())

    def path(self, store_dir: str = STORE_DIR) -> str:
        """The store path of the ``.drv`` file; raises ``BadStorePath`` for an impossible name."""
        return text_path(self.name + DRV_EXTENSION, self.to_bytes(), self.references(), store_dir)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Derivation):
            return NotImplemented
        return self.name == other.name and self.to_aterm() == other.to_aterm()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Derivation({self.name!r}, {self.to_aterm()!r})"


class _Parts:
    """A derivation's text in pieces, so that its three spellings share the work of escaping."""

    def __init__(self, drv: Derivation) -> None:
        self.drv: Final = drv
        middle: list[str] = ["],["]
        separator = '"'
        for source in aterm.sorted_by_bytes(drv.input_srcs):
            middle.append(separator + source + '"')
            separator = ',"'
        middle += ["],", to_aterm_string(drv.system), ",", to_aterm_string(drv.builder), ",["]
        middle.append(",".join([to_aterm_string(arg) for arg in drv.args]))
        middle.append("],[")
        self.middle: Final = "".join(middle)
        self.outputs: Final = aterm.sorted_by_bytes(drv.outputs)
        # The environment. Values of outputs change between the spellings: those entries stay empty here.
        self.entries: Final[list[str]] = []
        outputs = drv.outputs
        env = drv.env
        pieces: list[str] = []
        for name in aterm.sorted_by_bytes(env):
            if name in outputs:
                self._add_entries(pieces)
                pieces = []
                self.entries.append("")
            else:
                pieces.append(_NEXT_NAME if pieces else _FIRST_NAME)
                pieces.append(name)
                pieces.append(_VALUE)
                pieces.append(env[name])
        self._add_entries(pieces)

    def _add_entries(self, pieces: list[str]) -> None:
        if pieces:
            pieces.append(_END)
            self.entries.append(spelled(pieces))

    def text(self, inputs: str, masked: bool) -> str:
        """The whole text with ``inputs`` in the place of the input derivations; ``masked``: own paths blank."""
        drv = self.drv
        env = drv.env
        outputs: list[str] = []
        own: list[str] = []
        for name in self.outputs:
            output = drv.outputs[name]
            path = "" if masked else output.path
            quoted = to_aterm_string(name)
            outputs.append(f'({quoted},"{path}","{output.method_algo}","{output.hash}")')
            if name in env:
                value = '""' if masked else to_aterm_string(env[name])
                own.append(f"({quoted},{value})")
        entries = self.entries.copy()
        filled = 0
        for index in range(len(entries)):
            if not entries[index]:
                entries[index] = own[filled]
                filled += 1
        # Put together at once: the text is long, and each step would copy it.
        return "".join(["Derive([", ",".join(outputs), "],[", inputs, self.middle, ",".join(entries), "])"])


def _inputs(inputs: dict[str, set[str]]) -> str:
    """The list of input derivations (paths, or the hashes that replace them) without its brackets."""
    parts: list[str] = []
    for key in aterm.sorted_by_bytes(inputs):
        outputs = ",".join([to_aterm_string(output) for output in aterm.sorted_by_bytes(inputs[key])])
        parts.append(f'("{key}",[{outputs}])')
    return ",".join(parts)


class ModuloHash:
    """``hashDerivationModulo`` of a derivation: for each output a SHA-256 in hexadecimal.

    ``deferred``: an output's path follows from what a build makes, so the paths of everything that uses it
    cannot be known before either.
    """

    def __init__(self, hashes: dict[str, str], deferred: bool) -> None:
        self.hashes: Final = hashes
        self.deferred: Final = deferred


class DerivationHashes:
    """Computes the paths of derivations and remembers the hashes of those that others may use as inputs.

    ``load`` finds a derivation that was not instantiated here, by its store path (as from a ``.drv`` in the
    store); without it only instantiated derivations can be inputs.
    """

    def __init__(self, store_dir: str = STORE_DIR, load: Callable[[str], Derivation] | None = None) -> None:
        self.store_dir: Final = store_dir
        self._load: Final = load
        self._known: Final[dict[str, ModuloHash]] = {}

    def instantiate(self, drv: Derivation) -> str:
        """Fill in ``drv``'s output paths, also in its environment; answer the path of its ``.drv``.

        The path of a fixed output follows from its hash; a floating output stands as its placeholder in the
        environment; an output that cannot be known yet stays empty. Raises :class:`DerivationError`, and
        ``BadStorePath`` for a name that cannot be.
        """
        store_dir = self.store_dir
        kind = drv.kind()
        outputs = drv.outputs
        env = drv.env
        modulo: ModuloHash
        parts: _Parts | None = None
        replaced = ""
        deferred = False
        if kind == FIXED:
            output = outputs["out"]
            output.path = fixed_path(drv.name, output.method, output.algo, output.hash, store_dir)
            env["out"] = output.path
        elif kind == INPUT_ADDRESSED:
            for name in outputs:
                env[name] = ""
            replacement = self._replaced_inputs(drv)
            replaced = _inputs(replacement.inputs)
            deferred = replacement.deferred
            parts = _Parts(drv)
            if not deferred:
                digest = sha256_hex(parts.text(replaced, masked=True))
                for name in outputs:
                    path = output_path(drv.name, name, digest, store_dir)
                    outputs[name].path = path
                    env[name] = path
        else:
            for name in outputs:
                env[name] = placeholder(name)
        if parts is None:
            parts = _Parts(drv)
        content = to_bytes(parts.text(_inputs(drv.input_drvs), masked=False))
        drv_path = text_path(drv.name + DRV_EXTENSION, content, drv.references(), store_dir)
        if drv_path not in self._known:
            if kind == INPUT_ADDRESSED:
                modulo = _same_for_all(drv, sha256_hex(parts.text(replaced, masked=False)), deferred)
            else:
                modulo = self._compute(drv)
            self._known[drv_path] = modulo
        return drv_path

    def check_paths(self, drv: Derivation) -> None:
        """Refuse a derivation (parsed, say) whose output paths are not those that its contents ask for.

        Raises :class:`DerivationError`; its inputs must be known or loadable.
        """
        kind = drv.kind()
        if kind == FIXED:
            output = drv.outputs["out"]
            _expect(drv, "out", fixed_path(drv.name, output.method, output.algo, output.hash, self.store_dir))
        elif kind == INPUT_ADDRESSED:
            replacement = self._replaced_inputs(drv)
            digest = sha256_hex(_Parts(drv).text(_inputs(replacement.inputs), masked=True))
            for name in drv.outputs:
                _expect(drv, name, "" if replacement.deferred else output_path(drv.name, name, digest, self.store_dir))

    def modulo(self, drv_path: str) -> ModuloHash:
        """The hash of the derivation at ``drv_path``, loaded with all its inputs if it must be."""
        known = self._known.get(drv_path)
        if known is not None:
            return known
        # A stack of our own: the chain of inputs down to the first bootstrap tool is hundreds deep.
        loaded: dict[str, Derivation] = {}
        pending = [drv_path]
        while pending:
            path = pending[-1]
            if path in self._known:
                pending.pop()
                continue
            drv = loaded.get(path)
            if drv is None:
                drv = self._loaded(path)
                loaded[path] = drv
                missing = [] if drv.kind() == FIXED else [p for p in drv.input_drvs if p not in self._known]
                for dependency in missing:
                    if dependency in loaded:
                        raise DerivationError(f"derivation '{dependency}' depends on itself")
                if missing:
                    pending += missing
                    continue
            self._known[path] = self._compute(drv)
            del loaded[path]
            pending.pop()
        return self._known[drv_path]

    def realisation_ids(self, drv: Derivation) -> dict[str, str]:
        """Under which ids it is noted what ``drv``'s outputs became (:mod:`store.castore.realisation`), by their names.

        None for impure ones: each build is another. Raises as :meth:`modulo`.
        """
        kind = drv.kind()
        if kind == IMPURE:
            return {}
        if kind == FIXED:
            digests = self._compute(drv).hashes
        else:
            text = _Parts(drv).text(_inputs(self._replaced_inputs(drv).inputs), masked=True)
            digests = _same_for_all(drv, sha256_hex(text), True).hashes
        return {name: f"sha256:{digests[name]}!{name}" for name in drv.outputs}

    def _loaded(self, drv_path: str) -> Derivation:
        if self._load is None:
            raise DerivationError(f"derivation '{drv_path}' is not known")
        return self._load(drv_path)

    def _compute(self, drv: Derivation) -> ModuloHash:
        """The hash of a derivation with its paths filled in, whose inputs are known."""
        kind = drv.kind()
        if kind == FIXED:
            output = drv.outputs["out"]
            return ModuloHash(
                {"out": sha256_hex(f"fixed:out:{output.method_algo}:{output.hash}:{output.path}")}, deferred=False
            )
        if kind == IMPURE:
            return _same_for_all(drv, _IMPURE_HEX, deferred=True)
        replacement = self._replaced_inputs(drv)
        text = _Parts(drv).text(_inputs(replacement.inputs), masked=False)
        return _same_for_all(drv, sha256_hex(text), replacement.deferred or kind == FLOATING)

    def _replaced_inputs(self, drv: Derivation) -> _Replacement:
        known = self._known
        inputs: dict[str, set[str]] = {}
        deferred = False
        for path, outputs in drv.input_drvs.items():
            modulo = known.get(path)
            if modulo is None:
                modulo = self.modulo(path)
            if modulo.deferred:
                deferred = True
            for output in outputs:
                digest = modulo.hashes.get(output)
                if digest is None:
                    raise DerivationError(f"derivation '{path}' does not have an output named '{output}'")
                wanted = inputs.get(digest)
                if wanted is None:
                    inputs[digest] = {output}
                else:
                    wanted.add(output)
        return _Replacement(inputs, deferred)


class _Replacement:
    """The inputs of a derivation by hash, and whether one of them is deferred."""

    def __init__(self, inputs: dict[str, set[str]], deferred: bool) -> None:
        self.inputs: Final = inputs
        self.deferred: Final = deferred


def _same_for_all(drv: Derivation, digest: str, deferred: bool) -> ModuloHash:
    return ModuloHash(dict.fromkeys(drv.outputs, digest), deferred)


def _expect(drv: Derivation, output: str, path: str) -> None:
    found = drv.outputs[output].path
    if found != path:
        raise DerivationError(
            f"derivation '{drv.name}' has incorrect output '{found}', should be '{path}'"
            if path
            else f"derivation '{drv.name}' has an output path '{found}' before it can be known"
        )
