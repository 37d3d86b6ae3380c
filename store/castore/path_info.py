"""What is known of a store path: its archive's hash and size, what it refers to, who signed it, what it holds.

Specification: Tvix's ``pathinfo.proto`` for the encoding (the base name is the name of the root node, references are
digests beside their names); Nix's narinfo for the meaning.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from typing import Any

from store import nix32
from store.castore import nodes, wire
from store.castore.nodes import Node
from store.hashes import Hash, HashError, parse
from store.narinfo import NarInfo, fingerprint
from store.records import dataclass, field, replace
from store.store_path import STORE_DIR, BadStorePath, base_name, check_base_name, to_text

# `ca` in Nix's spelling (method and algorithm) and the number that the protocol has for it.
_CA_KINDS = {
    "fixed:r:sha256": 0,
    "fixed:r:sha1": 1,
    "fixed:r:sha512": 2,
    "fixed:r:md5": 3,
    "text:sha256": 4,
    "fixed:sha1": 5,
    "fixed:md5": 6,
    "fixed:sha256": 7,
    "fixed:sha512": 8,
}
_CA_NAMES = {number: name for name, number in _CA_KINDS.items()}


class PathInfoError(ValueError):
    """Not a path info, with the reason."""


@dataclass
class PathInfo:
    """One store path. Paths are whole; ``node`` is its root where a castore keeps it, None elsewhere."""

    path: str
    nar_sha256: bytes
    nar_size: int
    references: list[str] = field(default_factory=list)
    deriver: str | None = None
    signatures: list[str] = field(default_factory=list)
    ca: str | None = None
    node: Node | None = None

    def nar_hash(self) -> Hash:
        """The archive's hash."""
        return Hash("sha256", self.nar_sha256)

    def fingerprint(self) -> str:
        """What signatures sign."""
        return fingerprint(self.path, self.nar_hash(), self.nar_size, self.references)

    def with_node(self, node: Node | None) -> PathInfo:
        """The same about the same contents kept elsewhere."""
        return replace(self, node=node)

    def to_narinfo(self, url: str, compression: str = "none") -> NarInfo:
        """The narinfo of a cache that has the archive at ``url``."""
        return NarInfo(
            store_path=self.path,
            url=url,
            nar_hash=self.nar_hash(),
            nar_size=self.nar_size,
            compression=compression,
            references=sorted(self.references),
            deriver=self.deriver,
            signatures=list(self.signatures),
            ca=self.ca,
        )

    def to_json(self) -> dict[str, Any]:
        """The same as plain data, with the names that ``nix path-info --json`` has."""
        value: dict[str, Any] = {
            "path": self.path,
            "narHash": self.nar_hash().sri(),
            "narSize": self.nar_size,
            "references": sorted(self.references),
        }
        if self.deriver is not None:
            value["deriver"] = self.deriver
        if self.signatures:
            value["signatures"] = list(self.signatures)
        if self.ca is not None:
            value["ca"] = self.ca
        return value


def from_narinfo(info: NarInfo) -> PathInfo:
    """What a narinfo says, less where the archive lies."""
    return PathInfo(
        path=info.store_path,
        nar_sha256=info.nar_hash.digest,
        nar_size=info.nar_size,
        references=list(info.references),
        deriver=info.deriver,
        signatures=list(info.signatures),
        ca=info.ca,
    )


