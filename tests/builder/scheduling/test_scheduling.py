"""Graphs of derivations: what is built, in which order, how often, and what a failure cuts."""

from __future__ import annotations

import fcntl
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from builder.events import Started
from builder.logs import Logs
from builder.places import state_folder
from builder.progress import Made, NotMade, OfBuild, Planned, Waiting
from builder.realise import BuildFailed, Cancelled, Realiser, Wish
from builder.settings import Settings
from store.castore.services import Missing
from store.composition.castore_store import CastoreStore
from store.records import replace
from tests.builder.scheduling.pretending import SETTINGS, Heard, Pretending, Recipes


class Bench:
    """A store, derivations, a realiser and what it said."""

    def __init__(self, store: CastoreStore, **more: Any) -> None:
        self.store = store
        self.recipes = Recipes(store)
        self.service = Pretending(store, more.pop("on_ask", None))
        self.heard = Heard()
        given = {"service": self.service, "settings": SETTINGS, "on_event": self.heard.hear, **more}
        self.realiser = Realiser(store, **given)

    def realise(self, *drv_paths: str, cancel: threading.Event | None = None) -> dict[str, str]:
        return self.realiser.realise(map(Wish, drv_paths), cancel)

    def is_made(self, drv_path: str) -> bool:
        return self.store.query(self.recipes.output(drv_path)) is not None


def test_inputs_are_built_before_what_uses_them_and_each_once(store: CastoreStore) -> None:
    bench = Bench(store, jobs=3)
    add = bench.recipes.add
    bottom = add("bottom")
    left, right = add("left", bottom), add("right", bottom)
    top = add("top", left, right)
    found = bench.realise(top)
    assert found == {f"{top}!out": bench.recipes.output(top)}
    assert bench.service.built[0] == bottom
    assert sorted(bench.service.built[1:3]) == sorted([left, right])
    assert bench.service.built[3:] == [top]
    info = store.query(bench.recipes.output(top))
    assert info is not None
    assert sorted(info.references) == sorted(map(bench.recipes.output, [left, right]))
    assert info.deriver == top
    assert isinstance(bench.heard[0], Planned)
    assert set(bench.heard[0].builds) == {bottom, left, right, top}
    assert [event.drv_path for event in bench.heard if isinstance(event, Made)][-1] == top


def test_what_is_valid_is_not_built(store: CastoreStore) -> None:
    bench = Bench(store)
    below = bench.recipes.add("below")
    bench.realise(below)
    top = bench.recipes.add("top", below)
    bench.realise(top)
    assert bench.service.built == [below, top]
    assert bench.realise(top, below) == {f"{path}!out": bench.recipes.output(path) for path in (top, below)}
    assert bench.service.built == [below, top]


def test_a_valid_output_hides_inputs_that_are_not(store: CastoreStore) -> None:
    bench = Bench(store)
    hidden = bench.recipes.add("hidden", does="fail")
    top = bench.recipes.add("top")
    bench.realise(top)
    assert bench.realiser.plan([Wish(top)]).builds == {}
    with pytest.raises(BuildFailed):
        bench.realise(hidden)


def test_a_plain_path_must_be_there(store: CastoreStore) -> None:
    bench = Bench(store)
    there = store.add_text("there", b"x").path
    assert bench.realise(there) == {there: there}
    with pytest.raises(BuildFailed, match="nothing says how to build it") as failed:
        bench.realise("/nix/store/00000000000000000000000000000000-gone")
    assert failed.value.exit_code == 1


def test_an_unknown_output_is_said(store: CastoreStore) -> None:
    bench = Bench(store)
    drv_path = bench.recipes.add("x")
    with pytest.raises(BuildFailed, match="does not have an output named 'doc'"):
        bench.realiser.realise([Wish(drv_path, ("doc",))])


def test_as_many_at_once_as_allowed_and_no_more(store: CastoreStore) -> None:
    meeting = threading.Barrier(2, timeout=60)
    bench = Bench(store, jobs=2, on_ask=lambda _: meeting.wait())
    drvs = [bench.recipes.add(f"x{number}", does="ask") for number in range(6)]
    bench.realise(*drvs)
    assert bench.service.most == 2


