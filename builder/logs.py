"""Logs of builds, kept compressed: ``FOLDER/ab/cdef…-NAME.drv.zst``, a Zstandard frame for each derivation.

A log takes its place whole, when its build has ended, well or not; one that is written again replaces it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

from store.castore.services import Missing
from store.store_path import base_name

if TYPE_CHECKING:
    import zstandard

_LEVEL = 3
_PIECE = 1 << 16


class Log:
    """A log that is being written. Nothing is opened until the first line comes."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._file: IO[bytes] | None = None
        self._writer: zstandard.ZstdCompressionWriter | None = None

    def write(self, line: bytes) -> None:
        """Add a line (without its newline)."""
        if self._writer is None:
            import zstandard  # takes longer than making ready what says nothing

            folder = os.path.dirname(self._place)
            os.makedirs(folder, exist_ok=True)
            # One build of a derivation at a time, so no other log has this name.
            self._file = open(f"{self._place}.new", "wb")  # noqa: SIM115
            self._writer = zstandard.ZstdCompressor(level=_LEVEL).stream_writer(self._file)
        self._writer.write(line + b"\n")

    def end(self) -> None:
        """The build is over: what was written becomes its log."""
        if self._writer is None or self._file is None:
            return
        self._writer.close()  # type: ignore[no-untyped-call]  # closes the file, too
        os.replace(self._file.name, self._place)
        self._writer = None


class Logs:
    """The logs in ``folder`` (made when the first is written)."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def begin(self, drv_path: str) -> Log:
        """The log of a build of ``drv_path`` that begins."""
        return Log(self._place(drv_path))

    def has(self, drv_path: str) -> bool:
        """Whether there is one."""
        return os.path.exists(self._place(drv_path))

    def read(self, drv_path: str) -> Iterator[bytes]:
        """The last log of a derivation in pieces. Raises ``Missing``."""
        try:
            file = open(self._place(drv_path), "rb")  # noqa: SIM115 - closed below, at the end of reading
        except FileNotFoundError:
            raise Missing(f"no log of '{drv_path}' is kept: it was not built here, or said nothing") from None
        import zstandard

        with file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
            while piece := reader.read(_PIECE):
                yield piece

    def sweep(self, wanted: Callable[[str], bool]) -> int:
        """Remove the logs of those derivations (base names) that are not ``wanted``, and what writers left that were
        killed; how many. Nobody may write one meanwhile."""
        gone = 0
        for folder, _, names in os.walk(self.folder, topdown=False):
            for name in names:
                base = os.path.basename(folder) + name.removesuffix(".zst")
                if not name.endswith(".zst") or not wanted(base):
                    os.unlink(os.path.join(folder, name))
                    gone += 1
            if not os.listdir(folder):
                os.rmdir(folder)
        return gone

    def _place(self, drv_path: str) -> str:
        base = base_name(drv_path)
        return os.path.join(self.folder, base[:2], base[2:] + ".zst")
