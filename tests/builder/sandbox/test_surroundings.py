"""What surrounds the builder does not get into builds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.oci.runtimes import Runtime
from tests.builder.sandbox.building import opened

LOOK = """
umask >$out
touch made; mkdir folder
for place in / /bin /bin/sh /etc /etc/passwd /nix /nix/store /tmp /build $textPath made folder; do
    set -- $(ls -ld $place); echo $1 $place >>$out
done
"""


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_umask(mask: int, runtime: Runtime, tmp_path: Path) -> None:
    """Builds have the one that Nix gives them, and find all files as they find them elsewhere."""
    seen: list[str] = []
    for name, given in (("usual", 0o022), ("unusual", mask)):
        with umask(given), opened(tmp_path / name, runtime) as sandbox:
            drv = sandbox.derivation(LOOK, {"text": "a text", "passAsFile": "text"})
            seen.append(sandbox.read(sandbox.build(drv).out).decode())
    usual, unusual = seen
    assert usual.startswith("0022\ndrwxr-xr-x /\n"), usual
    assert unusual == usual
