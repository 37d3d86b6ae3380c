"""What builders see, and what becomes of their outputs, is what Nix 2.8 makes of the same derivations.

The derivations are in ``cases/environments.nix``; each writes down what it sees. Paths, archives and references are
compared; Nix builds in its own sandbox, in a store of its own.
"""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from builder.oci.runtimes import Runtime
from store.store_path import name_of
from tests.builder.sandbox.building import Sandbox, opened
from tests.builder.sandbox.nix import CORES, Nix

CASES = Path(__file__).parent / "cases/environments.nix"

#: runc gives a container without a terminal pipes of its own, which it reads out.
KNOWN = {"runc": {"descriptors"}}


@pytest.fixture(scope="session")
def expected(nix: Nix) -> dict[str, dict[str, tuple[str, list[str]]]]:
    """What Nix made: derivation -> output path -> hash of the archive, references."""
    drv_paths = nix.instantiate(CASES)
    assert len(drv_paths) >= 30
    nix.realise(*drv_paths)
    found = {}
    for drv_path in drv_paths:
        outputs = nix.run("nix-store", "--query", "--outputs", drv_path).split()
        found[drv_path] = nix.hashes(
            [path for path in outputs if nix.real(path).is_symlink() or nix.real(path).exists()]
        )
    return found


def test_outputs_are_those_of_nix(
    nix: Nix,
    expected: dict[str, dict[str, tuple[str, list[str]]]],
    runtime: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_VARIABLE_OF_THE_MACHINE", "value")
    differences: list[str] = []
    with opened(tmp_path, runtime) as sandbox:
        for drv_path, outputs in expected.items():
            assert outputs, f"Nix did not build {drv_path}"
            nix.give(sandbox, drv_path)
            sandbox.realise(drv_path, CORES)
            if name_of(drv_path).removesuffix(".drv") in KNOWN.get(runtime.name, ()):
                continue
            for path, (digest, references) in outputs.items():
                info = sandbox.store.query(path)
                assert info is not None, f"{path} was not made"
                if sorted(info.references) != references:
                    differences.append(f"{path} refers to {info.references}, under Nix to {references}")
                if f"sha256:{info.nar_hash().nix32()}" != digest:
                    differences.append(difference(nix, sandbox, path))
    assert not differences, "\n".join(differences)


def difference(nix: Nix, sandbox: Sandbox, path: str) -> str:
    """Where two trees differ, file by file."""
    ours, theirs = Path(sandbox.checkouts.path_of(path)), nix.real(path)
    lines = [f"{path} differs:"]
    names = {file.relative_to(root) for root in (ours, theirs) for file in [root, *root.rglob("*")]}
    for name in sorted(names):
        texts = [described(root / name) for root in (theirs, ours)]
        lines += difflib.unified_diff(texts[0], texts[1], f"Nix {name}", f"here {name}", lineterm="", n=0)
    return "\n".join(lines)


def described(file: Path) -> list[str]:
    if file.is_symlink():
        return [f"-> {file.readlink()}"]
    if file.is_dir():
        return ["folder"]
    if not file.exists():
        return ["nothing"]
    return [oct(file.stat().st_mode), *file.read_text(errors="backslashreplace").splitlines()]
