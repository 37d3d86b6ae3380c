"""Random programs of the language: numbers, lists, sets, texts and truths, each out of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

OTHER = "{ x }: { y = x + 1; deep = builtins.deepSeq [ x ] x; }"
"""The file ``other.nix`` beside a program."""

MADE = 'derivation { name = "made"; system = "s"; builder = "/b"; }'
"""The derivation whose output programs read: somebody has to make it."""

_KINDS = "nltsb"


class Programs:
    """Makes programs; ``random`` decides."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.bound: list[str] = []  # numbers bound by lambdas and lets around
        self.known: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        self.deep = 0

    def program(self) -> str:
        """A recursive set; each attribute uses those before it."""
        lines = [f"made = {MADE};", "read = builtins.readFile made;", "other = import ./other.nix;"]
        makers = {"n": self.number, "l": self.list, "t": self.text, "s": self.set, "b": self.truth}
        for index in range(self.random.randint(6, 14)):
            kind = self.random.choice(_KINDS)
            name = f"{kind}{index}"
            lines.append(f"{name} = {makers[kind]()};")
            self.known[kind].append(name)
        lines.append(f"all = [ {' '.join(name for names in self.known.values() for name in names)} ];")
        return "rec {\n  " + "\n  ".join(lines) + "\n}\n"

    # --- one of each kind ------------------------------------------------------------------------

    def pick(self, kind: str, simple: Sequence[str], made: Sequence[Callable[[], str]]) -> str:
        """A known thing, a simple one, or (unless it is deep already) one that is made of others."""
        random = self.random
        if self.known[kind] and random.random() < 0.3:
            return random.choice(self.known[kind])
        if self.deep > 3 or random.random() < 0.15:
            return random.choice(simple)
        self.deep += 1
        try:
            return f"({random.choice(made)()})"
        finally:
            self.deep -= 1

    def under(self, name: str, make: Callable[[], str]) -> str:
        """What is made where ``name`` is bound to a number."""
        self.bound.append(name)
        try:
            return make()
        finally:
            self.bound.pop()

    def fresh(self) -> str:
        return f"v{len(self.bound)}"

    def number(self) -> str:
        n, l, t, s, b = self.number, self.list, self.text, self.set, self.truth  # noqa: E741
        x = self.fresh()
        simple = [str(self.random.randint(0, 60)), *self.bound[-2:]]
        return self.pick(
            "n",
            simple,
            [
                lambda: f"builtins.bitAnd ({n()} + {n()}) 1023",
                lambda: f"builtins.bitAnd ({n()} * {n()}) 1023",
                lambda: f"{n()} - {n()}",
                lambda: f"if {b()} then {n()} else {n()}",
                lambda: f"builtins.length {l()}",
                lambda: f"builtins.bitAnd (builtins.foldl' builtins.add 0 {l()}) 4095",
                lambda: f"builtins.foldl' ({x}: y: builtins.bitXor {x} {self.under(x, n)}) {n()} {l()}",
                lambda: f"builtins.head ({l()} ++ [ {n()} ])",
                lambda: f"builtins.elemAt ([ {n()} {n()} ] ++ {l()}) 1",
                lambda: f"{s()}.a or {n()}",
                lambda: f"({x}: {self.under(x, n)}) {n()}",
                lambda: f"({{ {x}, y ? {x} + 1, ... }}@args: {self.under(x, n)} + y + args.z or 0) {{ {x} = {n()}; }}",
                lambda: f"let {x} = {n()}; in {self.under(x, n)}",
                lambda: f"let inherit ({s()}) a; {x} = 1; in {x} + ({{ a = 2; }} // {{ b = a; }}).a",
                lambda: f"with {{ {x} = {n()}; }}; {x} + {n()}",
                lambda: f"builtins.stringLength {t()}",
                lambda: f"{{ __functor = self: {x}: self.k + {self.under(x, n)}; k = {n()}; }} {n()}",
                lambda: f'if (builtins.tryEval (assert {b()}; {n()})).success then 1 else throw "no"',
                lambda: (
                    f"let r = builtins.tryEval (if {b()} then throw {t()} else {n()}); in if r.success then 1 else 2"
                ),
                lambda: f"builtins.fromJSON (builtins.toJSON {n()})",
                lambda: f"(other {{ x = {n()}; }}).y",
                lambda: f"(import ./other.nix {{ x = {n()}; }}).deep",
                lambda: f"builtins.seq {l()} {n()}",
                lambda: f"builtins.deepSeq {s()} {n()}",
                lambda: f'builtins.addErrorContext "context" {n()}',
                lambda: "builtins.stringLength read",
                lambda: f"let f = {x}: if {x} <= 0 then {n()} else f ({x} - 1); in f {self.random.randint(1, 30)}",
            ],
        )

    def list(self) -> str:
        n, l, s, b = self.number, self.list, self.set, self.truth  # noqa: E741
        x = self.fresh()
        return self.pick(
            "l",
            ["[ ]", f"[ {' '.join(str(self.random.randint(0, 40)) for _ in range(self.random.randint(1, 6)))} ]"],
            [
                lambda: f"[ {n()} {n()} ]",
                lambda: f"map ({x}: {self.under(x, n)}) {l()}",
                lambda: f"builtins.filter ({x}: {self.under(x, b)}) {l()}",
                lambda: f"builtins.genList ({x}: {self.under(x, n)}) {self.random.randint(0, 9)}",
                lambda: f"builtins.sort ({x}: y: {x} < y) {l()}",
                lambda: f"builtins.sort builtins.lessThan {l()}",
                lambda: f"builtins.concatMap ({x}: [ {x} {self.under(x, n)} ]) {l()}",
                lambda: f"{l()} ++ {l()}",
                lambda: f"builtins.concatLists [ {l()} {l()} ]",
                lambda: f"builtins.attrValues {s()}",
                lambda: f"(builtins.partition ({x}: {self.under(x, b)}) {l()}).wrong",
                lambda: f"builtins.tail ([ {n()} ] ++ {l()})",
                lambda: f"builtins.fromJSON (builtins.toJSON {l()})",
                lambda: f'builtins.catAttrs "a" [ {s()} {s()} ]',
                lambda: (
                    "map (i: i.key) (builtins.genericClosure { startSet = [ { key = 1; } { key = "
                    f"{n()}; }} ]; operator = i: if i.key > 40 then [ ] else [ {{ key = i.key * 2 + 1; }} ]; }})"
                ),
                lambda: f"if {b()} then {l()} else {l()}",
            ],
        )

    def set(self) -> str:
        n, l, t, s, b = self.number, self.list, self.text, self.set, self.truth  # noqa: E741
        x = self.fresh()
        return self.pick(
            "s",
            ["{ }", "{ a = 1; }", "{ a = 1; b = 2; c = 3; }"],
            [
                lambda: f"{{ a = {n()}; b = {n()}; }}",
                lambda: f"rec {{ a = b + 1; b = {n()}; c = a; }}",
                lambda: f"let {x} = {n()}; c = {n()}; in {{ inherit {x} c; }}",
                lambda: f"{{ inherit ({{ a = {n()}; }} // {s()}) a; }}",
                lambda: f"{s()} // {s()}",
                lambda: f"builtins.mapAttrs (k: {x}: {self.under(x, n)}) {s()}",
                lambda: (
                    f"builtins.listToAttrs (map ({x}: {{ name = toString {x}; value = {self.under(x, n)}; }}) {l()})"
                ),
                lambda: f'removeAttrs {s()} [ "b" {t()} ]',
                lambda: f"builtins.intersectAttrs {s()} {s()}",
                lambda: f"builtins.zipAttrsWith (k: vs: builtins.length vs) [ {s()} {s()} ]",
                lambda: f"builtins.mapAttrs (k: builtins.length) (builtins.groupBy ({x}: toString {x}) {l()})",
                lambda: f'{{ ${{{t()}}} = {n()}; ${{if {b()} then null else "d"}} = 1; }}',
                lambda: f"if {b()} then {s()} else {s()}",
                lambda: (
                    "let fix = f: let x = f x; in x; in builtins.removeAttrs "
                    f"(fix (self: {{ a = self.b + {n()}; b = {n()}; }} // {s()})) [ ]"
                ),
            ],
        )

    def text(self) -> str:
        n, l, t, s = self.number, self.list, self.text, self.set  # noqa: E741
        return self.pick(
            "t",
            ['""', '"abc"', '"x y"', '"é"'],
            [
                lambda: f'"${{{t()}}}-${{toString {n()}}}"',
                lambda: f"{t()} + {t()}",
                lambda: f'builtins.concatStringsSep "," (map toString {l()})',
                lambda: f'builtins.replaceStrings [ "a" "1" ] [ {t()} "one" ] {t()}',
                lambda: f"builtins.substring 0 5 {t()}",
                lambda: f"builtins.toJSON {s()}",
                lambda: f"builtins.toXML {l()}",
                lambda: f"toString {l()}",
                lambda: f'builtins.hashString "sha256" {t()}',
                lambda: (
                    f'builtins.concatStringsSep "" (builtins.filter builtins.isString (builtins.split "([a-c])" {t()}))'
                ),
                lambda: f'toString (builtins.match "(.*)(b|c).*" {t()})',
                lambda: f"toString {{ __toString = self: self.t; t = {t()}; }}",
                lambda: "read",
                lambda: (
                    f'builtins.unsafeDiscardStringContext (derivation {{ name = "d"; system = "s"; builder = "/b"; '
                    f"args = [ {t()} made ]; n = {n()}; }}).drvPath"
                ),
                lambda: f'builtins.readFile (builtins.toFile "t" "${{toString {n()}}}")',
                lambda: f"builtins.toJSON (builtins.attrNames {s()})",
            ],
        )

    def truth(self) -> str:
        n, l, t, s, b = self.number, self.list, self.text, self.set, self.truth  # noqa: E741
        x = self.fresh()
        return self.pick(
            "b",
            ["true", "false"],
            [
                lambda: f"{n()} < {n()}",
                lambda: f"{l()} == {l()}",
                lambda: f"{s()} != {s()}",
                lambda: f"{l()} <= {l()}",
                lambda: f"{t()} < {t()}",
                lambda: f"!{b()}",
                lambda: f"{b()} && {b()} || {b()}",
                lambda: f"{b()} -> {b()}",
                lambda: f"builtins.elem {n()} {l()}",
                lambda: f"builtins.all ({x}: {self.under(x, b)}) {l()}",
                lambda: f"builtins.any ({x}: {self.under(x, b)}) {l()}",
                lambda: f"{s()} ? a",
                lambda: f'builtins.hasAttr "b" {s()}',
                lambda: f"builtins.isInt {n()}",
            ],
        )
