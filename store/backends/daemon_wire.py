"""The worker protocol that a Nix daemon speaks on its socket: numbers, strings, what it says while it works.

Specification: the protocol as Nix 2.8 speaks it (1.34); 1.23 and later are understood. Every answer comes after a
stream of messages (log lines, activities) that ends with LAST or with an error.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

from store.castore.services import Refused, StoreError, Unreachable
from store.store_path import to_bytes, to_text

_HELLO = 0x6E697863
_HELLO_BACK = 0x6478696F
_OURS = 1 << 8 | 34
_OLDEST = 1 << 8 | 23

_NEXT = 0x6F6C6D67
_LAST = 0x616C7473
_ERROR = 0x63787470
_START = 0x53545254
_STOP = 0x53544F50
_RESULT = 0x52534C54

IS_VALID = 1
BUILD_PATHS = 9
QUERY_ALL = 23
QUERY_INFO = 26
QUERY_BY_DIGEST = 29
NAR_FROM_PATH = 38
ADD_NAR = 39

_LONGEST = 1 << 26


class Connection:
    """One connection: an operation at a time."""

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._out = bytearray()
        try:
            self._socket.connect(path)
            self._file = self._socket.makefile("rb")
            self._greet()
        except OSError as error:
            self.close()
            raise Unreachable(f"no Nix daemon answers at {path}: {error.strerror or error}") from None
        except StoreError:
            self.close()
            raise

    def _greet(self) -> None:
        self.number(_HELLO)
        self.flush()
        if self.read_number() != _HELLO_BACK:
            raise Unreachable(f"what answers at {self.path} is no Nix daemon")
        theirs = self.read_number()
        self.version = min(theirs, _OURS)
        if theirs < _OLDEST or theirs >> 8 != 1:
            raise Unreachable(f"the Nix daemon at {self.path} speaks {theirs >> 8}.{theirs & 255}; 1.23 is needed")
        self.number(_OURS)
        self.number(0)  # no processor affinity
        self.number(0)  # nothing to reserve
        self.flush()
        if self.version & 255 >= 33:
            self.read_bytes()  # its version, for people
        self.finish()

    def number(self, value: int) -> None:
        """Write a number."""
        self._out += value.to_bytes(8, "little")

    def text(self, value: str) -> None:
        """Write a string."""
        data = to_bytes(value)
        self.number(len(data))
        self._out += data + bytes(-len(data) % 8)

    def texts(self, values: Iterable[str]) -> None:
        """Write a list of strings."""
        found = list(values)
        self.number(len(found))
        for value in found:
            self.text(value)

    def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.flush()
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._gone(error) from None

    def flush(self) -> None:
        """Send what was written."""
        if self._out:
            data = bytes(self._out)
            self._out.clear()
            self.raw(data)

    def read_number(self) -> int:
        """Read a number."""
        return int.from_bytes(self._exactly(8), "little")

    def read_bytes(self) -> bytes:
        """Read a string's bytes."""
        size = self.read_number()
        if size > _LONGEST:
            raise Unreachable(f"the Nix daemon at {self.path} sends a string of {size} bytes")
        data = self._exactly(size)
        self._exactly(-size % 8)
        return data

    def read_text(self) -> str:
        """Read a string."""
        return to_text(self.read_bytes())

    def read_texts(self) -> list[str]:
        """Read a list of strings."""
        return [self.read_text() for _ in range(self.read_number())]

    def read_some(self, limit: int) -> bytes:
        """At most ``limit`` bytes of what comes as it is."""
        try:
            return self._file.read1(limit)
        except OSError as error:
            raise self._gone(error) from None

    def finish(self) -> None:
        """Send what was written, and read what the daemon says until its answer begins. Its error is ``Refused``."""
        self.flush()
        while (kind := self.read_number()) != _LAST:
            if kind == _NEXT:
                self.read_bytes()
            elif kind == _ERROR:
                raise Refused(self._read_error())
            elif kind == _START:
                for _ in range(3):
                    self.read_number()
                self.read_bytes()
                self._fields()
                self.read_number()
            elif kind == _STOP:
                self.read_number()
            elif kind == _RESULT:
                self.read_number()
                self.read_number()
                self._fields()
            else:
                raise Unreachable(f"the Nix daemon at {self.path} says {kind:#x}, which is not understood")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read_error(self) -> str:
        if self.version & 255 < 26:
            text = self.read_text()
            self.read_number()
            return text
        self.read_bytes()
        self.read_number()
        self.read_bytes()
        text = self.read_text()
        self.read_number()
        for _ in range(self.read_number()):
            self.read_number()
            self.read_bytes()
        return text

    def _fields(self) -> None:
        for _ in range(self.read_number()):
            if self.read_number() == 0:
                self.read_number()
            else:
                self.read_bytes()

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise self._gone(error) from None
        if len(data) < size:
            raise Unreachable(f"the Nix daemon at {self.path} hung up")
        return data

    def _gone(self, error: OSError) -> Unreachable:
        return Unreachable(f"the Nix daemon at {self.path}: {error.strerror or error}")
