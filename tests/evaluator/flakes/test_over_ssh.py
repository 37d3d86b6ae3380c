"""Git repositories over ssh: from a real server on the loopback where there is one, always from a stand-in for it."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evaluator.flakes.conftest import World

LEAF = "{ outputs = { self }: { x = 1; }; }"
USER = getpass.getuser()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def serving(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """A running server, and the command that reaches it with a key of its own."""
    server = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")
    if server is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no sshd here to fetch from (Debian: apt-get install openssh-server)")
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized")
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    (folder / "config").write_text(
        f"Host *\n  Port {port}\n  IdentityFile {folder}/key\n  IdentitiesOnly yes\n  BatchMode yes\n"
        f"  StrictHostKeyChecking no\n  UserKnownHostsFile {folder}/known\n  LogLevel ERROR\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it wants that folder, and makes none
    process = subprocess.Popen([server, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = b""
    while b"listening" not in said:
        line = process.stderr.readline()
        if not line:
            pytest.skip(f"sshd does not run here: {said.decode('utf-8', 'replace')}")
        said += line
    return f"ssh -F {folder}/config", process


@pytest.fixture(params=["sshd", "stand-in"])
def reached(world: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world in which ssh reaches a machine that has the repository ``leaf.git``."""
    leaf = world.repository("leaf", LEAF, file="contents\n")
    leaf.git("branch", "side")
    leaf.commit(file="newer\n")
    leaf.bare(world.root / "leaf.git")
    folder = world.root / "ssh"
    folder.mkdir()
    if request.param == "sshd":
        command, process = serving(folder)
    else:
        command, process = str(folder / "ssh"), None
        Path(command).write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\nfor last; do :; done\nexec sh -c "$last"\n')
        Path(command).chmod(0o755)
    world.environment |= {"GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}
    try:
        yield world
    finally:
        if process is not None:
            process.terminate()
            process.communicate()


#: `@` is the test's folder, `~` the user at the machine, REV an older revision.
VALUES = {
    "address": 'builtins.fetchGit "ssh://~@/leaf.git"',
    "as ssh has it": 'builtins.fetchGit "~:@/leaf.git"',
    "as ssh has it, in a set": 'builtins.fetchGit { url = "~:@/leaf.git"; ref = "side"; }',
    "branch": 'builtins.fetchGit { url = "ssh://~@/leaf.git"; ref = "side"; }',
    "revision": 'builtins.fetchGit { url = "ssh://~@/leaf.git"; rev = "REV"; }',
    "all refs": 'builtins.fetchGit { url = "ssh://~@/leaf.git"; rev = "REV"; allRefs = true; }',
    "shallow": 'builtins.fetchGit { url = "ssh://~@/leaf.git"; shallow = true; }',
    "tree": 'builtins.fetchTree "git+ssh://~@/leaf.git?ref=side"',
    "tree, attributes": 'builtins.fetchTree { type = "git"; url = "ssh://~@/leaf.git"; }',
}


def filled(text: str, world: World) -> str:
    rev = subprocess.run(
        ["git", "rev-parse", "side"], cwd=world.root / "leaf.git", check=True, capture_output=True, text=True
    ).stdout.strip()
    return text.replace("REV", rev).replace("@", str(world.root)).replace("~", f"{USER}@127.0.0.1")


def test_values(reached: World) -> None:
    """Those of Nix where it is installed; in any case those of the same repository read as files."""
    keep = 'builtins.mapAttrs (n: v: builtins.removeAttrs v ["outPath"] // { at = "${v.outPath}"; })'

    def expressions(values: dict[str, str]) -> list[str]:
        text = "\n".join(f'"{name}" = {filled(each, reached)};' for name, each in values.items())
        return ["--eval", "--strict", "--json", "-E", f"{keep} {{\n{text}\n}}\n"]

    ours = json.loads(reached.tvix(*expressions(VALUES)).out)
    near = {name: text.replace("~:@", "file://@").replace("ssh://~", "file://") for name, text in VALUES.items()}
    assert ours == json.loads(reached.tvix(*expressions(near)).out)
    if shutil.which("nix-instantiate") is not None:
        theirs = reached.nix_instantiate(*expressions(VALUES))
        assert theirs.code == 0, theirs.err
        assert ours == json.loads(theirs.out)


@pytest.mark.parametrize(
    "url", ["git+ssh://~@/leaf.git", "git+ssh://~@/leaf.git?ref=side", "git+ssh://~@/leaf.git?rev=REV&ref=side"]
)
def test_a_flake_locks_and_reads_it(reached: World, url: str) -> None:
    url = filled(url, reached)
    flake = f'{{ inputs.i.url = "{url}"; outputs = {{ self, i }}: {{ inherit (i) x; }}; }}'
    place = reached.repository("ours", LEAF).path
    (place / "flake.nix").write_text(flake)
    reached.tvix("flake", "lock", cwd=place)
    ours = (place / "flake.lock").read_text()
    assert reached.tvix("--flake", ".#x", cwd=place).out == "1\n"
    if shutil.which("nix") is not None:
        place = reached.repository("theirs", LEAF).path
        (place / "flake.nix").write_text(flake)
        reached.nix("flake", "lock", cwd=place)
        assert ours == (place / "flake.lock").read_text()


def test_a_machine_that_is_not_there(world: World) -> None:
    world.environment["GIT_SSH_COMMAND"] = "sh -c 'echo no such machine >&2; exit 255'"
    found = world.tvix("-E", 'builtins.fetchGit "ssh://nobody@127.0.0.1/x"', ok=False)
    assert found.code == 1
    assert "cannot fetch the Git repository 'ssh://nobody@127.0.0.1/x': no such machine" in found.err
