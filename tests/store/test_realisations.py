"""What content-addressed outputs became: kept, forgotten with what they became, found where Nix keeps it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from store.backends.local.castore import LocalCastore
from store.backends.local.check import repair, verify
from store.backends.local.collect import collect
from store.castore import realisation
from store.castore.realisation import Realisation, RealisationError
from store.castore.services import Corrupt, Refused
from store.composition import local_store, open_store
from store.composition.castore_store import CastoreStore
from store.composition.urls import open_url
from store.paths.protocol import KnowsRealisations
from store.signatures import SecretKey

ID = f"sha256:{'0a' * 32}!out"
OTHER = f"sha256:{'1b' * 32}!dev"

#: As Nix 2.8 writes it.
WRITTEN = (
    '{"dependentRealisations":{"sha256:533d42fdd7ea44c363ce9184b72a589982027a97723591677816846a920a82da!dev":'
    '"rcw9psxq42gsgmbb8dzp3hqrg07bmlyf-self-dev","sha256:a0a43fb32b1b1d57aa94efabbf62077a3e4c68f31a7eeddd3749b23b1a520d42'
    '!out":"5wz0a89rkmlgmhvzycnvx3035x9wm66y-root"},"id":"sha256:3d51ea03594f30d0a4434ab20dd6ff2d6f9b51e555dd7641e4ced6'
    'ecf4413514!out","outPath":"m4awpxxi0kbr8j3jq5d5fjbcf2w9glqa-uses-root","signatures":[]}'
)


def some(store: CastoreStore, text: bytes = b"text") -> Realisation:
    path = store.add_text("x", text).path
    return Realisation(ID, path, {OTHER: path}, ("key:c2lnbmF0dXJl",))


def test_the_text_is_nix_s() -> None:
    found = realisation.parse(WRITTEN.encode())
    assert found.path == "/nix/store/m4awpxxi0kbr8j3jq5d5fjbcf2w9glqa-uses-root"
    assert sorted(found.dependencies.values()) == [
        "/nix/store/5wz0a89rkmlgmhvzycnvx3035x9wm66y-root",
        "/nix/store/rcw9psxq42gsgmbb8dzp3hqrg07bmlyf-self-dev",
    ]
    assert found.to_text() == WRITTEN
    assert found.fingerprint() == WRITTEN.replace(',"signatures":[]', "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("{", "[", "not a realisation"),
        ("sha256:3d51", "sha256:zzzz", "is no id of an output"),
        ("m4awpxxi", "../awpxx", "illegal"),
        ('"outPath":', '"path":', "a path is missing"),
        ('"signatures":[]', '"signatures":3', "no list"),
        ("5wz0a89rkmlgmhvzycnvx3035x9wm66y-root", "root", "too short"),
    ],
)
def test_others_are_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(RealisationError, match=reason):
        realisation.parse(WRITTEN.replace(old, new).encode())


@pytest.mark.parametrize("kind", ["memory", "local", "cache"])
def test_they_come_back(kind: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = SecretKey.generate("key")
    key.write_text(made.to_text())
    url = {
        "memory": "memory:",
        "local": f"local:{tmp_path}/local",
        "cache": f"file://{tmp_path}/cache?secret-key={key}&trusted={made.public().to_text()}",
    }[kind]
    with open_store("memory:") as source, open_store(url) as store:
        assert isinstance(source, CastoreStore) and isinstance(store, KnowsRealisations)
        known = some(source)
        assert store.realisation(ID) is None
        if isinstance(store, CastoreStore):
            with pytest.raises(Refused, match="is not in"):
                store.put_realisation(known)
            assert some(store).path == known.path
        store.put_realisation(known)
        found = store.realisation(ID)
        assert found is not None
        assert (found.path, found.dependencies) == (known.path, known.dependencies)
        assert found.signatures[:1] == known.signatures


def test_a_cache_is_believed_what_is_signed(tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = SecretKey.generate("key")
    key.write_text(made.to_text())
    folder = f"file://{tmp_path}/cache"
    with open_store("memory:") as source, open_store(f"{folder}?secret-key={key}") as cache:
        assert isinstance(source, CastoreStore) and isinstance(cache, KnowsRealisations)
        cache.put_realisation(some(source))
    file = tmp_path / "cache" / "realisations" / f"{ID}.doi"

    def ask(options: str) -> Realisation | None:
        with open_store(folder + options) as opened:
            assert isinstance(opened, KnowsRealisations)
            return opened.realisation(ID)

    with pytest.raises(Refused, match="none of which is trusted"):
        ask("")
    trusting = f"?trusted={made.public().to_text()}"
    assert ask(trusting) is not None
    file.write_text(file.read_text().replace("-x", "-y"))
    with pytest.raises(Refused, match="signature by 'key' is wrong"):
        ask(trusting)
    assert ask("?require-signatures=false") is not None
    file.rename(file.with_name(f"{OTHER}.doi"))
    assert ask(trusting) is None


def test_they_go_with_what_they_became(tmp_path: Path) -> None:
    with local_store(str(tmp_path)) as store:
        known = some(store)
        kept = Realisation(OTHER, store.add_text("y", b"").path)
        store.put_realisation(known)
        store.put_realisation(kept)
        assert isinstance(store.castore, LocalCastore)
        collect(store.castore, [kept.path])
        assert list(store.castore.realisations.list()) == [kept]
        assert some(store).path == known.path
        assert store.realisation(ID) is None


def test_nothing_is_kept_of_a_transaction_that_failed(tmp_path: Path) -> None:
    with local_store(str(tmp_path)) as store:
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.put_realisation(some(store))
            assert store.realisation(ID) is not None
            raise ZeroDivisionError
        assert store.realisation(ID) is None


def test_a_store_of_the_version_before_gets_the_table(tmp_path: Path) -> None:
    with local_store(str(tmp_path)) as store:
        path = store.add_text("x", b"text").path
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("drop table realisations")
        db.execute("pragma user_version = 1")
    with local_store(str(tmp_path)) as store:
        store.put_realisation(Realisation(ID, path))
        assert store.realisation(ID) is not None


def test_a_damaged_one_is_found_and_forgotten(tmp_path: Path) -> None:
    with local_store(str(tmp_path)) as store:
        store.put_realisation(some(store))
        assert isinstance(store.castore, LocalCastore)
        store.castore.db.execute("update realisations set info = cast(replace(info, 'out', 'oux') as blob)")
        with pytest.raises(Corrupt, match="damaged"):
            store.realisation(ID)
        report = verify(store.castore)
        assert report.bad_realisations == [ID]
        repair(store.castore, report, open_url("memory:"))
        assert store.realisation(ID) is None
        assert verify(store.castore).problems == []


def test_stores_in_front_of_others(tmp_path: Path) -> None:
    with open_store(f"file://{tmp_path}/cache?require-signatures=false") as far, local_store(str(tmp_path)) as near:
        from store.combinators.cached import Cached
        from store.combinators.first_of import FirstOf

        assert isinstance(far, KnowsRealisations)
        far.put_realisation(some(near))
        for store in (Cached(near, far), FirstOf([near, far])):
            found = store.realisation(ID)
            assert found is not None
            store.put_realisation(Realisation(OTHER, found.path))
            assert near.realisation(OTHER) is not None
