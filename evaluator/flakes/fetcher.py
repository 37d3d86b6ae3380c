"""The door through which evaluation fetches.

Files, folders and repositories of this machine may always be read; others only where the user allows the network. A
working tree is not copied: its files are read where they are, those that Git does not track left out. All else goes to
the store. What is not pinned is fetched once for a session, and no answer that depends on it is used again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from evaluator.builtins.control import say
from evaluator.code.coerce import canonical
from evaluator.fetching import Tree, channel_url
from evaluator.runtime.errors import EvalError, UnexpectedHash, Unrealised
from store import store_path
from store.hashes import Hash, HashError, parse

if TYPE_CHECKING:
    from builder.fetch.limits import Limits
    from builder.fetch.worktree import Worktree
    from builder.settings import Settings
    from evaluator.flakes.registry import Registries
    from evaluator.session import Session
    from store.composition.castore_store import CastoreStore

OFFLINE = "fetch it once with 'tvix-eval', then it is known here, too"


_ADDRESS = re.compile(r"channel:|flake:|(?:https?|file)://")
_UNSAID = frozenset(["narHash", "lastModified", "exportIgnore", "revCount"])


class Fetcher:
    """Fetches into the store that ``open_store`` answers, for sessions that read from it.

    ``network``: whether other machines may be asked; ``remedy`` says what to do where they may not. ``pure``: only what
    is pinned may be fetched. ``settings`` are Nix's, as a command line gives them.
    """

    def __init__(
        self,
        open_store: Callable[[], CastoreStore],
        *,
        network: bool = False,
        remedy: str = OFFLINE,
        pure: bool = False,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.network = network
        self.pure = pure
        self._remedy = remedy
        self._open_store = open_store
        self._settings = settings or {}
        self._trees: dict[str, Tree] = {}
        self._entries: dict[str, str] = {}
        self._limits: Limits | None = None
        self._refused: EvalError | None = None
        self._configuration: Settings | None = None
        self._registries: Registries | None = None

    # --- what sessions ask ---------------------------------------------------------------------

    def tree(self, session: Session, items: dict[str, object]) -> Tree:
        self._check(session, items)
        return self.flake_tree(session, items)

    def flake_tree(self, session: Session, items: dict[str, object]) -> Tree:
        """:meth:`tree` for what a command line or a lock file names: a restricted evaluation may ask for that."""
        key = repr(sorted(items.items(), key=lambda item: item[0]))
        found = self._trees.get(key)
        if found is None:
            found = self._tree(session, items)
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
            return fetch(self._open_store(), url, name, wanted, self.limits()).info.path
        except (FetchError, StoreError, OSError) as error:
            raise self._failed(error) from None

    def substitute(self, session: Session, url: str, path: str) -> None:
        from builder.fetch.failure import FetchError
        from store.castore.services import StoreError
        from store.composition.urls import open_url
        from store.paths.closure import copy

        try:
            if not url.startswith("file:"):
                self.limits().require_network(url)
            source = open_url(url)
            try:
                copy(source, self._open_store(), [path])
            finally:
                source.close()
        except (FetchError, StoreError, OSError, ValueError) as error:
            raise self._failed(error, f"cannot fetch '{path}' from '{url}': ") from None

    def located(self, session: Session, entry: str) -> str:
        if not _ADDRESS.match(entry):
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
        known = _text(items, "url") or _text(items, "path")
        if any(
            is_below(address, prefix) for address in (known, describe(items)) for prefix in self.settings().allowed_uris
        ):
            return
        if known.startswith(("/", "file://")):
            session.files.origin(canonical(known.removeprefix("file://")))
            return
        raise EvalError(f"access to URI '{known or describe(items)}' is forbidden in restricted mode")

    def settings(self) -> Settings:
        """Nix's configuration. Raises EvalError for one that cannot be read."""
        if self._configuration is None:
            from builder.settings import SettingsError, load

            try:
                self._configuration = load(self._settings)
            except SettingsError as error:
                raise EvalError(str(error)) from None
        return self._configuration

    def reconfigure(self) -> None:
        """The settings of the command line were changed."""
        self._configuration = None
        self._limits = None
        self._registries = None

    def into(self, store: CastoreStore, permitted: bool) -> Fetcher:
        """The same for another store; ``permitted``: the user lets other machines be asked."""
        return Fetcher(
            lambda: store,
            network=self.network or permitted,
            remedy=self._remedy,
            pure=self.pure,
            settings=self._settings,
        )

    def forget(self) -> None:
        """Trees of this machine may have changed: what is fetched next is looked at again."""
        self._trees.clear()

    def limits(self) -> Limits:
        """What a fetch of this session may take and do."""
        if self._limits is None:
            from pathlib import Path

            from builder.fetch.limits import Limits
            from evaluator.flakes import forges

            nix = self.settings()
            usual = Limits()
            limits = Limits(
                network=self.network,
                offline_remedy=self._remedy,
                connect=nix.connect_timeout or usual.connect,
                stall=nix.stalled_download_timeout or usual.stall,
                attempts=max(1, nix.download_attempts),
                ttl=nix.tarball_ttl,
                netrc=Path(nix.netrc_file) if nix.netrc_file else None,
                tokens=forges.authorizations(nix.access_tokens),
            )
            self._limits = limits
        return self._limits

    def _failed(self, error: Exception, what: str = "") -> EvalError:
        from builder.fetch.failure import HashMismatch, Offline

        if isinstance(error, HashMismatch):
            return UnexpectedHash(what + str(error))
        failure = EvalError(what + str(error))
        if isinstance(error, Offline):
            self._refused = failure
        return failure

    def was_refused(self, error: EvalError) -> bool:
        """Whether a fetch failed only because no other machine may be asked."""
        return error is self._refused

    # --- inputs --------------------------------------------------------------------------------

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
            self._registries = Registries(self.settings(), self.limits())
        try:
            return self._registries.lookup(items)
        except FetchError as error:
            raise self._failed(error) from None

    def _tree(self, session: Session, items: dict[str, object]) -> Tree:
        from builder.fetch.failure import FetchError
        from store.castore.services import StoreError

        items = self.resolved(session, items)
        if self.pure and not is_pinned(items):
            raise EvalError(
                f"in pure evaluation mode, '{describe(items)}' must be locked: give a 'rev' or 'narHash' (or --impure)"
            )
        kind = str(items.get("type"))
        try:
            if kind == "path":
                return self._path(session, items)
            if kind == "git":
                return self._git(session, items)
            if kind == "hg":
                return self._hg(items)
            if kind in ("tarball", "file"):
                return self._archive(items, kind == "tarball")
            if kind in ("github", "gitlab", "sourcehut"):
                return self._forge(items, kind)
        except (FetchError, StoreError, OSError) as error:
            raise self._failed(error) from None
        raise EvalError(f"input type '{kind}' is unsupported")

    def _path(self, session: Session, items: dict[str, object]) -> Tree:
        path = _text(items, "path")
        if not path.startswith("/"):
            raise EvalError(f"cannot fetch input 'path:{path}' because it uses a relative path")
        files = session.files
        if is_pinned(items):
            files.admit(path)
        if not files.exists(path):
            raise EvalError(f"path '{path}' does not exist")
        at = files.origin(path)
        # A folder of a tree has what the tree has: without what was left out there.
        whole = store_path.split(path)[0] if path.startswith(store_path.STORE_DIR + "/") else ""
        copy = files.copy(whole) if whole else None
        keep = None if copy is None or not copy.left_out else _others(copy.left_out)
        stored, digest = _copied(session, at, _text(items, "name") or "source", keep, at)
        modified = items.get("lastModified")
        if not isinstance(modified, int):
            modified = 1 if path.startswith(store_path.STORE_DIR + "/") else newest(at)
        return _checked(stored, digest, {**items, "lastModified": modified}, modified)

    def _git(self, session: Session, items: dict[str, object]) -> Tree:
        from builder.fetch.git import GitSource, fetch_git
        from builder.fetch.transfer import is_local, local_path
        from builder.fetch.worktree import worktree
        from evaluator.flakes.reference import plain_address

        url = plain_address(_text(items, "url"))
        submodules = items.get("submodules") is True
        export_ignore = items.get("exportIgnore") is True
        name = _text(items, "name") or "source"
        if is_local(url) and "ref" not in items and "rev" not in items:
            top = str(local_path(url.partition("?")[0]))
            found = worktree(top, self.limits(), submodules=submodules, export_ignore=export_ignore)
            if found is not None:
                return self._worktree(session, items, found, name)
        source = GitSource(
            url=url,
            ref=_text(items, "ref"),
            rev=_text(items, "rev"),
            shallow=items.get("shallow") is True,
            submodules=submodules,
            all_refs=items.get("allRefs") is True,
            export_ignore=export_ignore,
            name=name,
        )
        fetched = fetch_git(self._open_store(), source, _expected(items), self.limits())
        locked = {**items, "rev": fetched.rev, "lastModified": fetched.last_modified}
        if fetched.ref:
            locked["ref"] = fetched.ref
        if fetched.rev_count is not None:
            locked["revCount"] = fetched.rev_count
        return _checked(fetched.info.path, fetched.info.nar_sha256, locked, fetched.last_modified)

    def _worktree(self, session: Session, items: dict[str, object], found: Worktree, name: str) -> Tree:
        if found.dirty:
            if not self.settings().allow_dirty:
                raise EvalError(f"Git tree '{found.path}' is dirty: commit its changes, or allow it with --allow-dirty")
            if self.settings().warn_dirty:
                say(session, f"warning: Git tree '{found.path}' is dirty")
        stored, digest = _copied(session, found.path, name, found.keeps, found.path)
        session.files.add_worktree(stored, found.path)
        locked = {**items, "lastModified": found.last_modified}
        if not found.dirty:
            locked |= {"rev": found.head, "ref": found.ref}
            if items.get("shallow") is not True:
                if found.shallow:
                    raise EvalError(
                        f"'{found.path}' is a shallow Git repository, but a non-shallow repository is needed; say"
                        " 'shallow = true', or fetch its history with 'git fetch --unshallow'"
                    )
                locked["revCount"] = found.rev_count(self.limits())
        dirty = found.head if found.dirty else ""
        return _checked(stored, digest, locked, found.last_modified, dirty)

    def _hg(self, items: dict[str, object]) -> Tree:
        from builder.fetch.mercurial import fetch_mercurial

        rev = _text(items, "rev") or _text(items, "ref")
        name = _text(items, "name") or "source"
        url = _text(items, "url")
        fetched = fetch_mercurial(self._open_store(), url, rev, name, _expected(items), self.limits())
        locked = {**items, "rev": fetched.rev, "revCount": fetched.rev_count, "branch": fetched.branch}
        return _checked(fetched.info.path, fetched.info.nar_sha256, locked)

    def _archive(self, items: dict[str, object], unpack: bool) -> Tree:
        from builder.fetch.url import fetch_file, fetch_tarball
        from evaluator.flakes.reference import plain_address

        url = plain_address(_text(items, "url"))
        name = _text(items, "name") or "source"
        store = self._open_store()
        if unpack:
            fetched = fetch_tarball(store, url, name, _expected(items), self.limits(), dated=True)
        else:
            # What pins it is the hash of its archive, not of its contents.
            fetched = fetch_file(store, url, name, None, self.limits())
        locked = {**items, **({"url": fetched.immutable} if fetched.immutable else {})}
        modified = -1 if fetched.last_modified is None else fetched.last_modified
        return _checked(fetched.info.path, fetched.info.nar_sha256, locked, modified)

    def _forge(self, items: dict[str, object], kind: str) -> Tree:
        from builder.fetch.memory import Memory
        from builder.fetch.url import fetch_tarball
        from evaluator.flakes import forges

        texts = {name: value for name, value in items.items() if isinstance(value, str)}
        if "rev" not in texts:
            memory = Memory(self.limits().folder)
            key = {"kind": kind, **{name: texts.get(name, "") for name in ("host", "owner", "repo", "ref")}}
            known = memory.recall(**key)
            if known is not None and (known[1] < self.limits().ttl or not self.network):
                texts["rev"] = known[0]["rev"]
            else:
                texts["rev"] = forges.newest(kind, texts, self.limits())
                memory.remember({"rev": texts["rev"]}, **key)
        url = forges.archive(kind, texts, self.limits().tokens)
        fetched = fetch_tarball(self._open_store(), url, "source", _expected(items), self.limits(), dated=True)
        modified = -1 if fetched.last_modified is None else fetched.last_modified
        locked = {**items, "rev": texts["rev"], "lastModified": modified}
        locked.pop("ref", None)
        return _checked(fetched.info.path, fetched.info.nar_sha256, locked, modified)


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
        url = _text(self.items, "url")
        return self.items.get("type") == "path" or url.startswith(("file:", "git+file:", "/"))

    def permit(self) -> None:
        self._permitted = True

    def run(self, store: CastoreStore) -> None:
        fetcher = self._fetcher.into(store, self._permitted)
        try:
            self._run(fetcher, store)
        except EvalError as error:
            if not fetcher.was_refused(error):
                raise
            # With leave it could be had: that is for whoever asks the user to know.
            missing = Unrealised(self._path)
            missing.message = error.message
            raise missing from None

    def _run(self, fetcher: Fetcher, store: CastoreStore) -> None:
        kind = self.items.get("type")
        if kind == "closure":
            fetcher.substitute(self._session, _text(self.items, "url"), self._path)
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
                _text(self.items, "url"),
                _text(self.items, "name"),
                kind == "unpacked",
                _text(self.items, "hash"),
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
        found = Fetcher(lambda: castore.castore)
        session.fetcher = found
    assert isinstance(found, Fetcher)
    return found


