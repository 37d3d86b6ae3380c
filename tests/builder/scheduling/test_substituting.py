"""Substituters: what is fetched instead of built, whom is believed, and what happens when they lie, die or lack."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from builder.locks import Locks
from builder.places import state_folder
from builder.progress import Fetched, FetchFailed, Planned, Unanswered
from builder.realise import BuildFailed, Cancelled, Realiser, Wish
from builder.settings import Settings, SettingsError
from builder.substituters import open_substituters, translated
from store.castore.path_info import PathInfo
from store.castore.services import Corrupt, Unreachable
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.nar_reader import Source
from store.paths.closure import copy
from store.paths.protocol import Store, Tree
from store.signatures import SecretKey
from tests.builder.scheduling.pretending import SETTINGS, Heard, Pretending, Recipes

DIGEST = "0" * 32


class Far:
    """A store with what was built from the derivations given, as a substituter that may misbehave."""

    def __init__(
        self, store: CastoreStore, *, lies: tuple[str, ...] = (), dead: bool = False, dies: bool = False
    ) -> None:
        self.store = store
        self.store_dir = store.store_dir
        self.uri = "far:"
        self.asked: list[str] = []
        self.lies = lies
        self.dead = dead
        self.dies = dies

    def query(self, path: str) -> PathInfo | None:
        self.asked.append(path)
        if self.dead:
            raise Unreachable("far: does not answer")
        return self.store.query(path)

    def by_digest(self, digest: str) -> PathInfo | None:
        return self.store.by_digest(digest)

    def paths(self) -> Iterator[str]:
        return self.store.paths()

    def nar(self, info: PathInfo) -> Iterator[bytes]:
        pieces = list(self.store.nar(self.store.query(info.path) or info))
        if self.dies:
            yield b"".join(pieces)[:20]
            raise Unreachable("far: broke off")
        if info.path in self.lies:
            yield b"".join(pieces).replace(b"name", b"NAME").replace(b"x", b"y")
        else:
            yield from pieces

    def tree(self, info: PathInfo) -> Tree:
        return self.store.tree(info)

    def add(self, info: PathInfo, source: Source) -> PathInfo:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Scene:
    """A near store with derivations `below` and `top` (which refers to `below`), and a far one that has built them."""

    def __init__(self, near: CastoreStore, far: CastoreStore) -> None:
        self.near = near
        self.recipes = Recipes(near)
        self.below = self.recipes.add("xbelow")
        self.top = self.recipes.add("xtop", self.below)
        self.far = far
        recipes = Recipes(far)
        recipes.add("xtop", recipes.add("xbelow"))
        Realiser(far, service=Pretending(far), settings=SETTINGS).realise([Wish(self.top)])
        self.service = Pretending(near)
        self.heard = Heard()

    def realise(self, *substituters: Store, top: str = "", **more: Any) -> dict[str, str]:
        realiser = Realiser(
            self.near,
            service=self.service,
            settings=SETTINGS,
            substituters=substituters,
            on_event=self.heard.hear,
            **more,
        )
        return realiser.realise([Wish(top or self.top)])

    def output(self, drv_path: str) -> str:
        return self.recipes.output(drv_path)

    def of_kind(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]


@pytest.fixture
def scene(store: CastoreStore, tmp_path: Path) -> Iterator[Scene]:
    with local_store(str(tmp_path / "far")) as far:
        yield Scene(store, far)


def test_what_is_offered_is_fetched_with_all_that_it_refers_to(scene: Scene) -> None:
    scene.realise(Far(scene.far))
    assert scene.service.built == []
    assert [event.path for event in scene.of_kind(Fetched)] == [scene.output(scene.below), scene.output(scene.top)]
    planned = scene.heard[0]
    assert isinstance(planned, Planned)
    assert planned.builds == ()
    infos = [scene.far.query(path) for path in planned.fetches]
    assert planned.size == sum(info.nar_size for info in infos if info is not None)


def test_two_who_want_the_same_fetch_it_once(scene: Scene) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Far):
        sent = 0

        def nar(self, info: PathInfo) -> Iterator[bytes]:
            self.sent += 1
            begun.set()
            assert go_on.wait(60)
            return super().nar(info)

    far = Slow(scene.far)
    path = scene.output(scene.below)
    others = Heard()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(scene.realise, far, top=path)
        assert begun.wait(60)
        # As another process would: with a store and locks of its own.
        with local_store(str(Path(scene.near.uri.removeprefix("local:")))) as again:
            other = Realiser(again, settings=SETTINGS, substituters=[far], on_event=others.hear)
            second = pool.submit(other.realise, [Wish(path)])
            others.wait(lambda event: isinstance(event, Planned))
            go_on.set()
            assert first.result(60) == second.result(60) == {path: path}
    assert far.sent == 1
    assert [type(event) for event in others] == [Planned, Fetched]


def test_one_who_waits_for_a_fetch_can_be_cancelled(scene: Scene) -> None:
    path = scene.output(scene.below)
    lock = Locks(os.path.join(state_folder(scene.near), "building")).attempt(os.path.basename(path))
    assert lock is not None
    cancel = threading.Event()
    realiser = Realiser(scene.near, settings=SETTINGS, substituters=[Far(scene.far)], on_event=scene.heard.hear)
    with lock, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(realiser.realise, [Wish(path)], cancel)
        scene.heard.wait(lambda event: isinstance(event, Planned))
        cancel.set()
        with pytest.raises(Cancelled):
            waiting.result(60)


def test_inputs_of_what_is_fetched_are_not_asked_for(store: CastoreStore, tmp_path: Path) -> None:
    with local_store(str(tmp_path / "far")) as far:
        recipes = Recipes(store)
        top = recipes.add("top", inputs="")
        using = recipes.add("using", recipes.add("compiler"), inputs="")
        far_recipes = Recipes(far)
        far_recipes.add("using", far_recipes.add("compiler"), inputs="")
        Realiser(far, service=Pretending(far), settings=SETTINGS).realise([Wish(using)])
        offering = Far(far)
        service = Pretending(store)
        Realiser(store, service=service, settings=SETTINGS, substituters=[offering]).realise([Wish(using), Wish(top)])
        assert service.built == [top]
        assert recipes.output(recipes.add("compiler")) not in offering.asked


def test_what_is_not_offered_is_built(scene: Scene) -> None:
    more = scene.recipes.add("more", scene.top)
    scene.realise(Far(scene.far), top=more)
    assert scene.service.built == [more]
    assert {event.path for event in scene.of_kind(Fetched)} == {scene.output(scene.below), scene.output(scene.top)}


def test_derivations_that_want_to_be_built_here_are(scene: Scene) -> None:
    here = scene.recipes.add("xhere", allowSubstitutes="")
    recipes = Recipes(scene.far)
    recipes.add("xhere", allowSubstitutes="")
    Realiser(scene.far, service=Pretending(scene.far), settings=SETTINGS).realise([Wish(here)])
    scene.realise(Far(scene.far), top=here)
    assert scene.service.built == [here]


@pytest.mark.parametrize("which", ["below", "top"])
def test_a_lie_is_refused_and_what_it_was_about_is_built(scene: Scene, which: str) -> None:
    path = scene.output(getattr(scene, which))
    scene.realise(Far(scene.far, lies=(path,)))
    assert scene.service.built[-1:] == [scene.top]
    assert [event.path for event in scene.of_kind(FetchFailed)] == [path]
    below = scene.near.query(scene.output(scene.below))
    assert below is not None
    assert b"xbelow" in b"".join(scene.near.nar(below))


def test_another_substituter_makes_up_for_one_that_lies(scene: Scene) -> None:
    scene.realise(Far(scene.far, lies=(scene.output(scene.below),)), Far(scene.far))
    assert scene.service.built == []


def test_one_that_does_not_answer_is_passed_over_and_asked_once(scene: Scene) -> None:
    dead = Far(scene.far, dead=True)
    scene.realise(dead)
    assert scene.service.built == [scene.below, scene.top]
    assert len(dead.asked) == 1
    assert len(scene.of_kind(Unanswered)) == 1


def test_one_that_breaks_off_is_made_up_for(scene: Scene) -> None:
    scene.realise(Far(scene.far, dies=True))
    assert scene.service.built == [scene.below, scene.top]
    assert len(scene.of_kind(FetchFailed)) == 1


def test_what_lacks_a_reference_is_built(scene: Scene, tmp_path: Path) -> None:
    class Lacking(Far):
        def query(self, path: str) -> PathInfo | None:
            return None if path.endswith("-xbelow") else super().query(path)

    scene.realise(Lacking(scene.far))
    assert scene.service.built == [scene.below, scene.top]


def test_references_in_a_circle_are_nothing_to_wait_for(scene: Scene) -> None:
    class Circular(Far):
        def query(self, path: str) -> PathInfo | None:
            info = super().query(path)
            if info is not None and path.endswith("-xbelow"):
                info.references = [scene.output(scene.top)]
            return info

    scene.realise(Circular(scene.far))
    assert scene.service.built == [scene.below, scene.top]


def test_a_derivation_itself_can_be_fetched(scene: Scene, tmp_path: Path) -> None:
    with local_store(str(tmp_path / "empty")) as empty:
        service = Pretending(empty)
        cut = Far(scene.far, lies=(scene.output(scene.top),))
        realiser = Realiser(empty, service=service, settings=SETTINGS, substituters=[cut])
        found = realiser.realise([Wish(scene.top)])
        assert found == {f"{scene.top}!out": scene.output(scene.top)}
        assert service.built == [scene.top]


def test_a_plan_does_nothing(scene: Scene) -> None:
    more = scene.recipes.add("more", scene.top)
    realiser = Realiser(scene.near, service=scene.service, settings=SETTINGS, substituters=[Far(scene.far)])
    plan = realiser.plan([Wish(more)])
    assert list(plan.builds) == [more]
    assert set(plan.fetches) == {scene.output(scene.below), scene.output(scene.top)}
    assert scene.service.built == []
    assert scene.near.query(scene.output(scene.top)) is None


class Caches:
    """Binary caches in folders with what `scene` has built, and Nix's settings that name them."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self.key = SecretKey.generate("test-1")
        (folder / "key").write_text(self.key.to_text())

    def make(self, name: str, *, signed: bool = True) -> str:
        url = f"file://{self.folder}/{name}"
        with open_store(f"{url}?secret-key={self.folder}/key" if signed else url) as cache:
            copy(self.scene.far, cache, [self.scene.output(self.scene.top)])
        return url

    def realise(self, *urls: str, keys: bool = True, **more: Any) -> None:
        trusted = (self.key.public().to_text(),) if keys else ()
        settings = Settings(substituters=urls, trusted_public_keys=trusted, **more)
        Realiser(
            self.scene.near, service=self.scene.service, settings=settings, on_event=self.scene.heard.hear
        ).realise([Wish(self.scene.top)])


