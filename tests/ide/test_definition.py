"""Where definition leads. `cases/definition.txt` says how its lines are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from evaluator.service.protocol import Answer, Facts
from lsp.ide.definition import definition
from lsp.ide.types import FileRange

if TYPE_CHECKING:
    from tests.ide.conftest import Case, CaseOf


async def test_case(case: Case) -> None:
    found = await definition(case.snapshot, case.offset)
    expected = []
    for word, rest in case.expected:
        if word == "unasked":
            assert case.values.asked == []
        elif word in ("to", "file"):
            expected.append((word, rest))
        else:
            assert word == "nowhere"
    assert [shown(case, place) for place in found] == expected


def shown(case: Case, place: FileRange) -> tuple[str, str]:
    if place.path == case.snapshot.path:
        line = case.snapshot.text.count("\n", 0, place.start) + 1
        column = place.start - case.snapshot.text.rfind("\n", 0, place.start)
        return "to", f"{line}:{column} {case.snapshot.text[place.start : place.end]}"
    root = case.snapshot.roots[0]
    path = os.path.relpath(place.path, root) if place.path.startswith(root) else place.path
    return "file", f"{path} {place.start // 10 or 1}"


async def test_paths_that_must_be_evaluated(case_of: CaseOf) -> None:
    for marked in ("<nix$0pkgs>", "./${name}/fo$0lder"):
        case = case_of(marked)
        folder = os.path.join(os.path.dirname(case.snapshot.path), "folder")
        case.values.facts[case.snapshot.text] = Answer(0, "value", Facts("path", folder))
        found = await definition(case.snapshot, case.offset)
        assert found == [FileRange(os.path.join(folder, "default.nix"), 0, 0)]
