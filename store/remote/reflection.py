"""What a server offers, told to whoever asks: gRPC's server reflection, with which grpcurl and the like need no files.

Specification: gRPC's ``reflection.proto``, versions v1 and v1alpha, which differ in their names only. The descriptors
come from ``*.pb`` files beside the ``.proto`` files, as ``protoc --include_imports --descriptor_set_out`` writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from store.castore import wire
from store.castore.wire import as_bytes
from store.remote.messages import as_is

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
STORE_DESCRIPTORS = Path(__file__).parent.parent / "protos" / "store.pb"

# Fields of a ServerReflectionRequest.
_BY_NAME, _BY_SYMBOL, _BY_EXTENSION, _EXTENSIONS, _SERVICES = 3, 4, 5, 6, 7


class _File:
    """One file's descriptor, and what is in it."""

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.name = ""
        self.imports: list[str] = []
        self.services: list[str] = []
        self.symbols: set[str] = set()
        package = ""
        for number, value in wire.fields(encoded):
            if number == 1:
                self.name = as_bytes(value).decode()
            elif number == 2:
                package = as_bytes(value).decode() + "."
            elif number == 3:
                self.imports.append(as_bytes(value).decode())
            elif number in (4, 5, 6):  # messages, enumerations, services
                self._declare(package, as_bytes(value), is_message=number == 4)
                if number == 6:
                    self.services.append(package + _name(as_bytes(value)))

    def _declare(self, prefix: str, encoded: bytes, *, is_message: bool) -> None:
        """Note a message, an enumeration or a service with its fields, values or methods, and what is inside."""
        name = prefix + _name(encoded)
        self.symbols.add(name)
        for number, value in wire.fields(encoded):
            if number == 2:
                self.symbols.add(f"{name}.{_name(as_bytes(value))}")
            elif is_message and number in (3, 4):  # messages, enumerations
                self._declare(f"{name}.", as_bytes(value), is_message=number == 3)


class Reflection:
    """Answers which services are ``offered``, and what is in ``descriptors``, encoded FileDescriptorSets."""

    def __init__(self, *descriptors: bytes, offered: set[str]) -> None:
        self._files: dict[str, _File] = {}
        for encoded in descriptors:
            for number, value in wire.fields(encoded):
                if number == 1:
                    file = _File(as_bytes(value))
                    self._files.setdefault(file.name, file)
        self._services = sorted(offered)

    def answer(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """ServerReflection.ServerReflectionInfo."""
        for request in requests:
            yield wire.optional_bytes(2, request) + self._answered(request)

    def handlers(self) -> list[Any]:
        """What a server is given to offer this."""
        method = grpc.stream_stream_rpc_method_handler(self.answer, as_is, as_is)
        return [grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method}) for name in NAMES]

    def _answered(self, request: bytes) -> bytes:
        try:
            asked = [(number, as_bytes(value)) for number, value in wire.fields(request) if number > 1]
            number, value = asked[0]
            text = value.decode()
        except (wire.WireError, IndexError, UnicodeDecodeError):
            return _error(grpc.StatusCode.INVALID_ARGUMENT, "this is no question")
        if number == _SERVICES:
            listed = [*self._services, *NAMES]
            return wire.bytes_field(6, b"".join(wire.bytes_field(1, _text(1, name)) for name in listed))
        found: _File | None = None
        if number == _BY_NAME:
            found = self._files.get(text)
        elif number == _BY_SYMBOL:
            found = next((file for file in self._files.values() if text in file.symbols), None)
        elif number not in (_BY_EXTENSION, _EXTENSIONS):  # proto3 has no extensions
            return _error(grpc.StatusCode.UNIMPLEMENTED, f"unknown question {number}")
        if found is None:
            return _error(grpc.StatusCode.NOT_FOUND, f"there is no '{text}' here")
        return wire.bytes_field(4, b"".join(wire.bytes_field(1, file.encoded) for file in self._with_imports(found)))

    def _with_imports(self, file: _File) -> list[_File]:
        found: dict[str, _File] = {}
        pending = [file]
        while pending:
            here = pending.pop()
            if here.name not in found:
                found[here.name] = here
                pending += [self._files[name] for name in here.imports if name in self._files]
        return list(found.values())


def _error(code: grpc.StatusCode, text: str) -> bytes:
    number: int = code.value[0]
    return wire.bytes_field(7, wire.number_field(1, number) + _text(2, text))


def _text(field: int, text: str) -> bytes:
    return wire.optional_bytes(field, text.encode())


def _name(encoded: bytes) -> str:
    return next((as_bytes(value).decode() for number, value in wire.fields(encoded) if number == 1), "")
