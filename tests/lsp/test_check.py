"""``tvix-lsp check``: what it finds where, in which form, and what its exit code says."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lsp import check
from lsp.check import main

ROOT = Path(__file__).resolve().parent.parent.parent

BROKEN = "{ a = 1\n  b = 2; }\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good and broken files, which is the working directory."""
    files = {
        "good.nix": "{ a = 1; }",
        "broken.nix": BROKEN,
        "sub/twice.nix": "{ a = 1;\n  a = 2; }",
        "sub/pipe.nix": "x: x |> x",
        "sub/README.md": "{",
        ".git/hooks.nix": "{",
        "node_modules/m/default.nix": "{",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


TEXT = """\
broken.nix:1:8: error: expected `;` or an operator [missing-semicolon]
sub/pipe.nix:1:6: information: `|>` is an experimental feature of Nix [experimental-pipe]
sub/twice.nix:2:3: error: attribute `a` is already defined [duplicate-attribute]
sub/twice.nix:1:3: note: first defined here
"""


def test_a_folder(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["."]) == 1
    said = capsys.readouterr()
    assert said.out == TEXT
    assert said.err == "4 files checked: 2 errors, 1 note\n"


def test_files_and_folders_are_checked_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sub", "./broken.nix", str(Path("sub") / "twice.nix"), "broken.nix"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "sub/pipe.nix",
        "sub/twice.nix",
        "sub/twice.nix",
        "broken.nix",
    ]


def test_a_file_of_any_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sub/README.md"]) == 1
    assert "missing-closer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("select", "codes", "code"),
    [
        ("syntax", {"missing-semicolon", "experimental-pipe", "duplicate-attribute"}, 1),
        ("duplicate-attribute", {"duplicate-attribute"}, 1),
        ("duplicate-attribute,experimental-pipe", {"duplicate-attribute", "experimental-pipe"}, 1),
        ("experimental-pipe", {"experimental-pipe"}, 0),
        ("missing-comma", set(), 0),
    ],
)
def test_select(project: Path, capsys: pytest.CaptureFixture[str], select: str, codes: set[str], code: int) -> None:
    assert main(["--select", select, "--format", "json", "."]) == code
    assert {found["code"] for found in json.loads(capsys.readouterr().out)} == codes


def test_notes_are_no_errors(project: Path) -> None:
    assert main(["sub/pipe.nix"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.nix"], "nowhere.nix: there is no such file or folder"),
        (["--select", "sintax", "."], "did you mean syntax"),
        (["--format", "xml", "."], "invalid choice"),
        (["--jobs", "0", "."], "number of processes"),
        ([], "required: PATH"),
    ],
)
def test_bad_usage(project: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    try:
        code = main(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert message in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "good.nix").chmod(0)
    assert main(["."]) == 2
    said = capsys.readouterr()
    assert said.out == TEXT
    assert "good.nix" in said.err


def test_a_file_that_vanishes(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "files_below", lambda paths: ["broken.nix", "gone.nix"])
    assert main(["."]) == 2
    said = capsys.readouterr()
    assert "missing-semicolon" in said.out
    assert "gone.nix: No such file" in said.err


def test_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "wide.nix").write_text('[ "💥é" , ]')
    assert main(["--format", "json", "broken.nix", "wide.nix"]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == [
        {
            "file": "broken.nix",
            "range": {"start": {"line": 1, "column": 8}, "end": {"line": 1, "column": 8}},
            "code": "missing-semicolon",
            "severity": "error",
            "message": "expected `;` or an operator",
        },
        {
            "file": "wide.nix",
            "range": {"start": {"line": 1, "column": 8}, "end": {"line": 1, "column": 9}},
            "code": "unexpected-token",
            "severity": "error",
            "message": "unexpected `,`: the items of a list stand side by side",
        },
    ]
    assert main(["--format", "json", "good.nix"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def sarif_of(capsys: pytest.CaptureFixture[str], *paths: str) -> Any:
    main(["--format", "sarif", *paths])
    return json.loads(capsys.readouterr().out)


def check_region(region: Any) -> None:
    assert set(region) <= {"startLine", "startColumn", "endLine", "endColumn"}
    assert all(isinstance(value, int) and value >= 1 for value in region.values())
    assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def check_location(location: Any, run: Any) -> None:
    place = location["physicalLocation"]
    artifact = place["artifactLocation"]
    assert re.fullmatch(r"[A-Za-z0-9_.~!$&'()*+,;=:@/%-]+", artifact["uri"])
    if "uriBaseId" in artifact:
        assert artifact["uriBaseId"] in run["originalUriBaseIds"]
        assert "//" not in artifact["uri"]
    else:
        assert artifact["uri"].startswith("file:///")
    check_region(place["region"])


def test_sarif_keeps_the_rules_of_its_schema(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of https://docs.oasis-open.org/sarif/sarif/v2.1.0 that concern what is written here."""
    (project / "ä b.nix").write_text("f x: y [ 1, (2 ]")
    log = sarif_of(capsys, ".")
    assert log["version"] == "2.1.0"
    assert set(log) == {"$schema", "version", "runs"}
    (run,) = log["runs"]
    assert set(run) <= {"tool", "columnKind", "originalUriBaseIds", "results"}
    assert run["columnKind"] in {"utf16CodeUnits", "unicodeCodePoints"}
    for base in run["originalUriBaseIds"].values():
        assert base["uri"].startswith("file:///")
        assert base["uri"].endswith("/")
    driver = run["tool"]["driver"]
    assert driver["name"] == "tvix-lsp"
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"id", "shortDescription", "defaultConfiguration"}
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"none", "note", "warning", "error"}
    for result in run["results"]:
        assert set(result) <= {
            "ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations", "fixes",
        }  # fmt: skip
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        for location in [*result["locations"], *result.get("relatedLocations", [])]:
            check_location(location, run)
        for fix in result.get("fixes", []):
            assert fix["description"]["text"]
            for change in fix["artifactChanges"]:
                assert change["artifactLocation"] == result["locations"][0]["physicalLocation"]["artifactLocation"]
                for replacement in change["replacements"]:
                    check_region(replacement["deletedRegion"])
                    assert set(replacement) == {"deletedRegion", "insertedContent"}
    uris = {unquote(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) for result in run["results"]}
    assert uris == {"broken.nix", "sub/twice.nix", "sub/pipe.nix", "ä b.nix"}
    assert any("fixes" in result for result in run["results"])
    assert any("relatedLocations" in result for result in run["results"])


def test_sarif_outside_the_working_directory(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "sub")
    (run,) = sarif_of(capsys, str(project / "broken.nix"))["runs"]
    (result,) = run["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": (project / "broken.nix").as_uri()}


def test_sarif_of_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run,) = sarif_of(capsys, "good.nix")["runs"]
    assert run["results"] == []


def test_many_files_are_checked_in_parallel_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(check._WORTH_PROCESSES + 40):
        folder = tmp_path / f"{number % 7}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.nix").write_text("{ a = 1 }" if number % 3 == 0 else "{ a = 1; }")
    assert main(["--jobs", "1", "."]) == 1
    alone = capsys.readouterr()
    for _ in range(2):
        assert main(["--jobs", "2", "."]) == 1
        assert capsys.readouterr() == alone
    assert len(alone.out.splitlines()) > 90


