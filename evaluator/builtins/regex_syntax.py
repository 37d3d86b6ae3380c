"""POSIX extended regular expressions, as libstdc++ reads them for Nix.

Texts are in byte view (characters below 256, see ``strings.byte_view``), so that ``.`` is one byte. Classes are
those of the C locale. What libstdc++ refuses raises :class:`BadPattern`: an escaped character that has no special
meaning, a quantifier with nothing before it, dangling ranges.
"""

from __future__ import annotations

from typing import Final, final

ALL_BYTES: Final = (1 << 256) - 1
_STATE_LIMIT: Final = 100_000
_FEW: Final = 4
_SPECIAL: Final = ".[\\()*+?{|^$"

_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": "\t ",
    "cntrl": "\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@[-`{-~",
    "space": "\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
    "d": "0-9",
    "s": "\t-\r ",
    "w": "0-9A-Za-z_",
}

_NAMES: Final = (
    "NUL SOH STX ETX EOT ENQ ACK alert backspace tab newline vertical-tab form-feed carriage-return SO SI DLE DC1 DC2 "
    "DC3 DC4 NAK SYN ETB CAN EM SUB ESC IS4 IS3 IS2 IS1 space exclamation-mark quotation-mark number-sign dollar-sign "
    "percent-sign ampersand apostrophe left-parenthesis right-parenthesis asterisk plus-sign comma hyphen period slash "
    "zero one two three four five six seven eight nine colon semicolon less-than-sign equals-sign greater-than-sign "
    "question-mark commercial-at A B C D E F G H I J K L M N O P Q R S T U V W X Y Z left-square-bracket backslash "
    "right-square-bracket circumflex underscore grave-accent a b c d e f g h i j k l m n o p q r s t u v w x y z "
    "left-curly-bracket vertical-line right-curly-bracket tilde DEL"
).split()


class BadPattern(ValueError):
    """A text that is no regular expression."""


class TooBig(ValueError):
    """A regular expression that libstdc++ would need too much memory for."""


class Node:
    """A piece of an expression.

    ``first``: the bytes it can begin with. ``empty``: whether it can match nothing. ``choice``: whether it can match
    at one place in several ways. ``risky``: whether a choice is repeated in it, so that there may be exponentially
    many ways. ``states``: about how many states it takes in libstdc++.
    """

    def __init__(self, first: int, empty: bool, choice: bool, risky: bool, states: int) -> None:
        self.first: Final = first
        self.empty: Final = empty
        self.choice: Final = choice
        self.risky: Final = risky
        self.states: Final = states


@final
class Chars(Node):
    """One byte out of a set (a mask of 256 bits)."""

    def __init__(self, mask: int) -> None:
        super().__init__(mask, False, False, False, 1)
        self.mask: Final = mask


@final
class Anchor(Node):
    """``^`` or ``$``: the beginning or the end of the text."""

    def __init__(self, at_end: bool) -> None:
        super().__init__(0, True, False, False, 1)
        self.at_end: Final = at_end


@final
class Group(Node):
    """``( … )``, counted from 1."""

    def __init__(self, index: int, inner: Node) -> None:
        super().__init__(inner.first, inner.empty, inner.choice, inner.risky, inner.states + 2)
        self.index: Final = index
        self.inner: Final = inner


@final
class Sequence(Node):
    """Pieces one after the other; none at all matches the empty text."""

    def __init__(self, parts: list[Node]) -> None:
        first = 0
        empty = True
        choice = False
        risky = False
        states = 1
        for part in parts:
            if empty:
                first |= part.first
                empty = part.empty
            choice = choice or part.choice
            risky = risky or part.risky
            states += part.states
        super().__init__(first, empty, choice, risky, states)
        self.parts: Final = parts


@final
class Either(Node):
    """``left|right``. ``clear``: at any place at most one of the two can match."""

    def __init__(self, left: Node, right: Node) -> None:
        clear = not left.empty and not right.empty and left.first & right.first == 0
        super().__init__(
            left.first | right.first,
            left.empty or right.empty,
            not clear or left.choice or right.choice,
            left.risky or right.risky,
            left.states + right.states + 2,
        )
        self.left: Final = left
        self.right: Final = right
        self.clear: Final = clear


@final
class Repeat(Node):
    """A quantifier: ``low`` to ``high`` times (-1: without limit); ``sign`` is ``*``, ``+``, ``?`` or ``{``."""

    def __init__(self, inner: Node, sign: str, low: int, high: int) -> None:
        times = 1 if sign != "{" else max(low, high) + 1
        super().__init__(
            inner.first,
            inner.empty or low == 0,
            low != high or inner.choice,
            inner.risky or (inner.choice and (high < 0 or high > _FEW)),
            times * (inner.states + 2),
        )
        self.inner: Final = inner
        self.sign: Final = sign
        self.low: Final = low
        self.high: Final = high


@final
class Expression:
    """A whole expression: its tree, how many groups it has, whether all its alternatives are clear."""

    def __init__(self, root: Node, groups: int, clear: bool) -> None:
        self.root: Final = root
        self.groups: Final = groups
        self.clear: Final = clear


def parse(pattern: str) -> Expression:
    """Reads an expression given in byte view. Raises :class:`BadPattern`, :class:`TooBig`."""
    reader = _Reader(pattern)
    root = reader.alternatives()
    if reader.at < len(pattern):
        raise BadPattern(pattern)
    return Expression(root, reader.groups, reader.clear)


