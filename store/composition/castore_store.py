"""Nix's store made of a castore: what :mod:`store.composition` documents, for the local folder, memory and gRPC."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from store.castore import trees
from store.castore.nodes import DirectoryNode, FileNode, Node, SymlinkNode
from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Castore, Missing, Refused
from store.derivation import Derivation
from store.hashes import Hash, Hasher
from store.nar import Filter, NarError, NarWriter
from store.nar_reader import NarReader, Source, TeeSource
from store.paths.addresses import ca_of_source
from store.paths.archives import CheckedSource, checked
from store.paths.derivations import read_derivation
from store.paths.protocol import Entry, Store
from store.sha256 import Sha256, sha256
from store.store_path import (
    DRV_EXTENSION,
    STORE_DIR,
    check_store_path,
    fixed_output_path,
    source_path,
    text_path,
)


class CastoreStore:
    """Store paths whose contents a castore keeps."""

    def __init__(self, castore: Castore, store_dir: str = STORE_DIR, uri: str = "memory:") -> None:
        self.castore = castore
        self.store_dir = store_dir
        self.uri = uri

    def query(self, path: str) -> PathInfo | None:
        return self.castore.path_infos.get(path)

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.castore.path_infos.by_digest(digest)

    def paths(self) -> Iterator[str]:
        return (info.path for info in self.castore.path_infos.list())

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        return checked(trees.nar_of(self._node(info), self.castore), info, self.uri)

    def unverified_nar(self, info: PathInfo) -> Iterator[bytes]:
        return trees.nar_of(self._node(info), self.castore)

    def tree(self, info: PathInfo) -> CastoreTree:
        return CastoreTree(self._node(info), self.castore)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        check_store_path(info.path, self.store_dir)
        known = self.query(info.path)
        if known is not None:
            return known
        with self.castore.transaction(), CheckedSource(source, info, info.path) as checking:
            reader = NarReader(checking.read)
            self._expect_references(info)
            try:
                node = trees.ingest_nar(reader, self.castore)
                reader.expect_end_of_source()
            except NarError as error:
                raise Refused(f"'{info.path}': {error}") from error
            checking.expect()
            kept = info.with_node(node)
            self.castore.path_infos.put(kept)
        return kept

    def take(self, info: PathInfo, source: Store) -> PathInfo | None:
        from store.backends.local.castore import LocalCastore
        from store.backends.local.transfer import transfer

        if not (isinstance(source, CastoreStore) and isinstance(source.castore, LocalCastore)):
            return None
        if not isinstance(self.castore, LocalCastore) or info.node is None:
            return None
        check_store_path(info.path, self.store_dir)
        known = self.query(info.path)
        if known is not None:
            return known
        with self.castore.transaction():
            self._expect_references(info)
            transfer(info.node, source.castore, self.castore)
            self.castore.path_infos.put(info)
        return info

    def add_path(
        self,
        path: str,
        name: str | None = None,
        *,
        keep: Filter | None = None,
        references: Iterable[str] = (),
        flat: str | None = None,
    ) -> PathInfo:
        """Keep the file, link or tree at ``path`` on disk as a source called ``name`` (the path's last part).

        ``keep`` decides which entries go in (:func:`store.nar.write_nar`). ``flat`` names an algorithm: then ``path``
        must be a file and is addressed by the hash of its contents, as a flat fixed output (whether it is executable
        is kept, but does not count, as in Nix). Raises ``OSError``, ``NarError``, ``BadStorePath`` for an impossible
        name and ``StoreError``.
        """
        name = name or os.path.basename(os.path.abspath(path))
        refs = sorted(references)
        # An impossible name is refused before anything is read.
        source_path(name, "", refs, store_dir=self.store_dir)
        with self.castore.transaction():
            found = trees.ingest_path(path, self.castore, keep)
            if flat is None:
                digest = found.nar_sha256.hex()
                info = PathInfo(
                    source_path(name, digest, refs, store_dir=self.store_dir), found.nar_sha256, found.nar_size, refs
                )
                info.ca = ca_of_source(found.nar_sha256)
            else:
                if not isinstance(found.node, FileNode):
                    raise Refused(f"'{path}' is not a regular file, so it has no flat hash")
                hashed = self._flat_hash(flat, found.node)
                place = fixed_output_path(name, False, hashed, self.store_dir)
                info = PathInfo(place, found.nar_sha256, found.nar_size, ca=f"fixed:{flat}:{hashed.nix32()}")
            return self._keep(info, found.node)

    def import_nar(self, name: str, source: Source, references: Iterable[str] = ()) -> PathInfo:
        """Keep the archive that ``source`` answers (to its end) as a source called ``name``.

        Raises ``Refused`` for a malformed one, ``BadStorePath`` for an impossible name.
        """
        refs = sorted(references)
        source_path(name, "", refs, store_dir=self.store_dir)
        hasher = Sha256()
        tee = TeeSource(source, hasher.update)
        reader = NarReader(tee.read)
        with self.castore.transaction():
            try:
                node = trees.ingest_nar(reader, self.castore)
                reader.expect_end_of_source()
            except NarError as error:
                raise Refused(str(error)) from error
            digest = hasher.digest()
            place = source_path(name, digest.hex(), refs, store_dir=self.store_dir)
            return self._keep(PathInfo(place, digest, tee.size, refs, ca=ca_of_source(digest)), node)

    def add_text(self, name: str, content: bytes, references: Iterable[str] = ()) -> PathInfo:
        """Keep a text that evaluation wrote (``builtins.toFile``, a derivation); its references must be there."""
        refs = sorted(references)
        place = text_path(name, content, refs, self.store_dir)
        known = self.query(place)
        if known is not None:
            return known
        hasher = Sha256()
        writer = NarWriter(hasher.update)
        writer.regular(content)
        size = writer.finish()
        ca = f"text:sha256:{Hash('sha256', sha256(content)).nix32()}"
        info = PathInfo(place, hasher.digest(), size, refs, ca=ca)
        with self.castore.transaction():
            self._expect_references(info)
            digest = self.castore.blobs.put_whole(content)
            return self._keep(info, FileNode(digest, len(content)))

    def add_derivation(self, drv: Derivation) -> str:
        """Write ``drv`` (its paths filled in) as its ``.drv``; answer its path. Its inputs must be there."""
        return self.add_text(drv.name + DRV_EXTENSION, drv.to_bytes(), drv.references()).path

    def read_derivation(self, path: str) -> Derivation:
        """The derivation at the store path ``path``. Raises ``Missing``, and ``Corrupt`` when it is none."""
        return read_derivation(self, path)

    def put_info(self, info: PathInfo) -> None:
        """Replace what is known of a path that is there: signatures, say."""
        self.castore.path_infos.put(info)

    def realisation(self, id: str) -> Realisation | None:
        """What the output with this id became, as long as that is here (:mod:`store.castore.realisation`)."""
        found = self.castore.realisations.get(id)
        return found if found is not None and self.query(found.path) is not None else None

    def put_realisation(self, known: Realisation) -> None:
        """Note what an output became. Raises ``Refused`` when that is not here."""
        if self.query(known.path) is None:
            raise Refused(f"'{known.id}' cannot be '{known.path}', which is not in {self.uri}")
        self.castore.realisations.put(known)

    def transaction(self) -> AbstractContextManager[None]:
        """Several additions that belong together, and are faster so."""
        return self.castore.transaction()

    def close(self) -> None:
        self.castore.close()

    def _keep(self, info: PathInfo, node: Node) -> PathInfo:
        known = self.query(info.path)
        if known is not None:
            return known
        self._expect_references(info)
        kept = info.with_node(node)
        self.castore.path_infos.put(kept)
        return kept

    def _expect_references(self, info: PathInfo) -> None:
        for reference in info.references:
            if reference != info.path and self.query(reference) is None:
                raise Refused(f"'{info.path}' refers to '{reference}', which is not in {self.uri}")

    def _node(self, info: PathInfo) -> Node:
        node = info.node
        if node is None:
            known = self.query(info.path)
            if known is None or known.node is None:
                raise Missing(f"path '{info.path}' is not in {self.uri}")
            node = known.node
        return node

    def _flat_hash(self, algo: str, node: Node) -> Hash:
        assert isinstance(node, FileNode)
        if algo == "blake3":
            return Hash("blake3", node.digest)
        hasher = Hasher(algo)
        for piece in self.castore.blobs.read(node.digest):
            hasher.update(piece)
        return hasher.finish()


class CastoreTree:
    """The inside of an object in a castore."""

    def __init__(self, root: Node, castore: Castore) -> None:
        self._root = root
        self._castore = castore

    def entry(self, parts: list[bytes]) -> Entry | None:
        node = trees.lookup(self._root, parts, self._castore)
        if node is None:
            return None
        if isinstance(node, FileNode):
            return Entry("regular", node.size, node.executable)
        return Entry("symlink", target=node.target) if isinstance(node, SymlinkNode) else Entry("directory", node.size)

    def names(self, parts: list[bytes]) -> list[bytes]:
        node = trees.lookup(self._root, parts, self._castore)
        if not isinstance(node, DirectoryNode):
            raise Missing("no directory there")
        return list(trees.directory_of(node, self._castore).entries)

    def read(self, parts: list[bytes]) -> Iterator[bytes]:
        node = trees.lookup(self._root, parts, self._castore)
        if not isinstance(node, FileNode):
            raise Missing("no file there")
        return self._castore.blobs.read(node.digest)
