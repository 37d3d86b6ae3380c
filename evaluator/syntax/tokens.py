"""The kinds of tokens, as small integers, and what each of them can do.

The lexer writes them, the parser reads them. A kind that starts the attribute path
of a binding carries the flag :data:`BINDING` when the lexer works on broken text
(see :mod:`evaluator.syntax.lexer`); such a token starts no expression, which makes
it a place where every construct that is still open can stop.
"""

from __future__ import annotations

from typing import Final

EOF: Final = 0

# What can be a step of an attribute path.
ID: Final = 1
OR: Final = 2
STRING: Final = 3  # a whole "…" without interpolation
STR_OPEN: Final = 4
DOLLAR: Final = 5  # ${

# What else can start a simple expression.
INDENTED: Final = 6  # a whole ''…'' without interpolation
IND_OPEN: Final = 7
INT: Final = 8
FLOAT: Final = 9
URI: Final = 10
SEARCH_PATH: Final = 11
PATH: Final = 12  # a whole path without interpolation
PATH_OPEN: Final = 13  # of no width
LPAREN: Final = 14
LBRACKET: Final = 15
LBRACE: Final = 16
REC: Final = 17
LET: Final = 18

# Inside strings and paths.
TEXT: Final = 20
STR_CLOSE: Final = 21
IND_CLOSE: Final = 22
PATH_CLOSE: Final = 23  # of no width

RPAREN: Final = 24
RBRACKET: Final = 25
RBRACE: Final = 26
SEMICOLON: Final = 27
COMMA: Final = 28
COLON: Final = 29
AT: Final = 30
ASSIGN: Final = 31
DOT: Final = 32
ELLIPSIS: Final = 33
NOT: Final = 34

IF: Final = 35
THEN: Final = 36
ELSE: Final = 37
ASSERT: Final = 38
WITH: Final = 39
IN: Final = 40
INHERIT: Final = 41

# Binary operators.
IMPLIES: Final = 45
OR_OP: Final = 46
AND_OP: Final = 47
EQUAL: Final = 48
UNEQUAL: Final = 49
LESS: Final = 50
GREATER: Final = 51
LESS_EQUAL: Final = 52
GREATER_EQUAL: Final = 53
UPDATE: Final = 54
PLUS: Final = 55
MINUS: Final = 56
TIMES: Final = 57
DIVIDE: Final = 58
CONCAT: Final = 59
QUESTION: Final = 60
PIPE_INTO: Final = 61
PIPE_FROM: Final = 62

BAD: Final = 63  # a character that is no token

BINDING: Final = 64  # flag, see above
READY: Final = 64  # whole bindings that need not be read again (see evaluator.syntax.reuse)

KEYWORDS: Final[dict[str, int]] = {
    "if": IF,
    "then": THEN,
    "else": ELSE,
    "assert": ASSERT,
    "with": WITH,
    "let": LET,
    "in": IN,
    "rec": REC,
    "inherit": INHERIT,
    "or": OR,
}

#: How a kind is written; kinds whose text varies are described instead.
SPELLING: Final[dict[int, str]] = {
    EOF: "end of file",
    ID: "identifier",
    OR: "or",
    STRING: "string",
    STR_OPEN: "string",
    DOLLAR: "${",
    INDENTED: "string",
    IND_OPEN: "string",
    INT: "integer",
    FLOAT: "float",
    URI: "URI",
    SEARCH_PATH: "search path",
    PATH: "path",
    PATH_OPEN: "path",
    LPAREN: "(",
    LBRACKET: "[",
    LBRACE: "{",
    REC: "rec",
    LET: "let",
    TEXT: "text",
    STR_CLOSE: '"',
    IND_CLOSE: "''",
    PATH_CLOSE: "end of path",
    RPAREN: ")",
    RBRACKET: "]",
    RBRACE: "}",
    SEMICOLON: ";",
    COMMA: ",",
    COLON: ":",
    AT: "@",
    ASSIGN: "=",
    DOT: ".",
    ELLIPSIS: "...",
    NOT: "!",
    IF: "if",
    THEN: "then",
    ELSE: "else",
    ASSERT: "assert",
    WITH: "with",
    IN: "in",
    INHERIT: "inherit",
    IMPLIES: "->",
    OR_OP: "||",
    AND_OP: "&&",
    EQUAL: "==",
    UNEQUAL: "!=",
    LESS: "<",
    GREATER: ">",
    LESS_EQUAL: "<=",
    GREATER_EQUAL: ">=",
    UPDATE: "//",
    PLUS: "+",
    MINUS: "-",
    TIMES: "*",
    DIVIDE: "/",
    CONCAT: "++",
    QUESTION: "?",
    PIPE_INTO: "|>",
    PIPE_FROM: "<|",
    BAD: "invalid character",
}

_VARYING: Final = frozenset(
    [
        EOF, ID, STRING, STR_OPEN, INDENTED, IND_OPEN, INT, FLOAT, URI, SEARCH_PATH, PATH, PATH_OPEN, TEXT,
        PATH_CLOSE, BAD,
    ]
)  # fmt: skip


def _table(entries: dict[int, int]) -> bytes:
    """A table indexed by kind, flag included."""
    cells = bytearray(128)
    for kind, cell in entries.items():
        cells[kind] = cell
    return bytes(cells)


#: 1 for the kinds that start a simple expression (an operand of application).
STARTS_SIMPLE: Final[bytes] = _table(
    dict.fromkeys(
        [
            ID, STRING, STR_OPEN, INDENTED, IND_OPEN, INT, FLOAT, URI, SEARCH_PATH, PATH, PATH_OPEN, LPAREN, LBRACKET,
            LBRACE, REC,
        ],
        1,
    )
)  # fmt: skip

#: How tightly a binary operator binds; 0 for what is none. ``!`` stands at 8, unary minus at 13.
PRECEDENCE: Final[bytes] = _table(
    {
        IMPLIES: 2,
        OR_OP: 3,
        AND_OP: 4,
        EQUAL: 5,
        UNEQUAL: 5,
        LESS: 6,
        GREATER: 6,
        LESS_EQUAL: 6,
        GREATER_EQUAL: 6,
        UPDATE: 7,
        PLUS: 9,
        MINUS: 9,
        TIMES: 10,
        DIVIDE: 10,
        CONCAT: 11,
        QUESTION: 12,
    }
)
NOT_OPERAND: Final = 9
NEGATE_OPERAND: Final = 13

#: The precedence the right operand must have at least: the operator's own where it groups to the right.
RIGHT_PRECEDENCE: Final[bytes] = _table(
    {
        IMPLIES: 2,
        OR_OP: 4,
        AND_OP: 5,
        EQUAL: 6,
        UNEQUAL: 6,
        LESS: 7,
        GREATER: 7,
        LESS_EQUAL: 7,
        GREATER_EQUAL: 7,
        UPDATE: 7,
        PLUS: 10,
        MINUS: 10,
        TIMES: 11,
        DIVIDE: 11,
        CONCAT: 11,
    }
)


def spell(kind: int) -> str:
    """How to name a kind in a message: ``"`;`"``, ``"identifier"``."""
    if kind >= BINDING:
        return "binding"
    plain = kind
    word = SPELLING[plain]
    if plain in _VARYING:
        return word
    return f"`{word}`"
