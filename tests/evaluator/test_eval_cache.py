"""Answers are given again exactly while nothing that they depend on has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evaluator.cache import answers
from tests.conftest import ROOT
from tests.evaluator.asking_again import Asker, variables


@pytest.fixture
def asker(tmp_path: Path) -> Asker:
    return Asker(tmp_path / "cache")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to read from, which is the current one."""
    root = tmp_path / "tree"
    (root / "dir" / "inner").mkdir(parents=True)
    (root / "dir" / "default.nix").write_text('"from dir"')
    (root / "dir" / "text").write_text("some text")
    (root / "dir" / "inner" / "deep").write_text("deep")
    (root / "file.nix").write_text('"from file"')
    (root / "text").write_text("text 1")
    (root / "link").symlink_to("dir")
    (root / "file-link").symlink_to("file.nix")
    (root / "dangling").symlink_to("nothing")
    monkeypatch.chdir(root)
    monkeypatch.setenv("NIX_PATH", f"first={root}/missing:{root}/empty:{root}")
    return root


def test_second_answer_is_recalled_with_all_that_was_said(asker: Asker, tree: Path) -> None:
    words = ["--strict", "-E", 'builtins.trace "a\nb" (builtins.warn "careful" [ (import ./dir) (import ./file.nix) ])']
    first = asker.ask(*words)
    assert not asker.knew()
    assert first.out == '[ "from dir" "from file" ]\n'
    assert "trace: a\nb\n" in first.err
    assert "careful" in first.err
    assert asker.ask(*words) == first
    assert asker.knew()
    assert asker.afresh(*words) == first
    assert not asker.knew()


def test_several_answers_bytes_and_no_newline(asker: Asker, tree: Path) -> None:
    (tree / "bytes.nix").write_bytes(b'{ a = "\xff\xc3\xa9"; b = "b"; }')
    words = ["--raw", "-A", "a", "-A", "b", "./bytes.nix"]
    first = asker.ask(*words)
    assert first.out == "\udcfféb"
    assert asker.ask(*words) == first
    assert asker.knew()


def write(name: str, text: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)

    return edit


