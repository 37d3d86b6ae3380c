"""What is wrong with a text? The same answer for the editor and for ``tvix-lsp check``.

Every diagnostic has a code; codes belong to groups, which select all of theirs. So far there is one group, that of the
syntax (:data:`evaluator.syntax.problems.TABLE`). What goes wrong in evaluating is said in :mod:`lsp.ide.failures`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from evaluator.syntax import expected, problems
from evaluator.syntax.explain import explained
from evaluator.syntax.problems import Code, Problem
from evaluator.syntax.tree import Source

#: All codes, by name.
CODES: Final[dict[str, Code]] = dict(problems.TABLE)
#: The names that stand for several codes.
GROUPS: Final[dict[str, frozenset[str]]] = {problems.GROUP: frozenset(problems.TABLE)}

_RELATED: Final = {
    "missing-closer": "opened here",
    "duplicate-attribute": "first defined here",
    "duplicate-formal": "first named here",
}


class UnknownCode(ValueError):
    """A name that is neither a code nor a group; the message says what may have been meant."""


def diagnostics(source: Source, *, wait: bool = True) -> list[Problem]:
    """What is wrong with a text, in its order.

    Messages that say what was expected need the grammar of record, which takes a moment to load: unless ``wait``, they
    come as soon as it has been loaded in the background.
    """
    if not source.problems:
        return []
    if not wait and not expected.is_ready():
        expected.prepare()
        return source.problems
    return explained(source)


def related_text(code: str) -> str:
    """What the second place of a diagnostic is, in words."""
    return _RELATED.get(code, "the other place")


def selected(names: Iterable[str]) -> frozenset[str]:
    """The codes that names of codes and groups select; all of them when there are no names. Raises UnknownCode."""
    found: set[str] = set()
    for name in names:
        if name in GROUPS:
            found |= GROUPS[name]
        elif name in CODES:
            found.add(name)
        else:
            raise UnknownCode(_unknown(name))
    return frozenset(found or CODES)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, [*GROUPS, *CODES], 3)
    if near:
        return f"unknown code {name!r}; did you mean {' or '.join(near)}?"
    return f"unknown code {name!r}; groups: {', '.join(GROUPS)}; codes: {', '.join(CODES)}"
