"""Logs and checkouts of what was collected as garbage."""

from __future__ import annotations

import os
from pathlib import Path

from builder.logs import Logs
from builder.places import checkouts, state_folder
from builder.realise import Realiser, Wish
from builder.tidying import Tidied, tidy
from store.backends.local.castore import LocalCastore
from store.backends.local.collect import collect
from store.composition.castore_store import CastoreStore
from tests.builder.scheduling.pretending import SETTINGS, Pretending, Recipes


def laid_out(store: CastoreStore) -> list[str]:
    return sorted(name[33:] for name in os.listdir(Path(state_folder(store), "checkouts")) if name != "tmp")


def logged(store: CastoreStore) -> list[str]:
    found = Path(state_folder(store), "logs").rglob("*")
    return sorted(path.name[31:] for path in found if path.is_file())


def castore(store: CastoreStore) -> LocalCastore:
    assert isinstance(store.castore, LocalCastore)
    return store.castore


def build(store: CastoreStore, *drv_paths: str) -> list[str]:
    """Build some; the paths of their outputs, which are laid out."""
    realiser = Realiser(store, service=Pretending(store), settings=SETTINGS)
    made = list(realiser.realise([Wish(drv_path) for drv_path in drv_paths]).values())
    for path in made:
        checkouts(store).path_of(path)
    return made


def test_the_next_build_removes_what_is_gone(store: CastoreStore) -> None:
    recipes = Recipes(store)
    gone, kept, only_output = (recipes.add(name) for name in ("gone", "kept", "only-output"))
    made = build(store, gone, kept, only_output)
    assert laid_out(store) == ["gone", "kept", "only-output"]
    assert logged(store) == ["gone.drv.zst", "kept.drv.zst", "only-output.drv.zst"]
    collect(castore(store), [kept, made[1], made[2]])
    assert len(laid_out(store)) == 3
    build(store, recipes.add("next"))
    assert laid_out(store) == ["kept", "next", "only-output"]
    assert logged(store) == ["kept.drv.zst", "next.drv.zst", "only-output.drv.zst"]
    assert b"line 0" in b"".join(Logs(os.path.join(state_folder(store), "logs")).read(only_output))


def test_nothing_is_looked_through_when_nothing_was_collected(store: CastoreStore) -> None:
    stray = Path(state_folder(store), "logs", "ab", "stray.zst")
    stray.parent.mkdir(parents=True)
    stray.touch()
    build(store, Recipes(store).add("one"))
    assert stray.exists()
    assert tidy(store) == Tidied((), 1)
    assert not stray.parent.exists()


def test_nothing_is_removed_while_somebody_builds(store: CastoreStore) -> None:
    (path,) = build(store, Recipes(store).add("one"))
    collect(castore(store))
    with castore(store).lock(exclusive=False):
        assert tidy(store) is None
        assert laid_out(store) == ["one"]
    assert tidy(store) == Tidied((path,), 1)
    assert laid_out(store) == logged(store) == []


def test_what_a_killed_writer_left_goes(store: CastoreStore) -> None:
    recipe = Recipes(store).add("one")
    build(store, recipe)
    Logs(os.path.join(state_folder(store), "logs")).begin(recipe).write(b"never ended")
    assert len(logged(store)) == 2
    assert tidy(store) == Tidied((), 1)
    assert logged(store) == ["one.drv.zst"]
