"""Store paths and placeholders: computed, checked, taken apart.

Specification: the Nix manual, "Complete Store Path Calculation". A path is ``STORE/DIGEST-NAME`` where DIGEST
is ``TYPE:sha256:HEX:STORE:NAME`` hashed with SHA-256, folded to 20 bytes with XOR and spelled in nix32. TYPE
tells why the object has that path:

===========================  ===============================================================
``text[:REF…]``              a file that evaluation wrote (``toFile``, a derivation)
``source[:REF…][:self]``     a tree (NAR, SHA-256): sources, recursive SHA-256 fixed outputs
``output:ID``                a derivation's output; every other fixed output is ``output:out``
===========================  ===============================================================

Paths are whole ``str`` s (``/nix/store/…``). The messages of :class:`BadStorePath` are those of Nix.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from store import nix32
from store.hashes import Hash
from store.sha256 import sha256

STORE_DIR: Final = "/nix/store"
HASH_LENGTH: Final = 32
MAX_NAME_LENGTH: Final = 211
DRV_EXTENSION: Final = ".drv"

_FOLD_BITS: Final = 160
_FOLD_MASK: Final = (1 << _FOLD_BITS) - 1
NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=")
_HASH_CHARACTERS: Final = frozenset(nix32.ALPHABET)


class BadStorePath(ValueError):
    """A path or name that cannot be in a store."""


def to_bytes(text: str) -> bytes:
    """The bytes that ``text`` stands for (UTF-8, lone surrogates being the bytes they escaped)."""
    return text.encode("utf-8", "surrogateescape")


def to_text(data: bytes) -> str:
    """The text that stands for ``data``; :func:`to_bytes` undoes it."""
    return data.decode("utf-8", "surrogateescape")


def sha256_hex(text: str) -> str:
    """The SHA-256 of the bytes of ``text``, in hexadecimal."""
    return sha256(text.encode("utf-8", "surrogateescape")).hex()


def check_name(base_name: str, name: str) -> None:
    """Refuse a ``name`` that no store object may have; ``base_name`` (``DIGEST-NAME``) is for the message."""
    if not name:
        raise BadStorePath(f"store path '{base_name}' has an empty name")
    if len(name) > MAX_NAME_LENGTH:
        raise BadStorePath(f"store path '{base_name}' has a name longer than {MAX_NAME_LENGTH} characters")
    if not NAME_CHARACTERS.issuperset(name):
        for character in name:
            if character not in NAME_CHARACTERS:
                raise BadStorePath(f"store path '{base_name}' contains illegal character '{character}'")


def make_store_path(kind: str, inner_hex: str, name: str, store_dir: str = STORE_DIR) -> str:
    """The path of the object called ``name`` whose TYPE is ``kind`` and inner SHA-256 is ``inner_hex``.

    Raises :class:`BadStorePath` when the name cannot be.
    """
    finger = f"{kind}:sha256:{inner_hex}:{store_dir}:{name}"
    number = int.from_bytes(sha256(finger.encode("utf-8", "surrogateescape")), "little")
    # Byte i goes to byte i mod 20: of a little-endian number, that folds the bits above 160 onto the lowest.
    base_name = nix32.encode_number((number & _FOLD_MASK) ^ (number >> _FOLD_BITS), HASH_LENGTH) + "-" + name
    check_name(base_name, name)
    return store_dir + "/" + base_name


def text_path(name: str, content: bytes, references: Iterable[str] = (), store_dir: str = STORE_DIR) -> str:
    """Where a text file that refers to ``references`` (whole paths) lies: ``toFile``, derivations."""
    return text_path_of_hex(name, sha256(content).hex(), references, store_dir)


def text_path_of_hex(name: str, content_hex: str, references: Iterable[str] = (), store_dir: str = STORE_DIR) -> str:
    """:func:`text_path` for a text whose SHA-256 is known."""
    return make_store_path(_with_references("text", references), content_hex, name, store_dir)


def source_path(
    name: str,
    nar_hex: str,
    references: Iterable[str] = (),
    self_reference: bool = False,
    store_dir: str = STORE_DIR,
) -> str:
    """Where a tree lies whose NAR has the SHA-256 ``nar_hex``: ``builtins.path``, copied sources."""
    kind = _with_references("source", references)
    if self_reference:
        kind += ":self"
    return make_store_path(kind, nar_hex, name, store_dir)


def fixed_output_path(name: str, recursive: bool, expected: Hash, store_dir: str = STORE_DIR) -> str:
    """Where a fixed output with the hash ``expected`` lies: of its NAR if ``recursive``, else of the flat file."""
    return fixed_path(name, "r:" if recursive else "", expected.algo, expected.base16(), store_dir)


def fixed_path(name: str, method: str, algo: str, hex_digest: str, store_dir: str = STORE_DIR) -> str:
    """:func:`fixed_output_path` as a derivation says it: ``method`` is ``""``, ``"r:"``, ``"text:"`` or ``"git:"``."""
    if algo == "sha256":
        if method == "r:":
            return make_store_path("source", hex_digest, name, store_dir)
        if method == "text:":
            return make_store_path("text", hex_digest, name, store_dir)
    inner = sha256_hex(f"fixed:out:{method}{algo}:{hex_digest}:")
    return make_store_path("output:out", inner, name, store_dir)


def output_path(drv_name: str, output: str, modulo_hex: str, store_dir: str = STORE_DIR) -> str:
    """Where ``output`` of the derivation ``drv_name`` lies, given its ``hashDerivationModulo``."""
    return make_store_path("output:" + output, modulo_hex, output_path_name(drv_name, output), store_dir)


def output_path_name(drv_name: str, output: str) -> str:
    """The name of an output: ``NAME`` for ``out``, else ``NAME-OUTPUT``."""
    return drv_name if output == "out" else drv_name + "-" + output


def placeholder(output: str) -> str:
    """What stands for a derivation's own output before its path is known (``builtins.placeholder``)."""
    return _placeholder("nix-output:" + output)


