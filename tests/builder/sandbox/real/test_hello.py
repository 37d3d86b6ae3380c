"""GNU hello, from its source tarball to its greeting, through eight derivations: here twice, and under Nix.

Its sources and a compiler come over the network, so this runs only when asked to: ``TVIX_REAL_BUILDS=FOLDER`` names
where they are kept. It takes some minutes.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder.oci.runtimes import Runtime
from tests.builder.sandbox.building import opened
from tests.builder.sandbox.nix import CORES, Nix
from tests.builder.sandbox.real.fetching import fetch

EXPRESSION = Path(__file__).parent / "hello.nix"
STEPS = ["tools", "cc", "untar", "unpacked", "make", "configured", "built", "greeting"]

pytestmark = pytest.mark.timeout(3000)


@pytest.fixture(scope="module")
def sources() -> dict[str, Path]:
    folder = os.environ.get("TVIX_REAL_BUILDS")
    if not folder:
        pytest.skip("TVIX_REAL_BUILDS names no folder to fetch hello's source and a compiler into")
    try:
        return fetch(Path(folder))
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"hello's source or a compiler is not to be had: {error}")


def test_hello_is_built_and_runs(sources: dict[str, Path], nix: Nix, any_runtime: Runtime, tmp_path: Path) -> None:
    arguments = [part for name, path in sources.items() for part in ("--argstr", name, str(path))]
    attributes = [part for name in STEPS for part in ("-A", name)]
    drv_paths = nix.run("nix-instantiate", str(EXPRESSION), *arguments, *attributes).split()
    assert len(drv_paths) == len(STEPS)
    archives: list[dict[str, str]] = []
    for name in ("once", "twice"):
        with opened(tmp_path / name, any_runtime) as sandbox:
            made: dict[str, str] = {}
            for step, drv_path in zip(STEPS, drv_paths, strict=True):
                nix.give(sandbox, drv_path)
                (path,) = sandbox.realise(drv_path, CORES)
                info = sandbox.store.query(path)
                assert info is not None
                made[step] = f"{path} sha256:{info.nar_hash().nix32()}"
                if step == "greeting":
                    assert sandbox.read(info, b"plain") == b"Hello, world!\n"
                    assert sandbox.read(info, b"own") == b"hello from the sandbox\n"
                    assert b"GNU Hello" in sandbox.read(info, b"version")
            archives.append(made)
    assert archives[0] == archives[1]
    paths = nix.realise(*drv_paths)
    assert len(paths) == len(STEPS), "Nix did not build all of it"
    theirs = {
        step: f"{path} {digest}"
        for step, path, digest in zip(
            STEPS, paths, nix.run("nix-store", "--query", "--hash", *paths).split(), strict=True
        )
    }
    assert archives[0] == theirs
