"""Builds as an ordinary user, in a process of its own: ``python -m …ordinary_user FOLDER RUNTIME PROGRAMS SECONDS``.

It builds once as root, so that everything is imported, becomes the user nobody, and tries the attacks. What came of
each goes to stdout, a JSON object a line. Exits with 77 where the runtime does not work for ordinary users.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

from builder.events import Failed
from builder.oci.probing import try_out
from builder.oci.root import find_shell
from builder.oci.runtimes import Runtime, candidates
from builder.prepare import UNLIMITED, Limits
from tests.builder.sandbox.building import Built, Sandbox, left_behind, opened
from tests.processes import bystander

NOBODY = 65534
ATTACKS = Path(__file__).parent / "attacks"


def main(folder: Path, name: str, programs: Path, sleep: str) -> None:
    scripts = {path.name: path.read_text() for path in sorted(ATTACKS.glob("*.sh"))}
    tools = folder / "programs"
    shutil.copytree(programs, tools)
    for place in (tools, *tools.iterdir()):
        place.chmod(0o755)
    with opened(folder / "root", _runtime("bwrap")) as first:
        first.run("echo warm >$out")
        left_behind(folder)
    os.chown(folder, NOBODY, NOBODY)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    os.environ["HOME"] = str(folder)
    runtime = _runtime(name)
    trial = try_out(runtime, folder / "probing", find_shell())
    if not trial.works:
        print(trial.why_not)
        sys.exit(77)
    with (
        opened(folder / "user", runtime) as sandbox,
        socket.create_server(("127.0.0.1", 0)) as listener,
        bystander() as pid,
    ):
        _try_all(sandbox, scripts, tools, listener.getsockname()[1], pid, sleep)
        print(json.dumps({"case": "left", "left": left_behind(folder / "user", sandbox.names)}))


def _try_all(sandbox: Sandbox, scripts: dict[str, str], tools: Path, port: int, pid: int, sleep: str) -> None:
    source = sandbox.folder / "source"
    source.mkdir()
    (source / "file").write_text("precious\n")
    given = sandbox.store.add_path(str(source), "input").path
    programs = sandbox.store.add_path(str(tools), "programs").path
    env = {
        "INPUT": given,
        "PROGRAMS": programs,
        "HOST_FOLDER": str(sandbox.folder),
        "HOST_PORT": str(port),
        "HOST_SOCKET": "tvix-no-such-socket",
        "HOST_PID": str(pid),
    }
    for name, script in scripts.items():
        closed = name == "read_the_host.sh"
        variables = {key: value for key, value in env.items() if not (closed and key == "PROGRAMS")}
        sources = {given} if closed else {given, programs}
        drv = sandbox.derivation(script + '\necho refused >"$out"\n', variables, sources=sources)
        _tell(name, sandbox, sandbox.build(drv))
    own = 0
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError):  # processes end
            own += path.stat().st_uid == NOBODY
    many = "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done; echo all of them >$out"
    bounded = {
        "fork bomb": (many, Limits(processes=own + 40, seconds=60)),
        "memory bomb": ("tail /dev/zero && echo all >$out", Limits(memory=64 << 20, seconds=60)),
        "endless": (f"(setsid {sleep} &) ; {sleep}", Limits(seconds=1)),
        "set-id output": (f"mkdir $out; {programs}/open_set_id $out/tool", UNLIMITED),
    }
    for name, (script, limits) in bounded.items():
        _tell(name, sandbox, sandbox.build(sandbox.derivation(script, sources={programs}), limits))


def _runtime(name: str) -> Runtime:
    return next(runtime for runtime in candidates() if runtime.name == name)


def _tell(name: str, sandbox: Sandbox, built: Built) -> None:
    last = built.events[-1]
    failed = isinstance(last, Failed)
    print(
        json.dumps(
            {
                "case": name,
                "made": "" if failed else sandbox.read(built.out).decode(),
                "why": last.why if isinstance(last, Failed) else "",
                "message": last.message if isinstance(last, Failed) else "",
                "log": built.log.decode(errors="replace"),
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), f"sleep {sys.argv[4]}")
