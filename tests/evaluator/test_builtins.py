"""The built-in functions: every case of ``cases/builtins`` and ``cases/store`` gives its value or error, as in Nix.

In the cases of these folders ``./data`` is the tree below, ``$HERE`` the folder that it is in.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from evaluator.builtins.regex import Matcher
from evaluator.io.files import Files
from evaluator.opening import open_session
from tests.evaluator.case_files import Case, cases_under
from tests.evaluator.evaluating import evaluate, nix_error, nix_values

PURE = cases_under("builtins")
STORE = cases_under("store")
ALL = PURE + STORE


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tree ``data``."""
    root = tmp_path_factory.mktemp("here")
    data = root / "data"
    (data / "dir" / "sub").mkdir(parents=True)
    (data / "hello.txt").write_bytes(b"hello\n")
    (data / "nul").write_bytes(b"a\0b")
    (data / "latin").write_bytes(b"\xc3")
    (data / "x.drv").write_bytes(b"x\n")
    (data / "dir" / "a").write_bytes(b"x\n")
    (data / "dir" / "a").chmod(0o755)
    (data / "dir" / "default.nix").write_bytes(b"1 + 1\n")
    (data / "dir" / "sub" / "b").write_bytes(b"y\n")
    (data / "link").symlink_to("hello.txt")
    (data / "dangling").symlink_to("nowhere")
    (data / "dirlink").symlink_to("dir")
    return root


def _expected(text: str | None, here: Path) -> str | None:
    return None if text is None else text.replace("$HERE", str(here))


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_case(case: Case, here: Path) -> None:
    answer = evaluate(case.expression, str(here))
    if case.value is not None:
        assert answer.value == _expected(case.value, here), answer.message
    else:
        assert answer.value is None
        assert answer.message is not None
        if case.message:
            assert answer.message.split("\n")[0] == _expected(case.message, here)
    if case.place is not None:
        assert answer.place == case.place


@pytest.mark.parametrize("file", sorted({case.file for case in PURE}))
def test_values_are_those_of_nix(nix_instantiate: str, here: Path, file: str) -> None:
    cases = [case for case in PURE if case.file == file and case.value is not None and not case.differs]
    found = nix_values(nix_instantiate, [case.expression for case in cases], str(here))
    wrong = [
        f"{case.name}: {value}"
        for case, value in zip(cases, found, strict=True)
        if _expected(case.value, here) != value
    ]
    assert wrong == []


def test_what_was_put_into_the_store_reads_as_in_nix(nix_instantiate: str, here: Path, tmp_path: Path) -> None:
    cases = [case for case in STORE if case.value is not None and not case.differs]
    wrapper = tmp_path / "nix-instantiate"
    wrapper.write_text(
        "#!/bin/sh\n"
        "shift  # --readonly-mode\n"
        f'exec {nix_instantiate} "$@" --store "local?root={tmp_path}/store" --read-write-mode '
        "--option build-users-group ''\n"
    )
    wrapper.chmod(0o755)
    found = nix_values(str(wrapper), [case.expression for case in cases], str(here))
    wrong = [
        f"{case.name}: {value}"
        for case, value in zip(cases, found, strict=True)
        if _expected(case.value, here) != value
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "case",
    [case for case in PURE if case.message is not None and "all" not in case.differs],
    ids=lambda case: case.name,
)
def test_errors_are_those_of_nix(nix_instantiate: str, here: Path, case: Case) -> None:
    found = nix_error(nix_instantiate, case.expression, str(here))
    assert found.value is None
    if case.message and "message" not in case.differs:
        assert found.message == _expected(case.message, here)
    if case.place is not None and "place" not in case.differs:
        assert found.place == case.place


def test_unsaved_documents_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.nix").write_text("1")
    files = Files()
    files.open_document(str(tmp_path / "a.nix"), "2")
    files.open_document(str(tmp_path / "new.txt"), "new\n")
    session = open_session(files)
    directory = str(tmp_path)
    assert evaluate("import ./a.nix", directory, session).value == "2"
    assert evaluate("builtins.readFile ./new.txt", directory, session).value == '"new\\n"'
    assert evaluate("builtins.pathExists ./new.txt", directory, session).value == "true"
    assert evaluate("builtins.readFileType ./new.txt", directory, session).value == '"regular"'
    assert evaluate("builtins.attrNames (builtins.readDir ./.)", directory, session).value == '[ "a.nix" "new.txt" ]'
    assert evaluate('builtins.hashFile "md5" ./new.txt', directory, session).value == (
        f'"{hashlib.md5(b"new" + bytes([10])).hexdigest()}"'
    )
    assert (
        evaluate('"${./new.txt}"', directory, session).value
        == evaluate(
            'builtins.path { name = "new.txt"; path = builtins.toFile "x" "new\\n"; }', directory, session
        ).value
    )


def test_a_copy_reads_as_its_origin_does_now(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "a.nix").write_text("1")
    session = open_session(Files())
    answer = evaluate('import "${./source}/a.nix"', str(tmp_path), session)
    assert answer.value == "1"
    session.files.open_document(str(tmp_path / "source" / "a.nix"), "2")
    answer = evaluate('import "${./source}/a.nix"', str(tmp_path), open_session(session.files))
    assert answer.value == "2"


def test_an_unreadable_source_is_an_error_of_evaluation(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    answer = evaluate('"${./pipe}"', str(tmp_path))
    assert answer.message == f"file '{tmp_path}/pipe' has an unsupported type"


def test_a_regular_expression_that_gets_lost_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        Matcher("(a|b|ab)*[cd]").match("ab" * 40 + "de", 0.01)


def test_a_search_that_gets_lost_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        Matcher("(a|b|ab)*[cd]e").spans("ab" * 40 + "df", 0.01)