def test_jobs_are_shared_by_all_calls(store: CastoreStore) -> None:
    bench = Bench(store, jobs=1)
    drvs = [bench.recipes.add(f"x{number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(bench.realise, drvs))
    assert bench.service.most == 1
    assert sorted(bench.service.built) == sorted(drvs)


def test_no_jobs_build_nothing(store: CastoreStore) -> None:
    bench = Bench(store, jobs=0)
    with pytest.raises(BuildFailed, match="'max-jobs' is 0"):
        bench.realise(bench.recipes.add("x"))


def test_threads_that_want_the_same_have_it_built_once(store: CastoreStore) -> None:
    waits = threading.Event()
    first = Bench(store, on_ask=lambda _: waits.wait(60))
    second = Bench(store)
    drv_path = first.recipes.add("x", does="ask")
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first.realise, drv_path)
        first.heard.wait(lambda event: isinstance(event, OfBuild))
        other = pool.submit(second.realise, drv_path)
        second.heard.wait(lambda event: event == Waiting(drv_path))
        waits.set()
        assert one.result() == other.result()
    assert first.service.built == [drv_path]
    assert second.service.built == []
    assert second.heard[-1] == Made(drv_path, {"out": first.recipes.output(drv_path)}, by_others=True)


def test_a_failure_says_why_and_for_what_it_was_needed(store: CastoreStore) -> None:
    bench = Bench(store)
    bad = bench.recipes.add("bad", does="fail")
    middle = bench.recipes.add("middle", bad)
    top = bench.recipes.add("top", middle)
    with pytest.raises(BuildFailed) as failed:
        bench.realise(top)
    assert failed.value.drv_path == bad
    assert failed.value.why == "builder failed with exit code 1"
    assert failed.value.log == tuple(f"line {number} of bad" for number in (2, 3, 4))
    assert failed.value.needed_by == (top, middle)
    assert failed.value.exit_code == 100
    assert bench.service.built == [bad]
    text = b"".join(Logs(os.path.join(state_folder(store), "logs")).read(bad))
    assert text.decode().splitlines() == [f"line {number} of bad" for number in range(5)]


def test_the_first_failure_stops_what_runs(store: CastoreStore) -> None:
    hanging = threading.Event()
    bench = Bench(store, jobs=2, on_ask=lambda _: hanging.wait(60))
    hangs = bench.recipes.add("hangs", does="hang")
    fails = bench.recipes.add("fails", bench.recipes.add("asks", does="ask"), does="fail")

    def start_failing(event: object) -> None:
        if isinstance(event, OfBuild) and event.drv_path == hangs and isinstance(event.event, Started):
            hanging.set()

    realiser = Realiser(store, service=bench.service, settings=SETTINGS, jobs=2, on_event=start_failing)
    with pytest.raises(BuildFailed) as failed:
        realiser.realise([Wish(hangs), Wish(fails)])
    assert failed.value.drv_path == fails
    assert failed.value.others == ()
    assert not bench.is_made(hangs)


def test_keeping_on_builds_all_that_does_not_need_what_failed(store: CastoreStore) -> None:
    bench = Bench(store, keep_going=True)
    add = bench.recipes.add
    bad, late = add("bad", does="fail"), add("late", does="timeout")
    cut = add("cut", bad)
    good = add("good")
    top = add("top", cut, good, late)
    with pytest.raises(BuildFailed) as failed:
        bench.realise(top)
    assert {each.drv_path for each in (failed.value, *failed.value.others)} == {bad, late}
    assert failed.value.exit_code == 101
    assert bench.is_made(good)
    assert sorted(bench.service.built) == sorted([bad, late, good])
    given_up = {event.path for event in bench.heard if isinstance(event, NotMade) and event.kind == "dependency"}
    assert given_up == {cut, top}


@pytest.mark.parametrize("jobs", [1, 2])
def test_cancelling_in_the_middle_leaves_nothing(store: CastoreStore, jobs: int) -> None:
    bench = Bench(store, jobs=jobs)
    below = bench.recipes.add("below")
    hangs = bench.recipes.add("hangs", below, does="hang")
    top = bench.recipes.add("top", hangs)
    cancel = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        doing = pool.submit(bench.realise, top, cancel=cancel)
        bench.heard.wait(
            lambda event: isinstance(event, OfBuild) and event.drv_path == hangs and isinstance(event.event, Started)
        )
        cancel.set()
        with pytest.raises(Cancelled):
            doing.result(60)
    assert bench.is_made(below)
    assert not bench.is_made(hangs)
    assert list(Path(state_folder(store), "building").iterdir()) == []
    assert bench.service.built == [below, hangs]
    other = bench.recipes.add("other", below)
    assert bench.realise(other) == {f"{other}!out": bench.recipes.output(other)}


def test_cancelling_one_who_waits_leaves_the_other_alone(store: CastoreStore) -> None:
    waits = threading.Event()
    first = Bench(store, on_ask=lambda _: waits.wait(60))
    second = Bench(store)
    drv_path = first.recipes.add("x", does="ask")
    cancel = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first.realise, drv_path)
        first.heard.wait(lambda event: isinstance(event, OfBuild))
        other = pool.submit(second.realise, drv_path, cancel=cancel)
        second.heard.wait(lambda event: event == Waiting(drv_path))
        cancel.set()
        with pytest.raises(Cancelled):
            other.result(60)
        waits.set()
        assert one.result(60) == {f"{drv_path}!out": first.recipes.output(drv_path)}


