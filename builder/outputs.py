"""What a build made becomes store paths: checked, given their final paths, registered all at once.

Specification: the Nix manual, "Derivations" and "Content-addressed derivation outputs". The path of a content-addressed
output is known only now: wherever the path that stood for it occurs, the final one is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builder.events import BuiltOutput, Succeeded
from builder.output_checks import OutputError, check_references
from builder.prepare import scratch_path
from store.castore import trees
from store.castore.nodes import FileNode, Node
from store.castore.path_info import PathInfo
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.derivation import FIXED, INPUT_ADDRESSED, Derivation
from store.hashes import Hash, Hasher
from store.paths.archives import PiecesSource
from store.records import dataclass
from store.sha256 import sha256
from store.store_path import digest_of, fixed_path, output_path_name, source_path

__all__ = ["HashMismatch", "NotDeterministic", "OutputError", "compare", "register"]


class HashMismatch(OutputError):
    """A fixed output has another hash than it must."""


class NotDeterministic(OutputError):
    """A second build made something else (``--check``)."""


def register(store: CastoreStore, drv_path: str, drv: Derivation, built: Succeeded) -> dict[str, PathInfo]:
    """Give the outputs of ``drv`` their store paths in ``store``, all or none; what is known of each, by its name.

    Outputs that are there already are left as they are. Raises :class:`OutputError`, and what the store raises.
    """
    finals = _Registration(store, drv_path, drv, built).finals()
    infos = {name: final.info for name, final in finals.items()}
    check_references(store, drv, infos)
    with store.transaction():
        for name, final in finals.items():
            known = store.query(final.info.path)
            if known is not None:
                infos[name] = known
            elif final.archive is not None:
                infos[name] = store.add(final.info, PiecesSource(iter([final.archive])).read)
            else:
                store.put_info(final.info)
    return infos


def compare(store: CastoreStore, drv_path: str, drv: Derivation, built: Succeeded) -> None:
    """Compare a second build with what ``store`` has. Raises :class:`NotDeterministic` naming each difference.

    Raises ``OutputError`` as :func:`register` does, and ``Missing`` when there is nothing to compare with.
    """
    different: list[str] = []
    for name, final in _Registration(store, drv_path, drv, built).finals().items():
        known = store.query(final.info.path)
        if known is None:
            if drv.outputs[name].path:
                raise Missing(f"path '{final.info.path}' is not in {store.uri}: there is nothing to compare with")
            different.append(final.info.path)
        elif known.nar_sha256 != final.info.nar_sha256:
            different.append(final.info.path)
    if different:
        raise NotDeterministic(
            "\n".join(
                f"derivation '{drv_path}' may not be deterministic: output '{path}' differs" for path in different
            )
        )


@dataclass
class _Final:
    """An output as it will be: ``archive`` where its contents had to be changed."""

    info: PathInfo
    archive: bytes | None = None


class _Registration:
    """The outputs of one build on their way."""

    def __init__(self, store: CastoreStore, drv_path: str, drv: Derivation, built: Succeeded) -> None:
        self.store = store
        self.drv_path = drv_path
        self.drv = drv
        self.kind = drv.kind()
        self.scratch = {name: scratch_path(drv_path, drv, name, store.store_dir) for name in drv.outputs}
        by_path = {"/" + output.path: output for output in built.outputs}
        missing = [name for name, path in self.scratch.items() if path not in by_path]
        if missing:
            raise OutputError(f"the build of '{drv_path}' did not answer output '{missing[0]}'")
        self.built = {name: by_path[path] for name, path in self.scratch.items()}
        self.names = {digest_of(path): name for name, path in self.scratch.items()}

    def finals(self) -> dict[str, _Final]:
        """All outputs, those that others refer to before these."""
        finals: dict[str, _Final] = {}
        for name in self._ordered():
            output = self.built[name]
            if self.kind == INPUT_ADDRESSED:
                finals[name] = self._described(self.scratch[name], output, finals, None)
            elif self.kind == FIXED:
                finals[name] = self._fixed(name, output)
            else:
                finals[name] = self._floating(name, output, finals)
        return finals

    def _ordered(self) -> list[str]:
        uses = {
            name: {self.names[digest] for digest in output.found if digest in self.names} - {name}
            for name, output in self.built.items()
        }
        ordered: list[str] = []
        while uses:
            ready = sorted(name for name, used in uses.items() if not used & uses.keys())
            if not ready:
                first = min(uses)
                used = min(uses[first] & uses.keys())
                raise OutputError(
                    f"cycle detected in build of '{self.drv_path}' in the references of output '{used}' from output "
                    f"'{first}'"
                )
            for name in ready:
                del uses[name]
            ordered += ready
        return ordered

    def _references(self, output: BuiltOutput, finals: Mapping[str, _Final], own: str) -> list[str]:
        """What an output refers to; ``own`` is its own final path."""
        found: set[str] = set()
        for digest in output.found:
            name = self.names.get(digest)
            if name is None:
                info = self.store.by_digest(digest)
                if info is None:
                    raise OutputError(f"'{own}' refers to a path with the digest {digest}, which is not in the store")
                found.add(info.path)
            else:
                found.add(finals[name].info.path if name in finals else own)
        return sorted(found)

    def _described(self, path: str, output: BuiltOutput, finals: Mapping[str, _Final], ca: str | None) -> _Final:
        references = self._references(output, finals, path)
        info = PathInfo(path, output.nar_sha256, output.nar_size, references, self.drv_path, ca=ca, node=output.node)
        return _Final(info)

    def _fixed(self, name: str, output: BuiltOutput) -> _Final:
        wanted = self.drv.outputs[name]
        expected = Hash(wanted.algo, bytes.fromhex(wanted.hash))
        got = self._hash(output.node, wanted.method, wanted.algo, output.nar_sha256)
        if got != expected:
            raise HashMismatch(
                f"hash mismatch in fixed-output derivation '{self.drv_path}':\n"
                f"  specified: {expected.sri()}\n"
                f"     got:    {got.sri()}"
            )
        if output.found:
            references = self._references(output, {}, self.scratch[name])
            raise OutputError(
                f"the output of fixed-output derivation '{self.drv_path}' must not refer to store paths, but does to "
                + ", ".join(f"'{path}'" for path in references)
            )
        return self._described(wanted.path, output, {}, _address(wanted.method, got))

    def _hash(self, node: Node, method: str, algo: str, nar_sha256: bytes) -> Hash:
        castore = self.store.castore
        if method == "r:":
            if algo == "sha256":
                return Hash(algo, nar_sha256)
            return _hash_of(algo, trees.nar_of(node, castore))
        return _hash_of(algo, castore.blobs.read(self._flat_file(node, method, algo).digest))

    def _flat_file(self, node: Node, method: str, algo: str) -> FileNode:
        if method == "text:" and algo != "sha256":
            raise OutputError(f"'{self.drv_path}': texts are addressed by their sha256, not by {algo}")
        if method not in ("", "text:"):
            raise OutputError(f"'{self.drv_path}': outputs hashed by the method '{method}' are not built here")
        if not isinstance(node, FileNode) or node.executable:
            raise OutputError(
                f"the output of '{self.drv_path}' should be a non-executable regular file since recursive hashing is "
                "not enabled (outputHashMode=flat)"
            )
        return node

    def _floating(self, name: str, output: BuiltOutput, finals: Mapping[str, _Final]) -> _Final:
        wanted = self.drv.outputs[name]
        castore = self.store.castore
        rewrites = {digest_of(self.scratch[other]): digest_of(final.info.path) for other, final in finals.items()}
        own = digest_of(self.scratch[name])
        archive = b"".join(trees.nar_of(output.node, castore))
        for old, new in rewrites.items():
            archive = archive.replace(old.encode(), new.encode())
        if wanted.method == "r:":
            got = _hash_modulo(wanted.algo, archive, own.encode())
        else:
            content = castore.blobs.read(self._flat_file(output.node, wanted.method, wanted.algo).digest)
            got = _hash_modulo(wanted.algo, b"".join(content), own.encode())
        itself = own in output.found
        others = [path for path in self._references(output, finals, "") if path]
        path = self._floating_path(output_path_name(self.drv.name, name), wanted.method, got, others, itself)
        archive = archive.replace(own.encode(), digest_of(path).encode())
        references = sorted([*others, path] if itself else others)
        ca = _address(wanted.method, got)
        digest = sha256(archive)
        return _Final(PathInfo(path, digest, len(archive), references, self.drv_path, ca=ca), archive)

    def _floating_path(self, name: str, method: str, got: Hash, references: list[str], itself: bool) -> str:
        if method == "r:" and got.algo == "sha256":
            return source_path(name, got.base16(), references, itself, self.store.store_dir)
        if references or itself:
            raise OutputError(
                f"output '{name}' of '{self.drv_path}' refers to store paths, which only one hashed by "
                "outputHashMode=recursive and outputHashAlgo=sha256 may"
            )
        return fixed_path(name, method, got.algo, got.base16(), self.store.store_dir)


def _address(method: str, got: Hash) -> str:
    """The content address of an output, as path infos spell it."""
    return f"{'text:' if method == 'text:' else 'fixed:' + method}{got.algo}:{got.nix32()}"


def _hash_of(algo: str, pieces: Iterable[bytes]) -> Hash:
    hasher = Hasher(algo)
    for piece in pieces:
        hasher.update(piece)
    return hasher.finish()


def _hash_modulo(algo: str, data: bytes, own: bytes) -> Hash:
    """The hash of ``data`` with ``own`` blanked out, and with the places where it was."""
    hasher = Hasher(algo)
    hasher.update(data.replace(own, bytes(len(own))))
    at = data.find(own)
    while at >= 0:
        hasher.update(b"|%d" % at)
        at = data.find(own, at + len(own))
    return hasher.finish()