def test_a_name_that_is_not_utf8(project: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    name = b"\xff.nix"
    (project / os.fsdecode(name)).write_text("{")
    assert main([os.fsdecode(name)]) == 1
    assert capsysbinary.readouterr().out.startswith(name + b":1:2: error")
    assert main(["--format", "json", os.fsdecode(name)]) == 1
    assert json.loads(capsysbinary.readouterr().out)[0]["file"] == os.fsdecode(name)


def test_examples_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ROOT / "examples")]) == 0
    assert capsys.readouterr().out == ""


def test_lib_of_nixpkgs_is_in_order(nixpkgs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(nixpkgs / "lib")]) == 0
    assert capsys.readouterr().out == ""


# --- as a command --------------------------------------------------------------------------------


def command(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(check.__file__).parent.parent)])}
    return subprocess.run(
        [sys.executable, "-P", "-m", "lsp.cli", "check", *words],
        env=env, capture_output=True, text=True, check=False, **options,
    )  # fmt: skip


def test_the_command(project: Path) -> None:
    done = command(".", cwd=project)
    assert (done.returncode, done.stdout) == (1, TEXT)
    assert command("good.nix", cwd=project).returncode == 0
    assert command("nowhere", cwd=project).returncode == 2


def test_processes_leave_without_a_word(tmp_path: Path) -> None:
    for number in range(check._WORTH_PROCESSES + 10):
        (tmp_path / f"{number}.nix").write_text("1")
    for _ in range(3):
        done = command("--jobs", "2", ".", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{check._WORTH_PROCESSES + 10} files checked: nothing is wrong\n"


def test_nothing_heavy_is_imported() -> None:
    """Neither the protocol, nor what only some runs need."""
    program = (
        "import sys; from lsp.check import main; code = main(sys.argv[1:])\n"
        "print(*sorted({'pygls', 'lsprotocol', 'lark', 'rich', 'msgspec', 'asyncio', 'multiprocessing'}"
        " & set(sys.modules)))"
    )
    file = ROOT / "examples" / "workspace" / "default.nix"
    done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_a_bar_on_a_terminal_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar goes to stderr, when that is a terminal and the work takes its time."""
    program = "import sys; from lsp import check; check._SHOW_PROGRESS_AFTER = -1; sys.exit(check.main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(Path(check.__file__).parent.parent), "TERM": "xterm"}
    words = [sys.executable, "-c", program, "."]
    quiet = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert (quiet.stdout, quiet.stderr) == (TEXT, "4 files checked: 2 errors, 1 note\n")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    said = b""
    while True:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not more:
            break
        said += more
    os.close(ours)
    out, _ = process.communicate()
    assert out == TEXT
    assert b"checking" in said
    assert b"100%" in said


def test_who_reads_may_stop(project: Path) -> None:
    (project / "long.nix").write_text("[" + " 1," * 40_000 + "]")
    words = [sys.executable, "-m", "lsp.cli", "check", str(project / "long.nix")]
    env = {**os.environ, "PYTHONPATH": str(Path(check.__file__).parent.parent)}
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait() == 1


# --- the hook ------------------------------------------------------------------------------------


def test_the_hook_names_a_command_that_exists() -> None:
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    hooks = dict(re.findall(r"^\s*-?\s*(\w+): (.+)$", text, re.MULTILINE))
    assert hooks["id"] == "tvix-lsp-check"
    assert hooks["entry"] == "tvix-lsp check"
    assert hooks["language"] == "python"
    assert hooks["types"] == "[nix]"
    assert hooks["require_serial"] == "true"
    assert "tvix-lsp = " in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
