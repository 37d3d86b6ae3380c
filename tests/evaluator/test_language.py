"""The language and the data formats: every case gives its value or error, here and in Nix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluator.case_files import Case, by_file, cases_under, errors_of_nix
from tests.evaluator.evaluating import NIX_ENVIRONMENT, check, check_error_with_nix, check_values_with_nix

CASES = cases_under("language", "files", "formats")
FILES = by_file(CASES)
ERRORS = errors_of_nix(CASES)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The home directory that Nix is given as well; nothing is written there, nor to the user's store."""
    monkeypatch.setenv("HOME", NIX_ENVIRONMENT["HOME"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TVIX_STORE", f"local:{tmp_path}/store")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("file", sorted(FILES))
def test_values_are_those_of_nix(nix_instantiate: str, file: str) -> None:
    check_values_with_nix(nix_instantiate, FILES[file])


@pytest.mark.parametrize("case", ERRORS, ids=[case.name for case in ERRORS])
def test_errors_are_those_of_nix(nix_instantiate: str, case: Case) -> None:
    check_error_with_nix(nix_instantiate, case)
