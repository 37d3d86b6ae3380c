"""What is offered in a flake.nix. `cases/flake_schema.txt` says how its lines are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsp.ide.completion import completion

if TYPE_CHECKING:
    from tests.ide.conftest import Case


async def test_case(case: Case) -> None:
    found = await completion(case.snapshot, case.offset)
    assert found is not None
    labels = [item.label for item in found.items]
    for word, rest in case.expected:
        if word == "only":
            assert labels == rest.split()
        elif word == "has":
            assert [name for name in rest.split() if name not in labels] == []
        elif word == "lacks":
            assert [name for name in rest.split() if name in labels] == []
        elif word == "first":
            assert labels[0] == rest
        else:
            assert word == "doc"
            assert found.items[0].doc.startswith(rest)
