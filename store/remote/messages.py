"""The services' messages as bytes, encoded and decoded with castore's own code. Malformed ones are ``WireError``."""

from __future__ import annotations

from store import nix32
from store.castore import wire
from store.castore.wire import WireError, as_bytes, as_number

BLOBS = "tvix.castore.v1.BlobService"
DIRECTORIES = "tvix.castore.v1.DirectoryService"
PATH_INFOS = "tvix.store.v1.PathInfoService"


def as_is(data: bytes) -> bytes:
    """What gRPC calls to (de)serialise: messages are bytes here."""
    return data


def field_1(data: bytes) -> bytes:
    """A message whose one field, number 1, is bytes (a digest asked for or answered, a piece of a blob)."""
    return wire.optional_bytes(1, data)


def read_field_1(message: bytes) -> bytes:
    """The field of :func:`field_1`."""
    found = b""
    for number, value in wire.fields(message):
        if number == 1:
            found = as_bytes(value)
    return found


def read_digest(message: bytes) -> bytes:
    """:func:`read_field_1` where it must be a BLAKE3 digest."""
    digest = read_field_1(message)
    if len(digest) != 32:
        raise WireError(f"a digest has 32 bytes, not {len(digest)}")
    return digest


def stat_request(digest: bytes) -> bytes:
    """A StatBlobRequest that asks for the chunks."""
    return wire.optional_bytes(1, digest) + wire.number_field(2, 1)


def stat_response(chunks: list[tuple[bytes, int]]) -> bytes:
    """A StatBlobResponse with digests and sizes of chunks."""
    return b"".join(
        wire.bytes_field(2, wire.optional_bytes(1, digest) + wire.number_field(2, size)) for digest, size in chunks
    )


def read_stat_response(message: bytes) -> list[tuple[bytes, int]]:
    """The chunks of a StatBlobResponse."""
    chunks = []
    for number, value in wire.fields(message):
        if number == 2:
            digest, size = b"", 0
            for key, part in wire.fields(as_bytes(value)):
                if key == 1:
                    digest = as_bytes(part)
                elif key == 2:
                    size = as_number(part)
            chunks.append((digest, size))
    return chunks


def get_directory_request(digest: bytes, recursive: bool) -> bytes:
    """A GetDirectoryRequest."""
    return wire.bytes_field(1, digest) + wire.number_field(2, 1 if recursive else 0)


def read_get_directory_request(message: bytes) -> tuple[bytes, bool]:
    """Digest and whether all below is wanted."""
    recursive = any(number == 2 and as_number(value) for number, value in wire.fields(message))
    return read_digest(message), recursive


def get_path_info_request(digest: str) -> bytes:
    """A GetPathInfoRequest for a digest in nix32."""
    return wire.bytes_field(1, nix32.decode(digest))


def read_get_path_info_request(message: bytes) -> str:
    """The digest in nix32."""
    digest = read_field_1(message)
    if len(digest) != 20:
        raise WireError(f"a store path's digest has 20 bytes, not {len(digest)}")
    return nix32.encode(digest)


def calculated(size: int, digest: bytes) -> bytes:
    """A CalculateNARResponse."""
    return wire.number_field(1, size) + wire.optional_bytes(2, digest)
