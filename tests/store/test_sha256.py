"""SHA-256, whoever computes it."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from store.sha256 import LITTLE, Sha256, sha256


@pytest.mark.parametrize("size", [0, 1, 1000, LITTLE - 1, LITTLE, LITTLE + 1, 3 * LITTLE])
@pytest.mark.parametrize("pieces", [1, 7])
def test_the_digest_is_that_of_hashlib(size: int, pieces: int) -> None:
    data = bytes(number * 31 % 251 for number in range(size))
    hasher = Sha256()
    step = size // pieces + 1
    for start in range(0, size, step):
        hasher.update(data[start : start + step])
    assert hasher.digest() == sha256(data) == hashlib.sha256(data).digest()
    hasher.update(b"and more")
    data += b"and more"
    assert hasher.hexdigest() == Sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()


_PROGRAM = """
import sys
from store.sha256 import LITTLE, Sha256, sha256

def hashed(sizes):
    found = []
    for size in sizes:
        hasher = Sha256(b"x" * (size // 2))
        hasher.update(b"x" * (size - size // 2))
        found.append((hasher.hexdigest(), sha256(b"x" * size).hex(), "hashlib" in sys.modules))
    return found

print(hashed({sizes}))
"""


def _in_a_process_of_its_own(sizes: str) -> list[tuple[str, str, bool]]:
    command = [sys.executable, "-c", _PROGRAM.replace("{sizes}", sizes)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: list[tuple[str, str, bool]] = eval(said)
    return found


def test_little_is_hashed_without_openssl() -> None:
    [(streamed, whole, loaded)] = _in_a_process_of_its_own("[1000]")
    assert streamed == whole == hashlib.sha256(b"x" * 1000).hexdigest()
    if any(name in sys.builtin_module_names or _importable(name) for name in ("_sha2", "_sha256")):
        assert not loaded


def test_much_is_hashed_with_openssl_and_so_is_what_follows() -> None:
    size = LITTLE + 1
    [(large, _, loaded), (small, whole, _)] = _in_a_process_of_its_own("[LITTLE + 1, 5]")
    assert large == hashlib.sha256(b"x" * size).hexdigest()
    assert loaded
    assert small == whole == hashlib.sha256(b"xxxxx").hexdigest()


def test_many_little_ones_come_to_much() -> None:
    found = _in_a_process_of_its_own("[LITTLE // 2] * 4")
    assert {streamed for streamed, _, _ in found} == {hashlib.sha256(b"x" * (LITTLE // 2)).hexdigest()}
    assert found[-1][2]


def _importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True
