"""``tvix-eval`` builds in the sandbox what evaluation reads: the command as a process of its own, and real builds."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.oci.probing import trials
from tests.evaluator.asking_again import Asker
from tests.processes import running, sleep_of_ones_own

PROGRAM = """
let
  make = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
  };
  now = "cut -d ' ' -f 1 /proc/uptime";
  record = "begun=$(${now}); sleep 1; echo \\"{ begun = $begun; ended = $(${now}); }\\" > $out";
  chain = n: if n == 0 then 0 else import (make "chain-${toString n}" "echo 1 + ${toString (chain (n - 1))} > $out");
in
{
  twenty = map (n: import (make "slow-${toString n}" record)) (builtins.genList (n: n) 20);
  nested = chain 5;
  text = builtins.readFile (make "text" "echo text > $out");
  fails = import (make "fails" "echo one; echo two; exit 3");
  forever = import (make "forever" "echo begun; sleep 1000");
  drv = make "drv" "echo 1 > $out";
}
"""


@pytest.fixture(scope="module", autouse=True)
def _builds(tmp_path_factory: pytest.TempPathFactory) -> None:
    tried = list(trials(tmp_path_factory.mktemp("probing")))
    if not any(trial.works for trial in tried):
        pytest.skip(f"no container runtime works here: {[trial.why_not for trial in tried]}")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The file to evaluate."""
    (tmp_path / "default.nix").write_text(PROGRAM)
    return tmp_path / "default.nix"


def command(program: Path, *words: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "TVIX_STORE": f"local:{program.parent}/store",
        "TVIX_EVAL_CACHE": "off",
        "NIX_CONF_DIR": "/nonexistent",
        "NIX_CONFIG": "substituters =",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "evaluator.cli", *words, str(program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(program: Path, *words: str) -> tuple[int, str, str]:
    process = command(program, "--eval", "--strict", *words)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_twenty_builds_at_four_jobs(program: Path) -> None:
    code, out, err = run(program, "--read-write-mode", "--json", "-j", "4", "-A", "twenty")
    assert code == 0, err
    runs = json.loads(out)
    assert len(runs) == 20
    together = [sum(other["begun"] <= each["begun"] < other["ended"] for other in runs) for each in runs]
    # That it is four wherever there is more to do is tested with builds that wait for each other.
    assert 2 <= max(together) <= 4
    assert err.count("building '/nix/store/") == 20


def test_a_chain_of_five(program: Path) -> None:
    code, out, err = run(program, "--read-write-mode", "-A", "nested")
    assert (code, out) == (0, "5\n"), err
    # What was built stays: nothing has to be built to read it.
    assert run(program, "-A", "nested")[:2] == (0, "5\n")
    assert "building" not in run(program, "--read-write-mode", "-A", "nested")[2]


def test_a_failed_build(program: Path) -> None:
    code, out, err = run(program, "--read-write-mode", "-A", "fails")
    assert (code, out) == (100, "")
    assert "fails.drv' failed: builder failed with exit code 3" in err
    assert "> one\n" in err
    assert "> two\n" in err
    assert f"at {program}:" in err


def test_a_build_that_never_ends(program: Path) -> None:
    code, _, err = run(program, "--read-write-mode", "-A", "forever", "--option", "timeout", "1")
    assert code == 101, err
    assert "timed out after 1 second" in err


def test_read_only_and_forbidden(program: Path) -> None:
    code, _, err = run(program, "-A", "text")
    assert code == 1
    assert "-text.drv' is not valid" in err
    assert "with --read-write-mode" in err
    for flag in ("--no-ifd", "--no-allow-import-from-derivation"):
        code, _, err = run(program, "--read-write-mode", flag, "-A", "text")
        assert code == 1
        assert "-text.drv^out' during evaluation because the option 'allow-import-from-derivation' is disabled" in err


def test_an_interrupt_ends_the_build(program: Path) -> None:
    sleep = sleep_of_ones_own()
    program.write_text(PROGRAM.replace("sleep 1000", sleep))
    process = command(program, "--read-write-mode", "--eval", "-A", "forever")
    assert process.stderr is not None
    assert "building" in process.stderr.readline()
    while not running(sleep):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    for _ in range(3):  # a terminal signals the whole group, and people press the keys more than once
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(200) == 130
    assert not running(sleep)


def test_the_conversation_builds(program: Path) -> None:
    process = command(program, "repl")
    said, complained = process.communicate(":b drv\ntext\n:b fails\n1 + 1\n:b 1\n", timeout=200)
    assert re.search(r"following outputs:\n  out -> /nix/store/.{32}-drv\n", said)
    assert '"text\\n"' in said
    assert "failed: builder failed with exit code 3" in complained
    assert "\n2\n" in said
    assert "does not evaluate to a derivation" in complained


def test_an_answer_is_known_while_what_was_built_is_there(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("TVIX_STORE", f"local:{store}")
    monkeypatch.setenv("NIX_CONFIG", "substituters =")
    asker = Asker(tmp_path / "cache")
    words = ["--eval", "--read-write-mode", "-A", "text", str(program)]
    for knew, built in [(False, True), (False, False), (True, False)]:
        reply = asker.ask(*words)
        assert (reply.code, reply.out) == (0, '"text\\n"\n'), reply.err
        assert asker.knew() == knew
        assert ("building" in reply.err) == built
    shutil.move(store, tmp_path / "aside")
    reply = asker.ask(*words)
    assert not asker.knew()
    assert reply.out == '"text\\n"\n'
    assert "building" in reply.err
