"""Messages that name what was expected: "expected `;` or an operator".

The parser says what it missed; the grammar of record knows what else could have stood there. Its answer is taken where
it adds something that fits into a few words, and only when somebody is going to read the message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from evaluator.syntax.expected import follow, spelled
from evaluator.syntax.problems import Problem
from evaluator.syntax.tree import Source

#: No more problems of one file than this are explained: what comes after is mostly noise.
AT_MOST: Final = 50

_MISSED: Final = re.compile(r"expected `(?P<sign>[^`]+)`(?P<rest>| after `\w+`)\Z")
_SURPRISED: Final = re.compile(r"unexpected (?P<found>[^: ]+|`.+`)(?: among formal arguments| in a list)?\Z")
_CODES: Final = frozenset(["expected-token", "missing-semicolon", "missing-closer", "unexpected-token"])

# Groups, the more telling first: the terminal that each is recognised by, its name in words, all that belongs to it.
_STARTS: Final = frozenset(
    "ID INT FLOAT URI SEARCH_PATH PATH HOME_PATH QUOTE TWO_QUOTES LPAREN LBRACKET LBRACE REC LET".split()
)
_NAMES: Final = frozenset("ID OR QUOTE DOLLAR".split())
_OPERATORS: Final = frozenset(
    "QUESTION CONCAT TIMES DIVIDE PLUS MINUS UPDATE LESS LESS_EQUAL GREATER GREATER_EQUAL EQUAL UNEQUAL AND_OP OR_OP "
    "IMPLIES PIPE_INTO PIPE_FROM".split()
)
_GROUPS: Final = (
    ("PLUS", "an operator", _OPERATORS | _STARTS | frozenset(["DOT", "OR", "COLON", "AT"])),
    ("IF", "an expression", _STARTS | frozenset("IF WITH ASSERT MINUS NOT".split())),
    ("INHERIT", "a binding", _NAMES | frozenset(["INHERIT"])),
    ("INT", "an item", _STARTS | frozenset(["DOT", "OR"])),
    ("DOLLAR", "an attribute name", _NAMES),
    ("ID", "a name", frozenset(["ID"])),
)
_MOST_GROUPS: Final = 3


def explained(source: Source) -> list[Problem]:
    """The problems of a source, with what was expected in the messages that lack it."""
    return [
        _explained(source, problem) if index < AT_MOST and problem.code in _CODES else problem
        for index, problem in enumerate(source.problems)
    ]


def _explained(source: Source, problem: Problem) -> Problem:
    missed = _MISSED.match(problem.message)
    surprised = _SURPRISED.match(problem.message)
    if missed is None and surprised is None:
        return problem
    may_follow = follow(source, problem.start)
    if may_follow is None:
        return problem
    options = options_of(may_follow)
    message = ""
    if missed is not None:
        sign = f"`{missed['sign']}`"
        if sign in options and 1 < len(options) <= _MOST_GROUPS:
            options.remove(sign)
            message = f"expected {_either([sign + missed['rest'], *options])}"
    elif surprised is not None and surprised["found"] not in options and len(options) <= _MOST_GROUPS:
        message = f"{problem.message}: expected {_either(options)}"
    if not message:
        return problem
    return Problem(
        problem.code, message, problem.start, problem.end, problem.fix, problem.related_start, problem.related_end
    )


def options_of(terminals: frozenset[str]) -> list[str]:
    """A set of terminals in words: signs and keywords first, then groups of them."""
    left = set(terminals)
    groups: list[str] = []
    for sign, words, members in _GROUPS:
        if sign in left:
            groups.append(words)
            left -= members
    return [*spelled(frozenset(left), quoted=True), *groups]


def _either(options: Sequence[str]) -> str:
    if len(options) == 1:
        return options[0]
    return ", ".join(options[:-1]) + " or " + options[-1]