def test_no_garbage_is_collected_while_something_is_built(store: CastoreStore) -> None:
    waits = threading.Event()
    bench = Bench(store, on_ask=lambda _: waits.wait(60))
    drv_path = bench.recipes.add("x", does="ask")
    with ThreadPoolExecutor(1) as pool, open(Path(state_folder(store), "gc.lock"), "rb") as lock:
        doing = pool.submit(bench.realise, drv_path)
        bench.heard.wait(lambda event: isinstance(event, OfBuild))
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        waits.set()
        doing.result(60)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_another_system_is_not_built(store: CastoreStore) -> None:
    bench = Bench(store)
    with pytest.raises(BuildFailed, match="a 'riscv64-linux' is required") as failed:
        bench.realise(bench.recipes.add("x", system="riscv64-linux"))
    assert failed.value.exit_code == 1


def test_features_are_those_of_the_configuration(store: CastoreStore) -> None:
    drv_path = Recipes(store).add("x", requiredSystemFeatures="gpu")
    service = Pretending(store)
    with pytest.raises(BuildFailed, match=r"features {gpu} is required .* but I am .* the setting system-features"):
        Realiser(store, service=service, settings=SETTINGS).realise([Wish(drv_path)])
    settings = replace(SETTINGS, system_features=("gpu",))
    Realiser(store, service=service, settings=settings).realise([Wish(drv_path)])
    assert service.built == [drv_path]


def test_check_builds_again_and_compares(store: CastoreStore) -> None:
    bench = Bench(store)
    same, varies = bench.recipes.add("same"), bench.recipes.add("varies", does="vary")
    checking = Bench(store, check=True, service=bench.service)
    with pytest.raises(BuildFailed, match="checking is not possible"):
        checking.realise(same)
    bench.realise(same, varies)
    assert checking.realise(same) == {f"{same}!out": bench.recipes.output(same)}
    assert bench.service.built == [same, varies, same]
    with pytest.raises(BuildFailed) as failed:
        checking.realise(varies)
    assert failed.value.kind == "not-deterministic"
    assert failed.value.exit_code == 104


def test_a_derivation_that_is_nowhere(store: CastoreStore) -> None:
    bench = Bench(store)
    with pytest.raises(BuildFailed, match=r"00000-x\.drv' is not in"):
        bench.realise("/nix/store/00000000000000000000000000000000-x.drv")


def test_a_log_that_nobody_wrote(store: CastoreStore) -> None:
    with pytest.raises(Missing, match="was not built here"):
        list(Logs(state_folder(store)).read("/nix/store/00000000000000000000000000000000-x.drv"))


def test_logs_can_be_switched_off(store: CastoreStore) -> None:
    bench = Bench(store, settings=Settings(substituters=(), keep_build_log=False))
    drv_path = bench.recipes.add("x")
    bench.realise(drv_path)
    assert not Logs(os.path.join(state_folder(store), "logs")).has(drv_path)


@pytest.mark.parametrize(
    ("element", "wish"),
    [
        ("/nix/store/x", Wish("/nix/store/x")),
        ("!out!/nix/store/x.drv", Wish("/nix/store/x.drv", ("out",))),
        ("/nix/store/x.drv!out,dev", Wish("/nix/store/x.drv", ("out", "dev"))),
        ("/nix/store/x.drv!*", Wish("/nix/store/x.drv")),
    ],
)
def test_wishes_from_string_contexts(element: str, wish: Wish) -> None:
    assert Wish.of(element) == wish


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (["build"], 100),
        (["timeout"], 101),
        (["hash-mismatch"], 102),
        (["not-deterministic"], 104),
        (["timeout", "hash-mismatch"], 103),
        (["build", "not-deterministic"], 108),
        (["unbuildable"], 1),
        (["unbuildable", "build"], 100),
    ],
)
def test_exit_codes_combine(kinds: list[str], code: int) -> None:
    first, *others = [BuildFailed("x.drv", "", kind=kind) for kind in kinds]
    assert BuildFailed("x.drv", "", kind=first.kind, others=tuple(others)).exit_code == code
