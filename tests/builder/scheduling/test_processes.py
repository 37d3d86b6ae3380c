"""Processes that share a store: one build for all of them, and none that a dead one keeps the others from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.locks import Locks
from builder.places import state_folder
from store.composition.castore_store import CastoreStore
from tests.builder.scheduling.pretending import Recipes

PROGRAM = "tests.builder.scheduling.pretending"


@contextmanager
def process(store: CastoreStore, drv_path: str) -> Iterator[subprocess.Popen[str]]:
    folder = store.uri.removeprefix("local:")
    command = [sys.executable, "-m", PROGRAM, folder, drv_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as child:
        try:
            yield child
        finally:
            child.kill()


def read_until(child: subprocess.Popen[str], start: str) -> list[str]:
    """The lines of a process up to the first that begins so."""
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line.strip())
        if line.startswith(start):
            return lines
    raise AssertionError(f"it ended without '{start}': {lines}")


def go_on(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")


@pytest.fixture
def drv_path(store: CastoreStore) -> str:
    return Recipes(store).add("x", does="ask")


def test_two_processes_build_it_once(store: CastoreStore, drv_path: str) -> None:
    with process(store, drv_path) as first:
        read_until(first, "building")
        with process(store, drv_path) as second:
            read_until(second, "Waiting")
            go_on(first)
            made = read_until(first, "made")[-1]
            rest = read_until(second, "made")
    assert rest[-1] == made
    assert not [line for line in rest if line.startswith("building")]


def test_the_death_of_one_lets_the_other_go_on(store: CastoreStore, drv_path: str) -> None:
    with process(store, drv_path) as first:
        read_until(first, "building")
        with process(store, drv_path) as second:
            read_until(second, "Waiting")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            read_until(second, "building")
            go_on(second)
            read_until(second, "made")
    assert list(Path(state_folder(store), "building").iterdir()) == []


def test_a_lock_is_had_by_one_only(tmp_path: Path) -> None:
    locks, others = Locks(str(tmp_path / "locks")), Locks(str(tmp_path / "locks"))
    first = locks.attempt("x")
    assert first is not None
    assert others.attempt("x") is None
    assert others.attempt("y") is not None
    first.release()
    first.release()
    with_again = others.attempt("x")
    assert with_again is not None
    with_again.release()
    assert list((tmp_path / "locks").iterdir()) == [tmp_path / "locks" / "y.lock"]
