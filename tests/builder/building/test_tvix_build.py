"""`tvix-build` as its users meet it: what it prints, what it leaves, how it ends. Builds run in real containers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.oci.probing import trials
from store.backends.local.castore import LocalCastore
from store.backends.local.collect import collect
from store.composition import local_store
from tests.builder.building.place import COMMAND, Place

PACKAGES = r"""
{ extra ? "" }:
let
  make = name: does: more: derivation ({
    inherit name does;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "eval \"$does\"" ];
  } // more);
  generated = make "generated" ''echo '{ answer = 42; }' > $out'' { };
in rec {
  hello = make "hello" "echo saying hello; echo hello${extra} > $out" { };
  twice = make "twice" "read line < $hello; echo $line $line > $out" { inherit hello; };
  two = make "two" "echo one > $out; echo docs > $doc" { outputs = [ "out" "doc" ]; };
  fails = make "fails" "echo it goes; echo wrong; exit 3" { };
  needs = make "needs" "echo $fails > $out" { inherit fails; };
  hangs = make "hangs" "echo begun; while true; do :; done" { };
  greedy = make "greedy" "echo limit $(ulimit -v); ulimit -v 4000000; tail /dev/zero; exit 9" { };
  needs-hanging = import hangs;
  varies = make "varies" "cat /proc/sys/kernel/random/uuid > $out" { };
  wrong = make "wrong" "echo x > $out" {
    outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    outputHashMode = "flat";
  };
  imported = make "answer-${toString (import generated).answer}" "echo > $out" { };
  broken = import fails;
  noise = make "noise" "echo 'a [bold]line[/bold]'; echo > $out" { };
}
"""


@pytest.fixture(scope="session", autouse=True)
def _works(tmp_path_factory: pytest.TempPathFactory) -> None:
    tried = list(trials(tmp_path_factory.mktemp("probing")))
    if not any(trial.works for trial in tried):
        pytest.skip(f"no container runtime works here: {[trial.why_not for trial in tried]}")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, PACKAGES)
    yield made
    assert made.leftovers() == []


def test_it_prints_the_output_and_links_to_it(place: Place) -> None:
    done = place.run("-A", "hello")
    (path,) = done.stdout.splitlines()
    assert path.startswith("/nix/store/")
    assert path.endswith("-hello")
    assert "building '/nix/store/" in done.stderr
    assert "saying hello" in done.stderr
    assert place.read("result") == "hello\n"
    again = place.run("-A", "hello")
    assert again.stdout == done.stdout
    assert again.stderr == ""


def test_arguments_and_inputs(place: Place) -> None:
    place.run("-A", "twice", "--argstr", "extra", " world", "-o", "out")
    assert place.read("out") == "hello world hello world\n"
    place.run("default.nix", "-A", "twice", "--arg", "extra", "''!''")
    assert place.read("result") == "hello! hello!\n"


def test_links_of_several(place: Place) -> None:
    paths = place.built("-A", "hello", "-A", "two", "-A", "two.doc", "-A", "hello", "-o", "x")
    assert len(paths) == 4
    assert paths[0] == paths[3]
    assert {name.name: name.read_text() for name in place.folder.glob("x*")} == {
        "x": "hello\n",
        "x-2": "one\n",
        "x-2-doc": "docs\n",
    }


def test_the_folder_of_a_link_is_made(place: Place) -> None:
    place.run("-A", "hello", "-o", "some/where/x")
    assert place.read("some/where/x") == "hello\n"
    (place.folder / "file").touch()
    assert "cannot make the link" in place.run("-A", "hello", "-o", "file/x", code=1).stderr


@pytest.mark.parametrize("name", ["below", "a:b,c d\\é"])
def test_a_store_may_be_named_from_here(place: Place, name: str) -> None:
    place.run("-A", "hello", "--store", f"local:{name}")
    assert place.read("result") == "hello\n"
    assert (place.folder / "result").readlink().is_relative_to(place.folder / name)


def test_no_link(place: Place) -> None:
    place.run("-A", "hello", "--no-out-link")
    assert not (place.folder / "result").exists()


def test_what_is_in_the_way_of_a_link_stays(place: Place) -> None:
    (place.folder / "result").mkdir()
    assert "is in the way" in place.run("-A", "hello", code=1).stderr
    (place.folder / "mine").symlink_to("default.nix")
    assert "is in the way" in place.run("-A", "hello", "-o", "mine", code=1).stderr
    assert (place.folder / "mine").readlink() == Path("default.nix")
    assert (place.folder / "result").is_dir()


def test_expressions_and_derivations(place: Place) -> None:
    (path,) = place.built("-E", "(import ./. { }).two")
    place.run("-A", "two.doc", "--no-out-link")
    info = json.loads(place.run("gc-roots", "--json").stdout)
    assert list(info["roots"].values()) == [path]
    with local_store(str(place.store)) as store:
        found = store.query(path)
        assert found is not None and found.deriver is not None
        drv_path = found.deriver
    assert place.built(drv_path) == [path]
    (doc,) = place.built(f"{drv_path}!doc", "--no-out-link")
    assert doc.endswith("-two-doc")


def test_links_keep_from_garbage_collection_while_they_are(place: Place) -> None:
    (path,) = place.built("-A", "twice")

    def is_there() -> bool:
        with local_store(str(place.store)) as store:
            collect(store.castore)  # type: ignore[arg-type]
            return store.query(path) is not None

    assert is_there()
    (place.folder / "result").unlink()
    assert "forgotten" in place.run("gc-roots").stderr
    assert not is_there()


def test_a_failure_shows_the_end_of_the_log(place: Place) -> None:
    done = place.run("-A", "needs", code=100)
    assert done.stdout == ""
    assert "builder failed with exit code 3" in done.stderr
    assert "> it goes\n       > wrong\n" in done.stderr
    assert "needed by '/nix/store/" in done.stderr
    assert not (place.folder / "result").exists()
    drv_path = done.stderr.partition("tvix-build log ")[2].partition("'")[0]
    assert place.run("log", drv_path).stdout == "it goes\nwrong\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["-A", "hangs", "--timeout", "1"], 101),
        (["-A", "hangs", "--max-silent-time", "1"], 101),
        (["-A", "wrong"], 102),
        (["-A", "wrong", "-A", "fails", "-k"], 102),
        (["-A", "wrong", "-A", "hangs", "-k", "--timeout", "1"], 103),
        (["-A", "nothing"], 1),
        (["-E", "1 +"], 1),
        (["--no-such-flag"], 1),
        (["--timeout", "soon"], 1),
        (["-A", "broken"], 100),
        (["-A", "imported", "--no-ifd"], 1),
        (["/nix/store/00000000000000000000000000000000-x.drv"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_how_it_ends(place: Place, words: list[str], code: int) -> None:
    done = place.run(*words, code=code)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr


def test_a_wrong_hash_names_both(place: Place) -> None:
    text = place.run("-A", "wrong", code=102).stderr
    assert "specified: sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" in text
    assert "got:    sha256-c8s5xAzXOWl5tu1BOEBWSz6sFeXQcxBtSaR/58y4t9w=" in text or "got:" in text


def test_check(place: Place) -> None:
    assert "build it first" in place.run("-A", "hello", "--check", code=1).stderr
    place.run("-A", "hello", "-A", "varies")
    (place.folder / "result").unlink()
    place.run("-A", "hello", "--check")
    assert place.read("result") == "hello\n"
    assert "may not be deterministic" in place.run("-A", "varies", "--check", code=104).stderr


def test_dry_run_does_nothing(place: Place) -> None:
    done = place.run("-A", "twice", "--dry-run")
    assert done.stdout == ""
    assert "these 2 derivations would be built:" in done.stderr
    assert [line.rpartition("-")[2] for line in done.stderr.splitlines()[1:]] == ["hello.drv", "twice.drv"]
    assert not (place.folder / "result").exists()


def test_events_as_json(place: Place) -> None:
    done = place.run("-A", "twice", "--json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert all("at" in event for event in events)
    assert [event["event"] for event in events if event["event"] in ("planned", "made")] == ["planned", "made", "made"]
    assert [event["line"] for event in events if event["event"] == "log"] == ["saying hello"]
    assert events[-1]["outputs"] == {"out": done.stdout.strip()}


@pytest.mark.parametrize("flag", ["-Q", "--quiet"])
def test_less_to_read(place: Place, flag: str) -> None:
    done = place.run("-A", "noise", flag)
    assert "a [bold]line" not in done.stderr
    assert ("building" in done.stderr) == (flag == "-Q")
    assert place.run("log", "result").stdout == "a [bold]line[/bold]\n"


def test_a_view_on_a_terminal(place: Place) -> None:
    """What builds say is shown as it is, and nothing of the live part is left on the screen."""
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [*COMMAND, "-A", "noise"],
        cwd=place.folder,
        env={**place.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(ours)
    assert child.communicate()[0].strip().endswith("-noise")
    assert child.returncode == 0
    assert b"noise> a [bold]line[/bold]" in seen
    assert b"0/1 built" in seen
    assert seen.rstrip().endswith((b"\x1b[?25h", b"\x1b[2K"))


def test_import_from_derivation(place: Place) -> None:
    (path,) = place.built("-A", "imported")
    assert path.endswith("-answer-42")
    text = place.run("-A", "imported", "--no-ifd", code=1).stderr
    assert "allow-import-from-derivation" in text
    assert "> wrong" in place.run("-A", "broken", code=100).stderr


def test_a_log_is_shown_as_it_is_and_its_end_readable(place: Place) -> None:
    make = 'derivation { name = "n"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ]; }'
    script = r"""script = "printf '\\033[31mred\\344\\n10%%\\r20%%\\n'; yes x | head -c 9999 | tr -d '\\n'; exit 1";"""
    command = [*COMMAND, "-E", f"let {script} in {make}"]
    done = subprocess.run(command, cwd=place.folder, env=place.environ, capture_output=True, timeout=120)
    assert done.returncode == 100
    assert b"\x1b[31mred\xe4\n10%\r20%\n" in done.stderr
    assert "       > red\ufffd\n       > 20%\n       > xxx" in done.stderr.decode(errors="replace")
    assert "… (4000 more characters)" in done.stderr.decode(errors="replace")


def test_what_a_build_may_use(place: Place) -> None:
    said = place.run("-A", "greedy", "--max-build-memory", "64M", code=100).stderr
    assert "more memory than it may" in said or "limit 65536\n" in said  # of the whole, or of each process
    assert "than 200 bytes" in place.run("-A", "two", "--option", "max-output-size", "200", code=100).stderr
    place.environ["NIX_CONFIG"] += "\nmax-build-memory = 2K"
    assert "max-build-memory 2048, max-build-processes 4096" in place.run("doctor").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("attribute", ["hangs", "needs-hanging"])
def test_an_interrupt_ends_the_build(place: Place, number: signal.Signals, attribute: str) -> None:
    child = subprocess.Popen(
        [*COMMAND, "-A", attribute], cwd=place.folder, env=place.environ, stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.strip() == "begun":
            break
    child.send_signal(number)
    assert child.wait(200) == 130
    assert "interrupted by the user" in child.stderr.read()
    child.stderr.close()


@contextmanager
def serving(place: Place, *words: str) -> Iterator[str]:
    folder = place.folder / "there"
    command = [*COMMAND, "serve", "--store", f"local:{folder}", *words]
    with subprocess.Popen(command, env=place.environ, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().strip()
        finally:
            child.send_signal(signal.SIGTERM)
            assert child.wait(200) == 0


@pytest.mark.parametrize("listen", ["localhost:0", "unix:SOCKET"])
def test_building_over_there(place: Place, listen: str) -> None:
    with serving(place, "--listen", listen.replace("SOCKET", str(place.folder / "socket"))) as url:
        place.run("-A", "twice", "--builder", url)
        assert place.read("result") == "hello hello\n"
        assert "> wrong" in place.run("-A", "fails", "--builder", url, code=100).stderr
    assert "does not answer" in place.run("-A", "two", "--builder", url, code=1).stderr


def test_a_server_that_ends_leaves_no_build(place: Place) -> None:
    with serving(place, "--listen", "localhost:0") as url:
        command = [*COMMAND, "-A", "hangs", "--builder", url]
        child = subprocess.Popen(command, cwd=place.folder, env=place.environ, stderr=subprocess.PIPE, text=True)
        assert child.stderr is not None
        for line in child.stderr:
            if line.strip() == "begun":
                break
    assert child.wait(200) == 1
    child.stderr.close()
    assert list((place.folder / "there/builder/builds").iterdir()) == []


def test_the_log_of_a_fetch(place: Place) -> None:
    (place.folder / "fetch.nix").write_text(
        """derivation {
          name = "x"; system = "builtin"; builder = "builtin:fetchurl"; url = "file:///no/such/file";
          outputHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; outputHashMode = "flat";
        }"""
    )
    said = place.run("fetch.nix", code=100).stderr
    (command,) = [line for line in said.splitlines() if "For full logs" in line]
    logged = place.run("log", command.split("'")[1].split()[-1]).stdout
    assert "cannot fetch 'file:///no/such/file'" in logged


def test_the_log_of_what_was_not_built(place: Place) -> None:
    assert "neither a store path" in place.run("log", "default.nix", code=1).stderr
    assert "no log of" in place.run("log", "/nix/store/00000000000000000000000000000000-x.drv", code=1).stderr


def test_the_doctor(place: Place) -> None:
    text = place.run("doctor").stdout
    assert "substituters: none" in text
    report = json.loads(place.run("doctor", "--json").stdout)
    assert report["works"]
    assert report["used"] in text
    assert report["settings"]["max_jobs"] == 1


def test_help_and_version(place: Place) -> None:
    text = place.run("--help").stdout
    for flag in ("--out-link", "--keep-going", "--check", "log", "doctor", "serve"):
        assert flag in text
    assert place.run("--version").stdout.startswith("tvix-build ")


@pytest.mark.parametrize("command", ["evaluator.building.cli", "evaluator.cli"])
@pytest.mark.parametrize("where", ["file", "variable", "option"])
def test_builds_that_evaluation_asks_for_can_be_forbidden(place: Place, command: str, where: str) -> None:
    # Not even what is there already is read: what evaluation answers does not depend on what was built before.
    place.run("-E", "(import ./default.nix { }).imported", "--no-out-link")
    said = "allow-import-from-derivation = false\n"
    words: list[str] = []
    if where == "file":
        folder = place.folder / "nix"
        folder.mkdir()
        (folder / "nix.conf").write_text(said)
        place.environ["NIX_CONF_DIR"] = str(folder)
    elif where == "variable":
        place.environ["NIX_CONFIG"] += "\n" + said
    else:
        words = ["--option", "allow-import-from-derivation", "false"]
    evaluating = ["--eval", "--read-write-mode"] if command == "evaluator.cli" else []
    done = subprocess.run(
        [sys.executable, "-m", command, *evaluating, *words, "-E", "(import ./default.nix { }).imported.name"],
        cwd=place.folder,
        env=place.environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "because the option 'allow-import-from-derivation' is disabled" in done.stderr
    assert "building" not in done.stderr


def loads_evaluation(place: Place, *words: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], *words],
        cwd=place.folder,
        env=place.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return "evaluator.building.wishes" in done.stderr


def test_what_was_evaluated_before_is_not_evaluated_again(place: Place) -> None:
    place.environ["TVIX_EVAL_CACHE"] = str(place.folder / "cache")
    words = ["-E", 'builtins.trace "seen" (import ./default.nix { }).imported', "--no-out-link"]
    first = place.run(*words)
    again = place.run(*words)
    assert again.stdout == first.stdout
    assert "seen" in first.stderr and "seen" in again.stderr
    assert not loads_evaluation(place, *words)
    assert loads_evaluation(place, "--no-eval-cache", *words)


@pytest.mark.parametrize("changed", ["file", "store", "configuration"])
def test_it_is_evaluated_again_when_something_changed(place: Place, changed: str) -> None:
    place.environ["TVIX_EVAL_CACHE"] = str(place.folder / "cache")
    configured = place.folder / "none" / "nix.conf"
    words = ["-A", "imported", "--no-out-link"]
    before = place.built(*words)
    assert place.built(*words) == before  # the first time something was built on the way
    assert not loads_evaluation(place, *words)
    if changed == "file":
        (place.folder / "default.nix").write_text(PACKAGES.replace("answer = 42", "answer = 43"))
        assert place.built(*words) != before
        return
    if changed == "store":
        with local_store(str(place.store)) as store:
            assert isinstance(store.castore, LocalCastore)
            collect(store.castore)
    else:
        configured.parent.mkdir(exist_ok=True)
        configured.write_text("allow-import-from-derivation = true\n")
    assert loads_evaluation(place, *words)
    assert place.built(*words) == before
