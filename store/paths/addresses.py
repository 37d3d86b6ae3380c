"""Paths that prove themselves: content addresses computed, and paths checked against theirs."""

from __future__ import annotations

from store import hashes
from store.castore.path_info import PathInfo
from store.hashes import Hash, HashError
from store.store_path import BadStorePath, fixed_path, make_store_path, name_of


def ca_of_source(nar_sha256: bytes) -> str:
    """The content address of a tree that was added: ``fixed:r:sha256:…``."""
    return f"fixed:r:sha256:{Hash('sha256', nar_sha256).nix32()}"


def path_of(ca: str, name: str, references: list[str], own_path: str, store_dir: str) -> str:
    """The path that contents with this address, name and references have. Raises ``ValueError`` if they have none."""
    kind, _, text = ca.rpartition(":")
    algo = kind.rpartition(":")[2]
    digest = hashes.parse(text, algo).base16()
    others = sorted(path for path in references if path != own_path)
    myself = ":self" if own_path in references else ""
    if kind == "text:sha256":
        if myself:
            raise ValueError("a text cannot refer to itself")
        return make_store_path(":".join(["text", *others]), digest, name, store_dir)
    if kind == "fixed:r:sha256":
        return make_store_path(":".join(["source", *others]) + myself, digest, name, store_dir)
    if references:
        raise ValueError("a fixed output cannot refer to anything")
    method = "r:" if kind.startswith("fixed:r:") else ""
    if kind != f"fixed:{method}{algo}":
        raise ValueError(f"unknown content address '{ca}'")
    return fixed_path(name, method, algo, digest, store_dir)


def proves_itself(info: PathInfo, store_dir: str) -> bool:
    """Whether the path follows from its content address, so that it needs no signature.

    Whether the *contents* have that address is seen when they come: of archives by the hash that stands in the address
    itself, which must be the archive's here; flat files and texts are not taken on trust.
    """
    if info.ca is None or not info.ca.startswith("fixed:r:sha256:"):
        return False
    try:
        if hashes.parse(info.ca.rpartition(":")[2], "sha256").digest != info.nar_sha256:
            return False
        return path_of(info.ca, name_of(info.path), info.references, info.path, store_dir) == info.path
    except (ValueError, HashError, BadStorePath):
        return False
