"""What evaluation writes to the store, and what it reads from there again."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluator.cli import main
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError
from evaluator.stores.access import LocalAccess
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.paths.protocol import Store
from tests.evaluator.asking_again import Asker, Reply
from tests.evaluator.evaluating import NIX_ENVIRONMENT

PROGRAM = r"""
let
  make = name: more: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; } // more);
  script = builtins.toFile "script.sh" "echo ${settings}";
  settings = builtins.toFile "settings" "a\tb \"quoted\" \\ ${"\n"}";
  tool = make "tool" { outputs = [ "out" "dev" ]; src = ./src; };
in
{
  all = make "all" {
    args = [ "-e" script ];
    inherit (tool) dev;
    kept = builtins.filterSource (path: type: baseNameOf path != "left-out") ./src;
    renamed = builtins.path { path = ./src/file; name = "renamed"; };
    flat = builtins.path { path = ./src/run; name = "flat"; recursive = false; };
    closure = tool.drvPath;
    fixed = make "fixed" { outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; };
    structured = make "structured" { __structuredAttrs = true; list = [ 1 tool ]; };
  };
  text = script;
  other = make "other" { };
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a ``default.nix`` and sources."""
    folder = tmp_path / "program"
    (folder / "src" / "inner").mkdir(parents=True)
    (folder / "src" / "file").write_text("file")
    (folder / "src" / "left-out").write_text("left out")
    (folder / "src" / "inner" / "left-out").write_text("left out, too")
    (folder / "src" / "link").symlink_to("file")
    (folder / "src" / "run").write_text("#!/bin/sh\n")
    (folder / "src" / "run").chmod(0o755)
    (folder / "default.nix").write_text(PROGRAM)
    return folder


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of the test's own, not there yet."""
    monkeypatch.setenv("TVIX_STORE", f"local:{tmp_path}/store")
    monkeypatch.setenv("TVIX_EVAL_CACHE", "off")
    monkeypatch.setenv("NIX_CONF_DIR", "/nonexistent")
    monkeypatch.setenv("NIX_CONFIG", "substituters =")
    return f"local:{tmp_path}/store"


@pytest.fixture
def store(url: str) -> Iterator[CastoreStore]:
    with local_store(url.removeprefix("local:")) as opened:
        yield opened


def run(*words: str) -> Reply:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(words))
    return Reply(code, out.getvalue(), err.getvalue())


def contents(store: Store) -> dict[str, tuple[bytes, list[str]]]:
    """The archive and references of each path in a store."""
    found = {}
    for path in store.paths():
        info = store.query(path)
        assert info is not None
        found[path] = (b"".join(store.nar(info)), sorted(info.references))
    return found


