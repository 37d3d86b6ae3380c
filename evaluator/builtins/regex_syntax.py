"""POSIX extended regular expressions, as libstdc++ reads them for Nix, translated to Python's.

The translation is meant for the byte view of a text (characters below 256, see ``strings.byte_view``), so that
``.`` is one byte. Classes are those of the C locale. What libstdc++ refuses raises :class:`BadPattern`: an
escaped character that has no special meaning, a quantifier with nothing before it, dangling ranges.

**Which match.** libstdc++ searches with backtracking: quantifiers are greedy as in Perl, but both sides of ``|``
are tried and the longer match counts. So Perl's match is Nix's whenever at most one alternative can match at
any place (:attr:`Translation.plain`), and always when the whole text has to match.
"""

from __future__ import annotations

from typing import Final, final

_ALL: Final = (1 << 256) - 1
_STATE_LIMIT: Final = 100_000
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


@final
class Translation:
    """A translated expression.

    ``pattern`` is for Python's ``re`` (with DOTALL). ``plain``: Perl's match is the one that Nix finds.
    ``risky``: nested repetitions, with which backtracking can take forever.
    """

    def __init__(self, pattern: str, groups: int, plain: bool, risky: bool) -> None:
        self.pattern: Final = pattern
        self.groups: Final = groups
        self.plain: Final = plain
        self.risky: Final = risky


@final
class _Part:
    """A translated piece: its text, the bytes it can begin with, whether it can be empty.

    ``loops``: how deep repetitions without limit are nested in it. ``atom``: a quantifier may follow as it is.
    ``states``: about how many states it has in libstdc++.
    """

    def __init__(self, text: str, first: int, empty: bool, loops: int, atom: bool, states: int) -> None:
        self.text: Final = text
        self.first: Final = first
        self.empty: Final = empty
        self.loops: Final = loops
        self.atom: Final = atom
        self.states: Final = states


def translate(pattern: str) -> Translation:
    """Translates an expression given in byte view. Raises :class:`BadPattern`, :class:`TooBig`."""
    reader = _Reader(pattern)
    whole = reader.alternatives()
    if reader.at < len(pattern):
        raise BadPattern(pattern)
    return Translation(whole.text, reader.groups, reader.plain, whole.loops > 1)


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


def _class_text(mask: int) -> str:
    """A set of bytes as a character class."""
    if mask == _ALL:
        return "."
    if mask == 0:
        return "(?!)"
    body: list[str] = []
    negated = mask >> 255 & 1 == 1
    rest = _ALL & ~mask if negated else mask
    low = 0
    while rest >> low:
        if rest >> low & 1 == 0:
            low += 1
            continue
        high = low
        while rest >> (high + 1) & 1:
            high += 1
        body.append(_byte(low))
        if high > low:
            if high > low + 1:
                body.append("-")
            body.append(_byte(high))
        low = high + 1
    return ("[^" if negated else "[") + "".join(body) + "]"


def _byte(code: int) -> str:
    char = chr(code)
    if code < 128 and char.isalnum():
        return char
    return f"\\x{code:02x}"


@final
class _Reader:
    """Reads an expression from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern: Final = pattern
        self.at = 0
        self.groups = 0
        self.plain = True

    def bad(self) -> BadPattern:
        return BadPattern(self.pattern)

    def peek(self) -> str:
        """The next character, empty at the end."""
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def alternatives(self) -> _Part:
        part = self.sequence()
        if self.peek() != "|":
            return part
        texts = [part.text]
        first = part.first
        empty = part.empty
        loops = part.loops
        states = part.states
        while self.peek() == "|":
            self.at += 1
            part = self.sequence()
            if part.empty or empty or part.first & first:
                self.plain = False
            texts.append(part.text)
            first |= part.first
            empty = empty or part.empty
            loops = max(loops, part.loops)
            states += part.states + 2
        return _Part("|".join(texts), first, empty, loops, False, states)

    def sequence(self) -> _Part:
        texts: list[str] = []
        first = 0
        empty = True
        loops = 0
        states = 1
        while True:
            char = self.peek()
            if char == "" or char == "|" or char == ")":
                break
            if char == "^" or char == "$":
                self.at += 1
                texts.append("\\A" if char == "^" else "\\Z")
                states += 1
                continue
            part = self.quantified(self.atom())
            texts.append(part.text)
            if empty:
                first |= part.first
                empty = part.empty
            loops = max(loops, part.loops)
            states += part.states
            if states > _STATE_LIMIT:
                raise TooBig(self.pattern)
        return _Part("".join(texts), first, empty, loops, False, states)

    def atom(self) -> _Part:
        char = self.peek()
        self.at += 1
        if char == "(":
            self.groups += 1
            inner = self.alternatives()
            if self.peek() != ")":
                raise self.bad()
            self.at += 1
            return _Part("(" + inner.text + ")", inner.first, inner.empty, inner.loops, True, inner.states + 2)
        if char == "[":
            mask = self.bracket()
            return _Part(_class_text(mask), mask, False, 0, True, 1)
        if char == ".":
            # Anything but NUL, which no Nix string holds.
            return _Part(".", _ALL, False, 0, True, 1)
        if char == "\\":
            char = self.peek()
            if char == "" or char not in _SPECIAL:
                raise self.bad()
            self.at += 1
        elif char == "*" or char == "+" or char == "?" or char == "{":
            raise self.bad()
        code = ord(char)
        return _Part(_byte(code), 1 << code, False, 0, True, 1)

    def quantified(self, part: _Part) -> _Part:
        while True:
            char = self.peek()
            if char == "*" or char == "+" or char == "?":
                self.at += 1
                low = 1 if char == "+" else 0
                many = char != "?"
                part = self.repeated(part, char, low == 0, many, part.states + 2)
            elif char == "{":
                self.at += 1
                part = self.interval(part)
            else:
                return part

    def repeated(self, part: _Part, quantifier: str, none: bool, many: bool, states: int) -> _Part:
        inner = part.text if part.atom else "(?:" + part.text + ")"
        if states > _STATE_LIMIT:
            raise TooBig(self.pattern)
        return _Part(
            inner + quantifier, part.first, none or part.empty, part.loops + 1 if many else part.loops, False, states
        )

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

    def interval(self, part: _Part) -> _Part:
        low = self.number()
        if low < 0:
            raise self.bad()
        high = low
        if self.peek() == ",":
            self.at += 1
            high = self.number()
            if high >= 0 and high < low:
                raise self.bad()
        if self.peek() != "}":
            raise self.bad()
        self.at += 1
        states = (max(low, high) + 1) * (part.states + 1)
        if high < 0:
            return self.repeated(part, f"{{{low},}}", low == 0, True, states)
        return self.repeated(part, f"{{{low},{high}}}", low == 0, False, states)

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
        return _ALL & ~mask if negated else mask

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
