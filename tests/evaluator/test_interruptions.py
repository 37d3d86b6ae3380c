"""Whatever ends an evaluation in the middle of it: a later one has the answer that it would have had anyway."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.limits import Limits
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError, Interrupted, Unrealised
from evaluator.runtime.printer import show
from evaluator.runtime.values import COUNTERS, Attrs, Thunk
from evaluator.session import Session
from evaluator.thread import evaluation_thread
from tests.evaluator.random_programs import MADE, OTHER, Programs
from tests.evaluator.test_robustness import on_thread

EXAMPLES = int(os.environ.get("TVIX_EXAMPLES", "150"))

CONTENT = b"what was made"


class Killed(BaseException):
    """What nobody has heard of may end an evaluation, too: memory, the keyboard."""


def cancelled() -> None:
    limits = Limits()
    limits.cancel()
    limits.poll()


def too_late() -> None:
    limits = Limits(seconds=1e-9)
    while True:
        limits.poll()


def too_much() -> None:
    Limits(megabytes=1).room(1 << 20)


def killed() -> None:
    raise Killed


def out_of_memory() -> None:
    raise MemoryError


ENDS: list[Callable[[], None]] = [cancelled, too_late, too_much, killed, out_of_memory]


def path_of_made(session: Session) -> str:
    return show(session.expression(f"({MADE}).outPath", "/")).strip('"')


def answers(session: Session, path: Path, names: list[str]) -> list[str]:
    """Each attribute, evaluated deeply: its value, or its error with the place."""
    found = []
    program = session.import_file(str(path))
    assert isinstance(program, Attrs)
    for name in names or sorted(program.items):
        try:
            value = program.get(name)
            deep_force(value)
            found.append(show(value))
        except Unrealised:
            raise
        except EvalError as error:
            found.append(f"{error.message} at {error.place}")
    return found


def undisturbed(path: Path) -> list[str]:
    files = Files()
    session = open_session(files)
    files.add_text(path_of_made(session), CONTENT)
    return answers(session, path, [])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 32),
    steps=st.lists(st.tuples(st.one_of(st.integers(1, 50), st.integers(1, 600)), st.sampled_from(ENDS)), max_size=40),
    made_after=st.integers(0, 40),
)
def test_random_programs(
    tmp_path: Path, seed: int, steps: list[tuple[int, Callable[[], None]]], made_after: int
) -> None:
    """Ended again and again after so many steps, in many ways, and begun before all that it reads is there."""
    random = Random(seed)
    path = tmp_path / "default.nix"
    path.write_text(Programs(random).program())
    (tmp_path / "other.nix").write_text(OTHER)

    def work() -> None:
        right = undisturbed(path)
        files = Files()
        session = open_session(files)
        made = path_of_made(session)
        for number, (fuel, end) in enumerate(steps):
            if number == made_after:
                files.add_text(made, CONTENT)
            COUNTERS.poll = end
            COUNTERS.fuel = fuel
            try:
                # Now from one end, now from another.
                program = session.import_file(str(path))
                assert isinstance(program, Attrs)
                names = sorted(program.items)
                random.shuffle(names)
                answers(session, path, names)
            except (Interrupted, Killed, MemoryError):
                pass
            except Unrealised as missing:
                assert missing.path
            COUNTERS.poll = None
            COUNTERS.depth = 0
        files.add_text(made, CONTENT)
        assert answers(session, path, []) == right

    on_thread(work)


def test_random_programs_are_of_many_kinds(tmp_path: Path) -> None:
    """The property is worth something only while most programs have values, and some end in errors."""
    (tmp_path / "other.nix").write_text(OTHER)
    good = bad = 0

    def work() -> None:
        nonlocal good, bad
        for seed in range(60):
            path = tmp_path / "default.nix"
            path.write_text(Programs(Random(seed)).program())
            for answer in undisturbed(path):
                if " at " in answer:
                    bad += 1
                else:
                    good += 1

    on_thread(work)
    assert good > 400
    assert bad > 10


HEAVY = {
    "calls": "let f = n: if n < 2 then n else f (n - 1) + f (n - 2); in f 17",
    "sort by a function": "builtins.sort (a: b: a > b) (builtins.genList (x: builtins.bitXor x 77) 3000)",
    "sort": "builtins.sort builtins.lessThan (builtins.genList (x: [ (builtins.bitXor x 77) ]) 3000)",
    "large lists": "builtins.length (map (x: x + 1) (builtins.genList (x: x) 60000) ++ builtins.genList (x: x) 30000)",
    "large sets": (
        "builtins.length (builtins.attrNames (builtins.mapAttrs (n: v: v) "
        "(builtins.listToAttrs (builtins.genList (x: { name = toString x; value = x; }) 30000))))"
    ),
    "texts": 'builtins.hashString "md5" (builtins.concatStringsSep "," (map toString (builtins.genList (x: x) 30000)))',
    "JSON": 'builtins.hashString "md5" (builtins.toJSON (builtins.genList (x: { a = [ x ]; }) 20000))',
    "XML": 'builtins.hashString "md5" (builtins.toXML (builtins.genList (x: { a = [ x ]; }) 10000))',
    "reading JSON": "builtins.length (builtins.fromJSON (builtins.toJSON (builtins.genList (x: { a = x; }) 20000)))",
    "split": 'builtins.length (builtins.split "([0-9])7" (toString (builtins.genList (x: x) 20000)))',
    "genericClosure": (
        "builtins.length (builtins.genericClosure { startSet = [ { key = 0; } ]; "
        "operator = x: if x.key < 9000 then [ { key = x.key + 1; } ] else [ ]; })"
    ),
    "equality": "builtins.genList (x: [ x ]) 20000 == builtins.genList (x: [ x ]) 20000",
    "groups": "builtins.mapAttrs (n: builtins.length) (builtins.groupBy (x: toString (builtins.bitAnd x 7)) "
    "(builtins.genList (x: x) 20000))",
    "import": "builtins.isFunction (import LARGE)",
}


@pytest.mark.parametrize("name", HEAVY)
def test_built_in_functions_are_stopped_in_the_middle(name: str, tmp_path: Path) -> None:
    """Every function that takes long asks on the way whether to go on, and is begun anew later."""
    (tmp_path / "large.nix").write_text(
        "x: {\n" + "".join(f'  a{n} = x.f {{ y = "{n}"; }};\n' for n in range(6000)) + "}"
    )
    text = f"let value = {HEAVY[name]}; in {{ inherit value; }}".replace("LARGE", str(tmp_path / "large.nix"))

    def work() -> None:
        right = open_session(Files()).expression(text, "/")
        deep_force(right)
        value = open_session(Files()).expression(text, "/")
        left = 0

        def poll() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Interrupted("now")

        ended = 0
        for polls in [0, 1, 3, 7]:
            COUNTERS.poll = poll
            left = polls
            try:
                deep_force(value)
            except Interrupted:
                ended += 1
                assert COUNTERS.depth == 0
        COUNTERS.poll = None
        assert ended >= 1
        deep_force(value)
        assert show(value) == show(right)

    on_thread(work)


def test_session_is_whole_after_it_was_left_alone(tmp_path: Path) -> None:
    """A thread that evaluates may die of anything: another takes its session over."""
    path = tmp_path / "default.nix"
    path.write_text(
        "rec { a = map (x: x * b) [ 1 2 3 ]; b = builtins.foldl' builtins.add 0 (builtins.genList (x: x) 99); }"
    )
    sessions = [open_session(Files())]
    found: list[str] = []

    def dies() -> None:
        COUNTERS.poll = killed
        COUNTERS.fuel = 30
        with pytest.raises(Killed):
            answers(sessions[0], path, ["a"])

    def lives() -> None:
        found.extend(answers(sessions[0], path, ["a", "b"]))

    for work in (dies, lives):
        evaluation_thread(work).join()
    assert found == ["[ 4851 9702 14553 ]", "4851"]


def test_blackholes_are_lifted() -> None:
    """What was being evaluated when it ended is no infinite recursion the next time."""

    def work() -> None:
        session = open_session(Files())
        value = session.expression("rec { a = b; b = c + 1; c = builtins.length (builtins.genList (x: x) 50); }", "/")
        assert isinstance(value, Attrs)
        for end in ENDS:
            COUNTERS.poll = end
            COUNTERS.fuel = 2
            with pytest.raises((Interrupted, Killed, MemoryError)):
                value.get("a")
            thunks = [item for item in value.items.values() if isinstance(item, Thunk)]
            assert len(thunks) == 3
        COUNTERS.poll = None
        assert value.get("a") == 51

    on_thread(work)
