"""When another program would answer: answers of a former version, build or state of the sources are not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluator.cache import request


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the one that this program is in."""
    for room in ("evaluator", "store", "builder"):
        (tmp_path / room / "inner").mkdir(parents=True)
        (tmp_path / room / "inner" / "module.py").write_text("x = 1\n")
    (tmp_path / "tvix_lsp__mypyc.so").write_text("compiled")
    monkeypatch.setattr(request, "_ROOT", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["evaluator/inner/module.py", "store/inner/module.py", "tvix_lsp__mypyc.so"])
def test_an_edited_checkout_is_another_program(root: Path, name: str) -> None:
    before = request.program_identity()
    assert request.program_identity() == before
    (root / name).write_text("x = 22\n")
    assert request.program_identity() != before


def test_an_added_module_makes_another_program(root: Path) -> None:
    before = request.program_identity()
    (root / "builder" / "inner" / "new.py").write_text("")
    assert request.program_identity() != before


def test_what_is_installed_is_known_by_the_list_of_its_files(root: Path) -> None:
    record = root / "tvix_lsp-0.1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("evaluator/inner/module.py,sha256=one,6\n")
    before = request.program_identity()
    assert request.program_identity() == before
    record.write_text("evaluator/inner/module.py,sha256=other,6\n")
    assert request.program_identity() != before


def test_an_upgrade_is_another_program(root: Path) -> None:
    for version in ("0.1.0", "0.2.0"):
        folder = root / f"tvix_lsp-{version}.dist-info"
        folder.mkdir()
        (folder / "RECORD").write_text("the same\n")
        before = request.program_identity()
        folder.rename(root / "tvix_lsp-0.3.0.dist-info")
        assert request.program_identity() != before
        (root / "tvix_lsp-0.3.0.dist-info" / "RECORD").unlink()
        (root / "tvix_lsp-0.3.0.dist-info").rmdir()
