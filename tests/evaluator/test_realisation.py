"""Evaluation that reads what derivations make: the values, what is built together, what fails, and what stops it."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.limits import Limits
from evaluator.opening import open_session
from evaluator.runtime.errors import BuildFailure, EvalError, Interrupted, Unrealised
from evaluator.runtime.printer import show
from evaluator.runtime.values import COUNTERS
from evaluator.session import Session
from evaluator.stores.access import LocalAccess
from evaluator.thread import evaluation_thread
from tests.evaluator.evaluating import NIX_ENVIRONMENT
from tests.evaluator.plain_builds import PlainRealiser

LIBRARY = """
rec {
  make = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
  };
  text = name: content: make name "echo '${content}' > $out";
  number = n: import (text "number-${toString n}" (toString n));
  list = n: import (text "list-${toString n}" "[ ${toString n} ]");
  folder = make "folder" "mkdir $out $out/sub; echo '{ a = ./sub/b; }' > $out/default.nix; echo 7 > $out/sub/b";
  fails = make "fails" "echo first; echo no luck; exit 3";
  chain = n: if n == 0 then 0 else import (text "chain-${toString n}" "1 + ${toString (chain (n - 1))}");
}
"""


T = TypeVar("T")


#: Options with which Nix builds in a store of its own.
NIX_BUILDS = """
    --option build-users-group '' --option substituters '' --option system x86_64-linux
    --option sandbox true --option sandbox-paths /bin/sh=/bin/busybox --option sandbox-fallback false
"""


class Evaluating:
    """A session with a store of its own, in which things are built."""

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        (folder / "lib.nix").write_text(LIBRARY)
        self.folder = folder
        self.access = LocalAccess(f"local:{folder}/store", writes, {})
        self.session = self.new_session()
        self.realiser = PlainRealiser(self.access.castore, folder / "builds")
        if writes:
            self.access.build_with(self.realiser)

    def new_session(self) -> Session:
        session = open_session(Files(), [], "x86_64-linux")
        self.access.serve(session)
        return session

    def value(self, expression: str) -> str:
        """The value of an expression as it is printed, all of it. Raises what evaluating raises."""
        return on_thread(lambda: self._value(expression))

    def _value(self, expression: str) -> str:
        found = self.session.expression(f"with import {self.folder}/lib.nix; {expression}", "/")
        return show(deep_force(found, self.session))

    def out(self, name: str) -> str:
        """The output of the derivation called ``name`` that was built."""
        (path,) = (path for path in self.realiser.runs if path.endswith(f"-{name}.drv"))
        return self.access.castore.read_derivation(path).outputs["out"].path

    def names(self) -> list[str]:
        """What was built, in its order."""
        return [Path(path).name[33:].removesuffix(".drv") for path in self.realiser.runs]


def on_thread(work: Callable[[], T]) -> T:
    """What ``work`` answers or raises on a thread for evaluation."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    evaluation_thread(run).join()
    if failed:
        raise failed[0]
    return found[0]


@pytest.fixture
def evaluating(tmp_path: Path) -> Iterator[Evaluating]:
    opened = Evaluating(tmp_path)
    yield opened
    opened.access.close()


# --- values, as Nix has them --------------------------------------------------------------------------