def write_unnoticed(name: str, text: str) -> Callable[[Path], None]:
    """New contents of the same length, in the same file, with the old time stamps."""

    def edit(root: Path) -> None:
        path = root / name
        before = path.stat()
        assert len(text) == before.st_size
        with path.open("r+") as file:
            file.write(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    return edit


def replace(name: str, text: str) -> Callable[[Path], None]:
    """As many editors save."""

    def edit(root: Path) -> None:
        (root / "new").write_text(text)
        (root / "new").rename(root / name)

    return edit


def relink(name: str, target: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).symlink_to(target)

    return edit


def no_code(root: Path) -> None:
    (root / "dir" / "default.nix").rename(root / "dir" / "other.nix")


def file_for_folder(root: Path) -> None:
    (root / "dir" / "inner").rename(root / "moved")
    (root / "dir" / "inner").write_text("")


def folder_for_link(root: Path) -> None:
    (root / "dir").rename(root / "moved")
    (root / "dir").symlink_to("moved")


def touch(root: Path) -> None:
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.touch()


def copy_over(root: Path) -> None:
    for path in [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)


def folder_for_file(root: Path) -> None:
    (root / "dir" / "default.nix").unlink()
    (root / "dir" / "default.nix").mkdir()


ONLY_TEXT = 'name: type: type == "directory" || baseNameOf name == "text"'
KEEP = 'name: type: baseNameOf name != "deep"'

CHANGES: list[tuple[str, str, Callable[[Path], None]]] = [
    ("import", "import ./file.nix", write("file.nix", '"longer than before"')),
    ("import, same size and time", "import ./file.nix", write_unnoticed("file.nix", "./text-2")),
    ("import, replaced", "import ./file.nix", replace("file.nix", "./text-2")),
    ("import becomes a link", "import ./file.nix", relink("file.nix", "dir/same.nix")),
    ("import through a link", "import ./file-link", relink("file-link", "dir/same.nix")),
    ("import below a link", "import ./link/default.nix", relink("link", ".")),
    ("import of a folder", "import ./dir", write("dir/default.nix", "1")),
    ("import of a folder that becomes a link", "import ./dir", folder_for_link),
    ("import by name", "import <file.nix>", write("empty/file.nix", "1")),
    ("import by prefix", "(builtins.tryEval <first/dir>).success", write("missing/dir", "1")),
    (
        "__findFile",
        '__findFile [ { prefix = "text"; path = ./nowhere; } { path = ./.; } ] "text"',
        write("nowhere", ""),
    ),
    ("import by default.nix", "builtins.pathExists ./dir/default.nix", no_code),
    ("scopedImport", "scopedImport { a = 1; } ./file.nix", write("file.nix", "a")),
    ("readFile", "builtins.readFile ./text", write_unnoticed("text", "text 2")),
    ("readFile through a link", "builtins.readFile ./link/text", write_unnoticed("dir/text", "some TEXT")),
    ("readFile behind a link", "builtins.readFile ./file-link", relink("file-link", "text")),
    ("hashFile", 'builtins.hashFile "sha256" ./text', write_unnoticed("text", "text 2")),
    ("readDir, new entry", "builtins.readDir ./dir", write("dir/new", "")),
    ("readDir, other kind", "builtins.readDir ./dir", file_for_folder),
    ("readDir, lost entry", "builtins.readDir ./dir", no_code),
    ("readFileType", "builtins.readFileType ./text", relink("text", "dir")),
    ("pathExists, now", "builtins.pathExists ./later", write("later", "")),
    ("pathExists, now a dangling link", "builtins.pathExists ./later", relink("later", "nothing")),
    ("pathExists of a folder", 'builtins.pathExists (toString ./dir/inner + "/")', file_for_folder),
    ("copied file", '"${./text}"', write_unnoticed("text", "text 2")),
    ("copied file, executable", '"${./text}"', lambda root: (root / "text").chmod(0o755)),
    ("copied link", '"${./dangling}"', relink("dangling", "another")),
    ("copied folder", '"${./dir}"', write_unnoticed("dir/inner/deep", "DEEP")),
    ("copied folder, new entry", '"${./dir}"', write("dir/inner/new", "")),
    ("copied folder, executable", '"${./dir}"', lambda root: (root / "dir" / "text").chmod(0o755)),
    ("empty copied file", '"${./empty-file}"', write("empty-file", "now")),
    ("path", 'builtins.path { path = ./dir; name = "n"; }', write("dir/text", "")),
    ("path, flat", "builtins.path { path = ./text; recursive = false; }", write_unnoticed("text", "text 2")),
    ("path, through a link", "builtins.path { path = ./link; }", relink("link", "dir/inner")),
    ("path, filtered", f"builtins.path {{ path = ./dir; filter = {KEEP}; }}", write("dir/text", "")),
    ("filterSource", f"builtins.filterSource ({KEEP}) ./dir", write("dir/inner/more", "")),
    ("filterSource, kind", f"builtins.filterSource ({KEEP}) ./dir", file_for_folder),
    ("filterSource, kind of what was left out", f"builtins.filterSource ({ONLY_TEXT}) ./dir", folder_for_file),
    ("fetchTree", 'builtins.fetchTree { type = "path"; path = toString ./dir; lastModified = 1; }', no_code),
]

SAME: list[tuple[str, str, Callable[[Path], None]]] = [
    ("time stamps", '[ (import ./dir) (builtins.readDir ./dir) "${./dir}" ]', touch),
    ("new files with the old contents", '[ (import ./dir) (builtins.readDir ./dir) "${./dir}" ]', copy_over),
    ("another file", "import ./file.nix", write("text", "text 2")),
    ("contents of a folder whose names were read", "builtins.readDir ./dir", write("dir/text", "new")),
    ("contents of a file that was found", "builtins.pathExists ./text", write("text", "new")),
    ("left out by a filter", f"builtins.filterSource ({KEEP}) ./dir", write("dir/inner/deep", "x")),
    ("later on the search path", "<text>", lambda root: (root / "dir" / "text").unlink()),
]


@pytest.mark.parametrize(("expression", "edit"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_change_is_seen(asker: Asker, tree: Path, expression: str, edit: Callable[[Path], None]) -> None:
    (tree / "empty-file").touch()
    (tree / "dir" / "default.nix").write_text("./text")
    (tree / "file.nix").write_text("./text-1")
    (tree / "dir" / "same.nix").write_text("./text-1")
    words = ["--strict", "-E", expression]
    first = asker.ask(*words)
    assert first.code == 0, first.err
    assert asker.ask(*words) == first
    assert asker.knew()
    edit(tree)
    changed = asker.ask(*words)
    assert not asker.knew()
    assert changed == asker.afresh(*words)


@pytest.mark.parametrize(("expression", "edit"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_what_does_not_matter(asker: Asker, tree: Path, expression: str, edit: Callable[[Path], None]) -> None:
    words = ["--strict", "-E", expression]
    first = asker.ask(*words)
    edit(tree)
    assert asker.ask(*words) == first
    assert asker.knew()
    assert asker.afresh(*words) == first


@pytest.mark.parametrize(("before", "after"), [(None, ""), ("", None), ("1", "2"), (None, "1"), ("1", None)])
def test_environment(asker: Asker, tree: Path, before: str | None, after: str | None) -> None:
    words = ["-E", 'builtins.getEnv "THING"']
    with variables({"THING": before, "OTHER": None}):
        first = asker.ask(*words)
    with variables({"THING": before, "OTHER": "1"}):
        assert asker.ask(*words) == first
        assert asker.knew()
    with variables({"THING": after}):
        assert asker.ask(*words).out == f'"{after or ""}"\n'
        assert not asker.knew()


def test_home(asker: Asker, tree: Path) -> None:
    for home in ("/somewhere", "/elsewhere"):
        with variables({"HOME": home}):
            assert asker.ask("-E", "~/x").out == f"{home}/x\n"
            assert not asker.knew()


def test_request_is_more_than_the_expression(asker: Asker, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tree / "f.nix").write_text("{ a ? 0, b ? 0 }: { x = a; y = [ b ./. <text> ]; }")
    (tree / "dir" / "f.nix").write_text("{ a ? 0, b ? 0 }: { x = a + 5; y = 5; }")
    requests = [
        ["./f.nix", "-A", "x"],
        ["./f.nix", "-A", "y"],
        ["./f.nix", "-A", "y", "--strict"],
        ["./f.nix", "-A", "y", "--strict", "--json"],
        ["./f.nix", "-A", "x", "--arg", "a", "1"],
        ["./f.nix", "-A", "x", "--argstr", "a", "1"],
        ["./f.nix", "-A", "x", "--argstr", "b", "1"],
        ["./f.nix", "-A", "y", "--strict", "-I", "dir"],
    ]

    def replies() -> list[tuple[str, bool]]:
        return [(asker.ask(*words).out, asker.knew()) for words in requests]

    first = replies()
    assert not any(recalled for _, recalled in first)
    monkeypatch.chdir(tree / "dir")
    assert not any(recalled for _, recalled in replies())
    monkeypatch.setenv("NIX_PATH", f"{tree}/dir")
    assert not any(recalled for _, recalled in replies())
    monkeypatch.chdir(tree)
    monkeypatch.setenv("NIX_PATH", f"first={tree}/missing:{tree}/empty:{tree}")
    assert replies() == [(out, True) for out, _ in first]


@pytest.mark.parametrize(
    "expression",
    [
        "builtins.currentTime",
        "__currentTime",
        "with builtins; let inherit (builtins) currentTime; in [ currentTime ]",
        "builtins.readFile ./missing",
        'throw "no"',
        "import /dev/stdin",
        'builtins.fetchTree { type = "path"; path = toString ./dir; }',
    ],
)
def test_not_kept(asker: Asker, tree: Path, expression: str) -> None:
    with open(os.devnull) as nothing:
        saved = os.dup(0)
        os.dup2(nothing.fileno(), 0)
        try:
            for _ in range(2):
                asker.ask("--strict", "-E", expression)
                assert not asker.knew()
        finally:
            os.dup2(saved, 0)
            os.close(saved)


def test_time_in_the_set_does_not_matter_unless_it_is_asked_for(asker: Asker, tree: Path) -> None:
    for _ in range(2):
        assert asker.ask("-E", "builtins ? currentTime && builtins.length (builtins.attrNames builtins) > 1").code == 0
    assert asker.knew()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_is_not_emptied(asker: Asker, tree: Path) -> None:
    words = ["--strict", "-E", "builtins.readFile ./text"]
    asker.ask(*words)
    (tree / "text").unlink()
    os.mkfifo(tree / "text")
    pipe = os.open(tree / "text", os.O_RDWR | os.O_NONBLOCK)
    try:
        os.write(pipe, b"for somebody")
        assert not asker.knew()
        question = answers.Question(words, str(asker.folder))
        assert question.recall() is None
        assert os.read(pipe, 100) == b"for somebody"
    finally:
        os.close(pipe)


def test_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = Asker(tmp_path / "cache")
    for _ in range(2):
        assert asker.afresh("-E", "1").out == "1\n"
        assert not asker.knew()
    assert not asker.folder.exists()
    monkeypatch.setenv(answers.VARIABLE, "off")
    assert answers.Question.of(["-E", "1"]) is None


def test_folder_is_where_the_system_wants_caches(tmp_path: Path) -> None:
    from platformdirs import user_cache_dir

    for base in (None, str(tmp_path)):
        with variables({answers.VARIABLE: None, "XDG_CACHE_HOME": base}):
            assert answers.cache_folder() == user_cache_dir("tvix-lsp", appauthor=False)


def test_recalling_loads_no_evaluator(tmp_path: Path) -> None:
    """Nor anything else that takes long; but for what Python loads by itself."""
    program = "import sys\nbefore = set(sys.modules)\nfrom evaluator.cli import main\n"
    program += "main(['-E', '\"${./text} ${./dir}\"'])\nprint(*sorted(set(sys.modules) - before), file=sys.stderr)"
    (tmp_path / "dir").mkdir()
    for name in ("text", "dir/text"):
        (tmp_path / name).write_text("text")
    environment = {**os.environ, answers.VARIABLE: str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}

    def loaded() -> tuple[str, set[str]]:
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout, set(done.stderr.split())

    first, evaluating = loaded()
    assert "evaluator.session" in evaluating
    again, recalling = loaded()
    assert again == first
    assert {name for name in recalling if name.startswith("evaluator")} == {
        "evaluator",
        "evaluator.cli",
        *(f"evaluator.cache{name}" for name in ("", ".answers", ".database", ".request", ".unchanged")),
        *("evaluator.io", "evaluator.io.observation"),
    }
    assert {name for name in recalling if name.startswith("store")} <= {
        *("store", "store.compiled", "store.nar", "store.store_path", "store.nix32", "store.hashes"),
        *("store.sha256", "store.sqlite"),
    }
    assert not recalling & {"argparse", "json", "ssl", "platformdirs", "regex", "msgspec", "threading"}
