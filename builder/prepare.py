"""From a derivation to a build request: what Nix puts into a builder's environment, said in full.

Specification: the Nix manual, "Derivations" and "Advanced Attributes"; values that it does not name are those of
Nix 2.8 (``HOME=/homeless-shelter``, ``PATH=/path-not-set``, …). What the derivation itself sets wins over ``PATH``,
``HOME``, ``NIX_STORE`` and ``NIX_BUILD_CORES`` and loses against the others.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from builder import structured_attrs
from builder.request import KVM, BuildRequest, Constraints, Input, RequestError
from builder.structured_attrs import Json
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import FIXED, FLOATING, IMPURE, Derivation, DerivationHashes
from store.hashes import Hash
from store.paths.closure import closure
from store.records import dataclass, replace
from store.store_path import (
    BadStorePath,
    base_name,
    digest_of,
    downstream_placeholder,
    is_derivation,
    make_store_path,
    output_path_name,
    placeholder,
    sha256_hex,
    split,
    to_bytes,
)

if TYPE_CHECKING:
    from builder.settings import Settings

BUILD = "/build"
#: What ``requiredSystemFeatures`` may name unless the configuration says otherwise. Whether there is ``kvm`` is for who
#: builds to say.
FEATURES = frozenset({"benchmark", "big-parallel", "ca-derivations", "kvm", "nixos-test"})

_GRAPH_FILE = r"[A-Za-z_][A-Za-z0-9_.-]*\Z"

#: Answers the store path of an input derivation's output, given its ``.drv`` and the output's name.
OutputOf = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Limits:
    """What every build may use at most; 0 is no limit. Numbers as in :class:`builder.request.Constraints`."""

    memory: int = 0
    seconds: int = 0
    silence: int = 0
    log_size: int = 0
    processes: int = 0
    output_size: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of Nix's configuration."""
        return cls(
            memory=settings.max_build_memory,
            seconds=settings.timeout,
            silence=settings.max_silent_time,
            log_size=settings.max_build_log_size,
            processes=settings.max_build_processes,
            output_size=settings.max_output_size,
        )

    def bound(self, constraints: Constraints) -> Constraints:
        """``constraints`` within these limits."""
        bounded = {}
        for name in ("memory", "seconds", "silence", "log_size", "processes", "output_size"):
            wanted, most = getattr(constraints, name), getattr(self, name)
            bounded[name] = min(wanted, most) if wanted and most else wanted or most
        return replace(constraints, **bounded)


UNLIMITED = Limits()


def prepare(
    store: CastoreStore,
    drv_path: str,
    drv: Derivation,
    *,
    output_of: OutputOf | None = None,
    cores: int = 0,
    limits: Limits = UNLIMITED,
    features: frozenset[str] = FEATURES,
    impure: Mapping[str, str] = os.environ,
) -> BuildRequest:
    """The request that builds ``drv``, whose inputs are all in ``store``.

    ``output_of`` answers the store path of an input derivation's output where that does not stand in the derivation
    itself: floating ones. ``cores`` goes into ``NIX_BUILD_CORES`` (0: as many as this machine has). ``features`` are
    what ``requiredSystemFeatures`` may ask for. ``impure`` is where a fixed output's ``impureEnvVars`` come from.
    Raises ``RequestError``, and ``Missing`` for inputs that are not there.
    """
    return _Preparation(store, drv_path, drv, output_of or known_outputs(store)).request(
        cores or os.cpu_count() or 1, limits, features, impure
    )


def known_outputs(store: CastoreStore) -> OutputOf:
    """The paths of outputs that stand in their derivations; ``RequestError`` for one that does not."""

    def output_of(drv_path: str, output: str) -> str:
        found = store.read_derivation(drv_path).outputs.get(output)
        if found is None:
            raise RequestError(f"derivation '{drv_path}' has no output '{output}'")
        if not found.path:
            raise RequestError(f"the path of output '{output}' of '{drv_path}' is not known before it is built")
        return found.path

    return output_of


def scratch_path(drv_path: str, drv: Derivation, output: str, store_dir: str = "/nix/store") -> str:
    """Where ``output`` is while it is built: its own path, or one that stands for it until that is known."""
    known = drv.outputs[output].path
    if known:
        return known
    kind = f"rewrite:{base_name(drv_path)}:name:{output}"
    return make_store_path(kind, "0" * 64, output_path_name(drv.name, output), store_dir)


def resolve(store: CastoreStore, drv: Derivation, output_of: OutputOf) -> Derivation:
    """``drv`` with the outputs that it uses in the place of the derivations that make them, its paths filled in.

    What Nix builds instead of a derivation whose inputs' paths were not known before ("deferred").
    """
    rewrites = _upstream_rewrites(drv, output_of)
    used = {output_of(path, output) for path, outputs in drv.input_drvs.items() for output in outputs}
    resolved = Derivation(
        drv.name,
        dict(drv.outputs),
        {},
        drv.input_srcs | used,
        drv.system,
        _rewritten(drv.builder, rewrites),
        [_rewritten(arg, rewrites) for arg in drv.args],
        {name: _rewritten(value, rewrites) for name, value in drv.env.items()},
    )
    DerivationHashes(store.store_dir, store.read_derivation).instantiate(resolved)
    return resolved


