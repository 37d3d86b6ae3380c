"""Stores by URL, the one way to write down which store is meant.

======================================  ================================================================
``local:`` ``local:/FOLDER``            the user's own store; another folder
``memory:``                             gone with the process
``nix:`` ``nix:?root=/CHROOT``          what Nix keeps, read-only, without its help
``daemon:`` ``daemon:/SOCKET``          a running Nix daemon's store; ``?check-signatures=false`` to add unsigned paths
``file:///FOLDER``                      a binary cache in a folder
``http://HOST/…`` ``https://HOST/…``    a binary cache over HTTP
``s3://BUCKET/PREFIX`` ``gs://`` ``az://``  a binary cache in an object store; credentials from the environment
``grpc://HOST:PORT`` ``grpcs://``       a castore over gRPC, plain or with TLS; ``grpc:/SOCKET``
``FILE.toml``                           several, put together: :mod:`store.composition.files`
======================================  ================================================================

Options of binary caches, after ``?`` and joined with ``&``: ``trusted=NAME:KEY`` (may be repeated; else the key of
cache.nixos.org), ``require-signatures=false``, ``secret-key=FILE`` to sign what is written, ``compression=zstd``
(``xz``, ``bzip2``, ``gzip``, ``none``), ``level=N``, ``write-listing=true``; over HTTP also ``token-file=FILE`` and
``timeout=SECONDS``; of object stores ``endpoint=URL`` and ``region=NAME``. All: ``store=/nix/store``.

Of ``grpc:`` and ``grpcs:``: ``timeout=SECONDS``, a call's deadline; with TLS ``tls-ca=FILE``, who must have signed the
server's certificate (else whom gRPC trusts), ``tls-cert=FILE`` and ``tls-key=FILE``, what we show ourselves.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from store.castore.services import StoreError
from store.paths.protocol import Store
from store.store_path import STORE_DIR

if TYPE_CHECKING:
    from store.backends.transports import Transport
    from store.remote.client import Tls

_CACHE = {"trusted", "require-signatures", "secret-key", "compression", "level", "write-listing"}


class BadUrl(StoreError):
    """A URL that means no store, with what would."""


class Options:
    """What stands after ``?``: each option is taken once, and what nobody took is refused."""

    def __init__(self, query: str, url: str, known: set[str]) -> None:
        self.url = url
        self._values: dict[str, list[str]] = {}
        for key, value in parse_qsl(query.replace("+", "%2B"), keep_blank_values=True):
            if key not in known:
                from difflib import get_close_matches

                close = get_close_matches(key, known, 1)
                hint = f"; did you mean '{close[0]}'?" if close else f" (known: {', '.join(sorted(known))})"
                raise BadUrl(f"'{url}' has an unknown option '{key}'{hint}")
            self._values.setdefault(key, []).append(value)

    def text(self, key: str, default: str) -> str:
        """The last value of an option."""
        return self._values.get(key, [default])[-1]

    def texts(self, key: str) -> list[str]:
        """All its values."""
        return self._values.get(key, [])

    def flag(self, key: str, default: bool) -> bool:
        """Whether an option is on."""
        value = self.text(key, "true" if default else "false")
        if value not in ("true", "false", "1", "0"):
            raise BadUrl(f"'{self.url}': {key} is true or false, not '{value}'")
        return value in ("true", "1")

    def number(self, key: str) -> int | None:
        """The value of an option that is a number."""
        value = self.text(key, "")
        if not value:
            return None
        if not value.isascii() or not value.isdigit():
            raise BadUrl(f"'{self.url}': {key} is a number, not '{value}'")
        return int(value)


def open_url(url: str) -> Store:
    """The store that ``url`` means. Raises :class:`BadUrl`, and ``StoreError`` when it cannot be opened."""
    if url.endswith(".toml") and "://" not in url:
        from store.composition.files import open_file

        return open_file(url, open_url)
    parts = urlsplit(url)
    opener = _OPENERS.get(parts.scheme)
    if opener is None:
        from difflib import get_close_matches

        close = get_close_matches(parts.scheme, _OPENERS, 1)
        hint = f"did you mean '{close[0]}:'?" if close else f"known are {', '.join(f'{name}:' for name in _OPENERS)}"
        raise BadUrl(f"'{url}' is not the URL of a store: {hint}")
    return opener(url, parts)


def _local(url: str, parts: SplitResult) -> Store:
    from store.backends.local.castore import LocalCastore, default_folder
    from store.composition.castore_store import CastoreStore

    options = Options(parts.query, url, {"store"})
    if parts.netloc:
        raise BadUrl(f"'{url}' names a host; a folder is written local:/FOLDER")
    store_dir = options.text("store", STORE_DIR)
    castore = LocalCastore(unquote(parts.path) or default_folder(), store_dir)
    return CastoreStore(castore, store_dir, f"local:{castore.folder}")


def _memory(url: str, parts: SplitResult) -> Store:
    from store.backends.memory import MemoryCastore
    from store.composition.castore_store import CastoreStore

    options = Options(parts.query, url, {"store"})
    return CastoreStore(MemoryCastore(), options.text("store", STORE_DIR))


def _nix(url: str, parts: SplitResult) -> Store:
    from store.backends.nix_store import NixStore

    options = Options(parts.query, url, {"root", "store", "state"})
    return NixStore(
        options.text("root", ""),
        store_dir=options.text("store", STORE_DIR),
        state_dir=options.text("state", "/nix/var/nix"),
    )


def _daemon(url: str, parts: SplitResult) -> Store:
    from store.backends.daemon import DaemonStore

    options = Options(parts.query, url, {"store", "timeout", "check-signatures"})
    if parts.netloc:
        raise BadUrl(f"'{url}' names a host; a socket is written daemon:/SOCKET")
    return DaemonStore(
        unquote(parts.path),
        store_dir=options.text("store", STORE_DIR),
        timeout=options.number("timeout") or 600,
        check_signatures=options.flag("check-signatures", True),
    )


def _file(url: str, parts: SplitResult) -> Store:
    from store.backends.transports import FolderTransport

    if parts.netloc not in ("", "localhost"):
        raise BadUrl(f"'{url}' names a host; a folder is written file:///FOLDER")
    folder = unquote(parts.path)
    if not folder.startswith("/"):
        raise BadUrl(f"'{url}' names no folder; it is written file:///FOLDER")
    return _cache(FolderTransport(folder), f"file://{folder}", Options(parts.query, url, _CACHE | {"store"}))


def _http(url: str, parts: SplitResult) -> Store:
    from store.backends.partial import default_folder
    from store.backends.transports import HttpTransport

    options = Options(parts.query, url, _CACHE | {"store", "token-file", "timeout"})
    if not parts.netloc:
        raise BadUrl(f"'{url}' names no host")
    token_file = options.text("token-file", "")
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    token = _read(token_file, url).strip() if token_file else None
    timeout = options.number("timeout") or 30
    return _cache(HttpTransport(base, token=token, timeout=timeout, partial=default_folder()), base, options)


def _object(url: str, parts: SplitResult) -> Store:
    from store.backends.transports import ObjectTransport

    try:
        from obstore.store import from_url
    except ImportError as error:
        raise StoreError(f"'{url}' needs the package obstore: {error}") from error
    options = Options(parts.query, url, _CACHE | {"store", "endpoint", "region"})
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    settings: dict[str, str] = {}
    if endpoint := options.text("endpoint", ""):
        settings["endpoint"] = endpoint
    if region := options.text("region", ""):
        settings["region"] = region
    client = {"allow_http": True} if endpoint.startswith("http://") else {}
    try:
        store = from_url(base, client_options=client, **settings)  # type: ignore[call-overload]
    except Exception as error:  # obstore's errors have no other base
        raise StoreError(f"'{url}': {error}") from error
    return _cache(ObjectTransport(store, base), base, options)


def _grpc(url: str, parts: SplitResult) -> Store:
    try:
        from store.remote.client import RemoteCastore
    except ImportError as error:
        raise StoreError(f"'{url}' needs the package grpcio: {error}") from error
    from store.composition.castore_store import CastoreStore

    options = Options(parts.query, url, {"store", "timeout", "tls-ca", "tls-cert", "tls-key"})
    target = parts.netloc or f"unix:{unquote(parts.path)}"
    if not parts.netloc and not parts.path.startswith("/"):
        raise BadUrl(f"'{url}' names neither HOST:PORT nor a socket; it is written grpc://HOST:PORT or grpc:/SOCKET")
    store_dir = options.text("store", STORE_DIR)
    tls = _tls(url, parts.scheme, options)
    castore = RemoteCastore(target, tls=tls, timeout=options.number("timeout") or 600, store_dir=store_dir)
    return CastoreStore(castore, store_dir, f"{parts.scheme}://{target}" if parts.netloc else f"grpc:{parts.path}")


def _tls(url: str, scheme: str, options: Options) -> Tls | None:
    from store.remote.client import Tls

    files = {name: options.text(f"tls-{name}", "") for name in ("ca", "cert", "key")}
    if scheme != "grpcs":
        if any(files.values()):
            raise BadUrl(f"'{url}' has certificates, but no TLS: that is written grpcs://")
        return None
    if bool(files["cert"]) != bool(files["key"]):
        raise BadUrl(f"'{url}': tls-cert and tls-key belong together")
    read = {name: _read(file, url).encode() if file else None for name, file in files.items()}
    return Tls(read["ca"], read["cert"], read["key"])


def _cache(transport: Transport, uri: str, options: Options) -> Store:
    from store.backends.binary_cache import BinaryCache
    from store.signatures import CACHE_NIXOS_ORG, BadKey, SecretKey

    secret_file = options.text("secret-key", "")
    try:
        return BinaryCache(
            transport,
            uri,
            trusted=options.texts("trusted") or [CACHE_NIXOS_ORG],
            require_signatures=options.flag("require-signatures", True),
            secret=SecretKey(_read(secret_file, options.url)) if secret_file else None,
            compression=options.text("compression", "zstd"),
            level=options.number("level"),
            write_listing=options.flag("write-listing", False),
            store_dir=options.text("store", STORE_DIR),
        )
    except BadKey as error:
        raise BadUrl(f"'{options.url}': {error}") from None


def _read(path: str, url: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadUrl(f"'{url}': {path}: {error}") from None


_OPENERS: dict[str, Callable[[str, SplitResult], Store]] = {
    "local": _local,
    "memory": _memory,
    "nix": _nix,
    "daemon": _daemon,
    "file": _file,
    "http": _http,
    "https": _http,
    "s3": _object,
    "gs": _object,
    "az": _object,
    "grpc": _grpc,
    "grpcs": _grpc,
}
