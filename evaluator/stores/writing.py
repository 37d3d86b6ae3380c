"""Writes to a store what evaluation made: derivations, the texts of ``toFile``, copied sources.

Evaluating computes the paths only; here the objects come to be, each after what it refers to, all of them in one
transaction. What a store has already is passed over with all that it refers to, for stores are closed: writing the
same again costs one look.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from evaluator.io.files import Copy, unreadable
from evaluator.runtime.errors import EvalError
from evaluator.session import Session
from store.castore.services import StoreError
from store.composition import open_store
from store.composition.castore_store import CastoreStore
from store.nar import NarWriter
from store.paths.closure import copy
from store.store_path import name_of


def write_derivations(session: Session, store: CastoreStore, drv_paths: Iterable[str]) -> None:
    """Write the derivations at ``drv_paths`` that ``session`` instantiated, and all that they refer to.

    Afterwards ``store`` has them, or, after an exception, nothing new. Raises EvalError for a source that cannot be
    read or was changed since it was looked at, and for a path that neither the session nor the store knows;
    ``StoreError`` for what the store complains of.
    """
    writing = _Writing(session, store)
    with store.transaction():
        for path in drv_paths:
            writing.write(path)


class _Writing:
    """What was written, or found to be there, by one call."""

    def __init__(self, session: Session, store: CastoreStore) -> None:
        self._session: Final = session
        self._store: Final = store
        self._done: Final[set[str]] = set()

    def write(self, path: str) -> None:
        """Write what is at ``path``, after all that it refers to."""
        # A stack of our own: the chain of inputs down to the first bootstrap tool is hundreds deep.
        open_paths = [path]
        below: list[Iterator[str]] = []
        if not self._is_to_be_written(path):
            return
        below.append(iter(self._references(path)))
        while below:
            reference = next(below[-1], None)
            if reference is None:
                below.pop()
                self._add(open_paths.pop())
            elif self._is_to_be_written(reference):
                open_paths.append(reference)
                below.append(iter(self._references(reference)))

    def _is_to_be_written(self, path: str) -> bool:
        if path in self._done:
            return False
        self._done.add(path)
        return self._store.query(path) is None

    def _references(self, path: str) -> Iterable[str]:
        drv = self._session.recipes.get(path)
        if drv is not None:
            return drv.references()
        return self._session.references.get(path, ())

    def _add(self, path: str) -> None:
        files = self._session.files
        drv = self._session.recipes.get(path)
        if drv is not None:
            self._store.add_text(name_of(path), drv.to_bytes(), drv.references())
            return
        text = files.text(path)
        if text is not None:
            self._store.add_text(name_of(path), text, self._session.references.get(path, ()))
            return
        copied = files.copy(path)
        if copied is None:
            self._take_from_nix(path)
            return
        if self._copied(copied, name_of(path)) != path:
            raise EvalError(f"'{copied.origin}' was changed while it was evaluated; its copy would not be '{path}'")

    def _take_from_nix(self, path: str) -> None:
        """Copy what nobody here has made out of the store that Nix itself keeps, where there is one."""
        found = False
        if os.path.lexists(path):
            with suppress(StoreError), open_store("nix:") as nix:
                found = nix.query(path) is not None
                if found:
                    copy(nix, self._store, [path])
        if not found:
            raise EvalError(
                f"path '{path}' is not valid: it is neither in the store {self._store.uri}, "
                "nor was it made by this evaluation"
            )

    def _copied(self, source: Copy, name: str) -> str:
        """Copy a source to the store; the path that it got."""
        unsaved = self._session.files.unsaved(source.origin)
        left_out = source.left_out
        try:
            if source.flat:
                return self._copied_flat(self._session.files.read_bytes(source.origin), name)
            if unsaved is not None:
                return self._store.import_nar(name, io.BytesIO(_archive(unsaved)).read).path
            keep = (lambda entry, kind: entry not in left_out) if left_out else None
            return self._store.add_path(source.origin, name, keep=keep).path
        except OSError as error:
            raise unreadable(error, source.origin) from None

    def _copied_flat(self, content: bytes, name: str) -> str:
        """A file of which nothing but the contents count: as Nix copies it, it is not executable."""
        import tempfile

        with tempfile.NamedTemporaryFile() as plain:
            plain.write(content)
            plain.flush()
            return self._store.add_path(plain.name, name, flat="sha256").path


def _archive(content: bytes) -> bytes:
    """The archive of a file that is not executable."""
    pieces: list[bytes] = []
    writer = NarWriter(pieces.append)
    writer.regular(content, False)
    writer.finish()
    return b"".join(pieces)
