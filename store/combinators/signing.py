"""A store that signs what is written to it."""

from __future__ import annotations

from store.castore.path_info import PathInfo
from store.combinators.passing_on import PassingOn
from store.nar_reader import Source
from store.paths.protocol import Store
from store.records import replace
from store.signatures import SecretKey


class Signing(PassingOn):
    """Hands everything on to ``store``; what is added gets a signature of ``key`` first.

    The store below checks the archive against the very path info that is signed, or keeps nothing.
    """

    def __init__(self, store: Store, key: SecretKey) -> None:
        super().__init__(store, f"{store.uri} signed by {key.name}")
        self.key = key

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        signature = self.key.sign(info.fingerprint())
        if signature not in info.signatures:
            info = replace(info, signatures=[*info.signatures, signature])
        return super().add(info, source)
