"""The grammar of record against the parser that reads files: the same texts are accepted, cut into the same tokens."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from pathlib import Path

import lark
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.syntax import grammar as grammar_module
from evaluator.syntax.expected import grammar, terminals
from evaluator.syntax.grammar import Grammar, LarkLexer
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.parser import parse
from evaluator.syntax.problems import ERROR
from evaluator.syntax.tokens import EOF, IND_OPEN, PATH_OPEN
from tests.syntax.case_files import cases_in
from tests.syntax.test_against_nix import TOKENS, mutations, random_texts

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("*.nix"))

# What no grammar says.
MEANING = {
    "duplicate-attribute",
    "duplicate-formal",
    "dynamic-in-let",
    "dynamic-in-inherit",
    "integer-too-large",
    "float-out-of-range",
}


def has_the_form(text: str) -> bool:
    """Whether the fast parser has no complaint that the grammar could have."""
    return not any(problem.severity == ERROR and problem.code not in MEANING for problem in parse(text).problems)


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def test_there_are_no_conflicts(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lark.logger, "propagate", True)
    level = lark.logger.level
    try:
        with caplog.at_level(logging.DEBUG, lark.logger.name):
            text = (ROOT / "evaluator" / "syntax" / "nix.lark").read_text(encoding="utf-8")
            lark.Lark(text, parser="lalr", lexer=LarkLexer, debug=True)
    finally:
        lark.logger.setLevel(level)
    assert not [record.getMessage() for record in caplog.records if "conflict" in record.getMessage().lower()]


@pytest.mark.parametrize("name", ["expressions", "strings", "broken", "newer", "printed"])
def test_cases_are_accepted_alike(name: str) -> None:
    for case in cases_in(name):
        assert has_the_form(case.text) == grammar().accepts(case.text), case.title


def test_examples_are_accepted() -> None:
    for path in EXAMPLES:
        assert grammar().accepts(text_of(path)), path


@pytest.mark.parametrize("kind", ["tokens", "mutations"])
def test_random_texts_are_accepted_alike(kind: str) -> None:
    rng = random.Random(21)
    verdicts = set()
    for text in random_texts(rng, 4000) if kind == "tokens" else mutations(rng, 80):
        ours = has_the_form(text)
        assert ours == grammar().accepts(text), text
        verdicts.add(ours)
    assert verdicts == {True, False}


@given(st.lists(st.sampled_from([*TOKENS, " "]), max_size=12).map("".join))
@settings(max_examples=1500, deadline=None)
def test_any_tokens_are_accepted_alike(text: str) -> None:
    assert has_the_form(text) == grammar().accepts(text)


@pytest.mark.timeout(600)
def test_files_of_nixpkgs_are_accepted(nixpkgs: Path) -> None:
    files = [path for path in sorted(nixpkgs.rglob("*.nix")) if path.is_file() and path.stat().st_size < 30_000]
    for path in random.Random(4).sample(files, 250):
        text = text_of(path)
        assert grammar().accepts(text), path
        same_tokens(text)
        at = random.Random(len(text)).randrange(len(text) + 1)
        broken = text[:at] + text[at + 1 :]
        if len(broken) < 8000:
            assert has_the_form(broken) == grammar().accepts(broken), (path, at)


def same_tokens(text: str) -> None:
    """The terminals and their ends are the same; text between interpolations may be cut differently."""
    lexer = Lexer(text, 0, len(text), False)
    lexer.run()
    ours = [name for name in terminals(lexer, grammar()) if not name.endswith("_TEXT")]
    found = list(grammar().terminals.read(text))
    assert ours == [name for name, _, _ in found if not name.endswith("_TEXT")]
    ends = {end for _, _, end in found}
    assert not [
        end
        for kind, end in zip(lexer.kinds, lexer.ends, strict=True)
        if kind not in (EOF, PATH_OPEN, IND_OPEN) and end not in ends
    ]


def test_tokens_are_the_same() -> None:
    for name in ("expressions", "strings", "newer", "printed"):
        for case in cases_in(name):
            same_tokens(case.text)
    for path in EXAMPLES:
        same_tokens(text_of(path))


def test_what_follows_is_what_is_accepted() -> None:
    known = grammar()
    assert known.follow(["LBRACE", "ID", "ASSIGN"]) == known.follow(["LET", "ID", "ASSIGN"])
    assert known.follow(["LPAREN", "RPAREN"]) is None
    assert grammar_module.END not in (known.follow([]) or set())
    assert grammar_module.END in (known.follow(["ID"]) or set())
    assert known.follow(["ID", "ASSIGN"]) is None


def test_tables_are_kept_and_never_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setattr(grammar_module, "user_cache_dir", lambda *_, **__: str(folder))
    for damage in (b"", b"nonsense", None):
        assert Grammar().accepts("{ a = 1; }")
        (kept,) = folder.iterdir()
        assert Grammar().accepts("{ a = 1; }")
        content = kept.read_bytes()
        kept.write_bytes(damage if damage is not None else content[: len(content) // 2])
    assert not Grammar().accepts("{ a = 1 }")


def test_no_cache_directory_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(grammar_module, "user_cache_dir", lambda *_, **__: str(tmp_path / "file" / "below"))
    assert Grammar().accepts("1")


def test_lark_is_imported_only_when_it_is_asked() -> None:
    program = (
        "import sys; from evaluator.syntax.parser import parse; from evaluator.syntax.expected import is_ready\n"
        "from evaluator.syntax import explain; parse('{'); assert not is_ready(); assert 'lark' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
