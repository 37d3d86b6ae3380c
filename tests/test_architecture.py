"""The house's rules: who may import whom, what a module may be called, how long it may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ROOMS = ["store", "builder", "evaluator", "lsp"]  # from the ground up: each may import itself and those before it
LONG = 450  # lines: worth a look
TOO_LONG = 900


def modules() -> dict[str, Path]:
    """Every module of the project: dotted name -> file."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[tuple[str, int]]:
    """Every import in the module, wherever it stands (function bodies and TYPE_CHECKING too): (dotted name, line)."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def project_imports(name: str) -> Iterator[tuple[str, int]]:
    return ((target, line) for target, line in imports(name) if target.partition(".")[0] in ROOMS)


def imported_modules(name: str) -> set[str]:
    """The project's modules that one imports, wherever in it that stands."""
    targets = {target for target, _ in imports(name)}
    return {found for target in targets for found in (target, target.rpartition(".")[0]) if found in MODULES} - {name}


def within(target: str, package: str) -> bool:
    return target == package or target.startswith(package + ".")


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_downwards(name: str) -> None:
    room = name.partition(".")[0]
    allowed = ROOMS[: ROOMS.index(room) + 1]
    upwards = [
        f"line {line}: {target}" for target, line in project_imports(name) if target.split(".")[0] not in allowed
    ]
    assert not upwards, f"{name} may import {allowed} only"


def in_circles(wants: dict[str, set[str]]) -> set[str]:
    """What wants itself, by way of others too: what wants nothing more is taken away until all of the rest waits."""
    waiting = dict(wants)
    while ready := {name for name, wanted in waiting.items() if not wanted & waiting.keys()}:
        for name in ready:
            del waiting[name]
    return set(waiting)


def test_imports_go_round_in_no_circle() -> None:
    """Not even those for the type checker alone."""
    wants = {name: {m for m in imported_modules(name) if MODULES[m].name != "__init__.py"} for name in MODULES}
    assert not in_circles(wants)


def test_folders_go_round_in_no_circle() -> None:
    """A folder below one of the rooms is a room, too, and so is a module that stands beside them."""

    def folder(name: str) -> str:
        parts = name.split(".")
        is_package = MODULES[name].name == "__init__.py"
        return ".".join(parts[:2]) if len(parts) > 2 or is_package else name

    wants: dict[str, set[str]] = {}
    for name in MODULES:
        wanted = {folder(target) for target in imported_modules(name)}
        wants.setdefault(folder(name), set()).update(wanted - {folder(name), *ROOMS})
    assert not in_circles(wants)


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "evaluator.syntax")])
def test_syntax_knows_nothing_of_the_rest(name: str) -> None:
    outside = [
        f"line {line}: {target}" for target, line in project_imports(name) if not within(target, "evaluator.syntax")
    ]
    assert not outside


@pytest.mark.parametrize("name", [name for name in MODULES if within(name, "lsp.ide")])
def test_ide_does_not_name_the_protocol(name: str) -> None:
    wire = [
        f"line {line}: {target}" for target, line in imports(name) if target.split(".")[0] in ("lsprotocol", "pygls")
    ]
    assert not wire


def test_ide_does_not_load_the_protocol() -> None:
    """Nor does anything that it imports: the command line's `check` and `format` start fast because of it."""
    names = [name for name in MODULES if within(name, "lsp.ide")]
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    program += "print(*sorted({'pygls', 'lsprotocol'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program, *names], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", MODULES)
def test_module_says_what_it_is_about(name: str) -> None:
    last = name.rpartition(".")[2].strip("_")
    assert last not in {"util", "utils", "helper", "helpers", "manager", "managers", "misc", "common"}
    assert ast.get_docstring(ast.parse(MODULES[name].read_text())), "a module starts with what it is for"


def test_modules_stay_readable() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    if long := sorted((count, name) for name, count in lengths.items() if count > LONG):
        warnings.warn(f"modules over {LONG} lines: " + ", ".join(f"{n} {c}" for c, n in reversed(long)), stacklevel=1)
    assert not {name: count for name, count in lengths.items() if count > TOO_LONG}


@pytest.mark.parametrize("room", ROOMS)
def test_every_folder_with_modules_is_a_package(room: str) -> None:
    """A folder without __init__.py would be left out of the installed package."""
    folders = {path.parent for path in (ROOT / room).rglob("*.py")}
    assert not [str(folder) for folder in folders if not (folder / "__init__.py").exists()]


def test_no_folder_of_tests_takes_the_name_of_a_room() -> None:
    """With an __init__.py, tests/evaluator would be imported as the package `evaluator`."""
    assert not [str(path) for path in (ROOT / "tests").rglob("__init__.py")]
