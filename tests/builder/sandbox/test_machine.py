"""What this machine offers: runtimes that are tried, control groups, checkouts of store paths, the doctor's report."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builder import doctor
from builder.canonical import NotCanonical, canonicalise, remove_tree
from builder.checkouts import Checkouts
from builder.events import BuildEvent, Failed, LogLine, Why
from builder.oci import host_ids, probing, seccomp, starter
from builder.oci.cgroups import Group, Hierarchy, find_hierarchy
from builder.oci.probing import NoRuntime, choose
from builder.oci.root import find_shell, is_static, root_folder
from builder.oci.runtimes import Runtime
from builder.oci.service import OciBuildService, no_kvm
from builder.prepare import prepare
from store.backends.memory import MemoryCastore
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.derivation import Output
from store.records import replace
from store.store_path import BadStorePath
from tests.builder.sandbox.building import Sandbox


def test_finding_is_remembered(any_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(tmp_path, tmp_path / "kept/finding").name == any_runtime.name
    monkeypatch.setattr(probing, "try_out", lambda *_: pytest.fail("it was tried again"))
    assert choose(tmp_path, tmp_path / "kept/finding").name == any_runtime.name


def test_finding_is_forgotten_with_the_program(
    any_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(tmp_path, tmp_path / "kept/finding")
    (tmp_path / "kept/finding").write_text("{")
    assert choose(tmp_path, tmp_path / "kept/finding").name == any_runtime.name, "a broken file is no finding"
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(probing, "candidates", list)
    with pytest.raises(NoRuntime, match="install crun"):
        choose(tmp_path, tmp_path / "kept/finding")


def test_doctor_says_what_is_there(any_runtime: Runtime, tmp_path: Path) -> None:
    report = doctor.examine(tmp_path)
    assert report.works
    assert report.used == any_runtime.name
    subjects = {finding.subject: finding.state for finding in report.findings}
    assert {"runc", "bwrap", "/bin/sh", "memory and processes", "system calls", "network"} <= subjects.keys()
    # Once, though there are two ways to run it; twice only where neither works.
    said = [subjects[subject] for subject in subjects if subject.startswith("crun")]
    assert len(said) == 1 or "ok" not in said or said == ["ok", "ok"]
    assert subjects[any_runtime.name] == "ok"
    assert len(report.lines()) == len(report.findings)
    assert not list((tmp_path / "builds").iterdir())


def test_doctor_says_who_else_reaches_builders(
    sandbox: Sandbox, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: set[int] = set()

    def look(event: BuildEvent) -> None:
        if event == LogLine(b"ready"):
            made = (sandbox.folder / "builder/builds").glob("*/build/made")
            owners.update(place.stat().st_uid for place in made)

    sandbox.build(sandbox.derivation("touch /build/made; echo ready; echo done >$out"), on_event=look)
    (owner,) = owners
    monkeypatch.setattr(probing, "candidates", lambda: [runtime])
    findings = doctor.examine(sandbox.folder / "builder").findings
    (found,) = [finding for finding in findings if finding.subject == "other users"]
    if runtime.maps:
        assert owner >= host_ids.START
        assert found.state == "ok"
        assert "belong to nobody" in found.text
    else:
        assert found.state == ("ok" if owner == os.geteuid() else "weak")
        assert f"the user {owner} " in found.text


def test_shell_is_static() -> None:
    shell = find_shell()
    if shell is None:
        pytest.skip("no static busybox here (Debian: apt-get install busybox-static)")
    assert is_static(shell)
    assert not is_static(os.path.realpath(sys.executable))
    assert not is_static(__file__)


def test_root_is_made_once(tmp_path: Path) -> None:
    shell = find_shell()
    closed = root_folder(tmp_path, shell, False, "/nix/store")
    before = (closed / "etc/passwd").stat()
    assert root_folder(tmp_path, shell, False, "/nix/store") == closed
    assert (closed / "etc/passwd").stat() == before
    online = root_folder(tmp_path, shell, True, "/nix/store")
    assert (online / "etc/nsswitch.conf").exists() and not (closed / "etc/nsswitch.conf").exists()


@pytest.mark.skipif(starter.program() is None, reason="there is no starter for this kind of machine")
def test_starter_becomes_the_builder(tmp_path: Path) -> None:
    program = starter.program()
    assert program is not None
    place = tmp_path / "starter"
    place.write_bytes(program)
    place.chmod(0o755)
    printing = ["/bin/sh", "called", "-c", 'echo "$0" "$1" "$VARIABLE"', "zero", "one"]
    done = subprocess.run([str(place), *printing], capture_output=True, text=True, env={"VARIABLE": "set"}, check=True)
    assert done.stdout == "zero one set\n"
    assert not place.exists()
    place.write_bytes(program)
    place.chmod(0o755)
    failed = subprocess.run([str(place), "/nonexistent", "name"], capture_output=True, check=False)
    assert (failed.returncode, failed.stderr) == (starter.STATUS, starter.COMPLAINT + b"\n")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_of_system_calls_is_well_formed(machine: str) -> None:
    """Every jump stays inside, every way ends with an answer."""
    program = seccomp.program(machine)
    assert len(program) % 8 == 0
    length = len(program) // 8
    for at in range(length):
        code, yes, no = int.from_bytes(program[8 * at : 8 * at + 2], "little"), program[8 * at + 2], program[8 * at + 3]
        if code & 7 == 5:
            assert at + 1 + max(yes, no) < length
    assert int.from_bytes(program[-8:-6], "little") == 6
    assert len(seccomp.oci(machine)["syscalls"]) == 10


def test_machine_is_known() -> None:
    assert seccomp.supported("x86_64") and not seccomp.supported("riscv64")
    assert seccomp.supported() == (platform.machine() in ("x86_64", "aarch64"))


def test_groups_of_the_second_version(tmp_path: Path) -> None:
    """In folders that look like the kernel's."""
    top = tmp_path / "cgroup"
    top.mkdir()
    (top / "cgroup.subtree_control").write_text("cpu memory pids\n")
    own = tmp_path / "own"
    own.write_text("0::/user.slice\n")
    hierarchy = Hierarchy(2, dict.fromkeys(("memory", "pids"), top / "tvix-lsp"))
    group = Group(hierarchy, "one")
    group.make(1 << 20, 7)
    made = top / "tvix-lsp/one"
    assert (made / "memory.max").read_text() == str(1 << 20)
    assert (made / "pids.max").read_text() == "7"
    assert (top / "tvix-lsp/cgroup.subtree_control").read_text() == "+memory +pids"
    assert group.files() == [str(made / "cgroup.procs")]
    first = Hierarchy(1, {"memory": top / "memory/tvix-lsp", "pids": top / "pids/tvix-lsp"})
    assert Group(first, "one").files() == [f"{top}/{name}/tvix-lsp/one/tasks" for name in ("memory", "pids")]
    (made / "memory.peak").write_text("4096\n")
    (made / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.peak() == 4096
    assert group.ran_out_of_memory()


def test_groups_of_niced_builds_have_a_small_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In folders that look like the kernel's: it tells the share only where groups share the processors' time."""
    share = tmp_path / "tvix-lsp-19/cpu.weight.nice"
    share.parent.mkdir()
    share.write_text("0\n")
    group = Group(Hierarchy(2, dict.fromkeys(("memory", "pids"), share.parent)), "one")
    group.make(0, 0)
    assert share.read_text() == "0\n"
    monkeypatch.setattr(os, "getpriority", lambda which, who: 19)
    Group(Hierarchy(2, dict.fromkeys(("memory", "pids"), share.parent)), "two").make(0, 0)
    assert share.read_text() == "19"


def test_no_groups_where_there_are_none(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/\n")
    assert find_hierarchy(tmp_path, own) is None
    assert find_hierarchy(tmp_path, tmp_path / "nothing") is None
    # Version 2 alone, but without what is needed, or seen from another name space.
    (tmp_path / "cgroup.controllers").write_text("cpu io\n")
    (tmp_path / "cgroup.subtree_control").write_text("")
    (tmp_path / "cgroup.procs").write_text("")
    assert find_hierarchy(tmp_path, own) is None
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    own.write_text("0::/../elsewhere\n")
    assert find_hierarchy(tmp_path, own) is None


def test_checkout_is_read_only_and_made_once(any_sandbox: Sandbox, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d/file").write_text("x")
    (source / "tool").write_text("#!")
    (source / "tool").chmod(0o700)
    (source / "link").symlink_to("d/file")
    info = any_sandbox.store.add_path(str(source), "tree")
    place = Path(any_sandbox.checkouts.path_of(info.path))
    found = {str(path.relative_to(place)): path.lstat() for path in [place, *place.rglob("*")]}
    modes = {name: stat.S_IMODE(status.st_mode) for name, status in found.items() if name != "link"}
    assert modes == {".": 0o555, "d": 0o555, "d/file": 0o444, "tool": 0o555}
    assert {status.st_mtime for status in found.values()} == {1}
    assert any_sandbox.store.add_path(str(place), "tree").path == info.path
    before = place.stat()
    assert any_sandbox.checkouts.path_of(info.path) == str(place)
    assert place.stat() == before
    with pytest.raises(Missing):
        any_sandbox.checkouts.path_of("/nix/store/00000000000000000000000000000000-missing")
    for wrong in ("/etc/passwd", "/nix/store/../../etc", info.path + "/d"):
        with pytest.raises(BadStorePath):
            any_sandbox.checkouts.path_of(wrong)


@pytest.mark.parametrize("kind", ["folder", "file", "link", "empty folder"])
def test_checkouts_at_once(kind: str, any_sandbox: Sandbox, tmp_path: Path) -> None:
    """Many want the same object: all get it whole, and nothing else is left."""
    source = tmp_path / "source"
    if kind == "file":
        source.write_text("x" * 100_000)
    elif kind == "link":
        source.symlink_to("nowhere")
    else:
        source.mkdir()
        if kind == "folder":
            for number in range(50):
                (source / str(number)).write_text("x" * 1000)
    info = any_sandbox.store.add_path(str(source), "object")
    barrier = threading.Barrier(6)
    places: list[str] = []

    def want() -> None:
        barrier.wait()
        places.append(any_sandbox.checkouts.path_of(info.path))

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(places)) == 1 and len(places) == 6
    assert any_sandbox.store.add_path(places[0], "object").path == info.path
    assert sorted(os.listdir(any_sandbox.checkouts.folder)) == sorted([os.path.basename(places[0]), "tmp"])
    assert os.listdir(any_sandbox.checkouts.folder / "tmp") == []


def test_checkouts_are_swept(any_sandbox: Sandbox, tmp_path: Path) -> None:
    info = any_sandbox.store.add_text("kept", b"x")
    kept = any_sandbox.checkouts.path_of(info.path)
    path = "/nix/store/00000000000000000000000000000000-gone"
    gone = any_sandbox.checkouts.folder / os.path.basename(path)
    gone.mkdir()
    (gone / "file").write_text("x")
    assert Checkouts(any_sandbox.store, any_sandbox.checkouts.folder).sweep() == [path]
    assert os.path.exists(kept)
    assert not os.path.exists(any_sandbox.checkouts.folder / os.path.basename(path))


def test_what_a_build_left_is_laid_out_as_it_is(sandbox: Sandbox) -> None:
    outputs = {name: Output() for name in ("out", "link", "file")}
    built = sandbox.build(
        sandbox.derivation(
            "mkdir -p $out/d; echo x > $out/d/f; ln $out/d/f $out/d/g; chmod +x $out/d/f; ln -s d $out/l;"
            "ln -s $out $link; echo y > $file",
            outputs=outputs,
        )
    )
    made = sandbox.checkouts.folder / "made"
    waiting = {path.lstat().st_ino for path in made.iterdir()}
    assert len(waiting) == 3
    for info in built.outputs.values():
        place = sandbox.checkouts.path_of(info.path)
        assert os.lstat(place).st_ino in waiting
        again = CastoreStore(MemoryCastore()).add_path(place, "x")
        assert again.nar_sha256 == info.nar_sha256
        for file in [Path(place), *Path(place).rglob("*")]:
            status = file.lstat()
            assert status.st_mtime == 1
            assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
            assert file.is_symlink() or not status.st_mode & 0o222
    assert list(made.iterdir()) == []


def test_what_nobody_wanted_of_it_goes_with_the_next_service(any_sandbox: Sandbox) -> None:
    built = any_sandbox.run("echo x > $out")
    made = any_sandbox.checkouts.folder / "made"
    assert len(list(made.iterdir())) == 1
    OciBuildService(any_sandbox.store, folder=any_sandbox.folder / "builder", checkouts=any_sandbox.checkouts)
    assert not made.exists()
    assert Path(any_sandbox.checkouts.path_of(built.out.path)).read_text() == "x\n"


def test_virtual_machines_for_builds_that_ask_for_them(sandbox: Sandbox) -> None:
    script = "if (exec 3<>/dev/kvm); then echo have > $out; else echo none > $out; fi"
    without = sandbox.run(script)
    assert sandbox.read(without.out) == b"none\n"
    built = sandbox.build(sandbox.derivation(script, {"requiredSystemFeatures": "kvm"}))
    if no_kvm():
        assert "it needs the feature kvm, but" in built.failed.message
    else:
        assert sandbox.read(built.out) == b"have\n"


def test_no_virtual_machines(any_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("builder.oci.service.KVM", str(tmp_path / "kvm"))
    assert "there is no" in no_kvm()
    (tmp_path / "kvm").touch()
    assert "is no device" in no_kvm()
    assert [found.state for found in doctor.examine(tmp_path).findings if found.subject == "kvm"] == ["weak"]


def test_other_paths_of_the_machine_are_refused(any_sandbox: Sandbox) -> None:
    drv = any_sandbox.derivation("")
    request = prepare(any_sandbox.store, any_sandbox.add(drv), drv)
    request = replace(request, constraints=replace(request.constraints, read_only_paths=("/etc/shadow",)))
    (failed,) = any_sandbox.service.build(request, threading.Event())
    assert isinstance(failed, Failed) and failed.why is Why.REFUSED
    assert "'/etc/shadow'" in failed.message


def test_cores_are_enforced_if_that_is_wanted(sandbox: Sandbox, runtime: Runtime) -> None:
    hierarchy = find_hierarchy()
    if hierarchy is None or hierarchy.processors is None:
        pytest.skip("no control groups for the processors' time here: they are not mounted, or not this user's")
    if runtime.groups_itself and hierarchy.version == 2:
        pytest.skip("under version 2 runc makes its groups itself")
    name = "cpu.cfs_quota_us" if hierarchy.version == 1 else "cpu.max"
    drv = sandbox.derivation("mkfifo /build/fifo; echo begun; read x < /build/fifo")
    request = prepare(sandbox.store, sandbox.add(drv), drv, cores=3)
    for enforced in (False, True):
        sandbox.service.enforce_cores = enforced
        cancel = threading.Event()
        found: list[str] = []
        for event in sandbox.service.build(request, cancel):
            if isinstance(event, LogLine) and not cancel.is_set():
                names = [path.name for path in (sandbox.folder / "builder/builds").glob("*/")]
                places = [hierarchy.processors / each / name for each in names]
                found = [place.read_text().split()[0] for place in places if place.exists()]
                cancel.set()
        assert found == (["300000"] if enforced else [])


def test_canonical_and_removed_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "closed/inner").mkdir(parents=True)
    (root / "closed/inner/file").write_text("x")
    (root / "closed").chmod(0o000)
    canonicalise(str(root))
    assert stat.S_IMODE((root / "closed").stat().st_mode) == 0o555
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotCanonical, match="a pipe"):
        canonicalise(str(tmp_path / "pipe"))
    remove_tree(str(root))
    remove_tree(str(root))
    remove_tree(str(tmp_path / "pipe"))
    assert os.listdir(tmp_path) == []