def encode(info: PathInfo) -> bytes:
    """The canonical encoding of a path info with a root node."""
    if info.node is None:
        raise PathInfoError(f"'{info.path}' has no root node")
    references = sorted(base_name(path) for path in info.references)
    nar = wire.number_field(1, info.nar_size) + wire.optional_bytes(2, info.nar_sha256)
    for signature in info.signatures:
        name, _, data = signature.partition(":")
        nar += wire.bytes_field(3, wire.optional_bytes(1, name.encode()) + wire.optional_bytes(2, a2b_base64(data)))
    for reference in references:
        nar += wire.bytes_field(4, reference.encode())
    if info.deriver is not None:
        base = base_name(info.deriver).removesuffix(".drv")
        nar += wire.bytes_field(5, wire.optional_bytes(1, base[33:].encode()) + wire.optional_bytes(2, _digest(base)))
    if info.ca is not None:
        nar += wire.bytes_field(6, _encode_ca(info.ca))
    encoded = wire.bytes_field(1, nodes.encode_node(base_name(info.path).encode(), info.node))
    for reference in references:
        encoded += wire.bytes_field(2, _digest(reference))
    return encoded + wire.bytes_field(3, nar)


def decode(data: bytes, store_dir: str = STORE_DIR) -> PathInfo:
    """The path info that ``data`` encodes. Raises :class:`PathInfoError` for what contradicts itself."""
    try:
        return _decode(data, store_dir)
    except (wire.WireError, nodes.DirectoryError, BadStorePath, HashError, UnicodeDecodeError) as error:
        raise PathInfoError(f"not a path info: {error}") from None


def _decode(data: bytes, store_dir: str) -> PathInfo:
    name = b""
    node: Node | None = None
    digests: list[bytes] = []
    nar = b""
    for number, value in wire.fields(data):
        if number == 1:
            name, node = nodes.decode_node(wire.as_bytes(value))
        elif number == 2:
            digests.append(wire.as_bytes(value))
        elif number == 3:
            nar = wire.as_bytes(value)
    base = name.decode()
    check_base_name(base)
    info = PathInfo(f"{store_dir}/{base}", b"", 0, node=node)
    for number, value in wire.fields(nar):
        if number == 1:
            info.nar_size = wire.as_number(value)
        elif number == 2:
            info.nar_sha256 = wire.as_bytes(value)
        elif number == 3:
            parts = {key: wire.as_bytes(part) for key, part in wire.fields(wire.as_bytes(value))}
            info.signatures.append(
                f"{parts.get(1, b'').decode()}:{b2a_base64(parts.get(2, b''), newline=False).decode()}"
            )
        elif number == 4:
            reference = wire.as_bytes(value).decode()
            check_base_name(reference)
            info.references.append(f"{store_dir}/{reference}")
        elif number == 5:
            parts = {key: wire.as_bytes(part) for key, part in wire.fields(wire.as_bytes(value))}
            deriver = f"{nix32.encode(parts.get(2, b''))}-{parts.get(1, b'').decode()}.drv"
            check_base_name(deriver)
            info.deriver = f"{store_dir}/{deriver}"
        elif number == 6:
            info.ca = _decode_ca(wire.as_bytes(value))
    if len(info.nar_sha256) != 32:
        raise PathInfoError(f"'{info.path}' has no SHA-256 of its archive")
    if digests != [_digest(base_name(path)) for path in info.references]:
        raise PathInfoError(f"'{info.path}' has references whose names and digests disagree")
    return info


def _digest(base: str) -> bytes:
    return nix32.decode(base[:32])


def _encode_ca(ca: str) -> bytes:
    kind, _, text = ca.rpartition(":")
    number = _CA_KINDS.get(kind)
    if number is None:
        raise PathInfoError(f"unknown content address '{to_text(ca.encode())}'")
    digest = parse(text, kind.rpartition(":")[2]).digest
    return wire.number_field(1, number) + wire.optional_bytes(2, digest)


def _decode_ca(data: bytes) -> str:
    number = 0
    digest = b""
    for key, value in wire.fields(data):
        if key == 1:
            number = wire.as_number(value)
        elif key == 2:
            digest = wire.as_bytes(value)
    kind = _CA_NAMES.get(number)
    if kind is None:
        raise PathInfoError(f"unknown kind {number} of content address")
    return f"{kind}:{Hash(kind.rpartition(':')[2], digest).nix32()}"
