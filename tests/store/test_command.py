"""`tvix-store`, as one types it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.command import cli
from store.command.output import human, parse_size
from store.composition import local_store
from store.nar import write_nar

MakeTree = Callable[[Any], str]
TREE = {"bin": {"run": ["x", "#!/bin/sh\n"], "link": ["->", "run"]}, "doc": "hello\n"}


class Ran:
    """What a command answered."""

    def __init__(self, status: int, out: bytes, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def text(self) -> str:
        assert self.status == 0, self.err
        return self.out.decode()

    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., Ran]:
    monkeypatch.setenv("TVIX_STORE", f"local:{tmp_path}/store")

    def tvix_store(*arguments: str) -> Ran:
        try:
            status = cli.main(arguments)
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        out, err = capfdbinary.readouterr()
        return Ran(status, out, err.decode())

    return tvix_store


def test_add_and_look(run: Callable[..., Ran], make_tree: MakeTree) -> None:
    path = run("add", make_tree(TREE), "--name", "tree").text().strip()
    assert path.startswith("/nix/store/") and path.endswith("-tree")
    assert run("cat", f"{path}/doc").out == b"hello\n"
    assert run("cat", f"{path[11:]}/bin/run").out == b"#!/bin/sh\n"
    assert run("ls", path).text().split() == ["bin", "doc"]
    assert run("ls", path[11:43]).text().split() == ["bin", "doc"]
    assert run("ls", "-lR", path).text().splitlines() == [
        "dr-xr-xr-x              - ./bin",
        "-r--r--r--              6 ./doc",
        "lrwxrwxrwx              - ./bin/link -> run",
        "-r-xr-xr-x             10 ./bin/run",
    ]
    assert run("ls").text().split() == [path]
    listed = run("ls", "--json", "-R", path).json()
    assert listed["entries"]["bin"]["entries"]["run"] == {"type": "regular", "size": 10, "executable": True}
    (info,) = run("info", "--json", path).json()
    assert info["path"] == path and info["references"] == [] and info["ca"].startswith("fixed:r:sha256:")
    assert "refers to" not in run("info", path).text()
    assert run("info", "--json").json()["paths"] == 1
    assert "1 paths" in run("info").text()
    assert run("cat", "--json", f"{path}/doc").json()["text"] == "hello\n"


def test_export_and_import(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    tree = make_tree(TREE)
    path = run("add", tree, "--name", "tree").text().strip()
    parts: list[bytes] = []
    write_nar(tree, parts.append)
    archive = b"".join(parts)
    assert run("export", path).out == archive
    file = tmp_path / "x.nar"
    assert run("export", path, "-o", str(file)).status == 0
    assert file.read_bytes() == archive
    assert run("import", "--name", "other", str(file)).text().strip().endswith("-other")
    assert run("import", "--name", "tree", str(file), "--json").json()["path"] == path
    file.write_bytes(archive[:-8])
    broken = run("import", "--name", "broken", str(file))
    assert broken.status == 1 and "unexpected end" in broken.err


def test_import_reads_a_pipe(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    path = run("add", make_tree(TREE), "--name", "tree").text().strip()
    archive = run("export", path).out
    command = [sys.executable, "-m", "store.command.cli", "import", "--store", f"local:{tmp_path}/b", "--name", "tree"]
    done = subprocess.run(command, input=archive, capture_output=True, check=True)
    assert done.stdout.decode().strip() == path


def test_copy_between_stores(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    secret = run("key", "test-1").text()
    (tmp_path / "key").write_text(secret)
    public = run("key", "--public", str(tmp_path / "key")).text().strip()
    assert public.startswith("test-1:")
    first = run("add", make_tree({"a": "b"}), "--name", "first").text().strip()
    archive = tmp_path / "nar"
    run("export", first, "-o", str(archive))
    second = run("import", "--name", "second", "--reference", first, str(archive)).text().strip()
    cache = f"file://{tmp_path}/cache?secret-key={tmp_path}/key"
    assert "copied 2 paths" in run("copy", "--to", cache, second).err
    assert "copied 0 paths" in run("copy", "--to", cache, second).err
    closure = run("info", "--closure", "--store", f"{cache}&trusted={public}", "--json", second).json()
    assert [info["path"] for info in closure] == [first, second]
    back = f"local:{tmp_path}/back"
    # What is addressed by its archive's hash proves itself; other things need a signature.
    with local_store(f"{tmp_path}/store") as store:
        text = store.add_text("text", b"x", [second]).path
    run("copy", "--to", cache, text)
    untrusted = run("copy", "--from", f"file://{tmp_path}/cache", "--to", back, text)
    assert untrusted.status == 1 and "signed by 'test-1', none of which is trusted" in untrusted.err
    copied = run("copy", "--from", f"{cache}&trusted={public}", "--to", back, "--all", "--json").json()
    assert sorted(copied["copied"]) == sorted([first, second, text])
    assert run("cat", "--store", back, f"{second}/a").out == b"b"


def test_copying_shows_how_far_it_is(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    paths = [
        run("add", make_tree({"a": f"b{number}"}), "--name", f"tree{number}").text().strip() for number in range(3)
    ]
    command = [sys.executable, "-m", "store.command.cli", "copy", "--to", f"local:{tmp_path}/other", *paths]
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        subprocess.run(command, stdin=theirs, stderr=theirs, check=True)
        os.close(theirs)
        said = b""
        while b"3 paths" not in said.rpartition(b"copied")[2]:
            said += terminal.read(4096)
    assert "━" in said.decode() and "3 of 3 paths" in said.decode()


def test_roots_and_gc(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    kept = run("add", "--root", "mine", "--name", "kept", make_tree({"x": os.urandom(100_000).hex()})).text().strip()
    gone = run("add", "--name", "gone", make_tree({"x": os.urandom(900_000).hex()})).text().strip()
    assert run("roots", "--json").json() == {"mine": kept}
    assert run("gc", "--dry-run", "--json").json()["deleted"] == [gone]
    before = run("info", "--json").json()["sizeOnDisk"]
    done = run("gc", "--json").json()
    assert done["deleted"] == [gone] and done["kept"] == 1
    assert run("info", "--json").json()["sizeOnDisk"] < before - 800_000
    assert run("ls").text().split() == [kept]
    assert run("verify").status == 0
    refused = run("roots", "--remove", "mine")
    assert refused.status == 0 and refused.out == b""
    assert "say --all" in run("gc").err
    assert run("gc", "--max-size", "1G").out == b""
    assert run("gc", "--all").text().split() == [kept]
    assert [path.name for path in (tmp_path / "store" / "packs").iterdir()] == []


def test_gc_keeps_what_is_shared(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    large = os.urandom(3_000_000).hex()
    one = run("add", "--name", "one", make_tree({"a": large, "b": os.urandom(2_000_000).hex()})).text().strip()
    two = run("add", "--name", "two", make_tree({"a": large, "c": "other"})).text().strip()
    assert run("gc", "--root", two).text().split() == [one]
    assert run("verify").status == 0
    assert run("cat", f"{two}/a").out.decode() == large
    assert run("gc", "--max-size", "1M", "--dry-run").text().split() == [two]


def test_verify_and_repair(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    tree = make_tree({"a": os.urandom(400_000).hex(), "b": {"c": "small"}})
    path = run("add", tree, "--name", "tree").text().strip()
    run("copy", "--to", f"local:{tmp_path}/other", path)
    assert "all as it should be" in run("verify").text()
    (pack,) = (tmp_path / "store" / "packs").iterdir()
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 4
    pack.write_bytes(data)
    found = run("verify", "--json")
    assert found.status == 1
    assert found.json()["damagedPaths"] == [path[11:]]
    assert any(str(pack) in problem for problem in found.json()["problems"])
    read = run("cat", f"{path}/a")
    assert read.status == 1 and str(pack) in read.err
    assert run("cat", f"{path}/b/c").out == b"small"
    assert "--from" in run("verify", "--repair").err
    useless = run("verify", "--repair", "--from", "memory:")
    assert useless.status == 1 and "not in memory: either" in useless.err
    assert f"repaired {path}" in run("verify", "--repair", "--from", f"local:{tmp_path}/other").text()
    assert run("verify").status == 0
    assert run("export", path).status == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["cat", "/nix/store/" + "0" * 32 + "-x"], "is not in local:"),
        (["cat", "/etc/passwd"], "is not in the Nix store"),
        (["add", "/nothing/here"], "No such file"),
        (["add", ".", "--name", "a b"], "illegal character ' '"),
        (["add", ".", "..", "--name", "x"], "--name names one path"),
        (["copy", "x"], "say --from URL or --to URL"),
        (["copy", "--to", "memory:"], "say which paths to copy"),
        (["verify", "--store", "memory:"], "this is for local stores"),
        (["gc", "--max-size", "many"], "is not a size"),
        (["serve"], "say where to serve"),
        (["serve", "--http", "x"], "is not HOST:PORT"),
        (["roots", "--set", "x"], "NAME=PATH"),
        (["roots", "--remove", "x"], "there is no root 'x'"),
        (["ls", "--store", "locl:"], "did you mean 'local:'"),
        (["key"], "say the new key's NAME"),
        (["mount", "/nothing/here"], "is not a folder|needs the package"),
    ],
)
def test_errors_say_what_to_do(run: Callable[..., Ran], arguments: list[str], reason: str) -> None:
    import re

    done = run(*arguments)
    assert done.status == 1
    assert re.search(reason, done.err)
    assert done.err.startswith("tvix-store: ") and "Traceback" not in done.err


def test_help_and_usage(run: Callable[..., Ran]) -> None:
    helped = run("--help").text()
    assert "examples:" in helped
    for name in "add cat ls info verify copy export import gc roots serve mount key".split():
        assert f"    {name} " in helped
        about = run(name, "--help").text()
        assert f"example:\n  tvix-store {name} " in about or f"| tvix-store {name} " in about
        assert "--json" in about
    wrong = run("ad")
    assert wrong.status == 2 and "try tvix-store --help" in wrong.err
    assert run().status == 2
    assert run("--version").text().startswith("tvix-store ")


def test_sizes() -> None:
    assert [parse_size(text) for text in ["1000", "20G", "1.5Gi", "3 MB", "7k"]] == [
        1000,
        20_000_000_000,
        1_610_612_736,
        3_000_000,
        7000,
    ]
    assert [human(size) for size in [0, 999, 1500, 2_500_000]] == ["0 B", "999 B", "1.5 kB", "2.5 MB"]


def test_every_command_speaks_json(run: Callable[..., Ran], make_tree: MakeTree, tmp_path: Path) -> None:
    (added,) = run("add", "--json", make_tree(TREE), "--name", "tree").json()
    path = added["path"]
    archive = str(tmp_path / "x.nar")
    (tmp_path / "key").write_text(run("key", "--json", "test-1").json()["secret"])
    other = f"local:{tmp_path}/other"
    answers = {
        "cat": (["cat", f"{path}/doc"], {"path", "size", "text"}),
        "ls": (["ls", path], {"type", "entries"}),
        "export": (["export", path, "-o", archive], {"path", "narHash", "output"}),
        "import": (["import", "--name", "tree", archive], {"path", "narHash"}),
        "copy": (["copy", "--to", other, path], {"copied", "bytes", "alreadyThere"}),
        "verify": (["verify"], {"problems", "damagedPaths", "repaired", "paths"}),
        "gc": (["gc", "--root", path], {"deleted", "kept", "sizeBefore", "sizeAfter"}),
        "roots": (["roots", "--set", f"mine={path}"], {"mine"}),
        "key": (["key", "--public", str(tmp_path / "key")], {"public"}),
        "info": (["info"], {"store", "storeDir", "paths", "narSize", "sizeOnDisk"}),
    }
    for name, (arguments, keys) in answers.items():
        found = run(*arguments, "--json")
        assert found.status == 0, found.err
        assert keys <= found.json().keys(), name
    assert run("ls", "--json").json() == [path]
    assert [info["path"] for info in run("info", "--closure", "--json", path).json()] == [path]
    refused = run("export", path, "--json")
    assert refused.status == 1 and "--output" in refused.err
    # The two that go on until they are stopped (mount: test_mount.py).
    command = [sys.executable, "-m", "store.command.cli", "serve", "--json", "--http", "127.0.0.1:0"]
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    environment = {**os.environ, "TMPDIR": str(uploads)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        assert served.stdout is not None
        said = ""
        while not said.rstrip().endswith("}"):
            said += served.stdout.readline()
        assert json.loads(said)["http"].startswith("http://127.0.0.1:")
        assert list(uploads.iterdir())
        served.terminate()
    assert served.returncode == 0
    assert not list(uploads.iterdir())


def test_odd_names_come_out_as_they_are(run: Callable[..., Ran], make_tree: MakeTree) -> None:
    path = run("add", make_tree({"\udcff\n": "x"}), "--name", "odd").text().strip()
    assert run("ls", path).out == b"\xff\n\n"


def test_starting_the_evaluator_loads_none_of_it() -> None:
    program = (
        "import sys, evaluator.cli, evaluator.session\n"
        "print(*[name for name in sys.modules if name in ('blake3', 'zstandard', 'cryptography', 'httpx', 'obstore')"
        " or name.startswith(('store.castore', 'store.composition', 'store.backends'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
