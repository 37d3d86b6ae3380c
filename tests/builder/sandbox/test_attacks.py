"""What a hostile builder may try, and that it gets nowhere: in every runtime, as root and as an ordinary user.

Each file in ``attacks/`` is a builder that fails when it gets through.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.events import BuildEvent, LogLine, Why
from builder.oci.cgroups import find_hierarchy
from builder.oci.runtimes import Runtime
from builder.prepare import Limits
from store.castore.nodes import SymlinkNode
from store.derivation import Output
from tests.builder.sandbox.building import Sandbox, left_behind
from tests.processes import bystander, running, sleep_of_ones_own

ATTACKS = sorted(path.name for path in (Path(__file__).parent / "attacks").glob("*.sh"))


@pytest.fixture
def surroundings(sandbox: Sandbox, programs: Path) -> Iterator[tuple[dict[str, str], set[str]]]:
    """What the attacks aim at: variables for them, and their inputs."""
    source = sandbox.folder / "source"
    source.mkdir()
    (source / "file").write_text("precious\n")
    given = sandbox.store.add_path(str(source), "input").path
    tools = sandbox.store.add_path(str(programs), "programs").path
    abstract = f"tvix-test-{secrets.token_hex(4)}"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as local,
        bystander() as pid,
    ):
        local.bind("\0" + abstract)
        local.listen()
        yield (
            {
                "INPUT": given,
                "PROGRAMS": tools,
                "HOST_FOLDER": str(sandbox.folder),
                "HOST_PORT": str(listener.getsockname()[1]),
                "HOST_SOCKET": abstract,
                "HOST_PID": str(pid),
            },
            {given, tools},
        )
    assert (source / "file").read_text() == "precious\n"


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_gets_nowhere(attack: str, sandbox: Sandbox, surroundings: tuple[dict[str, str], set[str]]) -> None:
    env, inputs = surroundings
    if attack == "read_the_host.sh":
        inputs = {env["INPUT"]}  # it looks at what else there is
        del env["PROGRAMS"]
    script = (Path(__file__).parent / "attacks" / attack).read_text() + '\necho refused >"$out"\n'
    built = sandbox.build(sandbox.derivation(script, env, sources=inputs))
    assert sandbox.read(built.out) == b"refused\n"


def test_fork_bomb_is_bounded(sandbox: Sandbox) -> None:
    script = "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done; echo all of them >$out"
    built = sandbox.build(sandbox.derivation(script), Limits(processes=os_processes() + 40, seconds=60))
    assert built.failed.why is Why.EXIT
    assert b"can't fork" in built.log


def test_fork_bomb_that_goes_on_ends_with_its_time(sandbox: Sandbox) -> None:
    bomb = "b() { b | b & sleep 5; }; b; sleep 1000"
    built = sandbox.build(sandbox.derivation(bomb), Limits(processes=os_processes() + 60, seconds=2))
    assert built.failed.why in (Why.TIME, Why.EXIT)


def os_processes() -> int:
    """How many processes this user has already, where limits count them too: only ordinary users'."""
    if os.geteuid() == 0:
        return 0
    return sum(path.stat().st_uid == os.geteuid() for path in Path("/proc").glob("[0-9]*"))


def test_memory_bomb_is_killed(sandbox: Sandbox, runtime: Runtime) -> None:
    built = sandbox.build(sandbox.derivation("tail /dev/zero; echo $?; exit 3"), Limits(memory=64 << 20, seconds=60))
    hierarchy = find_hierarchy()
    told = hierarchy is not None and (runtime.name != "runc" or hierarchy.version == 1)
    assert built.failed.why is (Why.MEMORY if told else Why.EXIT), built.failed


def test_memory_that_is_not_the_reason_is_not_blamed(sandbox: Sandbox) -> None:
    built = sandbox.build(sandbox.derivation("exit 137"), Limits(memory=64 << 20))
    assert built.failed.why is Why.EXIT


@pytest.mark.parametrize("place", ["$out", "/build", "/tmp"])
def test_disk_bomb_is_ended(sandbox: Sandbox, place: str) -> None:
    script = f"mkdir -p {place}; i=0; while true; do head -c 100000 /dev/zero > {place}/$i; i=$((i + 1)); done"
    built = sandbox.build(sandbox.derivation(script), Limits(output_size=4 << 20, seconds=120))
    assert built.failed.why is Why.OUTPUT
    assert built.failed.message == "killed after writing more than 4194304 bytes of files"


def test_log_bomb_is_ended(sandbox: Sandbox) -> None:
    built = sandbox.build(sandbox.derivation("yes a line that goes on"), Limits(log_size=1 << 20, seconds=60))
    assert built.failed.why is Why.LOG
    assert "1048576 bytes" in built.failed.message
    assert (1 << 20) - 4096 < len(built.log) < 2 << 20


def test_line_without_end_is_cut_in_pieces(any_sandbox: Sandbox) -> None:
    built = any_sandbox.run("dd if=/dev/zero bs=1000000 count=1 2>/dev/null | tr '\\0' x; echo; echo done >$out")
    lines = [event.line for event in built.events if isinstance(event, LogLine) and event.line.startswith(b"xx")]
    assert len(lines) > 1
    assert sum(len(line) for line in lines) == 1_000_000


