"""The language: every case of ``cases/language`` gives its value or error, here and in Nix."""

from __future__ import annotations

import pytest

from tests.evaluator.case_files import Case, cases_under
from tests.evaluator.evaluating import NIX_ENVIRONMENT, evaluate, nix_error, nix_values

ALL = cases_under("language")
VALUES: dict[str, list[Case]] = {}
for case in ALL:
    if case.value is not None and not case.differs:
        VALUES.setdefault(case.file, []).append(case)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The home directory that Nix is given as well."""
    monkeypatch.setenv("HOME", NIX_ENVIRONMENT["HOME"])


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_case(case: Case) -> None:
    answer = evaluate(case.expression)
    if case.value is not None:
        assert answer.value == case.value, answer.message
    else:
        assert answer.value is None
        if case.message:
            assert answer.message == case.message
    if case.place is not None:
        assert answer.place == case.place


@pytest.mark.parametrize("file", sorted(VALUES))
def test_values_are_those_of_nix(nix_instantiate: str, file: str) -> None:
    cases = VALUES[file]
    found = nix_values(nix_instantiate, [case.expression for case in cases])
    wrong = [f"{case.name}: {value}" for case, value in zip(cases, found, strict=True) if case.value != value]
    assert wrong == []


@pytest.mark.parametrize(
    "case",
    [case for case in ALL if case.message is not None and "all" not in case.differs],
    ids=lambda case: case.name,
)
def test_errors_are_those_of_nix(nix_instantiate: str, case: Case) -> None:
    found = nix_error(nix_instantiate, case.expression)
    if "value" in case.differs:
        assert found.value is not None
        return
    assert found.value is None
    if case.message and "message" not in case.differs:
        assert found.message == case.message.split("\n")[0]
    if case.place is not None and "place" not in case.differs:
        assert found.place == case.place