@pytest.fixture
def caches(scene: Scene, tmp_path: Path) -> Caches:
    return Caches(scene, tmp_path)


def test_a_cache_signed_by_a_trusted_key_is_believed(caches: Caches) -> None:
    caches.realise(caches.make("signed"))
    assert caches.scene.service.built == []


@pytest.mark.parametrize("why", ["unsigned", "untrusted"])
def test_others_are_not(caches: Caches, why: str) -> None:
    caches.realise(caches.make("cache", signed=why == "untrusted"), keys=why == "unsigned")
    assert caches.scene.service.built == [caches.scene.below, caches.scene.top]
    failed = caches.scene.of_kind(FetchFailed)
    assert failed[0].path == caches.scene.output(caches.scene.top)
    reason = "it is not signed" if why == "unsigned" else "it is signed by 'test-1', none of which is trusted"
    assert reason in failed[0].why and "trusted-public-keys" in failed[0].why
    assert not caches.scene.of_kind(Unanswered)


def test_a_wrong_signature_by_a_trusted_key_is_said(caches: Caches) -> None:
    url = caches.make("signed")
    for file in (caches.folder / "signed").glob("*.narinfo"):
        file.write_text(file.read_text().replace("NarSize: ", "NarSize: 1"))
    caches.realise(url)
    assert caches.scene.service.built == [caches.scene.below, caches.scene.top]
    assert "the signature by 'test-1' is wrong" in caches.scene.of_kind(FetchFailed)[0].why


