"""``tvix-eval --origin``: the chain of a value, through everything that moves attributes about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evaluator.cli import main

PKGSET = Path(__file__).resolve().parent.parent.parent / "examples" / "pkgset"


@dataclass
class Told:
    """What ``--origin --json`` answered; ``steps`` of an attribute as ``what`` and FILE:LINE:COLUMN."""

    data: dict[str, Any]

    def steps(self, attribute: str | None = None) -> list[tuple[str, str]]:
        link = next(link for link in self.data["links"] if link["attribute"] == attribute)
        return [
            (step["what"], f"{Path(step['file']).name}:{step['line']}:{step['column']}" if step["file"] else "")
            for step in link["steps"]
        ]


def told(capsys: pytest.CaptureFixture[str], file: Path, path: str, *more: str) -> Told:
    assert main(["--no-eval-cache", str(file), "--origin", "--json", "-A", path, *more]) == 0
    return Told(json.loads(capsys.readouterr().out))


def written(folder: Path, **files: str) -> Path:
    """A folder with these files; ``default`` is the one that is asked about."""
    for name, text in files.items():
        (folder / f"{name}.nix").write_text(text)
    return folder


def test_binding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, written(tmp_path, default="{\n  a = {\n    b = 1;\n  };\n}\n"), "a.b")
    assert found.steps("a") == [("defined", "default.nix:2:3")]
    assert found.steps("b") == [("defined", "default.nix:3:5")]
    assert found.data["kind"] == "int"
    assert found.data["value"] == "1"


def test_update_names_what_was_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "let base = {\n  a = 1;\n  b = 1;\n}; in base // {\n  a = 2;\n} // {\n  a = 3;\n}\n"
    found = told(capsys, written(tmp_path, default=text), "a")
    assert found.steps("a") == [
        ("defined", "default.nix:7:3"),
        ("in the place of the one defined", "default.nix:5:3"),
        ("in the place of the one defined", "default.nix:2:3"),
    ]
    assert told(capsys, tmp_path, "b").steps("b") == [("defined", "default.nix:3:3")]


def test_inherit_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(
        tmp_path,
        default="let lib = import ./lib.nix; in {\n  inherit (lib) f;\n}\n",
        lib="{\n  # Adds one.\n  f = x: x + 1;\n}\n",
    )
    found = told(capsys, folder, "f")
    assert found.steps("f") == [
        ("defined", "default.nix:2:17"),
        ("inherited from `lib`", "default.nix:2:12"),
        ("defined", "lib.nix:3:3"),
    ]
    assert found.steps() == [("a function, defined", "lib.nix:3:3"), ("its lambda", "lib.nix:3:7")]


def test_inherit_from_around(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, written(tmp_path, default="let\n  a = 1;\nin {\n  inherit a;\n}\n"), "a")
    assert found.steps("a") == [
        ("defined", "default.nix:4:11"),
        ("inherited from the names around it", "default.nix:4:3"),
        ("defined", "default.nix:2:3"),
    ]


def test_names_that_stand_for_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "let sets.one = {\n  deep = 1;\n}; in rec {\n  a = b;\n  b = sets.one.deep;\n}\n"
    assert told(capsys, written(tmp_path, default=text), "a").steps("a") == [
        ("defined", "default.nix:4:3"),
        ("which is `b`", "default.nix:4:7"),
        ("defined", "default.nix:5:3"),
        ("which is `sets.one.deep`", "default.nix:5:7"),
        ("defined", "default.nix:2:3"),
    ]


def test_map_attrs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "builtins.mapAttrs (name: value:\n  value + 1) {\n  a = 1;\n}\n"
    assert told(capsys, written(tmp_path, default=text), "a").steps("a") == [
        ("defined", "default.nix:3:3"),
        ("given by mapAttrs to the function", "default.nix:1:20"),
    ]


def test_list_to_attrs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'builtins.listToAttrs [\n  { name = "a"; value = 1; }\n]\n'
    assert told(capsys, written(tmp_path, default=text), "a").steps("a") == [
        ("defined by listToAttrs", "default.nix:2:5")
    ]


def test_argument_that_a_caller_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(
        tmp_path,
        default="import ./inner.nix {\n  lib = { version = 1; };\n}\n",
        inner="{ lib }: {\n  inherit lib;\n}\n",
    )
    assert told(capsys, folder, "lib.version").steps("lib") == [
        ("defined", "inner.nix:2:11"),
        ("inherited from the names around it", "inner.nix:2:3"),
        ("defined", "inner.nix:1:3"),
        ("an argument: what the caller passed", "inner.nix:1:3"),
        ("defined", "default.nix:2:3"),
    ]


def test_documentation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "{\n  /** Twice *x*. */\n  double = x: x * 2;\n}\n"
    found = told(capsys, written(tmp_path, default=text), "double")
    assert found.data["documentation"].strip() == "Twice *x*."


def test_made_by_a_builtin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, written(tmp_path, default="builtins.fromJSON ''{\"a\": 1}''"), "a")
    assert found.steps("a") == [("made by a built-in function, which tells no place", "")]


def test_the_value_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, written(tmp_path, default="{ a = 1; }"), "")
    assert found.data["kind"] == "set"
    assert found.steps() == [("made", "default.nix:1:3")]


def test_missing_attribute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--no-eval-cache", str(written(tmp_path, default="{ name = 1; }")), "--origin", "-A", "nmae"]) == 1
    assert "Did you mean name?" in capsys.readouterr().err


def test_text_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path, default="{\n  a = 1;\n}\n")
    assert main(["--no-eval-cache", str(folder), "--origin", "-A", "a"]) == 0
    assert capsys.readouterr().out.split("\n") == [
        "a: 1",
        "",
        "a",
        f"  defined at {folder}/default.nix:2:3",
        "      a = 1;",
        "",
    ]


def test_call_package_in_the_package_set(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, PKGSET, "hello")
    steps = dict(found.steps("hello"))
    assert steps["defined by listToAttrs"].startswith("by-name-overlay.nix:")
    assert steps["given by mapAttrs to the function"].startswith("by-name-overlay.nix:")
    made = dict(found.steps())
    assert made["made by the function that takes these arguments (`override` changes them)"] == "package.nix:2:3"
    assert made["its `name`"].startswith("make-derivation.nix:")
    assert made["its `meta`"].startswith("package.nix:")
    assert found.data["kind"] == "derivation"


def test_override_leads_to_the_same_function(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path, default=f"(import {PKGSET} {{ }}).hello.override {{ }}")
    made = dict(told(capsys, folder, "").steps())
    assert made["made by the function that takes these arguments (`override` changes them)"] == "package.nix:2:3"


def test_overlay_replaces_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"import {PKGSET} {{\n  overlays = [\n    (final: prev: {{\n      hello = prev.hello;\n    }})\n  ];\n}}\n"
    found = told(capsys, written(tmp_path, default=text), "hello")
    assert found.steps("hello")[:2] == [("defined", "default.nix:4:7"), ("which is `prev.hello`", "default.nix:4:15")]
    assert "in the place of the one defined" in dict(found.steps("hello"))


def test_python_package_of_nixpkgs(nixpkgs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, nixpkgs, "python3Packages.requests")
    assert found.steps("python3Packages")[0][1].startswith("all-packages.nix:")
    steps = dict(found.steps("requests"))
    assert steps["defined"].startswith("python-packages.nix:")
    assert steps["made by calling `callPackage`"].startswith("python-packages.nix:")
    assert steps["the function called"].startswith("customisation.nix:")
    made = found.data["links"][-1]["steps"][0]
    assert made["file"].endswith("/python-modules/requests/default.nix")
    assert found.data["value"].startswith("«derivation python3")


def test_library_function_of_nixpkgs(nixpkgs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, nixpkgs, "lib.concatMapStringsSep")
    assert found.steps()[0][1].startswith("strings.nix:")
    assert "concatMapStringsSep ::" in found.data["documentation"]
