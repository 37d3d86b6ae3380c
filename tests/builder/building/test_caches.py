"""Binary caches that `nix copy` made, over HTTP: `tvix-build` beside `nix-build`, in the same situations."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder.oci.probing import trials
from tests.builder.building.place import Place
from tests.builder.sandbox.nix import Nix

PACKAGES = r"""
let
  make = name: text: more: derivation ({
    inherit name;
    system = "x86_64-linux";
    builder = "/bin/sh";
    args = [ "-c" text ];
  } // more);
in rec {
  lib = make "lib" "echo lib > $out" { };
  tool = make "tool" "echo ${lib} > $out" { };
  app = make "app" "mkdir $out; echo ${lib} > $out/lib; read x < ${tool}" { };
  both = make "both" "echo ${app} > $out; echo ${lib} > $doc" { outputs = [ "out" "doc" ]; };
  top = make "top" "echo ${both} ${both.doc} > $out; read x < ${tool}" { };
  here = make "here" "echo ${app} > $out" { allowSubstitutes = false; };
  new = make "new" "echo ${top} ${here} ${newer} > $out" { };
  newer = make "newer" "echo ${newest} > $out" { };
  newest = make "newest" "echo ${here} > $out" { };
}
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class Caches:
    """Caches of `top` and `here`, by HTTP; and a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "packages.nix"
        self.file.write_text(PACKAGES)
        command = ["nix-store", "--generate-binary-cache-key", "key", str(folder / "secret"), str(folder / "public")]
        subprocess.run(command, check=True)
        self.key = (folder / "public").read_text().strip()
        self.nix = Nix(folder / "nix")
        built = self.nix.run("nix-build", str(self.file), "--no-out-link", "-A", "top", "-A", "here").split()
        for name, options in {
            "xz": f"?secret-key={folder}/secret",
            "zstd": f"?secret-key={folder}/secret&compression=zstd&parallel-compression=true",
            "none": f"?secret-key={folder}/secret&compression=none",
            "unsigned": "?compression=none",
        }.items():
            target = f"file://{folder}/{name}{options}"
            self.nix.run("nix", "--extra-experimental-features", "nix-command", "copy", "--to", target, *built)
        handler = functools.partial(_Quiet, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caches]:
    if shutil.which("nix") is None:
        pytest.skip("no Nix to make caches with and to compare with (Debian: apt-get install nix-bin)")
    if not any(trial.works for trial in trials(tmp_path_factory.mktemp("probing"))):
        pytest.skip("no container runtime works here")
    made = Caches(tmp_path_factory.mktemp("caches"))
    yield made
    made.close()


class Both:
    """Nix and we, each with a store of its own, in the same situation."""

    def __init__(self, caches: Caches, folder: Path) -> None:
        self.caches = caches
        self.nix = Nix(folder / "nix")
        self.place = Place(folder, PACKAGES)

    def _options(self, cache: str) -> list[str]:
        keys = ["--option", "trusted-public-keys", self.caches.key]
        return [*keys, "--option", "substituters", f"{self.caches.url}/{cache}" if cache else ""]

    def ours(self, cache: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.place.run("--no-out-link", *words, *self._options(cache))

    def theirs(self, cache: str, *words: str) -> subprocess.CompletedProcess[str]:
        # What is said later wins over what the class says of substituters.
        command = [
            "nix-build",
            str(self.caches.file),
            "--no-out-link",
            *words,
            "--store",
            f"local?root={self.nix.root}",
        ]
        for name, value in {"build-users-group": "", "sandbox-paths": "/bin/sh=/bin/busybox"}.items():
            command += ["--option", name, value]
        return subprocess.run([*command, *self._options(cache)], capture_output=True, text=True, check=True)


@pytest.fixture
def both(caches: Caches, tmp_path: Path) -> Both:
    return Both(caches, tmp_path)


def lists(said: str) -> dict[str, list[str]]:
    """What is said to be built, in its order, and to be fetched."""
    found: dict[str, list[str]] = {}
    kind = ""
    for line in said.splitlines():
        head = re.match(r"th(?:is|ese) .* (?:will|would) be (built|fetched)", line)
        if head:
            kind = head[1]
        elif line.startswith("  /nix/store/"):
            found.setdefault(kind, []).append(line.split()[0])
    return found


@pytest.mark.parametrize("before", [[], ["lib"], ["lib", "app"], ["both"]], ids=" ".join)
@pytest.mark.parametrize("wanted", [["top"], ["new"], ["here"], ["both", "tool"], ["lib"]], ids=" ".join)
def test_the_same_is_built_and_fetched(both: Both, before: list[str], wanted: list[str]) -> None:
    for name in before:
        assert both.ours("xz", "-A", name).stdout == both.theirs("xz", "-A", name).stdout
    words = [word for name in wanted for word in ("-A", name)]
    ours, theirs = (lists(side("xz", *words, "--dry-run").stderr) for side in (both.ours, both.theirs))
    assert {kind: sorted(paths) for kind, paths in ours.items()} == {
        kind: sorted(paths) for kind, paths in theirs.items()
    }
    assert [path[44:] for path in ours.get("built", [])] == [path[44:] for path in theirs.get("built", [])]


@pytest.mark.parametrize("cache", ["xz", "zstd", "none"])
def test_all_comes_out_of_the_cache(both: Both, cache: str) -> None:
    done = both.ours(cache, "-A", "top")
    assert done.stdout == both.theirs(cache, "-A", "top").stdout
    assert "building" not in done.stderr
    assert done.stderr.count("copying path") == 5


def test_references_that_are_there_are_not_fetched(both: Both) -> None:
    both.ours("", "-A", "lib")  # built here: another deriver, another time, the same contents
    done = both.ours("xz", "-A", "top")
    assert done.stderr.count("copying path") == 4
    assert "-lib'" not in done.stderr


def test_what_nobody_trusted_signed_is_built(both: Both) -> None:
    done = both.ours("unsigned", "-A", "app")
    assert done.stdout == both.theirs("unsigned", "-A", "app").stdout
    assert done.stderr.count("building") == 3
    assert "it is not signed" in done.stderr and "trusted-public-keys" in done.stderr
    assert "copying" not in done.stderr


def test_another_key_than_the_trusted_one_is_named(both: Both) -> None:
    both.caches.key, key = "key:" + "A" * 43 + "=", both.caches.key
    try:
        done = both.ours("xz", "-A", "lib")
    finally:
        both.caches.key = key
    assert "the signature by 'key' is wrong" in done.stderr
    assert "building" in done.stderr