def is_pinned(items: dict[str, object]) -> bool:
    """Whether an input can only ever be one thing."""
    return "narHash" in items or ("rev" in items and items.get("type") not in ("path", "indirect"))


def describe(items: dict[str, object]) -> str:
    """What an input is called in messages."""
    from evaluator.builtins.flake_refs import ref_to_text

    if items.get("type") in ("download", "unpacked", "closure"):
        return _text(items, "url")
    try:
        return ref_to_text({name: value for name, value in items.items() if name not in _UNSAID})
    except EvalError:
        return str(items.get("url") or items.get("path") or items.get("type"))


def newest(path: str) -> int:
    """When something in a file or tree was last changed, in seconds."""
    found = os.lstat(path).st_mtime
    for directory, folders, names in os.walk(path):
        for name in (*folders, *names):
            found = max(found, os.lstat(os.path.join(directory, name)).st_mtime)
    return int(found)


def is_below(address: str, prefix: str) -> bool:
    """Whether ``allowed-uris`` with this in it allows an address: the same, one below it, one of that scheme."""
    if address == prefix:
        return True
    if not prefix or not address.startswith(prefix):
        return False
    return prefix[-1] == "/" or address[len(prefix)] == "/" or (prefix[-1] == ":" and ":" not in prefix[:-1])