def _mask(ranges: str) -> int:
    """The set of bytes that a text like ``a-z_`` names."""
    mask = 0
    at = 0
    while at < len(ranges):
        low = ord(ranges[at])
        high = low
        if at + 2 < len(ranges) and ranges[at + 1] == "-":
            high = ord(ranges[at + 2])
            at += 2
        mask |= (1 << (high + 1)) - (1 << low)
        at += 1
    return mask


@final
class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern: Final = pattern
        self.at = 0
        self.groups = 0
        self.clear = True

    def bad(self) -> BadPattern:
        return BadPattern(self.pattern)

    def peek(self) -> str:
        """The next character, empty at the end."""
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def checked(self, node: Node) -> Node:
        if node.states > _STATE_LIMIT:
            raise TooBig(self.pattern)
        return node

    def alternatives(self) -> Node:
        node = self.sequence()
        while self.peek() == "|":
            self.at += 1
            either = Either(node, self.sequence())
            if not either.clear:
                self.clear = False
            node = either
        return node

    def sequence(self) -> Node:
        parts: list[Node] = []
        while True:
            char = self.peek()
            if char == "" or char == "|" or char == ")":
                break
            if char == "^" or char == "$":
                self.at += 1
                parts.append(Anchor(char == "$"))
            else:
                parts.append(self.quantified(self.atom()))
        return parts[0] if len(parts) == 1 else self.checked(Sequence(parts))

    def atom(self) -> Node:
        char = self.peek()
        self.at += 1
        if char == "(":
            self.groups += 1
            index = self.groups
            inner = self.alternatives()
            if self.peek() != ")":
                raise self.bad()
            self.at += 1
            return Group(index, inner)
        if char == "[":
            return Chars(self.bracket())
        if char == ".":
            # Anything but NUL, which no Nix string holds.
            return Chars(ALL_BYTES)
        if char == "\\":
            char = self.peek()
            if char == "" or char not in _SPECIAL:
                raise self.bad()
            self.at += 1
        elif char == "*" or char == "+" or char == "?" or char == "{":
            raise self.bad()
        return Chars(1 << ord(char))

    def quantified(self, node: Node) -> Node:
        while True:
            char = self.peek()
            if char == "*":
                made = Repeat(node, char, 0, -1)
            elif char == "+":
                made = Repeat(node, char, 1, -1)
            elif char == "?":
                made = Repeat(node, char, 0, 1)
            elif char == "{":
                self.at += 1
                low = self.number()
                high = low
                if self.peek() == ",":
                    self.at += 1
                    high = self.number()
                if low < 0 or 0 <= high < low or self.peek() != "}":
                    raise self.bad()
                made = Repeat(node, char, low, high)
            else:
                return node
            self.at += 1
            node = self.checked(made)

    def number(self) -> int:
        """Digits as a number, -1 if there are none."""
        start = self.at
        while "0" <= self.peek() <= "9":
            self.at += 1
        if start == self.at:
            return -1
        if self.at - start > 9:
            raise TooBig(self.pattern)
        return int(self.pattern[start : self.at])

    # --- bracket expressions --------------------------------------------------------------------

    def bracket(self) -> int:
        """The set that a bracket expression names; the ``[`` is read already."""
        negated = self.peek() == "^"
        if negated:
            self.at += 1
        mask = 0
        last = -1  # the single character before here, which may begin a range
        after_class = False
        beginning = True
        while True:
            char = self.peek()
            if char == "":
                raise self.bad()
            self.at += 1
            if char == "]" and not beginning:
                break
            if char == "-" and not beginning:
                if self.peek() == "]":
                    self.at += 1
                    mask |= 1 << ord("-")
                    break
                if last < 0 or after_class:
                    raise self.bad()
                mask |= self.span(last, self.range_end())
                last = -1
                continue
            beginning = False
            kind = self.peek()
            if char == "[" and kind != "" and kind in ".:=":
                self.at += 1
                name = self.name(kind)
                if kind == ":":
                    members = _CLASSES.get(name.lower())
                    if members is None:
                        raise self.bad()
                    mask |= _mask(members)
                    after_class = True
                    last = -1
                    continue
                if name not in _NAMES:
                    raise self.bad()
                code = _NAMES.index(name)
                mask |= 1 << code
                after_class = kind == "="
                last = -1 if after_class else code
                continue
            last = ord(char)
            after_class = False
            mask |= 1 << last
        return ALL_BYTES & ~mask if negated else mask

    def name(self, kind: str) -> str:
        """The name in ``[:name:]`` and the like, of which the opening is read already."""
        end = self.pattern.find(kind, self.at)
        if end < 0 or not self.pattern.startswith("]", end + 1):
            raise self.bad()
        name = self.pattern[self.at : end]
        self.at = end + 2
        return name

    def range_end(self) -> int:
        char = self.peek()
        self.at += 1
        following = self.peek()
        if char == "" or (char == "[" and following != "" and following in ".:="):
            raise self.bad()
        return ord(char)

    def span(self, low: int, high: int) -> int:
        """A range of bytes; libstdc++ compares them as signed characters."""
        if low > 127:
            low -= 256
        if high > 127:
            high -= 256
        if low > high:
            raise self.bad()
        mask = 0
        for code in range(low, high + 1):
            mask |= 1 << (code & 255)
        return mask
