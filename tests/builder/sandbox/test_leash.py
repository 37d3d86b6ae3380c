"""What runtimes are started with, done by a program of system calls and by the system's commands alike."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder.events import Why
from builder.oci import elf
from builder.oci.leash import COMPLAINT, FIRST, STATUS, Leash, complaint
from builder.oci.runtimes import Runtime
from tests.builder.sandbox.building import opened

SYSTEM = os.uname().machine + "-linux"


@pytest.fixture(params=["program", "shell"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    program = request.param == "program"
    if program and os.uname().machine != "x86_64":
        pytest.skip("programs are made for x86-64 only")
    monkeypatch.setattr(elf, "AVAILABLE", program)
    return str(request.param)


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make mount namespaces without a user namespace")


def run(held: Leash, script: str, folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = held.hold(["/bin/sh", "-c", script, "sh", *words], folder)
    return subprocess.run(command, env={"PATH": os.environ["PATH"], "SAID": "set"}, capture_output=True, check=False)


def test_arguments_and_environment_arrive(way: str, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff 'quoted' $HOME\n")
    done = run(Leash(SYSTEM), 'printf "%s|" "$PWD" "$SAID" "$#" "$@"', tmp_path, odd, "", "last")
    assert done.stdout == b"/|set|3|" + os.fsencode(odd) + b"||last|", done.stderr


def test_addresses_are_not_random(way: str, tmp_path: Path) -> None:
    assert int(run(Leash(SYSTEM), "cat /proc/self/personality", tmp_path).stdout, 16) == 0x40000
    assert int(run(Leash("i686-linux"), "cat /proc/self/personality", tmp_path).stdout, 16) == 0x40008


def test_umask(way: str, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        assert int(run(Leash(SYSTEM), "umask", tmp_path).stdout, 8) == 0o022
    finally:
        os.umask(before)


def test_limits_hold(way: str, tmp_path: Path) -> None:
    limits = {"NOFILE": (64, 128), "CORE": (0, 0), "FSIZE": (1 << 20, 1 << 20)}
    done = run(Leash(SYSTEM, limits=limits), "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -f", tmp_path)
    assert done.stdout.split() == [b"64", b"128", b"0", b"2048"], done.stderr


def test_files_are_opened(way: str, tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "the second"]
    for path in paths:
        path.write_text(path.name)
    held = Leash(SYSTEM, opened=[str(path) for path in paths])
    assert run(held, f"cat <&{FIRST}; cat <&{FIRST + 1}", tmp_path).stdout == b"onethe second"


def test_group_is_entered(way: str, tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    assert run(Leash(SYSTEM, groups=[str(tmp_path / "cgroup.procs")]), "echo ran", tmp_path).stdout == b"ran\n"
    assert (tmp_path / "cgroup.procs").read_text().strip() == "0"
    failed = run(Leash(SYSTEM, groups=[str(tmp_path / "none/cgroup.procs")]), "echo ran", tmp_path)
    assert failed.returncode != 0 and failed.stdout == b"" and b"none/cgroup.procs" in failed.stderr


@pytest.mark.usefixtures("root")
def test_mounts_are_its_own(way: str, tmp_path: Path) -> None:
    (tmp_path / "covered").mkdir()
    (tmp_path / "covered/file").touch()
    held = Leash(SYSTEM, own_mounts=True, covered=str(tmp_path / "covered"))
    assert run(held, 'ls "$1"', tmp_path, str(tmp_path / "covered")).stdout == b""
    assert os.listdir(tmp_path / "covered") == ["file"]
    failed = run(Leash(SYSTEM, own_mounts=True, unmounted=str(tmp_path)), "echo ran", tmp_path)
    assert failed.returncode != 0 and failed.stdout == b""


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("way", ["program"], indirect=True)
def test_program_cannot_be_written(way: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    held = Leash(SYSTEM, own_mounts=True, read_only=str(kept))
    assert b"Read-only" in run(held, 'echo other >"$1"', tmp_path, str(kept)).stderr
    assert kept.read_text() == "as it was"


@pytest.mark.parametrize("way", ["program"], indirect=True)
def test_program_says_what_failed(way: str, tmp_path: Path) -> None:
    done = subprocess.run(Leash(SYSTEM).hold(["/nonexistent/runtime"], tmp_path), capture_output=True, check=False)
    assert done.stderr == COMPLAINT + b"cannot execute /nonexistent/runtime\n"
    assert complaint(done.returncode, [done.stderr]).endswith("/nonexistent/runtime\n")
    assert complaint(STATUS, [b"another program's line"]) == complaint(1, [COMPLAINT]) == complaint(STATUS, []) == ""


def test_builds_run_either_way(way: str, runtime: Runtime, tmp_path: Path) -> None:
    with opened(tmp_path, runtime) as sandbox:
        built = sandbox.build(sandbox.derivation("echo said; echo made >$out"))
        assert built.log == b"said\n" and built.out.nar_size > 0
        failed = sandbox.build(sandbox.derivation("exit 3")).failed
        assert (failed.why, failed.status) == (Why.EXIT, 3)
