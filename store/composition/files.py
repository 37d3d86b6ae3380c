"""Stores put together in a TOML file.

::

    use = "all"                       # which of the stores below is meant

    [stores.mine]
    url = "local:"                    # any URL

    [stores.public]
    url = "https://cache.nixos.org"
    trusted = ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]   # options may stand here, too

    [stores.all]
    first-of = ["mine", "public"]     # the first that has a path

    [stores.fast]
    near = "mine"                     # what is read from far is kept near
    far = "public"

    [stores.signed]
    sign = "mine"                     # what is written gets a signature
    secret-key = "/etc/keys/cache-1"

Relative files (``secret-key``, ``token-file``, ``tls-ca``, …) are relative to the file that names them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from store.castore.services import StoreError
from store.paths.protocol import Store

_SHAPES = {
    frozenset({"first-of"}): "first-of",
    frozenset({"near", "far"}): "near",
    frozenset({"sign", "secret-key"}): "sign",
}
_FILES = {"secret-key", "token-file", "tls-ca", "tls-cert", "tls-key"}


class BadFile(StoreError):
    """A file that puts together no store, with the reason."""


def open_file(path: str, open_url: Callable[[str], Store]) -> Store:
    """The store that the file at ``path`` puts together; ``open_url`` opens those in it. Raises :class:`BadFile`."""
    try:
        table = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadFile(f"{path}: {error}") from None
    stores = table.get("stores")
    if not isinstance(stores, dict) or not stores:
        raise BadFile(f"{path}: no [stores.NAME]")
    unknown = table.keys() - {"use", "stores"}
    if unknown:
        raise BadFile(f"{path}: unknown '{sorted(unknown)[0]}'; known are 'use' and [stores.NAME]")
    use = table.get("use", next(iter(stores)) if len(stores) == 1 else None)
    if use is None:
        raise BadFile(f'{path}: use = "NAME" must say which of the stores is meant: {", ".join(stores)}')
    return _Composer(path, stores, open_url).store(use, [])


class _Composer:
    def __init__(self, path: str, stores: dict[str, Any], open_url: Callable[[str], Store]) -> None:
        self._open_url = open_url
        self._path = path
        self._stores = stores
        self._made: dict[str, Store] = {}

    def store(self, name: object, users: list[str]) -> Store:
        if not isinstance(name, str) or name not in self._stores:
            raise BadFile(f"{self._path}: there is no [stores.{name}]")
        if name in users:
            raise BadFile(f"{self._path}: [stores.{name}] is made of itself: {' -> '.join([*users, name])}")
        if name not in self._made:
            self._made[name] = self._make(name, self._stores[name], [*users, name])
        return self._made[name]

    def _make(self, name: str, table: Any, users: list[str]) -> Store:
        if not isinstance(table, dict):
            raise BadFile(f"{self._path}: [stores.{name}] is not a table")
        if "url" in table:
            return self._by_url(name, table)
        shape = _SHAPES.get(frozenset(table))
        if shape == "first-of":
            from store.combinators.first_of import FirstOf

            names = table["first-of"]
            if not isinstance(names, list):
                raise BadFile(f"{self._path}: [stores.{name}] first-of is a list of names")
            return FirstOf([self.store(other, users) for other in names])
        if shape == "near":
            from store.combinators.cached import Cached

            return Cached(self.store(table["near"], users), self.store(table["far"], users))
        if shape == "sign":
            from store.combinators.signing import Signing
            from store.signatures import BadKey, SecretKey

            try:
                key = SecretKey(self._file(table["secret-key"]).read_text())
            except (OSError, BadKey) as error:
                raise BadFile(f"{self._path}: [stores.{name}] {error}") from None
            return Signing(self.store(table["sign"], users), key)
        raise BadFile(
            f"{self._path}: [stores.{name}] has {', '.join(table) or 'nothing'}; it needs url, first-of, near and far,"
            " or sign and secret-key"
        )

    def _by_url(self, name: str, table: dict[str, Any]) -> Store:
        url = table["url"]
        if not isinstance(url, str):
            raise BadFile(f"{self._path}: [stores.{name}] url is a text")
        options = []
        for key, value in table.items():
            if key == "url":
                continue
            for item in value if isinstance(value, list) else [value]:
                text = str(item).lower() if isinstance(item, bool) else str(item)
                if key in _FILES:
                    text = str(self._file(text))
                options.append(f"{key}={quote(text, safe='/:')}")
        if options:
            url += ("&" if "?" in url else "?") + "&".join(options)
        return self._open_url(url)

    def _file(self, text: object) -> Path:
        return Path(self._path).parent / str(text)
