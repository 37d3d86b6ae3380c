"""Half-typed texts: the bindings beside the fault stay, and what the cursor is in the middle of is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from evaluator.syntax.context import context_at, describe
from evaluator.syntax.incremental import edit
from evaluator.syntax.lexer import Lexer
from evaluator.syntax.outline import outline
from evaluator.syntax.parser import parse
from evaluator.syntax.tree import Source
from tests.syntax.checks import check_tree, difference

FOLDER = Path(__file__).resolve().parent / "recovery"


@dataclass(frozen=True)
class Typing:
    """A text with a cursor, and what must come out (see ``recovery/README.md``)."""

    name: str
    text: str
    cursor: int
    outline: str
    context: str
    problems: tuple[str, ...]


def cases() -> list[Typing]:
    found: list[Typing] = []
    for path in sorted(FOLDER.glob("*.txt")):
        content = path.read_bytes().decode()  # line ends as they are
        for block in ("\n" + content).split("\n### ")[1:]:
            title, _, rest = block.partition("\n")
            marked, _, answer = rest.rpartition("\n---\n")
            tree, context, *problems = answer.strip("\n").split("\n")
            cursor = marked.index("$0")
            text = marked[:cursor] + marked[cursor + 2 :]
            assert context.startswith("@ ") and all(line.startswith("! ") for line in problems), title
            found.append(
                Typing(f"{path.stem}: {title}", text, cursor, tree, context[2:], tuple(line[2:] for line in problems))
            )
    return found


CASES = cases()


def test_there_are_many_and_each_has_its_own_name() -> None:
    assert len(CASES) >= 300
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_tree_context_and_problems(case: Typing) -> None:
    source = parse(case.text)
    assert outline(case.text, source.root) == case.outline
    assert describe(context_at(source, case.cursor), source) == case.context
    assert tuple(f"{p.code} {p.start}-{p.end}" for p in source.problems) == case.problems


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_every_prefix_and_every_keystroke(case: Typing) -> None:
    """The text as it was typed up to the cursor, and edited there, in front of enough text to be read in pieces."""
    for end in range(len(case.text) + 1):
        source = parse(case.text[:end])
        check_tree(source)
        check_cover(source)
        context_at(source, end)
    padding = "{\n" + "".join(f"  before{i} = [ {i} ];\n" for i in range(30)) + "  it = "
    after = ";\n" + "".join(f"  after{i} = [ {i} ];\n" for i in range(30)) + "}\n"
    source = parse(padding + case.text + after)
    cursor = len(padding) + case.cursor
    for new, removed in [("x", 0), (";", 0), ("}", 0), ('"', 0), ("", 1), ("\n", 1)]:
        start = cursor - removed
        edited = edit(source, start, cursor, new)
        assert difference(edited, parse(edited.text)) == ""


def check_cover(source: Source) -> None:
    """Every token of the text lies in the tree's range."""
    lexer = Lexer(source.text, 0, len(source.text), True)
    lexer.run()
    if len(lexer.kinds) > 1:
        assert source.root.start <= lexer.starts[0]
        assert source.root.end >= lexer.ends[-2]
