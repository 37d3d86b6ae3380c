"""Hashes."""

from __future__ import annotations

from typing import Final

from evaluator.builtins.paths import readable
from evaluator.builtins.table import Builtin
from evaluator.code.coerce import as_attrs, as_string, as_string_no_context, attribute_of
from evaluator.runtime.errors import EvalError
from evaluator.session import Session
from store import hashes


def _hashed(algo: str, data: bytes) -> str:
    try:
        return hashes.hash_bytes(algo, data).base16()
    except ValueError as error:
        raise EvalError(str(error)) from None


def _check_algo(name: str) -> None:
    if not hashes.is_algo(name):
        raise EvalError(f"unknown hash algorithm '{name}', expect 'md5', 'sha1', 'sha256', or 'sha512'")


def hash_string(session: Session, algo: object, value: object) -> object:
    name = as_string_no_context(algo, "while evaluating the first argument passed to builtins.hashString")
    _check_algo(name)
    text = as_string(value, "while evaluating the second argument passed to builtins.hashString")
    return _hashed(name, text.encode("utf-8", "surrogateescape"))


def hash_file(session: Session, algo: object, path: object) -> object:
    name = as_string_no_context(algo, "while evaluating the first argument passed to builtins.hashFile")
    _check_algo(name)
    return _hashed(name, session.files.read_bytes(readable(session, path)))


def convert_hash(session: Session, value: object) -> object:
    attrs = as_attrs(value, "while evaluating the first argument passed to builtins.convertHash")
    given = attribute_of(attrs, "hash", "while locating the attribute 'hash'")
    text = as_string_no_context(given, "while evaluating the attribute 'hash'")
    algo: str | None = None
    named = attrs.get("hashAlgo")
    if named is not None:
        algo = as_string_no_context(named, "while evaluating the attribute 'hashAlgo'")
        _check_algo(algo)
    found = attribute_of(attrs, "toHashFormat", "while locating the attribute 'toHashFormat'")
    wanted = as_string_no_context(found, "while evaluating the attribute 'toHashFormat'")
    try:
        return hashes.parse(text, algo).format(wanted)
    except ValueError as error:
        raise EvalError(str(error)) from None


TABLE: Final[list[Builtin]] = [
    Builtin(
        "hashString",
        2,
        True,
        hash_string,
        "hashString *type* *s*\n\nThe hash of a string in base 16; *type* is `md5`, `sha1`, `sha256` or `sha512`.",
    ),
    Builtin("hashFile", 2, True, hash_file, "hashFile *type* *path*\n\nThe hash of a file's contents in base 16."),
    Builtin(
        "convertHash",
        1,
        True,
        convert_hash,
        "convertHash { hash, toHashFormat, hashAlgo }\n\nA hash in another spelling: "
        '`"base16"`, `"nix32"`, `"base64"` or `"sri"`.',
    ),
]
