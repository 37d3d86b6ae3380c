"""The build service's messages as bytes. Malformed ones are ``WireError``."""

from __future__ import annotations

from builder.events import (
    BuildEvent,
    BuiltOutput,
    Failed,
    LogLine,
    Phase,
    Queued,
    Resources,
    Started,
    Succeeded,
    Why,
)
from store.castore import nodes, wire
from store.castore.nodes import Node
from store.castore.wire import WireError, as_bytes, as_number

SERVICE = "tvix.build.v1.BuildService"

_TIMES = ("wall", "user", "system")
_SIZES = ("memory", "log")


def encode_event(event: BuildEvent) -> bytes:
    """A BuildEvent."""
    if isinstance(event, Queued):
        return wire.bytes_field(1, b"")
    if isinstance(event, Started):
        return wire.bytes_field(2, wire.optional_bytes(1, event.runtime.encode()))
    if isinstance(event, LogLine):
        return wire.bytes_field(3, event.line)
    if isinstance(event, Phase):
        return wire.bytes_field(4, event.name.encode())
    if isinstance(event, Resources):
        numbers = [round(getattr(event, name) * 1e6) for name in _TIMES] + [getattr(event, name) for name in _SIZES]
        return wire.bytes_field(5, b"".join(wire.number_field(at, value) for at, value in enumerate(numbers, 1)))
    if isinstance(event, Succeeded):
        return wire.bytes_field(6, b"".join(wire.bytes_field(1, _encode_output(output)) for output in event.outputs))
    parts = [wire.optional_bytes(1, event.why.value.encode()), wire.optional_bytes(2, event.message.encode())]
    parts.append(wire.number_field(3, event.status))
    parts += [wire.bytes_field(4, line) for line in event.tail]
    parts.append(wire.optional_bytes(5, (event.kept or "").encode()))
    return wire.bytes_field(7, b"".join(parts))


def decode_event(message: bytes) -> BuildEvent:
    """The event that a BuildEvent holds."""
    try:
        for number, value in wire.fields(message):
            return _event(number, as_bytes(value))
    except ValueError as error:
        raise WireError(f"not an event of a build: {error}") from None
    raise WireError("an event of a build is empty")


def systems(names: frozenset[str]) -> bytes:
    """A SystemsResponse."""
    return b"".join(wire.bytes_field(1, name.encode()) for name in sorted(names))


def read_systems(message: bytes) -> frozenset[str]:
    """The systems of a SystemsResponse."""
    return frozenset(as_bytes(value).decode() for number, value in wire.fields(message) if number == 1)


def _event(number: int, data: bytes) -> BuildEvent:
    if not 1 <= number <= 7:
        raise WireError(f"it is of the unknown kind {number}; have the same version on both sides")
    if number == 1:
        return Queued()
    if number == 3:
        return LogLine(data)
    if number == 4:
        return Phase(data.decode())
    values = list(wire.fields(data))
    if number == 2:
        return Started("".join(as_bytes(value).decode() for key, value in values if key == 1))
    if number == 5:
        numbers = {key: as_number(value) for key, value in values}
        wall, user, system = (numbers.get(at, 0) / 1e6 for at in (1, 2, 3))
        return Resources(wall, user, system, numbers.get(4, 0), numbers.get(5, 0))
    if number == 6:
        return Succeeded(tuple(_decode_output(as_bytes(value)) for key, value in values if key == 1))
    texts = {key: as_bytes(value) for key, value in values if key in (1, 2, 5)}
    return Failed(
        Why(texts.get(1, b"").decode()),
        texts.get(2, b"").decode(),
        next((as_number(value) for key, value in values if key == 3), 0),
        tuple(as_bytes(value) for key, value in values if key == 4),
        texts.get(5, b"").decode() or None,
    )


def _encode_output(output: BuiltOutput) -> bytes:
    name = output.path.rpartition("/")[2].encode()
    parts = [wire.optional_bytes(1, output.path.encode()), wire.bytes_field(2, nodes.encode_node(name, output.node))]
    parts += [wire.optional_bytes(3, output.nar_sha256), wire.number_field(4, output.nar_size)]
    parts += [wire.bytes_field(5, needle.encode()) for needle in output.found]
    return b"".join(parts)


def _decode_output(data: bytes) -> BuiltOutput:
    path = ""
    node: Node | None = None
    digest = b""
    size = 0
    found: list[str] = []
    for number, value in wire.fields(data):
        if number == 1:
            path = as_bytes(value).decode()
        elif number == 2:
            node = nodes.decode_node(as_bytes(value))[1]
        elif number == 3:
            digest = as_bytes(value)
        elif number == 4:
            size = as_number(value)
        elif number == 5:
            found.append(as_bytes(value).decode())
    if node is None or len(digest) != 32:
        raise WireError(f"the output '{path}' has no contents, or no hash")
    return BuiltOutput(path, node, digest, size, tuple(found))
