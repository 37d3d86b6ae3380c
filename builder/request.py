"""A build said in full: what runs, what it sees, what it may use, what it must make.

A :class:`BuildRequest` needs nothing but a castore that has its inputs: no derivation, no environment of the asking
process, no path on its disk. It is frozen and hashable; :func:`encode` writes it as bytes, the same for equal requests
(what a build is known by elsewhere: :meth:`BuildRequest.digest`).

**Encoding.** Protobuf, canonical (fields in the order of their numbers, defaults left out). Numbers up to 10 are those
of Tvix's ``build.proto``, and mean the same; the others are ours. Bazel's Remote Execution has a place for all of it:

======  ==================  ================================================  =====================================
number  field               what                                              REAPI
======  ==================  ================================================  =====================================
1       inputs              ``castore.Node`` with the path's base name        input root, under ``inputs_dir``
2       command             program and arguments, bytes                      ``Command.arguments``
3       working_dir         relative to the root: ``build``                   ``Command.working_directory``
4       scratch_paths       writable folders: ``build``, ``nix/store``, …     platform property ``scratch``
5       inputs_dir          ``nix/store``                                     the folder in the input root
6       outputs             relative to the root, sorted                      ``Command.output_paths``
7       environment         (1 name, 2 value), sorted by name                 ``Command.environment_variables``
8       constraints         see below                                         ``Platform.properties``
9       additional_files    (1 path relative to the root, 2 bytes), sorted    files of the input root
10      refscan_needles     digests that are looked for in outputs, sorted    platform property
11      name                what people call it: the derivation's name        ``ActionMetadata`` (request metadata)
12      derivation          store path of the ``.drv``, maybe empty           ``ActionMetadata``
======  ==================  ================================================  =====================================

Constraints: 1 system, 2 min_memory (bytes), 3 available_ro_paths, 4 network_access, 5 provide_bin_sh; and ours:
6 memory (bytes), 7 cores, 8 seconds, 9 silence (seconds), 10 log_size (bytes), 11 processes, 12 output_size (bytes).
All numbers are 0 where nothing is asked for.

Texts that came from a derivation are bytes, not necessarily UTF-8; paths relative to the root have no leading slash.
"""

from __future__ import annotations

from store.castore import nodes, wire
from store.castore.nodes import DirectoryError, Node
from store.records import dataclass, field
from store.sha256 import sha256
from store.store_path import base_name


class RequestError(ValueError):
    """Bytes that are no build request, or a derivation that none can be made of; says why."""


@dataclass(frozen=True, slots=True)
class Input:
    """A store path that the build sees, by its root in the castore."""

    path: str  #: ``/nix/store/…``
    node: Node


#: The machine's own virtual machines, for what needs the feature ``kvm``.
KVM = "/dev/kvm"


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a build needs, and what it may use at most. 0 means that nothing is asked for."""

    system: str = ""  #: ``x86_64-linux``
    min_memory: int = 0  #: bytes that the machine must have
    read_only_paths: tuple[str, ...] = ()  #: paths of the machine that it may use: :data:`KVM` or none
    network: bool = False  #: only for fixed outputs
    bin_sh: bool = True  #: a static shell at ``/bin/sh``
    memory: int = 0  #: bytes that it may use
    cores: int = 0  #: processors that it may keep busy
    seconds: int = 0  #: wall time
    silence: int = 0  #: seconds without a byte of log
    log_size: int = 0  #: bytes of log
    processes: int = 0  #: at once
    output_size: int = 0  #: bytes of all outputs and scratch files together


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is built. See the module for what the fields are in the encoding."""

    command: tuple[bytes, ...]
    outputs: tuple[str, ...]  #: ``nix/store/DIGEST-NAME``, relative to the root, sorted
    inputs: tuple[Input, ...] = ()  #: the whole closure, sorted by path
    environment: tuple[tuple[bytes, bytes], ...] = ()  #: sorted by name
    files: tuple[tuple[str, bytes], ...] = ()  #: written before it starts: path relative to the root, contents
    needles: tuple[str, ...] = ()  #: digests (32 nix32 characters) that the outputs are searched for, sorted
    constraints: Constraints = field(default_factory=Constraints)
    working_dir: str = "build"
    scratch_paths: tuple[str, ...] = ("build", "nix/store", "tmp")
    inputs_dir: str = "nix/store"
    name: str = ""
    derivation: str = ""

    def digest(self) -> bytes:
        """SHA-256 of :func:`encode`: equal for equal requests, on every machine."""
        return sha256(encode(self))

    def __hash__(self) -> int:
        return hash((self.derivation, self.command, self.outputs, self.environment))