@pytest.mark.parametrize("how", ["setting", "url"])
def test_unless_no_signature_is_wanted(caches: Caches, how: str) -> None:
    url = caches.make("unsigned", signed=False)
    caches.realise(url if how == "setting" else f"{url}?trusted=true", require_sigs=how == "url")
    assert caches.scene.service.built == []


def test_an_archive_that_was_tampered_with_is_refused(caches: Caches) -> None:
    url = caches.make("signed")
    for archive in (caches.folder / "signed" / "nar").iterdir():
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
    caches.realise(url)
    assert caches.scene.service.built == [caches.scene.below, caches.scene.top]
    assert caches.scene.of_kind(FetchFailed)


def test_nothing_is_asked_when_substituting_is_off(caches: Caches) -> None:
    caches.realise(caches.make("signed"), substitute=False)
    assert caches.scene.service.built == [caches.scene.below, caches.scene.top]


def test_a_substituter_that_cannot_be_opened_is_said(caches: Caches) -> None:
    caches.realise("ssh://nowhere", caches.make("signed"))
    assert [event.source for event in caches.scene.of_kind(Unanswered)] == ["ssh://nowhere"]
    assert caches.scene.service.built == []


def test_the_lowest_priority_number_comes_first(caches: Caches) -> None:
    first, second = caches.make("a"), caches.make("b")
    opened = open_substituters(Settings(substituters=(f"{first}?priority=50", f"{second}?priority=10")))
    assert [store.uri for store in opened.stores] == [second, first]
    opened.close()