SCENARIOS = {
    "import": 'import (text "n" "{ a = 1; }")',
    "import of a folder": "import folder",
    "import of a path below": 'import "${folder}/default.nix"',
    "readFile": 'builtins.readFile "${folder}/sub/b"',
    "readFile of what import answers": "builtins.readFile (import folder).a",
    "readDir": "builtins.readDir folder",
    "readDir below": 'builtins.readDir "${folder}/sub"',
    "pathExists": '[ (builtins.pathExists "${folder}/sub") (builtins.pathExists "${folder}/none") ]',
    "hashFile": 'builtins.hashFile "sha256" (text "hashed" "x")',
    "fromJSON": 'builtins.fromJSON (builtins.readFile (text "json" "[1, {\\"a\\": null}]"))',
    "context of what is read": 'builtins.hasContext (builtins.readFile (text "c" "x"))',
    "path": 'builtins.pathExists (builtins.path { path = "${folder}/sub"; name = "taken"; })',
    "the path itself": 'builtins.path { path = "${folder}/sub"; name = "taken"; }',
    "filterSource": 'builtins.filterSource (path: type: baseNameOf path != "sub") "${folder}"',
    "toFile of what is read": 'builtins.toFile "x" (builtins.readFile (text "y" "z"))',
    "a derivation of what is read": '(text "second" (builtins.readFile (text "first" "x"))).drvPath',
    "scopedImport": 'builtins.scopedImport { x = 5; } (text "s" "x + 1")',
    "five nested": "chain 5",
    "twenty": "map number (builtins.genList (n: n) 20)",
    "in the environment": '(derivation { name = "e"; system = "x"; builder = "b"; x = map number [ 1 2 ]; }).drvPath',
    "an input of an input": 'builtins.readFile (make "outer" "cat ${text "inner" "deep"} > $out")',
    "tryEval of a value": "builtins.tryEval (number 1)",
    "tryEval of a throw": 'builtins.tryEval (import (text "t" "throw \\"x\\""))',
    "nothing is built for": """[ (builtins.isAttrs fails) "${fails.name}" (fails ? outPath) fails.drvPath fails.outPath
    ]""",
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_values_are_those_of_nix(name: str, evaluating: Evaluating, nix_instantiate: str) -> None:
    expression = SCENARIOS[name]
    ours = evaluating.value(expression)
    theirs = subprocess.run(
        [
            *[nix_instantiate, "--store", f"local?root={evaluating.folder}/nix", "--read-write-mode", "--eval"],
            *["--strict", "-E", f"with import {evaluating.folder}/lib.nix; {expression}"],
            *shlex.split(NIX_BUILDS),
        ],
        env={**os.environ, **NIX_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert theirs.returncode == 0, theirs.stderr
    # Paths are shown there where they lie.
    assert ours == theirs.stdout.strip().replace(f"{evaluating.folder}/nix/nix/store/", "/nix/store/")


def test_file_types(evaluating: Evaluating) -> None:
    """Nix 2.8 does not have ``readFileType``."""
    assert evaluating.value('builtins.readFileType "${folder}/sub"') == '"directory"'


def test_the_search_path(evaluating: Evaluating) -> None:
    """Nix looks for such a path where it is not, in a store that is elsewhere."""
    find = 'builtins.findFile [ { prefix = "f"; path = "${folder}"; } ] "f/sub/b"'
    assert evaluating.value(f"builtins.readFile ({find})") == '"7\\n"'


def test_links_from_one_output_to_another(evaluating: Evaluating) -> None:
    links = """let target = folder; joined = make "joined" "mkdir $out; ln -s ${target} $out/all"; in"""
    assert evaluating.value(f'{links} builtins.readFile "${{joined}}/all/sub/b"') == '"7\\n"'
    assert evaluating.value(f'{links} (import "${{joined}}/all").a') == f"{evaluating.out('folder')}/sub/b"
    assert evaluating.value(f'{links} builtins.readDir "${{joined}}/all/sub"') == '{ b = "regular"; }'


# --- what is built, and when --------------------------------------------------------------------------

WIDE = {
    "--strict": "map number (builtins.genList (n: n) 20)",
    "a set": "builtins.listToAttrs (map (n: { name = toString n; value = number n; }) (builtins.genList (n: n) 20))",
    "deepSeq": "builtins.deepSeq (map number (builtins.genList (n: n) 20)) 1",
    "toJSON": "builtins.toJSON { a = map number [ 1 2 3 4 ]; b = map number [ 5 6 7 8 ]; }",
    "toXML": "builtins.toXML { a = map number [ 1 2 3 4 ]; b = map number [ 5 6 7 8 ]; }",
    "attrValues": "builtins.attrValues (builtins.mapAttrs (_: number) { a = 1; b = 2; c = 3; d = 4; e = 5; f = 6; })",
    "the environment": """(derivation { name = "e"; system = "x"; builder = "b"; args = map number [ 1 2 3 ];
        list = map (n: toString (number n)) [ 4 5 6 ];
        a = number 7; b = number 8; c = [ [ (number 9) ] ]; }).drvPath""",
    "structured": """(derivation { name = "e"; system = "x"; builder = "b"; __structuredAttrs = true;
        list = map number [ 4 5 6 ];
        a = number 7; b = number 8; c = [ [ (number 9) ] ]; }).drvPath""",
    "environments inside": """(make "outer" "${make "one" (toString (number 1))} ${make "two" (toString (number 2))}
        ${toString (map (n: make "x" (toString (number n))) [ 3 4 5 6 ])}").drvPath""",
    "concatMap": "builtins.concatMap (n: if number n == 2 then [ ] else [ n ]) [ 1 2 3 4 ]",
    "concatMap, without --strict": "builtins.length (builtins.concatMap (n: [ (number n) ] ++ list n) [ 1 2 3 4 ])",
    "concatLists": "builtins.concatLists (map list [ 1 2 3 4 ])",
    "filter": "builtins.filter (n: number n > 2) [ 1 2 3 4 ]",
    "fold": "builtins.foldl' (sum: n: sum + number n) 0 [ 1 2 3 4 ]",
    "fold of lists": "builtins.length (builtins.foldl' (all: n: all ++ list n) [ ] [ 1 2 3 4 ])",
    "fold of sets": """builtins.attrNames (builtins.foldl' (all: n: all // import (text "set-${toString n}"
        "{ a${toString n} = 1; }")) { } [ 1 2 3 4 ])""",
    "names": "builtins.listToAttrs (map (n: { name = toString (number n); value = n; }) [ 1 2 3 4 ])",
    "closure": """builtins.length (builtins.genericClosure {
        startSet = [ { key = 1; } { key = 2; } { key = 3; } { key = 4; } ];
        operator = { key }: if key > 4 then [ ] else [ { key = 4 + number key; } ]; })""",
    "joined": 'builtins.stringLength (builtins.concatStringsSep " " (map (n: toString (number n)) [ 1 2 3 4 ]))',
    "interpolated": """builtins.deepSeq "${toString (number 1)} ${toString (number 2)} ${
        toString (number 3)} ${toString (number 4)}" 1""",
    "operators": """builtins.deepSeq (number 1 + number 2 + builtins.length (list 3 ++ list 4)) 1""",
    "inside one another": """builtins.concatMap (a: builtins.concatMap (b: [ (number (2 * a + b)) ]) [ 1 2 ])
        [ 1 2 3 ]""",
    "after a value that is there": "builtins.deepSeq 1 [ 1 (number 1) { a = number 2; b.c = number 3; } (number 4) ]",
}


@pytest.mark.parametrize("name", [name for name in WIDE if name != "environments inside"])
def test_what_is_independent_is_built_together(name: str, evaluating: Evaluating) -> None:
    evaluating.value(WIDE[name])
    assert len(evaluating.realiser.calls) == 1
    assert len(evaluating.realiser.runs) > 3


def test_twenty_independent_builds_four_at_a_time(evaluating: Evaluating) -> None:
    met = evaluating.folder / "met"
    met.mkdir()
    # None ends before four have begun.
    script = f"touch {met}/${{toString n}}; until [ $(ls {met} | wc -l) -ge 4 ]; do sleep 0.02; done"
    slow = f'map (n: import (make "slow-${{toString n}}" "{script}; echo ${{toString n}} > $out"))'
    slow += " (builtins.genList (n: n) 20)"
    assert evaluating.value(slow) == f"[ {' '.join(map(str, range(20)))} ]"
    assert len(evaluating.realiser.calls) == 1
    assert evaluating.realiser.most_at_once() == 4


def test_a_chain_is_built_link_by_link(evaluating: Evaluating) -> None:
    assert evaluating.value("chain 5") == "5"
    assert evaluating.names() == [f"chain-{n}" for n in range(1, 6)]


def test_two_chains_are_built_side_by_side(evaluating: Evaluating) -> None:
    two = 'let go = name: n: if n == 0 then 0 else import (text "${name}-${toString n}"'
    two += ' "1 + ${toString (go name (n - 1))}");'
    assert evaluating.value(f'{two} in [ (go "a" 3) (go "b" 3) ]') == "[ 3 3 ]"
    assert [sorted(Path(wish.path).name[33:] for wish in call) for call in evaluating.realiser.calls] == [
        [f"a-{n}.drv", f"b-{n}.drv"] for n in (1, 2, 3)
    ]


def test_nothing_is_built_twice(evaluating: Evaluating) -> None:
    assert evaluating.value('[ (number 1) (number 1) (import (text "number-1" "1")) ]') == "[ 1 1 1 ]"
    evaluating.session = evaluating.new_session()
    assert evaluating.value("number 1") == "1"
    assert evaluating.names() == ["number-1"]


def test_many_ways_to_what_is_missing(evaluating: Evaluating) -> None:
    """Each derivation refers to the one before it four times: four to the power of twelve ways."""
    ways = """let
      derivationOf = name: more: derivation ({ inherit name; system = "x"; builder = "b"; } // more);
      go = n: if n == 0
        then derivationOf "bottom" { a = builtins.trace "bottom" (number 1); b = number 2; }
        else let one = go (n - 1); in derivationOf "level" { a = one; b = one; c = [ one one ]; d = "${one}"; };
    in (go 12).drvPath"""
    said: list[str] = []
    evaluating.session.trace_output = said
    assert "level.drv" in evaluating.value(ways)
    assert len(evaluating.realiser.calls) == 1
    assert said == ["trace: bottom"]


def test_what_is_not_needed_is_not_built(evaluating: Evaluating) -> None:
    lazy = """[ (builtins.any (n: number n == 2) [ 1 2 3 ]) (builtins.elem 2 (map number [ 1 2 4 ]))
      (builtins.foldl' (sum: n: if sum > 2 then sum else sum + number n) 0 [ 1 2 5 6 ])
      (builtins.length (map number [ 7 8 ])) (false && number 9 == 1) ]"""
    assert evaluating.value(lazy) == "[ true true 3 2 false ]"
    assert evaluating.names() == ["number-1", "number-2"]


@pytest.mark.parametrize(
    "level",
    [
        '"${one}${one}"',
        "one + one",
        "one ++ one",
        "one // one",
        "builtins.concatMap (_: one) [ 1 2 ]",
        "builtins.foldl' (all: _: all ++ one) [ ] [ 1 2 ]",
        'builtins.concatStringsSep "" [ one one ]',
        "builtins.filter (_: one) [ 1 2 ]",
    ],
)
def test_many_ways_through_values(evaluating: Evaluating, level: str) -> None:
    """Two to the power of twelve ways to what cannot be made: each value on the way is looked at once in a search."""
    said: list[str] = []
    evaluating.session.trace_output = said
    with pytest.raises(BuildFailure):
        evaluating.value(
            'let go = n: if n == 0 then import fails else let one = go (n - 1); in builtins.trace "level"'
            f" ({level}); in [ (go 12) ]"
        )
    assert len(said) == 12


def test_what_is_deep_is_looked_through_twice_at_most(tmp_path: Path) -> None:
    """Where nothing can be made, too: once for all that is missing, once for the error and its trace."""
    reading = Evaluating(tmp_path, writes=False)
    forces: list[int] = []
    for depth in (50, 400):
        deep = f"let go = n: if n == 0 then list 1 else builtins.concatMap (_: go (n - 1)) [ 1 ]; in go {depth}"
        reading.session = reading.new_session()
        before = COUNTERS.forces - COUNTERS.fuel
        with pytest.raises(Unrealised):
            reading.value(deep)
        forces.append(COUNTERS.forces - COUNTERS.fuel - before)
    assert forces[1] < 16 * forces[0]  # eight times as deep; each level anew would be sixty-four times as much


def test_a_message_is_printed_once(evaluating: Evaluating) -> None:
    """However often evaluation begins anew because something had to be made first."""
    said: list[str] = []
    evaluating.session.trace_output = said
    messages = """let say = text: builtins.trace text; in [
      (say "a" (number 1)) (say "b ${toString (number 2)}" (number 3)) (say "c" (say "c" (number 4)))
      (say "d" 5 + number 6) (builtins.deepSeq [ (say "e" (number 7)) (say "f" (number 8)) ] 9)
      (derivation { name = say "g" "g"; system = "x"; builder = say "h" "b"; x = say "i" (number 10); }).drvPath
    ]"""
    evaluating.value(messages)
    assert sorted(said) == [f"trace: {text}" for text in ["a", "b 2", "c", "c", "d", "e", "f", "g", "h", "i"]]


# --- failures -----------------------------------------------------------------------------------------


def test_a_failed_build(evaluating: Evaluating) -> None:
    with pytest.raises(BuildFailure) as caught:
        evaluating.value("{ a = import fails; }")
    failure = caught.value
    assert failure.exit_code == 100
    assert failure.log == ["first", "no luck"]
    assert "fails.drv' failed: builder failed with exit code 3" in failure.message
    assert "> no luck" in failure.message
    assert any("while evaluating the attribute 'a'" in frame.text for frame in failure.trace())
    assert any("'import' builtin" in frame.text for frame in failure.trace())


@pytest.mark.parametrize(
    "expression",
    [
        "builtins.tryEval (import fails)",
        "builtins.tryEval (builtins.deepSeq [ (import fails) ] 1)",
        'builtins.tryEval (builtins.deepSeq [ (import fails) (throw "x") ] 1)',
        'builtins.tryEval (builtins.toJSON [ (import fails) (throw "x") ])',
        "[ (number 1) (import fails) (number 2) ]",
    ],
)
def test_nothing_catches_a_failed_build(expression: str, evaluating: Evaluating) -> None:
    with pytest.raises(BuildFailure):
        evaluating.value(expression)


def test_an_error_before_a_failed_build_comes_first(evaluating: Evaluating) -> None:
    assert evaluating.value('builtins.tryEval (builtins.deepSeq [ (throw "x") (import fails) ] 1)') == (
        "{ success = false; value = false; }"
    )


def test_a_build_that_failed_is_not_tried_again(evaluating: Evaluating) -> None:
    for _ in range(2):
        with pytest.raises(BuildFailure):
            evaluating.value("import fails")
    with pytest.raises(BuildFailure):
        evaluating.value("[ (import fails) (number 1) ]")
    assert sum(wish.path.endswith("-fails.drv") for call in evaluating.realiser.calls for wish in call) == 1


def test_read_only(tmp_path: Path) -> None:
    reading = Evaluating(tmp_path, writes=False)
    with pytest.raises(EvalError, match=r"path '/nix/store/.*-number-1.drv' is not valid") as caught:
        reading.value("{ a = number 1; }")
    assert any("while evaluating the attribute 'a'" in frame.text for frame in caught.value.trace())


def test_builds_are_forbidden(evaluating: Evaluating) -> None:
    assert evaluating.value("number 1") == "1"
    evaluating.session = evaluating.new_session()
    evaluating.session.allows_builds = False
    for expression in ("number 1", "[ (number 2) ]"):
        with pytest.raises(
            EvalError, match=r"cannot build '/nix/store/.*-number-..drv\^out' during evaluation because"
        ):
            evaluating.value(expression)
    assert evaluating.value('(text "x" "y").name') == '"x"'


# --- stopping -----------------------------------------------------------------------------------------


def test_cancelled_in_the_middle(evaluating: Evaluating) -> None:
    """The build ends, and the value is to be had afterwards all the same."""
    limits = Limits()
    gate = evaluating.folder / "gate"
    waiting = f'import (make "waits" "while [ ! -e {gate} ]; do sleep 0.05; done; echo 5 > $out")'
    failed: list[BaseException] = []

    def work() -> None:
        limits.start()
        try:
            evaluating._value(f"[ 1 ({waiting}) ]")
        except BaseException as error:
            failed.append(error)

    thread = evaluation_thread(work)
    assert evaluating.realiser.started.wait(200)
    limits.cancel("enough")
    thread.join(200)
    assert isinstance(failed[0], Interrupted)
    assert str(failed[0]) == "enough"
    assert not evaluating.realiser.runs
    gate.touch()
    assert evaluating.value(f"[ 1 ({waiting}) ]") == "[ 1 5 ]"


def test_a_deadline_ends_a_build_that_never_ends(evaluating: Evaluating) -> None:
    def work() -> str:
        limits = Limits(seconds=0.5)
        limits.start()
        return evaluating._value('import (make "forever" "while :; do sleep 1; done")')

    with pytest.raises(Interrupted, match=r"took longer than 0\.5 seconds"):
        on_thread(work)
    assert not evaluating.realiser.runs


def test_sessions_share_a_store(evaluating: Evaluating, tmp_path: Path) -> None:
    """Two at once, as in an editor: each goes on when what it needs is there."""
    values: list[str] = []

    def work(session: Session, number: int) -> None:
        found = session.expression(f"with import {evaluating.folder}/lib.nix; number {number}", "/")
        values.append(show(found))

    sessions = [evaluating.new_session(), evaluating.new_session()]
    threads: list[threading.Thread] = []
    for number, session in enumerate(sessions):
        access = LocalAccess(evaluating.access.url, True, {})
        access.build_with(evaluating.realiser)
        access.serve(session)
        threads.append(evaluation_thread(partial(work, session, number)))
    for thread in threads:
        thread.join(200)
    assert sorted(values) == ["0", "1"]
