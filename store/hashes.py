"""Hash values in every spelling Nix knows.

=======  =============================  ======================================
base16   ``sha256:e3b0c442…`` or bare   either case is read, lower case written
nix32    ``sha256:0mdqa9w1…`` or bare   see :mod:`store.nix32`
base64   ``sha256:47DEQpj8…`` or bare   with its ``=``: told apart by length
SRI      ``sha256-47DEQpj8…``           https://www.w3.org/TR/SRI/
=======  =============================  ======================================

Which spelling a text has follows from its length alone, as in Nix; only SRI is known by its ``-``.
The messages of :class:`HashError` are those of Nix.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from store import nix32
from store.sha256 import Sha256

if TYPE_CHECKING:
    from hashlib import _Hash

#: Bytes in a digest, by the algorithm's name. BLAKE3 can be named, read and written, but not computed here.
DIGEST_SIZE: Final = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "blake3": 32}

_BASE64: Final = {
    character: digit
    for digit, character in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
}
_CHUNK: Final = 1 << 18


class HashError(ValueError):
    """A text is not a hash, or not of the kind asked for."""


class Hash:
    """A digest and the name of its algorithm."""

    def __init__(self, algo: str, digest: bytes) -> None:
        if len(digest) != digest_size(algo):
            raise HashError(f"a digest of {len(digest)} bytes is not a {algo} hash")
        self.algo: Final = algo
        self.digest: Final = digest

    def base16(self) -> str:
        """The digest in lower-case hexadecimal, without the algorithm."""
        return self.digest.hex()

    def nix32(self) -> str:
        """The digest in nix32, without the algorithm."""
        return nix32.encode(self.digest)

    def base64(self) -> str:
        """The digest in padded base-64, without the algorithm."""
        return b2a_base64(self.digest, newline=False).decode("ascii")

    def sri(self) -> str:
        """``ALGO-BASE64``."""
        return self.algo + "-" + self.base64()

    def format(self, spelling: str, *, with_algo: bool = False) -> str:
        """The hash as ``"base16"``, ``"nix32"`` (also ``"base32"``), ``"base64"`` or ``"sri"``.

        ``with_algo`` puts ``ALGO:`` before it; SRI always names its algorithm. Raises :class:`HashError`
        for another spelling.
        """
        if spelling == "sri":
            return self.sri()
        if spelling == "base16":
            text = self.base16()
        elif spelling == "nix32" or spelling == "base32":
            text = self.nix32()
        elif spelling == "base64":
            text = self.base64()
        else:
            raise HashError(f"unknown hash format '{spelling}', expect 'base16', 'base32', 'nix32', 'base64', or 'sri'")
        return self.algo + ":" + text if with_algo else text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Hash):
            return NotImplemented
        return self.algo == other.algo and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Hash({self.sri()!r})"


def is_algo(name: str) -> bool:
    """Whether ``name`` is an algorithm that a hash may name."""
    return name in DIGEST_SIZE


def digest_size(algo: str) -> int:
    """Bytes in a digest of ``algo``; :class:`HashError` when there is no such algorithm."""
    size = DIGEST_SIZE.get(algo, 0)
    if size == 0:
        raise HashError(f"unknown hash algorithm '{algo}'")
    return size


def parse(text: str, algo: str | None = None) -> Hash:
    """The hash that ``text`` spells, in any spelling.

    ``algo`` is what the context knows; the text may leave the algorithm out then, and must agree if it
    names one. Raises :class:`HashError`.
    """
    rest = text
    named: str | None = None
    sri = False
    at = text.find(":")
    if at < 0:
        at = text.find("-")
        sri = at >= 0
    if at >= 0:
        named = text[:at]
        rest = text[at + 1 :]
        digest_size(named)
    if named is None:
        if algo is None:
            raise HashError(f"hash '{rest}' does not include a type, nor is the type otherwise known from context")
        named = algo
    elif algo is not None and named != algo:
        raise HashError(f"hash '{text}' should have type '{algo}'")
    return _parse_bare(rest, named, sri)


def parse_sri(text: str) -> Hash:
    """The hash that an SRI ``text`` spells; :class:`HashError` for every other spelling."""
    at = text.find("-")
    if at < 0:
        raise HashError(f"hash '{text}' is not SRI")
    return _parse_bare(text[at + 1 :], text[:at], True)


def parse_allow_empty(text: str, algo: str | None = None) -> Hash:
    """Like :func:`parse`, but the empty text is the hash of zeros (what people write to be told the right one).

    A caller warns then: ``found empty hash, assuming '…'``.
    """
    if text:
        return parse(text, algo)
    if algo is None:
        raise HashError("empty hash requires explicit hash type")
    return Hash(algo, bytes(digest_size(algo)))


def _parse_bare(text: str, algo: str, sri: bool) -> Hash:
    size = digest_size(algo)
    length = len(text)
    if not sri:
        if length == size * 2:
            # bytes.fromhex skips blanks, so its answer can be shorter than the text promises.
            try:
                digest = bytes.fromhex(text)
            except ValueError:
                digest = b""
            if len(digest) != size:
                raise HashError(f"invalid base-16 hash '{text}'")
            return Hash(algo, digest)
        if length == nix32.encoded_length(size):
            try:
                return Hash(algo, nix32.decode(text))
            except nix32.Nix32Error:
                raise HashError(f"invalid base-32 hash '{text}'") from None
        if length != (size + 2) // 3 * 4:
            raise HashError(f"hash '{text}' has wrong length for hash type '{algo}'")
    digest = decode_base64(text)
    if len(digest) != size:
        raise HashError(f"invalid {'SRI' if sri else 'base-64'} hash '{text}'")
    return Hash(algo, digest)


def decode_base64(text: str) -> bytes:
    """Base-64 as leniently as Nix reads it.

    Reading ends at the first ``=``, newlines are skipped, padding may be missing and bits past the last
    whole byte are dropped. Raises :class:`HashError` for any other character outside the alphabet.
    """
    number = 0
    bits = 0
    for character in text:
        if character == "=":
            break
        if character == "\n":
            continue
        digit = _BASE64.get(character, -1)
        if digit < 0:
            raise HashError(f"invalid character in Base64 string: '{character}'")
        number = number << 6 | digit
        bits += 6
    return (number >> bits % 8).to_bytes(bits // 8, "big")


class Hasher:
    """A hash being computed: feed it with :meth:`update`, then ask for :meth:`finish`."""

    def __init__(self, algo: str) -> None:
        digest_size(algo)
        if algo == "blake3":
            raise HashError("hash algorithm 'blake3' cannot be computed here")
        self.algo: Final = algo
        state = _state(algo)
        self.update: Final[Callable[[bytes], None]] = state.update
        self._digest: Final[Callable[[], bytes]] = state.digest

    def finish(self) -> Hash:
        """The hash of everything fed so far."""
        return Hash(self.algo, self._digest())


def _state(algo: str) -> Sha256 | _Hash:
    if algo == "sha256":
        return Sha256()
    import hashlib

    return hashlib.new(algo, usedforsecurity=False)


def hash_bytes(algo: str, data: bytes) -> Hash:
    """The hash of ``data``; :class:`HashError` for an algorithm that cannot be computed here."""
    hasher = Hasher(algo)
    hasher.update(data)
    return hasher.finish()


def hash_file(algo: str, path: str) -> Hash:
    """The hash of a file's contents, read in chunks; ``OSError`` when it cannot be read."""
    hasher = Hasher(algo)
    with open(path.encode("utf-8", "surrogateescape"), "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.finish()