def attribute_texts(drv: Derivation, name: str) -> list[str] | None:
    """The list of texts that attribute ``name`` is, structured or not; None without it. Raises ``RequestError``."""
    attributes = attributes_of(drv)
    if attributes is None:
        value = drv.env.get(name)
        return None if value is None else value.split()
    if name not in attributes:
        return None
    return texts(attributes[name], name, drv)


def texts(value: Json, name: str, drv: Derivation, *, or_one: bool = False) -> list[str]:
    """``value`` as the list of texts that it must be, ``or_one`` by itself. Raises ``RequestError``."""
    if or_one and isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise RequestError(f"attribute '{name}' of derivation '{drv.name}' must be a list of strings")
    found = [item for item in value if isinstance(item, str)]
    if len(found) != len(value):
        raise RequestError(f"attribute '{name}' of derivation '{drv.name}' must be a list of strings")
    return found


def attributes_of(drv: Derivation) -> dict[str, Json] | None:
    """The structured attributes; None where there are none. Raises ``RequestError``."""
    text = drv.env.get("__json")
    if text is None:
        return None
    try:
        return structured_attrs.parse(text)
    except ValueError as error:
        raise RequestError(f"cannot process the __json attribute of derivation '{drv.name}': {error}") from None


class _Preparation:
    """One derivation on its way."""

    def __init__(self, store: CastoreStore, drv_path: str, drv: Derivation, output_of: OutputOf) -> None:
        self.store = store
        self.drv_path = drv_path
        self.drv = drv
        self.kind = drv.kind()
        self.attributes = attributes_of(drv)
        self.outputs = {name: scratch_path(drv_path, drv, name, store.store_dir) for name in drv.outputs}
        roots = set(drv.input_srcs)
        self.rewrites = {placeholder(name): path for name, path in self.outputs.items()}
        for path, names in drv.input_drvs.items():
            roots.update(output_of(path, name) for name in names)
        self.rewrites.update(_upstream_rewrites(drv, output_of))
        self.closure = {info.path: info for info in closure(store, roots)}
        self.files: dict[str, bytes] = {}

    def request(self, cores: int, limits: Limits, features: frozenset[str], impure: Mapping[str, str]) -> BuildRequest:
        needed = self._refuse(features)
        drv = self.drv
        environment = self._environment(cores, impure)
        inside = self.store.store_dir.removeprefix("/")
        needles = [digest_of(path) for path in self.closure] + [digest_of(path) for path in self.outputs.values()]
        return BuildRequest(
            command=(
                to_bytes(self._rewritten(drv.builder)),
                *[to_bytes(self._rewritten(arg)) for arg in drv.args],
            ),
            outputs=tuple(sorted(path.removeprefix("/") for path in self.outputs.values())),
            inputs=tuple(self._input(self.closure[path]) for path in sorted(self.closure)),
            environment=tuple(
                sorted(
                    (to_bytes(self._rewritten(name)), to_bytes(self._rewritten(value)))
                    for name, value in environment.items()
                )
            ),
            files=tuple(sorted(self.files.items())),
            needles=tuple(sorted(set(needles))),
            constraints=Constraints(
                system=drv.system,
                read_only_paths=(KVM,) if "kvm" in needed else (),
                network=self.kind in (FIXED, IMPURE),
                memory=limits.memory,
                cores=cores,
                seconds=limits.seconds,
                silence=limits.silence,
                log_size=limits.log_size,
                processes=limits.processes,
                output_size=limits.output_size,
            ),
            scratch_paths=("build", inside, "tmp"),
            inputs_dir=inside,
            name=drv.name,
            derivation=self.drv_path,
        )

    def _refuse(self, features: frozenset[str]) -> list[str]:
        """Refuse what cannot be built; what it needs of ``features``."""
        drv = self.drv
        if drv.builder.startswith("builtin:"):
            raise RequestError(f"'{self.drv_path}' is built by '{drv.builder}', which does not run in a sandbox")
        if self.kind not in (FLOATING, IMPURE) and "" in [output.path for output in drv.outputs.values()]:
            raise RequestError(f"'{self.drv_path}' must be resolved before it can be built: its paths are not known")
        needed = attribute_texts(drv, "requiredSystemFeatures") or []
        if not features.issuperset(needed):
            raise RequestError(
                f"a '{drv.system}' with features {{{', '.join(sorted(needed))}}} is required to build "
                f"'{self.drv_path}', but I am a '{drv.system}' with features {{{', '.join(sorted(features))}}}; "
                "the setting system-features says which there are"
            )
        no_chroot = drv.env.get("__noChroot") == "1" if self.attributes is None else self.attributes.get("__noChroot")
        if no_chroot:
            raise RequestError(f"derivation '{self.drv_path}' has '__noChroot' set: every build runs in a sandbox here")
        if attribute_texts(drv, "__impureHostDeps"):
            raise RequestError(f"derivation '{self.drv_path}' asks for paths of the machine (__impureHostDeps)")
        return needed

    def _input(self, info: PathInfo) -> Input:
        if info.node is None:
            raise RequestError(f"what is known of '{info.path}' in {self.store.uri} says nothing of its contents")
        return Input(info.path, info.node)

    def _environment(self, cores: int, impure: Mapping[str, str]) -> dict[str, str]:
        drv = self.drv
        environment = {
            "PATH": "/path-not-set",
            "HOME": "/homeless-shelter",
            "NIX_STORE": self.store.store_dir,
            "NIX_BUILD_CORES": str(cores),
        }
        if self.attributes is None:
            as_files = set(drv.env.get("passAsFile", "").split())
            for name, value in drv.env.items():
                if name in as_files:
                    digest = Hash("sha256", bytes.fromhex(sha256_hex(name))).nix32()
                    environment[name + "Path"] = self._file(f".attr-{digest}", value)
                else:
                    environment[name] = value
            self._graphs_as_files()
        environment.update(dict.fromkeys(("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"), BUILD))
        if self.kind == FIXED:
            environment["NIX_OUTPUT_CHECKED"] = "1"
        if self.kind in (FIXED, IMPURE):
            for name in attribute_texts(drv, "impureEnvVars") or []:
                environment[name] = impure.get(name, "")
        environment["NIX_LOG_FD"] = "2"
        environment["TERM"] = "xterm-256color"
        if self.attributes is not None:
            attributes = self._structured(self.attributes)
            environment["NIX_ATTRS_SH_FILE"] = self._file(".attrs.sh", structured_attrs.shell(attributes))
            environment["NIX_ATTRS_JSON_FILE"] = self._file(".attrs.json", structured_attrs.dump(attributes))
        return environment

    def _structured(self, attributes: dict[str, Json]) -> dict[str, Json]:
        result = dict(attributes)
        result["outputs"] = dict(self.outputs)
        graphs = attributes.get("exportReferencesGraph")
        if isinstance(graphs, dict):
            for name, paths in graphs.items():
                infos = self._graph(texts(paths, "exportReferencesGraph", self.drv, or_one=True))
                result[name] = [self._described(info) for info in infos]
        return result

    def _described(self, info: PathInfo) -> Json:
        described: dict[str, Json] = {
            "path": info.path,
            "narHash": "sha256:" + info.nar_hash().nix32(),
            "narSize": info.nar_size,
            "references": list[Json](sorted(info.references)),
            "closureSize": sum(part.nar_size for part in closure(self.store, [info.path])),
        }
        if info.ca is not None:
            described["ca"] = info.ca
        return described

    def _graphs_as_files(self) -> None:
        words = self.drv.env.get("exportReferencesGraph", "").split()
        if len(words) % 2:
            raise RequestError(f"odd number of tokens in 'exportReferencesGraph': '{' '.join(words)}'")
        for name, path in zip(words[::2], words[1::2], strict=True):
            if not re.match(_GRAPH_FILE, name):
                raise RequestError(f"invalid file name '{name}' in 'exportReferencesGraph'")
            try:
                root, _ = split(path, self.store.store_dir)
            except BadStorePath:
                raise RequestError(f"'exportReferencesGraph' contains a non-store path '{path}'") from None
            lines: list[str] = []
            for info in self._graph([root]):
                lines += [info.path, "", str(len(info.references)), *sorted(info.references)]
            self._file(name, "".join(line + "\n" for line in lines))

    def _graph(self, roots: Iterable[str]) -> list[PathInfo]:
        """The closure of ``roots``; with the outputs of the derivations in it. Sorted by path."""
        for path in roots:
            if path not in self.closure:
                raise RequestError(
                    f"cannot export references of path '{path}' because it is not in the input closure of the "
                    "derivation"
                )
        infos = {info.path: info for info in closure(self.store, roots)}
        for path in [path for path in infos if is_derivation(path)]:
            outputs = self.store.read_derivation(path).outputs.values()
            made = [output.path for output in outputs if output.path]
            infos.update((info.path, info) for info in closure(self.store, made))
        return [infos[path] for path in sorted(infos)]

    def _file(self, name: str, content: str) -> str:
        self.files[f"{BUILD[1:]}/{name}"] = to_bytes(self._rewritten(content))
        return f"{BUILD}/{name}"

    def _rewritten(self, text: str) -> str:
        return _rewritten(text, self.rewrites)


def _upstream_rewrites(drv: Derivation, output_of: OutputOf) -> dict[str, str]:
    return {
        downstream_placeholder(path, output): output_of(path, output)
        for path, outputs in drv.input_drvs.items()
        for output in outputs
    }


def _rewritten(text: str, rewrites: Mapping[str, str]) -> str:
    if "/" not in text:
        return text
    for old, new in rewrites.items():
        text = text.replace(old, new)
    return text
