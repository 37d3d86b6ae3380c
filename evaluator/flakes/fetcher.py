"""The door through which evaluation fetches.

Files, folders and repositories of this machine may always be read; others only where the user allows the network. What
is not pinned is fetched once for a session, and no answer that depends on it is used again.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evaluator.builtins.control import say
from evaluator.code.coerce import canonical
from evaluator.fetching import Tree, channel_url
from evaluator.flakes.inputs import describe, fetch_input, is_pinned, text_of
from evaluator.flakes.means import Means
from evaluator.runtime.errors import EvalError, Unrealised
from store.hashes import parse

if TYPE_CHECKING:
    from threading import Event

    from evaluator.flakes.registry import Registries
    from evaluator.session import Session
    from store.composition.castore_store import CastoreStore

_ADDRESS = r"channel:|flake:|(?:https?|file)://"


class Fetcher:
    """Fetches by its means, for sessions that read from the store of those. ``pure``: only what is pinned."""

    def __init__(self, means: Means, *, pure: bool = False) -> None:
        self.means = means
        self.pure = pure
        self._trees: dict[str, Tree] = {}
        self._entries: dict[str, str] = {}
        self._registries: Registries | None = None

    def tree(self, session: Session, items: dict[str, object]) -> Tree:
        self._check(session, items)
        return self.flake_tree(session, items)

    def flake_tree(self, session: Session, items: dict[str, object]) -> Tree:
        """:meth:`tree` for what a command line or a lock file names: a restricted evaluation may ask for that."""
        key = repr(sorted(items.items(), key=lambda item: item[0]))
        found = self._trees.get(key)
        if found is None:
            found = self._fetch(session, items)
            self._trees[key] = found
        # What a folder holds is noted as it is read; when it was changed is not.
        noted = is_pinned(items) or (items.get("type") == "path" and "lastModified" in items)
        if not noted and session.files.reads is not None:
            session.files.reads.refuse(f"it depends on what '{describe(items)}' is now")
        return found

    def download(self, session: Session, url: str, name: str, unpack: bool, expected: str) -> str:
        from builder.fetch.failure import FetchError
        from builder.fetch.url import fetch_file, fetch_tarball
        from store.castore.services import StoreError

        self._check(session, {"type": "download", "url": url})
        if not expected:
            who = "fetchTarball" if unpack else "fetchurl"
            if self.pure:
                raise EvalError(f"in pure evaluation mode, '{who}' requires a 'sha256' argument, for '{url}'")
            if session.files.reads is not None:
                session.files.reads.refuse(f"it depends on what '{url}' is now")
        wanted = parse(expected) if expected else None
        try:
            fetch = fetch_tarball if unpack else fetch_file
            return fetch(self.means.store(), url, name, wanted, self.means.limits()).info.path
        except (FetchError, StoreError, OSError) as error:
            raise self.means.failure(error) from None

    def substitute(self, session: Session, url: str, path: str) -> None:
        from builder.fetch.failure import FetchError
        from store.castore.services import StoreError
        from store.composition.urls import open_url
        from store.paths.closure import copy

        limits = self.means.limits()
        try:
            if not url.startswith("file:"):
                limits.require_network(url)
            source = open_url(url)
            try:
                copy(source, self.means.store(), [path], on_progress=lambda _: limits.check())
            finally:
                source.close()
        except (FetchError, StoreError, OSError, ValueError) as error:
            raise self.means.failure(error, f"cannot fetch '{path}' from '{url}': ") from None

    def located(self, session: Session, entry: str) -> str:
        if not re.match(_ADDRESS, entry):
            return entry
        found = self._entries.get(entry)
        if found is None:
            try:
                found = self._entry(session, entry)
            except EvalError as error:
                say(
                    session, f"warning: Nix search path entry '{entry}' cannot be downloaded, ignoring: {error.message}"
                )
                found = ""
            self._entries[entry] = found
        return found

    def _entry(self, session: Session, entry: str) -> str:
        from evaluator.builtins.flake_refs import parse_flake_ref

        if entry.startswith("flake:"):
            items = self.resolved(session, parse_flake_ref(entry))
            below = items.get("dir")
            tree = self.tree(session, {name: value for name, value in items.items() if name != "dir"})
            return f"{tree.path}/{below}" if below else tree.path
        return self.download(session, channel_url(entry), "source", True, "")

    def declare(self, session: Session, path: str, items: dict[str, object]) -> None:
        self._check(session, items)
        known = session.fetches.get(path)
        if not isinstance(known, _Declared) or known.items != items:  # the same from elsewhere: the latest text counts
            session.fetches[path] = _Declared(self, session, path, items)

    def _check(self, session: Session, items: dict[str, object]) -> None:
        """Raises EvalError where evaluation is restricted, and must not ask for this."""
        if not session.files.restricted or items.get("type") == "indirect":
            return  # what a name means is asked for
        known = text_of(items, "url") or text_of(items, "path")
        if any(
            is_below(address, prefix)
            for address in (known, describe(items))
            for prefix in self.means.settings().allowed_uris
        ):
            return
        if known.startswith(("/", "file://")):
            session.files.origin(canonical(known.removeprefix("file://")))
            return
        raise EvalError(f"access to URI '{known or describe(items)}' is forbidden in restricted mode")

    def reconfigure(self) -> None:
        """The settings of the command line were changed."""
        self.means.reconfigure()
        self._registries = None

    def into(self, store: CastoreStore, permitted: bool, cancel: Event | None = None) -> Fetcher:
        """The same for another store; ``permitted``: the user lets other machines be asked. ``cancel`` ends fetches."""
        return Fetcher(self.means.elsewhere(store, permitted, cancel), pure=self.pure)

    def forget(self) -> None:
        """Trees of this machine may have changed: what is fetched next is looked at again."""
        self._trees.clear()

    def resolved(self, session: Session, items: dict[str, object]) -> dict[str, object]:
        """The input that a name in a registry means; any other as it is. Raises EvalError."""
        if items.get("type") != "indirect":
            return items
        from builder.fetch.failure import FetchError
        from evaluator.flakes.registry import Registries

        if self.pure:
            raise EvalError(f"in pure evaluation mode, '{describe(items)}' cannot be looked up: name an address")
        if session.files.reads is not None:
            session.files.reads.refuse(f"it depends on what '{describe(items)}' means to registries")
        if self._registries is None:
            self._registries = Registries(self.means.settings(), self.means.limits())
        try:
            return self._registries.lookup(items)
        except FetchError as error:
            raise self.means.failure(error) from None

    def _fetch(self, session: Session, items: dict[str, object]) -> Tree:
        from builder.fetch.failure import FetchError
        from store.castore.services import StoreError

        items = self.resolved(session, items)
        if self.pure and not is_pinned(items):
            raise EvalError(
                f"in pure evaluation mode, '{describe(items)}' must be locked: give a 'rev' or 'narHash' (or --impure)"
            )
        try:
            return fetch_input(session, self.means, items)
        except (FetchError, StoreError, OSError) as error:
            raise self.means.failure(error) from None


class _Declared:
    """A pinned input that is fetched when somebody reads from its store path."""

    def __init__(self, fetcher: Fetcher, session: Session, path: str, items: dict[str, object]) -> None:
        self._fetcher = fetcher
        self._session = session
        self._path = path
        self.items = items
        self._permitted = False
        self.meddles = False

    @property
    def what(self) -> str:
        return describe(self.items)

    @property
    def title(self) -> str:
        return f"Fetch '{self.what}'"

    @property
    def at_hand(self) -> bool:
        url = text_of(self.items, "url")
        return self.items.get("type") == "path" or url.startswith(("file:", "git+file:", "/"))

    def permit(self) -> None:
        self._permitted = True

    def run(self, store: CastoreStore, cancel: Event | None = None) -> None:
        fetcher = self._fetcher.into(store, self._permitted, cancel)
        try:
            self._run(fetcher, store)
        except EvalError as error:
            if not fetcher.means.was_refused(error):
                raise
            # With leave it could be had: that is for whoever asks the user to know.
            missing = Unrealised(self._path)
            missing.message = error.message
            raise missing from None

    def _run(self, fetcher: Fetcher, store: CastoreStore) -> None:
        kind = self.items.get("type")
        if kind == "closure":
            fetcher.substitute(self._session, text_of(self.items, "url"), self._path)
            info = store.query(self._path)
            if info is not None and info.ca is None and self.items.get("inputAddressed") is not True:
                raise EvalError(
                    f"the 'fromPath' value '{self._path}' is input-addressed, but 'inputAddressed' is not set; "
                    "set it to true if you trust the store that it comes from"
                )
            return
        if kind in ("download", "unpacked"):
            found = fetcher.download(
                self._session,
                text_of(self.items, "url"),
                text_of(self.items, "name"),
                kind == "unpacked",
                text_of(self.items, "hash"),
            )
        else:
            found = fetcher.tree(self._session, self.items).path
        if found != self._path:
            raise EvalError(f"'{describe(self.items)}' was to make '{self._path}', not '{found}'")


def fetcher_of(session: Session) -> Fetcher:
    """Who fetches for a session: whoever it was told, else one that asks this machine only."""
    found = session.fetcher
    if found is None:
        from evaluator.stores.access import LocalAccess

        access = session.store()
        if not isinstance(access, LocalAccess):
            access = LocalAccess()
            if session.store() is None:
                access.serve(session)
        castore = access
        found = Fetcher(Means(lambda: castore.castore))
        session.fetcher = found
    assert isinstance(found, Fetcher)
    return found


def is_below(address: str, prefix: str) -> bool:
    """Whether ``allowed-uris`` with this in it allows an address: the same, one below it, one of that scheme."""
    if address == prefix:
        return True
    if not prefix or not address.startswith(prefix):
        return False
    return prefix[-1] == "/" or address[len(prefix)] == "/" or (prefix[-1] == ":" and ":" not in prefix[:-1])
