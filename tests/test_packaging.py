"""One install, two modes: compiled, and the very same files as plain Python."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from store import compiled

ROOT = Path(__file__).resolve().parent.parent
INSTALLED = Path(compiled.__file__).parent.parent


def hot_modules() -> list[str]:
    """Dotted names of what is to be compiled, read from pyproject.toml as setup.py reads it."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["tvix"]["compile"]
    found = {path for pattern in table["modules"] for path in ROOT.glob(pattern)}
    plain = {path for pattern in table["plain"] for path in ROOT.glob(pattern)}
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found - plain)


def origins(names: list[str], **environment: str) -> list[str]:
    """First the mode, then where each module would be loaded from, asked of a fresh interpreter."""
    program = "import sys; from importlib.util import find_spec; from store import compiled; print(compiled.mode())\n"
    program += "for name in sys.argv[1:]: print(find_spec(name).origin)"
    path = os.pathsep.join([str(INSTALLED), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *names],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )
    return done.stdout.splitlines()


def test_what_is_compiled() -> None:
    names = hot_modules()
    assert "evaluator.syntax.tree" in names
    assert "store.compiled" not in names
    assert not [name for name in names if name.startswith(("lsp.", "evaluator.service.", "evaluator.cli"))]


def test_never_half_of_it() -> None:
    mode, *found = origins(hot_modules())
    assert mode == compiled.mode()
    suffix = EXTENSION_SUFFIXES[0] if mode == compiled.COMPILED else ".py"
    assert not [origin for origin in found if not origin.endswith(suffix)]


def test_plain_python_on_demand() -> None:
    mode, *found = origins(hot_modules(), TVIX_PURE="1")
    assert mode == compiled.PLAIN
    assert not [origin for origin in found if not origin.endswith(".py")]


def test_a_newer_source_is_never_hidden(tmp_path: Path) -> None:
    """In a checkout: compiled modules count until a source is edited; then all of it is plain Python, and says so."""
    package = tmp_path / "store"
    package.mkdir()
    (tmp_path / "evaluator").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (package / "__init__.py").touch()
    (package / "compiled.py").write_bytes(Path(compiled.__file__).read_bytes())
    source, module = package / "some.py", package / f"some{EXTENSION_SUFFIXES[0]}"
    source.touch()
    module.touch()

    def ask() -> tuple[str, str]:
        program = "from store import compiled; print(compiled.mode())"
        environment = {name: value for name, value in os.environ.items() if name != "TVIX_PURE"}
        environment["PYTHONPATH"] = str(tmp_path)
        done = subprocess.run(
            [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout.strip(), done.stderr

    os.utime(source, (1_000, 1_000))
    assert ask() == (compiled.COMPILED, "")
    os.utime(source, (2_000_000_000, 2_000_000_000))
    os.utime(module, (1_000, 1_000))
    mode, said = ask()
    assert mode == compiled.PLAIN
    assert "store/some.py is newer" in said


def test_data_files_are_installed() -> None:
    """What stands beside the modules (grammar, Nix sources, type marker) comes along."""
    wanted = [path for room in ("evaluator", "store", "lsp", "builder") for path in (ROOT / room).rglob("*.*")]
    data = [path.relative_to(ROOT) for path in wanted if path.suffix in (".lark", ".nix")]
    assert not [str(path) for path in data if not (INSTALLED / path).is_file()]


@pytest.mark.parametrize("command", ["tvix-lsp", "tvix-eval"])
def test_commands_say_their_version_and_mode(command: str) -> None:
    script = Path(sys.executable).parent / command
    if not script.exists():
        pytest.skip(f"{command} is not installed in this environment")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert importlib.metadata.version("tvix-lsp") in done.stdout
    assert compiled.mode() in done.stdout
    plain = subprocess.run(
        [script, "--version"], capture_output=True, text=True, check=True, env={**os.environ, "TVIX_PURE": "1"}
    )
    assert compiled.PLAIN in plain.stdout


def test_messages_are_not_compiled() -> None:
    """msgspec makes its classes when they are defined; what mypyc makes of them cannot be decoded."""
    sources = {name: (ROOT / (name.replace(".", "/") + ".py")).read_text() for name in hot_modules()}
    assert not [name for name, text in sources.items() if "msgspec.Struct" in text]