def written_by_nix(nix: str, root: Path, *words: str) -> dict[str, tuple[bytes, list[str]]]:
    """The contents of a store of its own that Nix writes."""
    found = subprocess.run(
        [nix, "--store", f"local?root={root}", *words],
        env={**os.environ, **NIX_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    with open_store(f"nix:?root={root}") as theirs:
        return contents(theirs)


def test_nix_writes_the_same_bytes(program: Path, store: CastoreStore, tmp_path: Path, nix_instantiate: str) -> None:
    reply = run("--instantiate", str(program), "-A", "all")
    assert reply.code == 0, reply.err
    ours = contents(store)
    assert reply.out.strip() in ours
    assert ours == written_by_nix(nix_instantiate, tmp_path / "nix", str(program), "-A", "all")


def test_nix_writes_the_same_while_it_evaluates(
    program: Path, store: CastoreStore, tmp_path: Path, nix_instantiate: str
) -> None:
    reply = run("--eval", "--read-write-mode", "--strict", str(program), "-A", "text")
    assert reply.code == 0, reply.err
    ours = contents(store)
    words = ["--eval", "--read-write-mode", "--strict", str(program), "-A", "text"]
    assert ours == written_by_nix(nix_instantiate, tmp_path / "nix", *words)
    assert len(ours) == 2


def test_hello_as_nix_writes_it(store: CastoreStore, nixpkgs: Path, tmp_path: Path, nix_instantiate: str) -> None:
    words = ["--argstr", "system", "x86_64-linux", str(nixpkgs), "-A", "hello"]
    reply = run("--instantiate", *words)
    assert reply.code == 0, reply.err
    ours = contents(store)
    theirs = written_by_nix(nix_instantiate, tmp_path / "nix", *words)
    # Nix also writes what was evaluated and is not needed.
    assert {path: theirs[path] for path in ours} == ours
    assert len(ours) > 900
    assert reply.out.strip() in ours


@pytest.mark.parametrize(
    "words",
    [
        ["--instantiate", "--readonly-mode", "-A", "all"],
        ["--instantiate", "--dry-run", "-A", "all"],
        ["--eval", "-A", "all.drvPath"],
        ["--eval", "--strict", "-A", "text"],
    ],
)
def test_nothing_is_written(program: Path, url: str, words: list[str]) -> None:
    assert run(*words, str(program)).code == 0
    assert not os.path.exists(url.removeprefix("local:"))


def test_a_flag_names_another_store(program: Path, url: str, tmp_path: Path) -> None:
    reply = run("--store", f"local:{tmp_path}/other", "--instantiate", str(program), "-A", "other")
    assert not os.path.exists(url.removeprefix("local:"))
    with local_store(f"{tmp_path}/other") as other:
        assert list(other.paths()) == [reply.out.strip()]


def test_a_store_that_cannot_be_written_to(program: Path, tmp_path: Path, url: str) -> None:
    reply = run("--store", f"file://{tmp_path}/cache", "--instantiate", str(program), "-A", "other")
    assert reply.code == 1
    assert f"derivations cannot be written to 'file://{tmp_path}/cache'" in reply.err
    assert not reply.out


def test_all_or_nothing(program: Path, store: CastoreStore, tmp_path: Path) -> None:
    """A source that is gone when it is to be copied leaves no derivation that refers to it."""
    access = LocalAccess(store.uri, writes=True)
    session = open_session(Files())
    session.use_store(access)
    drv_path = session.expression(f'(import {program}).all.drvPath + ""', "/")
    (program / "src" / "file").write_text("changed")
    with pytest.raises(EvalError, match="was changed while it was evaluated"):
        access.write(session, [getattr(drv_path, "text", "")])
    assert list(store.paths()) == []


def test_an_answer_is_known_while_the_store_has_it(program: Path, url: str, tmp_path: Path) -> None:
    asker = Asker(tmp_path / "cache")
    first = asker.ask("--instantiate", str(program), "-A", "all")
    assert first.code == 0, first.err
    assert asker.ask("--instantiate", str(program), "-A", "all") == first
    assert asker.knew()
    folder = Path(url.removeprefix("local:"))
    folder.rename(tmp_path / "aside")
    assert asker.ask("--instantiate", str(program), "-A", "all") == first
    assert not asker.knew()
    with local_store(str(folder)) as store:
        assert store.query(first.out.strip()) is not None


# --- derivations that another evaluation wrote -------------------------------------------------------


@pytest.fixture
def other(program: Path, store: CastoreStore) -> str:
    """The path of a derivation that is in the store and that no evaluation here has made."""
    reply = run("--instantiate", str(program), "-A", "all")
    assert reply.code == 0, reply.err
    return reply.out.strip()


def value_of(expression: str) -> str:
    reply = run("--eval", "--strict", "-E", expression)
    assert reply.code == 0, reply.err
    return reply.out.strip()


def test_reading_a_derivation(other: str, store: CastoreStore) -> None:
    content = value_of(f'builtins.hashString "sha256" (builtins.readFile {other})')
    drv = store.read_derivation(other)
    import hashlib

    assert content == f'"{hashlib.sha256(drv.to_bytes()).hexdigest()}"'
    assert value_of(f"builtins.pathExists {other}") == "true"
    assert value_of(f"builtins.storePath {other}") == f'"{other}"'


USING = """derivation {{ name = "user"; system = "x"; builder = "b"; input = {input}; }}"""


@pytest.mark.parametrize(
    "given",
    [
        'builtins.appendContext "{out}" {{ "{drv}".outputs = [ "out" ]; }}',
        'builtins.appendContext "{drv}" {{ "{drv}".allOutputs = true; }}',
        "builtins.addDrvOutputDependencies (builtins.storePath {drv})",
        "import {drv}",
        "(import {drv}).drvPath",
    ],
)
def test_a_derivation_of_the_store_as_an_input(
    given: str, other: str, store: CastoreStore, program: Path, tmp_path: Path, nix_instantiate: str
) -> None:
    out = store.read_derivation(other).outputs["out"].path
    expression = USING.format(input=given.format(out=out, drv=other))
    reply = run("--instantiate", "-E", expression)
    assert reply.code == 0, reply.err
    used = store.read_derivation(reply.out.strip())
    assert other in used.input_drvs
    if "addDrvOutputDependencies" not in given:  # Nix 2.8 does not have it
        written_by_nix(nix_instantiate, tmp_path / "nix", str(program), "-A", "all")
        assert reply.out.strip() in written_by_nix(nix_instantiate, tmp_path / "nix", "-E", expression)


def test_importing_a_derivation(other: str) -> None:
    assert value_of(
        f'let d = import {other}; in [ d.name d.type d.outputName (d ? all) (d.outPath == "${{d.out}}") ]'
    ) == ('[ "all" "derivation" "out" true true ]')


def test_what_is_not_in_the_store(url: str) -> None:
    path = "/nix/store/" + "0" * 32 + "-nothing.drv"
    for expression, said in [
        (f'builtins.readFile (builtins.appendContext "{path}" {{ "{path}".path = true; }})', "is not valid"),
        (USING.format(input=f'builtins.appendContext "" {{ "{path}".outputs = [ "out" ]; }}'), "is not known"),
    ]:
        reply = run("--eval", "--strict", "-E", f"{{ a = {expression}; }}")
        assert reply.code == 1
        assert f"'{path}' {said}" in reply.err
    assert value_of(f"builtins.pathExists {path}") == "false"


def test_a_path_that_cannot_be_had_is_not_written(url: str) -> None:
    path = "/nix/store/" + "0" * 32 + "-nothing"
    for named in (f'builtins.appendContext "{path}" {{ "{path}".path = true; }}', f"builtins.storePath {path}"):
        reply = run("--instantiate", "-E", USING.format(input=named))
        assert reply.code == 1
        assert f"'{path}'" in reply.err
        with local_store(url.removeprefix("local:")) as store:
            assert list(store.paths()) == []


def test_a_store_path_comes_from_a_substituter(
    program: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``storePath`` of what others have: it is copied while things are written, and only then."""
    with local_store(str(tmp_path / "theirs")) as theirs:
        path = theirs.add_text("text", b"from elsewhere").path
    monkeypatch.setenv("NIX_CONFIG", f"substituters = local:{tmp_path}/theirs\nrequire-sigs = false")
    assert "is not valid" in run("--eval", "-E", f"builtins.readFile (builtins.storePath {path})").err
    reply = run("--eval", "--read-write-mode", "-E", f"builtins.readFile (builtins.storePath {path})")
    assert (reply.code, reply.out) == (0, '"from elsewhere"\n'), reply.err
    with local_store(url.removeprefix("local:")) as store:
        assert store.query(path) is not None