def test_silence_ends_it(sandbox: Sandbox) -> None:
    built = sandbox.build(sandbox.derivation("echo so far; sleep 1000"), Limits(silence=1))
    assert built.failed.why is Why.SILENCE
    assert built.failed.tail == (b"so far",)


def test_no_process_outlives_the_build(sandbox: Sandbox) -> None:
    """Neither children in the background nor those that left their session."""
    sleep = sleep_of_ones_own()
    script = f": {sandbox.folder}; (setsid {sleep} &) ; {sleep} & echo done >$out"
    assert sandbox.run(script).made
    assert left_behind(sandbox.folder, sandbox.names) == []
    assert not running(sleep)


def test_output_kept_open_by_a_process_in_the_background(sandbox: Sandbox) -> None:
    """The log's other end stays open in it; the build ends all the same."""
    built = sandbox.run("sleep 97531 & echo done >$out; echo bye")
    assert built.made
    assert b"bye" in built.log


def test_runtime_killed_from_outside(sandbox: Sandbox) -> None:
    """Somebody kills the program that runs the container: the build fails, and nothing stays."""

    def kill(event: BuildEvent) -> None:
        if event == LogLine(b"ready"):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    line = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                builds = os.fsencode(sandbox.folder / "builder/builds")
                if builds in line or (b"bwrap\0--args" in line and sleep.encode() in line):
                    os.kill(int(process.name), signal.SIGKILL)

    sleep = sleep_of_ones_own()
    built = sandbox.build(sandbox.derivation(f"echo ready; {sleep}; echo no >$out"), on_event=kill)
    assert built.failed.why in (Why.EXIT, Why.SANDBOX)
    assert not running(sleep)


def test_cancel_ends_it_at_once(sandbox: Sandbox) -> None:
    cancel = threading.Event()

    def stop(event: BuildEvent) -> None:
        if event == LogLine(b"ready"):
            cancel.set()

    sleep = sleep_of_ones_own()
    drv = sandbox.derivation(f"(setsid {sleep} &); echo ready; {sleep}")
    built = sandbox.build(drv, cancel=cancel, on_event=stop)
    assert built.failed.why is Why.CANCELLED
    assert not running(sleep)


def test_dropping_the_events_ends_it(sandbox: Sandbox) -> None:
    from builder.prepare import prepare

    sleep = sleep_of_ones_own()
    drv = sandbox.derivation(f"echo ready; {sleep}; echo $PWD")
    request = prepare(sandbox.store, sandbox.add(drv), drv)
    events = sandbox.service.build(request, threading.Event())
    assert any(event == LogLine(b"ready") for event in events)  # reads no further
    close = getattr(events, "close")  # noqa: B009 - an iterator in the protocol, a generator here
    close()
    assert not running(sleep)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("mkdir $out; mkfifo $out/pipe", "a pipe"),
        ("mkfifo $out", "a pipe"),
        ('"$PROGRAMS/socket" $out', "a socket"),
        ('mkdir $out; "$PROGRAMS/open_set_id" $out/tool', "set-user-id"),
        ("echo x >$out; chmod g+w $out", "suspicious ownership or permission"),
        ("true", "failed to produce output path"),
        ("ln -s x $out; rm $out", "failed to produce output path"),
    ],
)
def test_what_may_not_be_an_output(script: str, message: str, sandbox: Sandbox, programs: Path) -> None:
    tools = sandbox.store.add_path(str(programs), "programs").path
    built = sandbox.build(sandbox.derivation(script, {"PROGRAMS": tools}, sources={tools}))
    assert built.failed.why is Why.OUTPUT, (built.failed, built.log)
    assert message in built.failed.message
    assert str(sandbox.folder) not in built.failed.message
    assert sandbox.store.query(built.drv.outputs["out"].path) is None


def test_links_out_of_an_output_are_only_links(sandbox: Sandbox) -> None:
    """What they point to on this machine is neither read nor changed."""
    secret = sandbox.folder / "secret"
    secret.mkdir(mode=0o755)
    (secret / "file").write_text("the machine's own")
    before = (secret / "file").stat()
    script = "mkdir $out; ln -s $SECRET $out/folder; ln -s $SECRET/file $out/file; "
    script += "ln -s $SECRET $link; ln -s /etc/shadow $other"
    drv = sandbox.derivation(
        script, {"SECRET": str(secret)}, outputs={"out": Output(), "link": Output(), "other": Output()}
    )
    built = sandbox.build(drv)
    nodes = {name: info.node for name, info in built.outputs.items()}
    assert nodes["link"] == SymlinkNode(os.fsencode(secret))
    assert nodes["other"] == SymlinkNode(b"/etc/shadow")
    entry = sandbox.store.tree(built.out).entry([b"file"])
    assert entry is not None and entry.kind == "symlink"
    assert (secret / "file").stat() == before
    # As an input of the next build, a link that is a whole store path is a link again.
    reader = sandbox.derivation(
        "readlink $link >$out; cat $link 2>/dev/null && exit 1; cat $inner/file && exit 1; true",
        {"link": built.outputs["other"].path, "inner": built.out.path},
        inputs={built.drv_path: {"out", "other"}},
    )
    assert sandbox.read(sandbox.build(reader).out) == b"/etc/shadow\n"