def test_a_key_that_is_none_is_said() -> None:
    with pytest.raises(SettingsError, match="trusted-public-keys"):
        open_substituters(Settings(trusted_public_keys=("nonsense",)))


@pytest.mark.parametrize(
    ("nix", "ours"),
    [
        ("https://cache.nixos.org/", ("https://cache.nixos.org", {})),
        ("https://a/b?priority=3&want-mass-query=true", ("https://a/b", {"priority": "3", "want-mass-query": "true"})),
        ("file:///srv/cache", ("file:///srv/cache", {})),
        ("daemon", ("daemon:", {})),
        ("unix:///run/nix", ("daemon:/run/nix", {})),
        ("local?root=/srv/nix", ("nix:", {"root": "/srv/nix"})),
        ("/srv/nix", ("nix:", {"root": "/srv/nix"})),
    ],
)
def test_urls_as_nix_writes_them(nix: str, ours: tuple[str, dict[str, str]]) -> None:
    assert translated(nix) == ours


def test_a_substituter_that_is_damaged_is_made_up_for(scene: Scene) -> None:
    class Damaged(Far):
        def nar(self, info: PathInfo) -> Iterator[bytes]:
            raise Corrupt("a chunk is damaged")

    scene.realise(Damaged(scene.far))
    assert scene.service.built == [scene.below, scene.top]


def test_when_nothing_helps_the_failure_is_told(scene: Scene) -> None:
    bad = scene.recipes.add("bad", scene.top, does="fail")
    with pytest.raises(BuildFailed) as failed:
        scene.realise(Far(scene.far, lies=(scene.output(scene.below),)), top=bad)
    assert failed.value.drv_path == bad