def encode(request: BuildRequest) -> bytes:
    """The canonical bytes of ``request``."""
    parts = [
        wire.bytes_field(1, nodes.encode_node(base_name(entry.path).encode(), entry.node)) for entry in request.inputs
    ]
    parts += [wire.bytes_field(2, argument) for argument in request.command]
    parts.append(wire.optional_bytes(3, request.working_dir.encode()))
    parts += [wire.bytes_field(4, path.encode()) for path in request.scratch_paths]
    parts.append(wire.optional_bytes(5, request.inputs_dir.encode()))
    parts += [wire.bytes_field(6, path.encode()) for path in request.outputs]
    parts += [wire.bytes_field(7, _pair(name, value)) for name, value in request.environment]
    parts.append(wire.bytes_field(8, _encode_constraints(request.constraints)))
    parts += [wire.bytes_field(9, _pair(path.encode(), content)) for path, content in request.files]
    parts += [wire.bytes_field(10, needle.encode()) for needle in request.needles]
    parts.append(wire.optional_bytes(11, request.name.encode()))
    parts.append(wire.optional_bytes(12, request.derivation.encode()))
    return b"".join(parts)


def decode(data: bytes) -> BuildRequest:
    """The request that ``data`` encodes. Raises :class:`RequestError`."""
    try:
        return _decode(data)
    except (wire.WireError, DirectoryError, UnicodeDecodeError) as error:
        raise RequestError(f"not a build request: {error}") from None


def _decode(data: bytes) -> BuildRequest:
    inputs: list[tuple[str, Node]] = []
    command: list[bytes] = []
    environment: list[tuple[bytes, bytes]] = []
    files: list[tuple[str, bytes]] = []
    texts: dict[int, list[str]] = {number: [] for number in (3, 4, 5, 6, 10, 11, 12)}
    constraints = Constraints(bin_sh=False)
    for number, value in wire.fields(data):
        field_ = wire.as_bytes(value)
        if number == 1:
            name, node = nodes.decode_node(field_)
            inputs.append((name.decode(), node))
        elif number == 2:
            command.append(field_)
        elif number == 7:
            environment.append(_read_pair(field_))
        elif number == 8:
            constraints = _decode_constraints(field_)
        elif number == 9:
            path, content = _read_pair(field_)
            files.append((path.decode(), content))
        elif number in texts:
            texts[number].append(field_.decode())
        else:
            raise _unknown(f"field {number}")
    folder = "".join(texts[5][-1:])
    return BuildRequest(
        command=tuple(command),
        outputs=tuple(texts[6]),
        inputs=tuple(Input(f"/{folder}/{name}", node) for name, node in inputs),
        environment=tuple(environment),
        files=tuple(files),
        needles=tuple(texts[10]),
        constraints=constraints,
        working_dir="".join(texts[3][-1:]),
        scratch_paths=tuple(texts[4]),
        inputs_dir=folder,
        name="".join(texts[11][-1:]),
        derivation="".join(texts[12][-1:]),
    )


def _unknown(what: str) -> RequestError:
    """What is not understood must not be passed over: it may be a limit."""
    return RequestError(
        f"not a build request of this version, which does not know its {what}: have the same one on both sides"
    )


def _pair(first: bytes, second: bytes) -> bytes:
    return wire.optional_bytes(1, first) + wire.optional_bytes(2, second)


def _read_pair(data: bytes) -> tuple[bytes, bytes]:
    found = {number: wire.as_bytes(value) for number, value in wire.fields(data)}
    return found.get(1, b""), found.get(2, b"")


_NUMBERS = {
    6: "memory",
    7: "cores",
    8: "seconds",
    9: "silence",
    10: "log_size",
    11: "processes",
    12: "output_size",
}


def _encode_constraints(constraints: Constraints) -> bytes:
    parts = [wire.optional_bytes(1, constraints.system.encode()), wire.number_field(2, constraints.min_memory)]
    parts += [wire.bytes_field(3, path.encode()) for path in constraints.read_only_paths]
    parts += [wire.number_field(4, constraints.network), wire.number_field(5, constraints.bin_sh)]
    parts += [wire.number_field(number, getattr(constraints, name)) for number, name in _NUMBERS.items()]
    return b"".join(parts)


def _decode_constraints(data: bytes) -> Constraints:
    system = ""
    paths: list[str] = []
    numbers: dict[int, int] = {}
    for number, value in wire.fields(data):
        if number == 1:
            system = wire.as_bytes(value).decode()
        elif number == 3:
            paths.append(wire.as_bytes(value).decode())
        elif number in (2, 4, 5) or number in _NUMBERS:
            numbers[number] = wire.as_number(value)
        else:
            raise _unknown(f"constraint {number}")
    return Constraints(
        system=system,
        min_memory=numbers.get(2, 0),
        read_only_paths=tuple(paths),
        network=bool(numbers.get(4, 0)),
        bin_sh=bool(numbers.get(5, 0)),
        **{name: numbers.get(number, 0) for number, name in _NUMBERS.items()},
    )
