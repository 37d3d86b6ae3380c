"""Evaluates the deeply nested things that it is told to, each on a thread of its own: a program of its own, for a crash
must not be that of the tests.

Each line of the output is JSON: ``name``, then ``value`` (shortened) or ``message`` and the number of ``frames``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from evaluator.builtins.control import deep_force
from evaluator.builtins.json import to_json
from evaluator.builtins.xml import to_xml
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError
from evaluator.runtime.printer import show
from evaluator.runtime.report import report
from evaluator.runtime.values import COUNTERS
from evaluator.thread import evaluation_thread, stop_collector
from store.compiled import COMPILED, mode

NESTED = "(builtins.foldl' (a: _: [ a ]) [ ] (builtins.genList (x: x) {count}))"
NESTED_SETS = "(builtins.foldl' (a: _: {{ inherit a; }}) {{ }} (builtins.genList (x: x) {count}))"
IN_EACH_OTHER = "(builtins.foldl' (a: b: [ (builtins.head a + b) ]) [ 0 ] (builtins.genList (x: x) {count}))"
FOLD = "let fold = op: z: l: let go = i: if i < 0 then z else op (go (i - 1)) (builtins.elemAt l i); in "
FOLD += "go (builtins.length l - 1); in"
MANY = 1_000_000 if mode() == COMPILED else 150_000  # uncompiled, time is the limit
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
    "in 800 lists": (f"builtins.length {nested(800, '[', '1', ']')}", "1"),
    "deepSeq, a million deep": (f"builtins.deepSeq {NESTED.format(count=MANY)} 1", "1"),
    "lists a million deep let go": (f"builtins.length {NESTED.format(count=MANY)}", "1"),
    "sets a million deep let go": (f"builtins.isAttrs {NESTED_SETS.format(count=MANY)}", "true"),
    "thunks a million deep let go": (f"builtins.seq {IN_EACH_OTHER.format(count=MANY)} 1", "1"),
    "functions in functions let go": (
        f"builtins.isFunction (builtins.foldl' (f: n: (x: f (x + n))) (x: x) {counted(MANY)})",
        "true",
    ),
    "functors, 9,000 deep": (
        f"builtins.foldl' (f: n: {{ __functor = self: x: f (x + 1); }}) (x: x) {counted(9_000)} 0",
        "9000",
    ),
    "overlays, 3,000": (
        f"""let fix = f: let x = f x; in x;
              extends = over: f: final: let prev = f final; in prev // over final prev;
            in (fix (builtins.foldl' (f: n: extends (final: prev: {{ a = prev.a + 1; }}) f)
              (final: {{ a = 0; }}) {counted(3_000)})).a""",
        "3000",
    ),
    "inherited 9,000 times": (f"(builtins.foldl' (a: n: {{ inherit (a) x; }}) {{ x = 1; }} {counted(9_000)}).x", "1"),
    "strings in strings, 9,000": (
        f"""builtins.stringLength (builtins.head
          (builtins.foldl' (a: n: [ "${{builtins.head a}}x" ]) [ "" ] {counted(9_000)}))""",
        "9000",
    ),
    "long list in order": (f"builtins.head (builtins.sort (a: b: a > b) {counted(MANY // 10)})", str(MANY // 10 - 1)),
    "sets in a row": (
        f"""builtins.length (builtins.genericClosure {{ startSet = [ {{ key = 0; }} ];
          operator = x: if x.key < {MANY // 10} then [ {{ key = x.key + 1; }} ] else [ ]; }})""",
        str(MANY // 10 + 1),
    ),
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
    "map": "let f = n: builtins.head (map (x: f (n + 1)) [ 1 ]) + 1; in f 0",
    "concatMap": "let f = n: builtins.concatMap (x: f (n + 1)) [ 1 ]; in f 0",
    "foldl'": "let f = n: builtins.foldl' (a: b: f (n + 1)) 0 [ 1 ]; in f 0",
    "genList": "let f = n: builtins.head (builtins.genList (x: f (n + 1)) 1); in f 0",
    "all": "let f = n: builtins.all (x: f (n + 1)) [ 1 ]; in f 0",
    "any": "let f = n: builtins.any (x: f (n + 1)) [ 1 ]; in f 0",
    "partition": "let f = n: (builtins.partition (x: f (n + 1)) [ 1 ]).right; in f 0",
    "groupBy": "let f = n: builtins.groupBy (x: f (n + 1)) [ 1 ]; in f 0",
    "elem": "let f = n: builtins.elem 1 [ (f (n + 1)) ]; in f 0",
    "mapAttrs": "let f = n: (builtins.mapAttrs (k: v: f (n + 1)) { a = 1; }).a; in f 0",
    "zipAttrsWith": "let f = n: (builtins.zipAttrsWith (k: v: f (n + 1)) [ { a = 1; } ]).a; in f 0",
    "listToAttrs": 'let f = n: (builtins.listToAttrs [ { name = "a"; value = f (n + 1); } ]).a; in f 0',
    "names of listToAttrs": "let f = n: builtins.listToAttrs [ { name = f (n + 1); value = 1; } ]; in f 0",
    "removeAttrs": "let f = n: removeAttrs (f (n + 1)) [ ]; in f 0",
    "intersectAttrs": "let f = n: builtins.intersectAttrs (f (n + 1)) { }; in f 0",
    "operator of genericClosure": """let f = n: builtins.genericClosure {
        startSet = [ { key = n; } ]; operator = x: f (n + 1); }; in f 0""",
    "key of genericClosure": """let f = n: builtins.genericClosure {
        startSet = [ { key = f (n + 1); } ]; operator = x: [ ]; }; in f 0""",
    "scopedImport": """let f = n: builtins.scopedImport { inherit f n; }
        (builtins.toFile "x.nix" "f (n + 1)"); in f 0""",
    "import": 'let f = import (builtins.toFile "x.nix" "f: n: f f (n + 1) + 1"); in f f 0',
    "filterSource": "let f = n: builtins.filterSource (p: t: f (n + 1)) HERE; in f 0",
    "path with a filter": "let f = n: builtins.path { path = HERE; filter = p: t: f (n + 1); }; in f 0",
    "__toString": "let f = n: { __toString = self: toString (f (n + 1)); }; in toString (f 0)",
    "__functor with arguments": (
        "let f = n: { __functor = self: { a }: f (n + a) { inherit a; } + 1; }; in f 0 { a = 1; }"
    ),
    "outPath": 'let f = n: { outPath = "${f (n + 1)}"; }; in "${f 0}"',
    "overlays": """let fix = f: let x = f x; in x;
          extends = over: f: final: let prev = f final; in prev // over final prev;
        grow = n: (fix (extends (final: prev: { a = grow (n + 1); }) (final: { a = 0; }))).a; in grow 0""",
    "concatStringsSep": 'let f = n: builtins.concatStringsSep "" [ (f (n + 1)) ]; in f 0',
    "replaceStrings": 'let f = n: builtins.replaceStrings [ "a" ] [ (f (n + 1)) ] "a"; in f 0',
    "toJSON": "let f = n: builtins.toJSON [ (f (n + 1)) ]; in f 0",
    "fromJSON": "let f = n: builtins.fromJSON (f (n + 1)); in f 0",
    "toXML": "let f = n: builtins.toXML [ (f (n + 1)) ]; in f 0",
    "match": 'let f = n: builtins.match (f (n + 1)) ""; in f 0',
    "hashString": 'let f = n: builtins.hashString "sha256" (f (n + 1)); in f 0',
    "toFile": 'let f = n: builtins.toFile "x" (f (n + 1)); in f 0',
    "addErrorContext": 'let f = n: builtins.addErrorContext "in ${toString n}" (f (n + 1)); in f 0',
    "context that is an error": 'let f = n: builtins.addErrorContext (f (n + 1)) (throw "no"); in f 0',
    "seq": "let f = n: builtins.seq (f (n + 1)) 1; in f 0",
    "deepSeq": "let f = n: builtins.deepSeq [ (f (n + 1)) ] 1; in f 0",
    "throw": "let f = n: throw (f (n + 1)); in f 0",
    "trace": "let f = n: builtins.trace (f (n + 1)) 1; in f 0",
    "derivationStrict": """let f = n: derivationStrict { name = "x"; system = "s"; builder = "b";
        args = [ (f (n + 1)).out ]; }; in f 0""",
    "structured attributes": """let f = n: (derivation { name = "x"; system = "s"; builder = "b";
        __structuredAttrs = true; a = [ { b = f (n + 1); } ]; }).drvPath; in f 0""",
    "assert": "let f = n: assert f (n + 1); true; in f 0",
    "condition": "let f = n: if f (n + 1) then 1 else 2; in f 0",
    "names of attributes": "let f = n: { ${f (n + 1)} = 1; }; in f 0",
    "selected names": "let f = n: { }.${f (n + 1)}; in f 0",
    "default of a selection": "let f = n: { }.a or (f (n + 1)); in f 0",
    "default of an argument": "let f = { n, m ? f { n = n + 1; } }: m; in f { n = 0; }",
    "question": "let f = n: f (n + 1) ? a; in f 0",
    "//": "let f = n: { } // f (n + 1); in f 0",
    "++": "let f = n: [ ] ++ f (n + 1); in f 0",
    "==": "let f = n: [ (f (n + 1)) ] == [ 1 ]; in f 0",
    "<": "let f = n: [ (f (n + 1)) ] < [ 1 ]; in f 0",
    "&&": "let f = n: true && f (n + 1); in f 0",
    "->": "let f = n: f (n + 1) -> true; in f 0",
    "!": "let f = n: !(f (n + 1)); in f 0",
    "negation": "let f = n: -(f (n + 1)); in f 0",
    "path": "let f = n: /a/${f (n + 1)}; in f 0",
    "with of a call": "let f = n: with f (n + 1); a; in f 0",
    "inherit from a call": "let f = n: { inherit (f (n + 1)) a; }; in (f 0).a",
    "inherit in let": "let f = n: let inherit (f (n + 1)) a; in a; in f 0",
    "recursive sets": "let f = n: (rec { a = b; b = f (n + 1); }).a; in f 0",
    "__overrides": "let f = n: (rec { a = 1; __overrides = { a = f (n + 1); }; }).a; in f 0",
    "inherited a million times": f"(builtins.foldl' (a: n: {{ inherit (a) x; }}) {{ x = 1; }} {counted(MANY)}).x",
    "strings in strings": (
        f"""builtins.head (builtins.foldl' (a: n: [ "${{builtins.head a}}" ]) [ "" ] {counted(MANY)})"""
    ),
    "sets over sets": (
        f"builtins.head (builtins.foldl' (a: n: [ ({{ }} // builtins.head a) ]) [ {{ }} ] {counted(MANY)})"
    ),
    "functions in functions": f"builtins.foldl' (f: n: (x: f (x + n))) (x: x) {counted(MANY)} 0",
    "functors in functors": f"builtins.foldl' (f: n: {{ __functor = self: f; }}) (x: x) {counted(MANY)} 0",
    "many overlays": f"""let fix = f: let x = f x; in x;
          extends = over: f: final: let prev = f final; in prev // over final prev;
        in (fix (builtins.foldl' (f: n: extends (final: prev: {{ a = prev.a + 1; }}) f) (final: {{ a = 0; }})
          {counted(MANY)})).a""",
    "maps of maps": f"builtins.head (builtins.foldl' (l: n: map (x: x + 1) l) [ 0 ] {counted(MANY)})",
    "lazy fold": f"{FOLD} fold (a: b: a + b) 0 {counted(MANY)}",
    "thunks in each other": f"builtins.head {IN_EACH_OTHER.format(count=MANY)}",
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
    "lists a million deep": f"{NESTED.format(count=MANY)} == {NESTED.format(count=MANY)}",
    "string of lists a million deep": f"toString {NESTED.format(count=MANY)}",
    "JSON of sets a million deep": f"builtins.toJSON {NESTED_SETS.format(count=MANY)}",
    "names of a derivation": (
        f'derivation {{ name = "x"; system = "s"; builder = "b"; args = [ {NESTED.format(count=DEEP)} ]; }}'
    ),
    "outputs in outputs": (f"""toString (builtins.foldl' (a: n: {{ outPath = a; }}) "/x" {counted(DEEP)})"""),
    "__toString in __toString": (
        f"""toString (builtins.foldl' (a: n: {{ __toString = self: a; }}) "/x" {counted(DEEP)})"""
    ),
    "equal sets": f"{NESTED_SETS.format(count=DEEP)} == {NESTED_SETS.format(count=DEEP)}",
    "lists in order": f"{NESTED.format(count=DEEP)} < {NESTED.format(count=DEEP)}",
    "string of lists": f"toString {NESTED.format(count=DEEP)}",
    "JSON of lists": f"builtins.stringLength (builtins.toJSON {NESTED.format(count=DEEP)})",
    "XML of lists": f"builtins.stringLength (builtins.toXML {NESTED.format(count=DEEP)})",
    "show lists": NESTED.format(count=DEEP),
    "show sets": NESTED_SETS.format(count=DEEP),
    "fromJSON of a deep text": f'builtins.fromJSON "{nested(DEEP, "[", "", "]")}"',
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
    "indented interpolations": nested(DEEP, "''${", "1", "}''"),
    "text: with": "with { }; " * DEEP + "1",
    "text: assert": "assert true; " * DEEP + "1",
    "text: let": "let a = 1; in " * DEEP + "a",
    "let in let": nested(DEEP, "let a = ", "1", "; in a"),
    "text: sets": nested(DEEP, "{ a = ", "1", "; }"),
    "text: recursive sets": nested(DEEP, "rec { a = ", "1", "; }"),
    "inherit from sets": nested(DEEP, "{ inherit (", "{ a = 1; }", ") a; }"),
    "text: names": nested(DEEP, "{ ${", '"a"', "} = 1; }"),
    "text: conditions": "if true then " * DEEP + "1" + " else 2" * DEEP,
    "text: calls in calls": nested(DEEP, "(x: x) (", "1", ")"),
    "formals": nested(DEEP, "{ a ? ", "1", " }: a"),
    "text: not": "!" * DEEP + "true",
    "text: minus": "-" * DEEP + "1",
    "merges": "{ }" + " // { }" * DEEP,
    "joins": "[ ]" + " ++ [ ]" * DEEP,
    "implications": "true" + " -> true" * DEEP,
    "conjunctions": "true" + " && true" * DEEP,
    "comparisons": "1" + " == 1" * DEEP,
    "defaults": "{ }.a or " * DEEP + "1",
    "questions": "{ }" + " ? a" * DEEP,
    "attributes of a path": "{ " + "a." * DEEP + "b = 1; }",
    "comments": "/**/ " * DEEP + "1",
    "openers": "[{(" * DEEP,
    "closers": "]})" * DEEP,
}

#: Of these, that they are no Nix is all that matters.
NO_NIX = {"comparisons", "openers", "closers"}

HERE = str(Path(__file__).parent / "cases")
CASES: dict[str, str] = {name: row[0] for name, row in WORKS.items()} | ENDLESS | TOO_DEEP


def evaluate(name: str, text: str) -> None:
    """Prints what came of one case."""
    found: dict[str, object] = {"name": name}

    def work() -> None:
        if mode() != COMPILED:
            # Plain Python takes its time, and little of the C stack.
            COUNTERS.max_depth = min(int(COUNTERS.max_depth), 80_000)
        try:
            value = open_session(Files()).expression(text.replace("HERE", HERE), "/")
            deep_force(value)
            shown = show(value)
            found["value"] = shown if len(shown) < 100 else f"{len(shown)} characters"
        except EvalError as error:
            report(error, True)
            found["message"] = error.message
            found["frames"] = len(error.frames)
        except (RecursionError, MemoryError) as error:
            found["message"] = type(error).__name__

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
    stop_collector()
    for case in sys.argv[1:]:
        if case == "printed":
            write_deep_data()
        else:
            evaluate(case, CASES[case])