def _copied(
    session: Session, origin: str, name: str, keep: Callable[[str, str], bool] | None, shown: str
) -> tuple[str, bytes]:
    """The store path that a tree of this machine gets, which reads as the tree itself; and its NAR's hash."""
    files = session.files
    files.admit(origin)
    left_out: set[str] = set()

    def asked(path: str, kind: str) -> bool:
        if keep is None or keep(path, kind):
            return True
        left_out.add(path)
        return False

    try:
        digest = files.nar_sha256(origin) if keep is None else files.sieved_sha256(origin, asked)
        stored = store_path.source_path(name, digest.hex())
    except OSError as error:
        raise EvalError(f"reading '{shown}': {error.strerror}") from None
    except ValueError as error:
        raise EvalError(str(error)) from None
    files.add_copy(stored, origin, left_out)
    return stored, digest


def _others(left_out: set[str]) -> Callable[[str, str], bool]:
    def keep(path: str, kind: str) -> bool:
        return path not in left_out

    return keep


def _checked(path: str, digest: bytes, items: dict[str, object], modified: int = -1, dirty: str = "") -> Tree:
    """A tree, if it is the one that was pinned. Raises EvalError."""
    got = Hash("sha256", digest)
    wanted = _expected(items)
    if wanted is not None and wanted != got:
        raise UnexpectedHash(
            f"NAR hash mismatch in input '{describe(items)}':\n  specified: {wanted.sri()}\n  got:       {got.sri()}\n"
            "if the change is meant, lock it anew"
        )
    locked = {name: value for name, value in items.items() if name not in ("name", "__final")}
    locked["narHash"] = got.sri()
    return Tree(path, got.sri(), locked, modified, dirty)


def _expected(items: dict[str, object]) -> Hash | None:
    given = _text(items, "narHash")
    if not given:
        return None
    try:
        return parse(given, "sha256")
    except HashError as error:
        raise EvalError(str(error)) from None


def _text(items: dict[str, object], name: str) -> str:
    value = items.get(name)
    return value if isinstance(value, str) else ""