def downstream_placeholder(drv_path: str, output: str) -> str:
    """What stands, in other derivations, for a content-addressed ``output`` of ``drv_path`` not yet built."""
    base = base_name(drv_path)
    drv_name = base[HASH_LENGTH + 1 :].removesuffix(DRV_EXTENSION)
    return _placeholder(f"nix-upstream-output:{base[:HASH_LENGTH]}:{output_path_name(drv_name, output)}")


def _placeholder(clear_text: str) -> str:
    return "/" + nix32.encode(sha256(to_bytes(clear_text)))


def _with_references(kind: str, references: Iterable[str]) -> str:
    # Nix orders references by DIGEST-NAME; with one store directory that is the order of the whole paths.
    for reference in sorted(references):
        kind += ":" + reference
    return kind


def base_name(path: str) -> str:
    """``DIGEST-NAME`` of a whole path, unchecked."""
    return path[path.rfind("/") + 1 :]


def name_of(path: str) -> str:
    """NAME of a valid store path, unchecked."""
    return base_name(path)[HASH_LENGTH + 1 :]


def derivation_name(path: str) -> str:
    """What a derivation is called, by its valid path; of any other store path NAME."""
    return name_of(path).removesuffix(DRV_EXTENSION)


def digest_of(path: str) -> str:
    """DIGEST (32 nix32 characters) of a valid store path, unchecked."""
    return base_name(path)[:HASH_LENGTH]


def is_derivation(path: str) -> bool:
    """Whether a store path is a derivation's, by its name."""
    return path.endswith(DRV_EXTENSION)


def check_base_name(base: str) -> None:
    """Refuse a text that is not ``DIGEST-NAME``; raises :class:`BadStorePath`."""
    if len(base) < HASH_LENGTH + 1:
        raise BadStorePath(f"'{base}' is too short to be a valid store path")
    for character in base[:HASH_LENGTH]:
        if character not in _HASH_CHARACTERS:
            raise BadStorePath(f"store path '{base}' contains illegal base-32 character '{character}'")
    if base[HASH_LENGTH] != "-":
        raise BadStorePath(f"store path '{base}' has no '-' after its hash")
    check_name(base, base[HASH_LENGTH + 1 :])


def check_store_path(path: str, store_dir: str = STORE_DIR) -> None:
    """Refuse a ``path`` that is not exactly ``STORE/DIGEST-NAME``; raises :class:`BadStorePath`."""
    at = path.rfind("/")
    if path[: max(at, 0)] != store_dir:
        raise BadStorePath(f"path '{path}' is not in the Nix store")
    check_base_name(path[at + 1 :])


def is_store_path(path: str, store_dir: str = STORE_DIR) -> bool:
    """Whether ``path`` is exactly ``STORE/DIGEST-NAME`` with a valid digest and name."""
    try:
        check_store_path(path, store_dir)
    except BadStorePath:
        return False
    return True


def is_in_store(path: str, store_dir: str = STORE_DIR) -> bool:
    """Whether a canonical ``path`` lies under the store (not the store itself), valid or not."""
    return path.startswith(store_dir + "/") and len(path) > len(store_dir) + 1


def split(path: str, store_dir: str = STORE_DIR) -> tuple[str, str]:
    """A canonical path under a store object as (the object's path, the rest from its ``/`` on or ``""``).

    Raises :class:`BadStorePath` when there is no valid store path at its front.
    """
    if not is_in_store(path, store_dir):
        raise BadStorePath(f"path '{path}' is not in the Nix store")
    end = path.find("/", len(store_dir) + 1)
    if end < 0:
        end = len(path)
    check_base_name(path[len(store_dir) + 1 : end])
    return path[:end], path[end:]
