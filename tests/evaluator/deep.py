"""Evaluates the deeply nested things that it is told to, each on a thread of its own: a program of its own, for a crash
must not be that of the tests.

Each line of the output is JSON: ``name``, then ``value`` (shortened) or ``message`` and the number of ``frames``.
"""

from __future__ import annotations

import json
import sys

from evaluator.builtins.control import deep_force
from evaluator.builtins.install import open_session
from evaluator.builtins.json import to_json
from evaluator.builtins.xml import to_xml
from evaluator.io.files import Files
from evaluator.runtime.errors import EvalError
from evaluator.runtime.printer import show
from evaluator.runtime.report import report
from evaluator.thread import evaluation_thread
from store.compiled import COMPILED, mode

NESTED = "(builtins.foldl' (a: _: [ a ]) [ ] (builtins.genList (x: x) {count}))"
NESTED_SETS = "(builtins.foldl' (a: _: {{ inherit a; }}) {{ }} (builtins.genList (x: x) {count}))"
FOLD = "let fold = op: z: l: let go = i: if i < 0 then z else op (go (i - 1)) (builtins.elemAt l i); in "
FOLD += "go (builtins.length l - 1); in"
MANY = 1_000_000 if mode() == COMPILED else 150_000
DEEP = 150_000  # more than the steps that are allowed


def nested(count: int, left: str, core: str, right: str) -> str:
    return left * count + core + right * count


def counted(count: int) -> str:
    return f"(builtins.genList (x: x) {count})"


