"""Signatures of store objects: Ed25519 keys and signatures in Nix's spelling.

Specification: RFC 8032 for the signatures; ``nix-store --generate-binary-cache-key`` for the spelling: ``NAME:BASE64``
of the 64-byte secret key (seed, then public key), of the 32-byte public key, or of the 64-byte signature.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: The key that https://cache.nixos.org signs with.
CACHE_NIXOS_ORG = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="


class BadKey(ValueError):
    """A text that is not a key or a signature."""


class SecretKey:
    """A key that signs, from its spelling."""

    def __init__(self, text: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self.name, data = _split(text.strip(), 64, "secret key")
        self._key: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(data[:32])
        self._public = self._key.public_key().public_bytes_raw()
        if self._public != data[32:]:
            raise BadKey(f"secret key '{self.name}' is corrupt: its halves do not belong together")

    @classmethod
    def generate(cls, name: str) -> SecretKey:
        """A new key called ``name``."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        return cls(f"{name}:{b64encode(key.private_bytes_raw() + key.public_key().public_bytes_raw()).decode()}")

    def to_text(self) -> str:
        """The key in its spelling: a secret."""
        return f"{self.name}:{b64encode(self._key.private_bytes_raw() + self._public).decode()}"

    def public(self) -> PublicKey:
        """The key that verifies."""
        return PublicKey(f"{self.name}:{b64encode(self._public).decode()}")

    def sign(self, fingerprint: str) -> str:
        """The signature of a fingerprint (:func:`store.narinfo.fingerprint`), in its spelling."""
        return f"{self.name}:{b64encode(self._key.sign(fingerprint.encode())).decode()}"


class PublicKey:
    """A key that verifies, from its spelling."""

    def __init__(self, text: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self.name, self._data = _split(text.strip(), 32, "public key")
        self._key: Ed25519PublicKey = Ed25519PublicKey.from_public_bytes(self._data)

    def to_text(self) -> str:
        """The key in its spelling."""
        return f"{self.name}:{b64encode(self._data).decode()}"

    def verifies(self, fingerprint: str, signature: str) -> bool:
        """Whether ``signature`` is this key's for ``fingerprint``; false also for a text that is no signature."""
        from cryptography.exceptions import InvalidSignature

        try:
            name, data = _split(signature, 64, "signature")
            if name != self.name:
                return False
            self._key.verify(data, fingerprint.encode())
        except (BadKey, InvalidSignature):
            return False
        return True


def trusted(keys: Iterable[str]) -> dict[str, PublicKey]:
    """Public keys by their names, from their spellings."""
    return {key.name: key for key in map(PublicKey, keys)}


def who_signed(fingerprint: str, signatures: Iterable[str], keys: Mapping[str, PublicKey]) -> list[str]:
    """The names of those of ``keys`` that one of ``signatures`` of ``fingerprint`` is from."""
    found = []
    for signature in signatures:
        key = keys.get(signature.partition(":")[0])
        if key is not None and key.verifies(fingerprint, signature):
            found.append(key.name)
    return found


def _split(text: str, size: int, what: str) -> tuple[str, bytes]:
    name, colon, encoded = text.partition(":")
    if not name or not colon:
        raise BadKey(f"a {what} is spelled NAME:BASE64")
    try:
        data = b64decode(encoded, validate=True)
    except (Base64Error, ValueError):
        raise BadKey(f"{what} '{name}' is not base-64") from None
    if len(data) != size:
        raise BadKey(f"{what} '{name}' has {len(data)} bytes, not {size}")
    return name, data
