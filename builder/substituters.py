"""Where paths may be fetched from instead of being built: Nix's ``substituters``, each with the trust it deserves.

What a substituter says counts when a trusted key signed it, or when the path follows from its contents; archives count
only when they are what was said (:mod:`store.backends.binary_cache`). One that does not answer is passed over for a
while, so that it costs its timeout once and not for every path.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from builder.progress import Event, FetchFailed, Unanswered
from builder.settings import Settings, SettingsError
from store.castore.path_info import PathInfo
from store.castore.realisation import Realisation
from store.castore.services import Refused, StoreError, Unreachable, Untrusted
from store.combinators.passing_on import PassingOn
from store.paths.addresses import proves_itself
from store.paths.protocol import Store, realisation_in
from store.records import dataclass
from store.signatures import BadKey, trusted, who_signed

_PASSED_OVER = 60.0  # seconds
_AT_ONCE = 16
_REMEDY = "the setting trusted-public-keys says whose are believed; with ?trusted=true a substituter needs none"
_CACHES = ("http", "https", "file", "s3", "gs", "az")
# What Nix allows behind a substituter's URL and what changes nothing here.
_NO_MATTER = {"want-mass-query", "parallel-compression", "compression", "write-nar-listing", "path-info-cache-size"}


@dataclass(frozen=True)
class Offer:
    """A path that a store has."""

    store: Store
    info: PathInfo


class Substituters:
    """Some stores, asked in their order."""

    def __init__(self, stores: Sequence[Store], on_event: Callable[[Event], None] | None = None) -> None:
        self.stores = tuple(stores)
        self.on_event = on_event
        self._silent: dict[int, float] = {}  # which one does not answer -> until when it is passed over
        self._lock = threading.Lock()

    def offers(self, paths: Iterable[str], unwilling: Mapping[str, set[int]]) -> dict[str, Offer]:
        """The first offer for each of ``paths`` that has one; ``unwilling``: which stores not to ask about a path."""
        wanted = list(paths)
        if not self.stores or not wanted:
            return {}
        none: set[int] = set()
        if len(wanted) == 1:
            answers: Iterable[Offer | None] = [self._offer(wanted[0], unwilling.get(wanted[0], none))]
        else:
            with ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="narinfo") as pool:
                answers = list(pool.map(lambda path: self._offer(path, unwilling.get(path, none)), wanted))
        return {path: offer for path, offer in zip(wanted, answers, strict=True) if offer is not None}

    def realisation(self, id: str) -> Realisation | None:
        """What the first that knows says the output with this id became."""
        for number, store in enumerate(self.stores):
            if self._silent.get(number, 0.0) > time.monotonic():
                continue
            try:
                found = realisation_in(store, id)
            except StoreError as error:
                self._complain(store, id, error)
                continue
            if found is not None:
                return found
        return None

    def number(self, store: Store) -> int:
        """Which one it is."""
        return next(number for number, each in enumerate(self.stores) if each is store)

    def failed(self, store: Store, error: StoreError) -> None:
        """Note what went wrong with a store: one that does not answer is passed over from now on."""
        if isinstance(error, Unreachable):
            with self._lock:
                number = self.number(store)
                known = self._silent.get(number, 0.0) > time.monotonic()
                self._silent[number] = time.monotonic() + _PASSED_OVER
            if known:
                return
        if self.on_event is not None:
            self.on_event(Unanswered(store.uri, str(error)))

    def _complain(self, store: Store, wanted: str, error: StoreError) -> None:
        """Say what is wrong: with what it says about one thing, or with the whole store."""
        if not isinstance(error, Refused):
            self.failed(store, error)
        elif self.on_event is not None:
            said = f"{error.reason} ({_REMEDY})" if isinstance(error, Untrusted) else str(error)
            self.on_event(FetchFailed(wanted, store.uri, said))

    def close(self) -> None:
        """Let go of connections."""
        for store in self.stores:
            store.close()

    def _offer(self, path: str, unwilling: set[int]) -> Offer | None:
        for number, store in enumerate(self.stores):
            if number in unwilling or self._silent.get(number, 0.0) > time.monotonic():
                continue
            try:
                info = store.query(path)
            except StoreError as error:
                self._complain(store, path, error)
                continue
            if info is not None:
                return Offer(store, info)
        return None


class Verified(PassingOn):
    """A store of which only that counts which proves itself or is signed by one of ``keys`` (``NAME:BASE64``)."""

    def __init__(self, store: Store, keys: Iterable[str]) -> None:
        super().__init__(store)
        self._keys = trusted(keys)

    def query(self, path: str) -> PathInfo | None:
        return self._trusted(super().query(path))

    def by_digest(self, digest: str) -> PathInfo | None:
        return self._trusted(super().by_digest(digest))

    def realisation(self, id: str) -> Realisation | None:
        found = super().realisation(id)
        if found is None or who_signed(found.fingerprint(), found.signatures, self._keys):
            return found
        raise Untrusted(f"{self.uri}: what '{id}' became is not signed by a trusted key", _REMEDY)

    def _trusted(self, info: PathInfo | None) -> PathInfo | None:
        if info is None or proves_itself(info, self.store_dir):
            return info
        if who_signed(info.fingerprint(), info.signatures, self._keys):
            return info
        raise Untrusted(f"{self.uri}: '{info.path}' is not signed by a trusted key", _REMEDY)


def open_substituters(settings: Settings, on_event: Callable[[Event], None] | None = None) -> Substituters:
    """The substituters of Nix's configuration, by their priority; those that cannot be opened are events.

    Raises ``SettingsError`` for a key that is none.
    """
    if not settings.substitute:
        return Substituters((), on_event)
    try:
        trusted(settings.trusted_public_keys)
    except BadKey as error:
        raise SettingsError(f"the setting trusted-public-keys: {error}") from None
    found: list[tuple[int, Store]] = []
    for url in settings.substituters:
        with suppress(_Passed):
            found.append(_opened(url, settings, on_event))
    return Substituters([store for _, store in sorted(found, key=lambda each: each[0])], on_event)


class _Passed(Exception):
    """A substituter that cannot be used."""


def _opened(url: str, settings: Settings, on_event: Callable[[Event], None] | None) -> tuple[int, Store]:
    from store.composition.urls import open_url

    address, options = translated(url)
    priority = options.pop("priority", "40")
    signed = settings.require_sigs and options.pop("trusted", "false") not in ("true", "1", "yes")
    options.pop("trusted", None)
    scheme = urlsplit(address).scheme
    try:
        if scheme in _CACHES:
            pairs = [(name, value) for name, value in options.items() if name not in _NO_MATTER]
            pairs += [("trusted", key) for key in settings.trusted_public_keys]
            pairs.append(("require-signatures", "true" if signed else "false"))
            if settings.connect_timeout and scheme in ("http", "https"):
                pairs.append(("timeout", str(settings.connect_timeout)))
            store = open_url(f"{address}?{urlencode(pairs, quote_via=quote)}")
        else:
            pairs = [(name, value) for name, value in options.items() if name not in _NO_MATTER]
            store = open_url(f"{address}?{urlencode(pairs, quote_via=quote)}" if pairs else address)
            if signed:
                store = Verified(store, settings.trusted_public_keys)
    except StoreError as error:
        if on_event is not None:
            on_event(Unanswered(url, str(error)))
        raise _Passed from None
    return int(priority) if priority.isascii() and priority.isdigit() else 40, store


def translated(url: str) -> tuple[str, dict[str, str]]:
    """A store's URL as Nix writes it in the spelling of :mod:`store.composition.urls`, and its options."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    bare = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    if url == "daemon" or parts.scheme == "unix":
        return f"daemon:{parts.path if parts.scheme == 'unix' else ''}", options
    if not parts.scheme and (parts.path in ("local", "auto") or parts.path.startswith("/")):
        if parts.path.startswith("/"):
            options["root"] = parts.path
        return "nix:", options
    return bare, options
