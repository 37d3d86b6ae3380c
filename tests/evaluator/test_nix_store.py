"""What lies in a real ``/nix/store``: Nix's database says which of it is a store object. Side by side with Nix."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STRAY = "/nix/store/9lxx9r1x9pm99m7v49cjkmxidzky6mj6-stray"
FOLDER = "/nix/store/8lxx9r1x9pm99m7v49cjkmxidzky6mj6-folder"
TEXT = "/nix/store/7lxx9r1x9pm99m7v49cjkmxidzky6mj6-text.drv"
MAKE = """
    (derivation { name = "made"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo 1 > $out" ]; })
"""
WRITTEN = '(derivation { name = "written"; system = "x86_64-linux"; builder = "/bin/sh"; })'

#: What is said of what is no store object.
INVALID = {"error": "is not valid"}
NOT_TO_BE_HAD = {"error": "failed"}

#: Expression -> its value where nothing is written, and where things are made.
CASES: dict[str, tuple[object, object]] = {
    f"import {STRAY}": (1, 1),
    f'import "{STRAY}"': (1, 1),
    f"builtins.pathExists {STRAY}": (True, True),
    f"builtins.readDir {FOLDER}": ({"default.nix": "regular"}, {"default.nix": "regular"}),
    f"builtins.storePath {STRAY}": (STRAY, NOT_TO_BE_HAD),
    f"import (builtins.storePath {STRAY})": (INVALID, NOT_TO_BE_HAD),
    f"builtins.readFile (builtins.storePath {STRAY})": (INVALID, NOT_TO_BE_HAD),
    f"builtins.pathExists (builtins.storePath {STRAY})": (INVALID, NOT_TO_BE_HAD),
    f'import (builtins.storePath {FOLDER} + "/default.nix")': (INVALID, NOT_TO_BE_HAD),
    f'builtins.appendContext "x" {{ "{STRAY}" = {{ path = true; }}; }}': ("x", NOT_TO_BE_HAD),
    f'import (builtins.appendContext "{STRAY}" {{ "{STRAY}" = {{ path = true; }}; }})': (INVALID, NOT_TO_BE_HAD),
    f"builtins.path {{ path = builtins.storePath {STRAY}; }}": (INVALID, NOT_TO_BE_HAD),
    "import (builtins.storePath VALID)": (2, 2),
    'builtins.readFile (builtins.appendContext "VALID" { "VALID" = { path = true; }; })': ("2", "2"),
    f"import {MAKE}": (INVALID, 1),
    f"import {TEXT}": ({"error": "syntax error"}, {"error": "syntax error"}),
    "(import DERIVATION).name": ("written", "written"),
    "(import DERIVATION).outPath == WRITTEN.outPath": (True, True),
}

#: Takes a /nix of its own, has Nix keep a store there, and lays things into it that Nix knows nothing of.
PREPARED = f"""
    set -e
    mount -t tmpfs none /nix
    mkdir /nix/store
    printf 2 > "$1/valid"
    nix-store --add "$1/valid" > "$1/valid-path"
    nix-instantiate -E "$2" > "$1/derivation-path"
    printf 1 > {STRAY}
    mkdir {FOLDER}
    printf 1 > {FOLDER}/default.nix
    cp "$(cat "$1/derivation-path")" {TEXT}
    printf 3 > "$(nix-instantiate --eval --json -E "($3).outPath" | tr -d '"')"
    shift 3
    exec "$@"
"""

NIX_OPTIONS = "substituters =\nbuild-users-group =\nsandbox = false\nauto-optimise-store = false\n"


def in_namespace(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NIX_CONFIG": NIX_OPTIONS, "HOME": str(folder), "TMPDIR": str(folder)}
    environment.update(PYTHONPATH=str(ROOT), NIX_STATE_DIR="/nix/var/nix", NIX_STORE_DIR="/nix/store")
    prepare = ["unshare", "-m", "sh", "-c", PREPARED, "sh", str(folder), WRITTEN, MAKE]
    return subprocess.run([*prepare, *command], capture_output=True, text=True, env=environment, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for command in ("unshare", "nix-instantiate", "nix-store"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")
    if not os.path.isdir("/nix"):
        pytest.skip("there is no /nix to mount anything at")
    made = tmp_path_factory.mktemp("nix")
    if in_namespace(made, "true").returncode != 0:
        pytest.skip(f"no store of Nix can be made in a namespace here: {in_namespace(made, 'true').stderr}")
    return made


def expressions(folder: Path) -> list[str]:
    valid = (folder / "valid-path").read_text().strip()
    derivation = (folder / "derivation-path").read_text().strip()
    return [
        each.replace("VALID", valid).replace("DERIVATION", derivation).replace("WRITTEN", WRITTEN) for each in CASES
    ]


def agrees(found: object, expected: object) -> bool:
    """Whether a value is the expected one; of errors, whether they say what is expected."""
    if isinstance(expected, dict) and "error" in expected:
        return isinstance(found, dict) and expected["error"] in found.get("error", "")
    return found == expected


@pytest.mark.parametrize("mode", ["read-only", "read-write"])
def test_what_merely_lies_there_is_no_store_object(folder: Path, tmp_path: Path, mode: str) -> None:
    command = [sys.executable, "-m", "tests.evaluator.in_nix_store", str(tmp_path), mode, *expressions(folder)]
    ended = in_namespace(folder, *command)
    assert ended.returncode == 0, ended.stderr
    wanted = {case: values[mode == "read-write"] for case, values in CASES.items()}
    found = dict(zip(wanted, json.loads(ended.stdout), strict=True))
    assert {case: value for case, value in found.items() if not agrees(value, wanted[case])} == {}


@pytest.mark.parametrize("mode", ["read-only", "read-write"])
def test_nix_takes_the_same_for_store_objects(folder: Path, mode: str) -> None:
    flag = "--readonly-mode" if mode == "read-only" else "--read-write-mode"
    script = 'for each; do nix-instantiate --eval --strict --json FLAG -E "$each"; echo; done'.replace("FLAG", flag)
    ended = in_namespace(folder, "sh", "-c", script, "sh", *expressions(folder))
    wanted = [values[mode == "read-write"] for values in CASES.values()]
    found = [json.loads(line) if line else {"error": ""} for line in ended.stdout.removesuffix("\n").split("\n")]
    for case, value, expected in zip(CASES, found, wanted, strict=True):
        if isinstance(expected, dict) and "error" in expected:
            assert value == {"error": ""}, case
        else:
            assert value == expected, case