WORKS: dict[str, tuple[str, str]] = {
    "20,000 calls": ("let f = n: if n == 0 then 0 else 1 + f (n - 1); in f 20000", "20000"),
    "20,000 calls through let": (
        "let f = n: if n == 0 then 0 else let r = f (n - 1); in r + 1; in f 20000",
        "20000",
    ),
    "20,000 calls with sets": (
        "let f = { n, ... }: if n == 0 then 0 else 1 + f { n = n - 1; m = 1; }; in f { n = 20000; }",
        "20000",
    ),
    "20,000 calls of builtins": ("let f = n: if n == 0 then 0 else builtins.add 1 (f (n - 1)); in f 20000", "20000"),
    "lazy fold over 20,000": (f"{FOLD} fold (a: b: a + b) 0 {counted(20_000)}", "199990000"),
    "strict fold": (f"builtins.foldl' (a: b: a + b) 0 {counted(MANY)}", str(MANY * (MANY - 1) // 2)),
    "thunks let go": (f"builtins.length [ (builtins.foldl' (a: b: [ (a + b) ]) [ 0 ] {counted(MANY)}) ]", "1"),
    "thunks made and let go": (f"builtins.length (builtins.foldl' (a: b: [ (a ++ [ b ]) ]) [ ] {counted(MANY)})", "1"),
    "deepSeq of lists": (f"builtins.deepSeq {NESTED.format(count=DEEP)} 1", "1"),
    "deepSeq of sets": (f"builtins.deepSeq {NESTED_SETS.format(count=DEEP)} 1", "1"),
    "merged very often": (
        f'(builtins.foldl\' (a: n: a // {{ ${{toString (builtins.bitAnd n 7)}} = n; }}) {{ }} {counted(9_999)})."3"',
        "9995",
    ),
    "merged the other way": (
        f"""builtins.unsafeGetAttrPos "x"
          (builtins.foldl' (a: n: {{ y = n; }} // a) {{ x = 1; }} {counted(100_000)}) == null""",
        "true",
    ),
    "selected 2,000 deep": ("{ " + nested(2000, "a.", "a", "") + " = 1; }." + nested(2000, "a.", "a", ""), "1"),
    "added 2,000 times": ("1" + " + 1" * 2000, "2001"),
    "in 600 parentheses": (nested(600, "(", "1", ")"), "1"),
    "in 1,000 lists": (f"builtins.length {nested(1000, '[', '1', ']')}", "1"),
}

#: No stack is deep enough for these. "of itself": there is no call on the way that a trace could tell of.
ENDLESS: dict[str, str] = {
    "calls": "let f = n: f (n + 1); in f 0",
    "calls to add": "let f = n: 1 + f (n + 1); in f 0",
    "sets": "let f = { n, ... }@a: 1 + f { n = n + 1; m = a; }; in f { n = 0; }",
    "sort": "let f = n: builtins.head (builtins.sort (a: b: f (n + 1) < b) [ 1 2 3 ]); in f 0",
    "interpolation": 'let f = n: "a${f (n + 1)}b"; in f 0',
    "filter": "let f = n: builtins.filter (x: f (n + 1)) [ 1 ]; in f 0",
    "tryEval": "let f = n: (builtins.tryEval (f (n + 1))).value; in f 0",
    "with": "let f = n: with { m = n + 1; }; f m + 1; in f 0",
    "functor": "let f = n: { __functor = self: x: f (n + 1) x + 1; }; in f 0 1",
    "functor that is itself": "let f = { __functor = self: self; }; in f 1",
    "functor that is a functor": "let f = { __functor = f; }; in f 1",
    "derivation": 'let f = n: derivation { name = "x"; system = "s"; builder = "b"; a = f (n + 1); }; in f 0',
    "genericClosure": """let f = n: builtins.genericClosure {
        startSet = [ { key = n; } ]; operator = x: f (n + 1); }; in f 0""",
    "lazy fold": f"{FOLD} fold (a: b: a + b) 0 {counted(MANY)}",
    "thunks in each other": f"builtins.head (builtins.foldl' (a: b: [ (builtins.head a + b) ]) [ 0 ] {counted(MANY)})",
    "deep expressions in each other": "let f = n: " + nested(400, "(1 + ", "f (n + 1)", ")") + "; in f 0",
    "deep conditions in each other": "let f = n: "
    + nested(500, "if n < 0 then 0 else ", "f (n + 1)", "")
    + " + 1; in f 0",
    "deep builtins in each other": "let f = n: " + nested(400, "builtins.head (", "f (n + 1)", ")") + "; in f 0",
    "deep selections in each other": "let f = n: " + nested(200, "{ a = 1; }.${", "f (n + 1)", "}") + "; in f 0",
    "string of itself": 'let x = { __toString = self: self; }; in "${x}"',
    "outPath of itself": 'let x = { outPath = x; }; in "${x}"',
    "path of itself": "let x = { outPath = x; }; in builtins.pathExists x",
    "list of itself": "let x = [ x ]; in toString x",
    "JSON of itself": "let x = [ x ]; in builtins.toJSON x",
    "JSON of a set of itself": "let x = { y = x; }; in builtins.toJSON x",
    "XML of itself": "let x = [ x ]; in builtins.toXML x",
    "equality of itself": "let x = [ x ]; y = [ y ]; in x == y",
    "equality of a set of itself": "let x = { a = x; }; y = { a = y; }; in x == y",
    "order of itself": "let x = [ x 1 ]; y = [ y 2 ]; in x < y",
}

#: Deeper than the steps that are allowed: a value or a clean error.
TOO_DEEP: dict[str, str] = {
    "equal lists": f"{NESTED.format(count=DEEP)} == {NESTED.format(count=DEEP)}",
    "equal sets": f"{NESTED_SETS.format(count=DEEP)} == {NESTED_SETS.format(count=DEEP)}",
    "lists in order": f"{NESTED.format(count=DEEP)} < {NESTED.format(count=DEEP)}",
    "string of lists": f"toString {NESTED.format(count=DEEP)}",
    "JSON of lists": f"builtins.stringLength (builtins.toJSON {NESTED.format(count=DEEP)})",
    "XML of lists": f"builtins.stringLength (builtins.toXML {NESTED.format(count=DEEP)})",
    "show lists": NESTED.format(count=DEEP),
    "show sets": NESTED_SETS.format(count=DEEP),
    "fromJSON": f'builtins.fromJSON "{nested(DEEP, "[", "", "]")}"',
    "fromTOML": f'builtins.fromTOML "a = {nested(20_000, "[", "", "]")}"',
    "regular expression": f'builtins.match "{nested(20_000, "(", "a", ")")}" "a"',
    "parentheses": nested(DEEP, "(", "1", ")"),
    "lists": nested(DEEP, "[", "1", "]"),
    "additions": "1" + " + 1" * DEEP,
    "arguments": "(x: x)" + " 1" * DEEP,
    "selections": "{ }." + "a." * 100_000 + "a or 1",
    "attribute path": "{ " + "a." * 100_000 + "a = 1; } ? a",
    "lambdas": "x: " * DEEP + "1",
    "interpolations": nested(DEEP, '"${', "1", '}"'),
}

CASES: dict[str, str] = {name: row[0] for name, row in WORKS.items()} | ENDLESS | TOO_DEEP


def evaluate(name: str, text: str) -> None:
    """Prints what came of one case."""
    found: dict[str, object] = {"name": name}

    def work() -> None:
        try:
            value = open_session(Files()).expression(text, "/")
            deep_force(value)
            shown = show(value)
            found["value"] = shown if len(shown) < 100 else f"{len(shown)} characters"
        except EvalError as error:
            report(error, True)
            found["message"] = error.message
            found["frames"] = len(error.frames)
        except RecursionError:
            found["message"] = "RecursionError"

    evaluation_thread(work).join()
    print(json.dumps(found), flush=True)


def write_deep_data() -> None:
    """What the command line prints of deep data; there is no thunk or call around it."""

    def work() -> None:
        for name, write in (("--json", to_json), ("--xml", lambda session, value: to_xml(session, value, True))):
            try:
                session = open_session(Files())
                write(session, session.expression(NESTED.format(count=DEEP), "/"))
                message = ""
            except EvalError as error:
                message = error.message
            print(json.dumps({"name": name, "message": message}), flush=True)

    evaluation_thread(work).join()


if __name__ == "__main__":
    for case in sys.argv[1:]:
        if case == "printed":
            write_deep_data()
        else:
            evaluate(case, CASES[case])
