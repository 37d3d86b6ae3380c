"""Reads what ``nix-instantiate --parse`` printed, of any version, into a form in which versions agree.

Left out is what versions differ in: the order of attributes and formals, ``inherit (c) d e;`` against ``d = (c).d;
e = (c).e;``, empty pieces of indented strings (``"" + x``), dollar signs and keywords that are escaped or not.
The reader knows the printed language only, not Nix: it shares no code with what it checks.
"""

from __future__ import annotations

import re

#: A printed tree: words and strings, or a head with what belongs to it.
Form = str | tuple["Form", ...]

_TOKEN = re.compile(
    r"""\s*+(?:
        (?P<open>"\$\{)                   # a name that must be computed
      | (?P<close>\}")
      | (?P<string>"(?:[^"\\]|\\.)*+")
      | (?P<mark>[()\[\]{};,]|\.\.\.)
      | (?P<word>(?:[^\s()\[\]{};,"]|\.(?!\.\.))++)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_BINARY = {"==", "!=", "&&", "||", "->", "//", "++"}


def read(text: str) -> Form:
    """The form of one printed tree. Raises ValueError for what is none."""
    reader = _Reader(text)
    form = reader.expr()
    reader.expect("")
    return form


def string(token: str) -> str:
    """A string token with dollar signs as they are."""
    return _ESCAPE.sub(lambda escape: "$" if escape[0] == "\\$" else escape[0], token)


def name(token: str) -> str:
    """A name with or without quotes: only strings that must be quoted keep theirs."""
    return token[1:-1] if re.fullmatch(r'"[A-Za-z_][\w\'-]*"', token, re.ASCII) else string(token)


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        self.glued: list[bool] = []
        at = 0
        text = text.strip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"cannot read {text[at : at + 40]!r}")
            self.tokens.append(match.group(match.lastgroup or 0).strip() if match.lastgroup else "")
            self.glued.append(match.start(match.lastgroup or 0) == at)
            at = match.end()
        self.tokens.append("")
        self.glued.append(False)
        self.i = 0

    @property
    def token(self) -> str:
        return self.tokens[self.i]

    def take(self) -> str:
        self.i += 1
        return self.tokens[self.i - 1]

    def expect(self, token: str) -> None:
        if self.token != token:
            raise ValueError(f"expected {token!r} at {' '.join(self.tokens[self.i : self.i + 8])!r}")
        self.i += 1

    def expr(self) -> Form:
        token = self.take()
        if token == "assert":
            condition = self.expr()
            self.expect(";")
            return ("assert", condition, self.expr())
        if token == "rec":
            self.expect("{")
            return ("rec", *self.bindings("}"))
        if token == "{":
            return ("set", *self.bindings("}"))
        if token == "[":
            items: list[Form] = []
            while self.token != "]":
                self.expect("(")
                items.append(self.expr())
                self.expect(")")
            self.take()
            return ("list", *items)
        if token == "(":
            return self.parenthesised()
        if token.startswith('"'):
            return string(token)
        if token in {"", ")", "]", "}", ";", ","}:
            raise ValueError(f"no expression at {' '.join(self.tokens[self.i - 1 : self.i + 8])!r}")
        return token

    def parenthesised(self) -> Form:
        """What stands after ``(``; a select begins with the subject in parentheses."""
        token = self.token
        if token == "let":
            self.take()
            return self.closed("let", ("set", *self.bindings("in")), self.expr())
        if token == "with":
            self.take()
            namespace = self.expr()
            self.expect(";")
            return self.closed("with", namespace, self.expr())
        if token == "if":
            self.take()
            condition = self.expr()
            self.expect("then")
            yes = self.expr()
            self.expect("else")
            return self.closed("if", condition, yes, self.expr())
        if token == "!":
            self.take()
            return self.closed("not", self.expr())
        if token == "{" and self.is_formals():
            return self.function(self.formals())
        if token.endswith(":"):
            return self.function(())
        first = self.expr()
        if self.token == "+":
            pieces = [first]
            while self.token == "+":
                self.take()
                pieces.append(self.expr())
            self.expect(")")
            return concatenation(pieces)
        if self.token == "?":
            self.take()
            # Its own parentheses look like those of a string of one piece.
            subject = first[1] if first[0] == "concat" and len(first) == 2 else first
            return self.closed("has", subject, self.path())
        if self.token in _BINARY:
            operator = self.take()
            return self.closed(operator, first, self.expr())
        if self.token != ")":
            arguments: list[Form] = [first]
            while self.token != ")":
                arguments.append(self.expr())
            return self.closed("call", *arguments)
        self.take()
        if self.is_path():
            return self.select(first)
        return concatenation([first])

    def closed(self, *form: Form) -> Form:
        self.expect(")")
        return form

    def is_path(self) -> bool:
        """Whether ``.name`` follows directly."""
        return self.glued[self.i] and self.token.startswith(".") and self.token != "..."

    def select(self, subject: Form) -> Form:
        path = self.path()
        if self.token != "or":
            return ("select", subject, path)
        self.take()
        self.expect("(")
        default = self.expr()
        self.expect(")")
        return ("select", subject, path, default)

    def path(self) -> Form:
        """An attribute path as one flat form; the words of it may hold several names."""
        steps: list[Form] = []
        while True:
            if self.token == '"${':
                self.take()
                computed = self.expr()
                self.expect('}"')
                steps.append(("computed", computed))
            elif self.token.startswith('"'):
                steps.append(name(self.take()))
            else:
                steps.extend(word for word in self.take().split(".") if word)
            if not (self.glued[self.i] and (self.token.startswith((".", '"')) and self.token != "...")):
                return tuple(steps)

    def bindings(self, end: str) -> list[Form]:
        """Bindings in a fixed order; those inherited from a source one by one."""
        found: list[Form] = []
        while self.token != end:
            if self.token == "inherit":
                self.take()
                source: Form | None = None
                if self.token == "(":
                    self.take()
                    source = self.expr()
                    self.expect(")")
                while self.token != ";":
                    inherited = name(self.take())
                    found.append(
                        ("inherit", inherited)
                        if source is None
                        else ("bind", inherited, ("select", source, (inherited,)))
                    )
            elif self.token == '"${':
                self.take()
                computed = self.expr()
                self.expect('}"')
                self.expect("=")
                found.append(("bind", ("computed", computed), self.expr()))
            else:
                attribute = name(self.take())
                self.expect("=")
                found.append(("bind", attribute, self.expr()))
            self.expect(";")
        self.take()
        return sorted(found, key=repr)

    def is_formals(self) -> bool:
        following = self.tokens[self.i + 1 : self.i + 4]
        if following[0] == "}":
            return following[1] in {":", "@"}
        return (
            following[0] == "..." or following[1] in {",", "?"} or (following[1] == "}" and following[2] in {":", "@"})
        )

    def formals(self) -> Form:
        self.take()
        found: list[Form] = []
        while self.token != "}":
            formal = self.take()
            if self.token == "?":
                self.take()
                found.append((name(formal), self.expr()))
            else:
                found.append(name(formal))
            if self.token == ",":
                self.take()
        self.take()
        return ("formals", *sorted(found, key=repr))

    def function(self, formals: Form) -> Form:
        """From the ``:`` or ``@`` or plain argument on."""
        argument = ""
        if self.token == "@":
            self.take()
        if self.token != ":":
            argument = self.take().removesuffix(":")
        else:
            self.take()
        return self.closed("function", formals, argument, self.expr())


def concatenation(pieces: list[Form]) -> Form:
    """Pieces of a string without the empty ones; one literal alone is that literal."""
    kept = [piece for piece in pieces if piece != '""']
    if not kept:
        return '""'
    if len(kept) == 1 and isinstance(kept[0], str) and kept[0].startswith('"'):
        return kept[0]
    return ("concat", *kept)
