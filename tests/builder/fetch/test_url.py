"""Files from addresses: what is asked of a server, what is kept, how it goes on after a break, what is refused."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import re
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from builder.fetch import FetchError, HashMismatch, Limits, Offline
from builder.fetch.derivation import fetch_derivation
from builder.fetch.failure import Cancelled
from builder.fetch.keeping import Fetched
from builder.fetch.url import fetch_file, fetch_nar, fetch_tarball
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation, DerivationHashes, Output
from store.hashes import Hash, hash_bytes
from store.nar import NarWriter
from store.store_path import fixed_output_path
from tests.builder.fetch.loopback import Page, Site

BODY = os.urandom(300_000)


def contents(store: CastoreStore, fetched: Fetched) -> bytes:
    return b"".join(store.tree(fetched.info).read([]))


def sha256(data: bytes) -> Hash:
    return hash_bytes("sha256", data)


def test_a_file_has_the_path_that_its_hash_gives_it(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    for expected in (None, sha256(BODY)):
        found = fetch_file(store, f"{site.url}/f", "f", expected, limits)
        assert found.info.path == fixed_output_path("f", False, sha256(BODY))
        assert found.info.ca == f"fixed:sha256:{sha256(BODY).nix32()}"
        assert contents(store, found) == BODY


@pytest.mark.parametrize("algo", ["md5", "sha1", "sha512"])
def test_any_algorithm_may_pin_a_file(store: CastoreStore, limits: Limits, site: Site, algo: str) -> None:
    site.pages["/f"] = Page(BODY)
    expected = hash_bytes(algo, BODY)
    found = fetch_file(store, f"{site.url}/f", "f", expected, limits)
    assert found.info.path == fixed_output_path("f", False, expected)


def test_what_the_store_has_is_not_fetched(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    first = fetch_file(store, f"{site.url}/f", "f", sha256(BODY), limits)
    again = fetch_file(store, f"{site.url}/elsewhere", "f", sha256(BODY), replace(limits, network=False))
    assert again.info.path == first.info.path
    assert len(site.asked) == 1


def test_unpinned_is_looked_at_again_after_its_time_only(store: CastoreStore, limits: Limits, site: Site) -> None:
    page = site.pages["/f"] = Page(b"one", etag='"1"')
    fetch_file(store, f"{site.url}/f", "f", None, limits)
    page.body, page.etag = b"two", '"2"'
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == b"one"
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, replace(limits, ttl=0))) == b"two"
    assert site.asked[-1][1]["if-none-match"] == '"1"'


def test_what_has_not_changed_does_not_come_again(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, etag='"1"')
    eager = replace(limits, ttl=0)
    first = fetch_file(store, f"{site.url}/f", "f", None, eager)
    again = fetch_file(store, f"{site.url}/f", "f", None, eager)
    assert again.info.path == first.info.path
    assert site.asked[1][1]["if-none-match"] == '"1"'


def test_what_another_store_has_is_fetched_for_this_one(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    fetch_file(store, f"{site.url}/f", "f", None, limits)
    other = CastoreStore(store.castore.__class__(), uri="memory:other")
    assert contents(other, fetch_file(other, f"{site.url}/f", "f", None, limits)) == BODY


def test_a_broken_memory_is_as_if_nothing_were_known(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    fetch_file(store, f"{site.url}/f", "f", None, limits)
    (database,) = limits.folder.glob("*.sqlite3")
    database.write_bytes(b"no database at all" * 100)
    fetch_file(store, f"{site.url}/f", "f", None, limits)
    fetch_file(store, f"{site.url}/f", "f", None, limits)
    assert site.count("/f") == 2
    with sqlite3.connect(database) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_of_this_machine_is_never_old(store: CastoreStore, limits: Limits, tmp_path: Path) -> None:
    path = tmp_path / "a b"
    url = f"file://{tmp_path}/a%20b"
    for text in (b"one", b"three"):
        path.write_bytes(text)
        path.chmod(0o755)
        found = fetch_file(store, url, "f", None, replace(limits, network=False))
        assert contents(store, found) == text
        entry = store.tree(found.info).entry([])
        assert entry is not None and not entry.executable


def test_a_wrong_hash_names_both_and_keeps_nothing(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    wrong = sha256(b"other")
    with pytest.raises(HashMismatch) as caught:
        fetch_file(store, f"{site.url}/f", "f", wrong, limits)
    text = str(caught.value)
    assert f"{site.url}/f" in text and wrong.sri() in text and sha256(BODY).sri() in text
    assert list(store.paths()) == []


# --- what breaks off ---------------------------------------------------------------------------------


def test_a_broken_download_goes_on_where_it_stopped(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, etag='"1"', breaks=2, after=100_000)
    found = fetch_file(store, f"{site.url}/f", "f", None, limits)
    assert contents(store, found) == BODY
    ranges = [asked.get("range") for _, asked in site.asked]
    assert ranges[0] is None
    starts = [int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) for wanted in ranges[1:] if wanted]  # type: ignore[index]
    assert len(starts) == 2 and 0 < starts[0] < starts[1]
    assert site.asked[1][1]["if-range"] == '"1"'
    assert not list((limits.folder / "partial").iterdir())


def test_a_later_run_goes_on_where_the_first_gave_up(store: CastoreStore, limits: Limits, site: Site) -> None:
    page = site.pages["/f"] = Page(BODY, etag='"1"', breaks=1, after=150_000)
    with pytest.raises(FetchError, match=r"broke after|ended after"):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, attempts=1))
    assert page.breaks == 0
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY
    assert site.asked[-1][1]["range"].startswith("bytes=")


def test_what_changed_meanwhile_is_fetched_from_its_start(store: CastoreStore, limits: Limits, site: Site) -> None:
    page = site.pages["/f"] = Page(BODY, etag='"1"', breaks=1, after=150_000)
    with pytest.raises(FetchError):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, attempts=1))
    page.body, page.etag = BODY[::-1], '"2"'
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY[::-1]


def test_a_server_without_ranges_is_asked_for_all_of_it(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, ranges=False, breaks=2, after=100_000)
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY
    assert all("range" not in asked for _, asked in site.asked)


def test_a_server_that_goes_on_elsewhere_is_not_believed(store: CastoreStore, limits: Limits, site: Site) -> None:
    page = site.pages["/f"] = Page(BODY, etag='"1"', breaks=1, after=150_000)
    with pytest.raises(FetchError):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, attempts=1))
    page.headers["Content-Range"] = "bytes 5-299999/300000"
    page.ranges = False
    site.pages["/f"].headers = {"Content-Range": "bytes 5-9/10"}
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY


def test_errors_that_may_pass_are_tried_again(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, errors=[503, 429, 500])
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY
    assert site.count("/f") == 4


def test_what_is_not_there_is_asked_for_once(store: CastoreStore, limits: Limits, site: Site) -> None:
    with pytest.raises(FetchError, match=rf"{re.escape(site.url)}/none.*404"):
        fetch_file(store, f"{site.url}/none", "f", None, limits)
    assert site.count("/none") == 1


def test_two_at_once_do_not_mix(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, etag='"1"', breaks=3, after=50_000)
    found: list[bytes] = []

    def fetch() -> None:
        found.append(contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BODY] * 4


# --- what else servers do ----------------------------------------------------------------------------


def test_redirects_are_followed_to_the_end(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages |= {"/a": Page(redirect="/b"), "/b": Page(redirect=f"{site.url}/c"), "/c": Page(BODY)}
    assert contents(store, fetch_file(store, f"{site.url}/a", "f", None, limits)) == BODY
    site.pages["/round"] = Page(redirect="/round")
    with pytest.raises(FetchError, match=r"/round.*redirects"):
        fetch_file(store, f"{site.url}/round", "f", None, limits)


def test_a_redirect_to_a_file_of_this_machine_is_refused(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/a"] = Page(redirect="file:///etc/passwd")
    with pytest.raises(FetchError, match="cannot fetch"):
        fetch_file(store, f"{site.url}/a", "f", None, limits)


def test_the_immutable_address_is_remembered(store: CastoreStore, limits: Limits, site: Site) -> None:
    link = '<http://other/x>; rel="next", </exact?rev=1>; rel="immutable"'
    site.pages["/f"] = Page(BODY, {"Link": link})
    for _ in range(2):
        assert fetch_file(store, f"{site.url}/f", "f", None, limits).immutable == f"{site.url}/exact?rev=1"
    assert site.count("/f") == 1


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_an_encoding_that_nobody_asked_for_is_undone(
    store: CastoreStore, limits: Limits, site: Site, encoding: str
) -> None:
    site.pages["/f"] = Page(gzip.compress(BODY), {"Content-Encoding": encoding}, etag='"1"', breaks=1, after=9000)
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, limits)) == BODY


def test_passwords_come_from_netrc(store: CastoreStore, limits: Limits, site: Site, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    site.pages["/f"] = Page(BODY, password="Basic bWU6c2VjcmV0")
    with pytest.raises(FetchError, match="401"):
        fetch_file(store, f"{site.url}/f", "f", None, limits)
    assert contents(store, fetch_file(store, f"{site.url}/f", "f", None, replace(limits, netrc=netrc))) == BODY


def test_proxies_are_those_of_the_environment(
    store: CastoreStore, limits: Limits, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["http://nowhere.invalid/f"] = Page(BODY)
    monkeypatch.setenv("http_proxy", site.url)
    assert contents(store, fetch_file(store, "http://nowhere.invalid/f", "f", None, limits)) == BODY


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:9/f", "attempts"),
        ("ftp://127.0.0.1/f", "'ftp' is not one of"),
        ("file://elsewhere/f", "another machine"),
        ("file:relative", "no absolute path"),
        ("file:///proc/self/none", "No such file"),
        ("file:///", "no regular file"),
        ("file:///dev/zero", "no regular file"),
    ],
)
def test_bad_addresses_are_named(store: CastoreStore, limits: Limits, url: str, said: str) -> None:
    with pytest.raises(FetchError, match=said) as caught:
        fetch_file(store, url, "f", None, replace(limits, attempts=2))
    assert url in str(caught.value)


# --- limits ------------------------------------------------------------------------------------------


def test_the_network_may_be_forbidden(store: CastoreStore, limits: Limits, site: Site) -> None:
    with pytest.raises(Offline, match="allow it"):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, network=False, offline_remedy="allow it"))
    assert not site.asked


@pytest.mark.parametrize("said_size", [None, 10**12])
def test_what_is_too_large_is_refused(store: CastoreStore, limits: Limits, site: Site, said_size: int | None) -> None:
    site.pages["/f"] = Page(BODY, said_size=said_size)
    with pytest.raises(FetchError, match="1000 bytes, which is the limit"):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, max_bytes=1000))
    assert site.count("/f") == 1
    assert not list((limits.folder / "partial").iterdir())


def test_a_download_may_take_so_long(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    with pytest.raises(FetchError, match="longer than"):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, total=-1.0))


def test_a_server_that_says_no_more_is_asked_again(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, etag='"1"', hangs=1, after=100_000)
    found = fetch_file(store, f"{site.url}/f", "f", None, replace(limits, stall=0.2))
    assert contents(store, found) == BODY
    assert site.asked[-1][1]["range"] == "bytes=100000-"


def test_whoever_does_not_wait_is_not_kept_waiting(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY, errors=[500] * 9)
    limits.cancel.set()
    with pytest.raises(Cancelled):
        fetch_file(store, f"{site.url}/f", "f", None, replace(limits, pause=1000.0))


# --- builtin:fetchurl --------------------------------------------------------------------------------


def derivation(expected: Hash, method: str, **env: str) -> Derivation:
    outputs = {"out": Output("", f"{method}{expected.algo}", expected.base16())}
    drv = Derivation("thing", outputs, {}, set(), "builtin", "builtin:fetchurl", [], {"name": "thing", **env})
    DerivationHashes().instantiate(drv)
    return drv


def nar(content: bytes, executable: bool = False) -> bytes:
    pieces: list[bytes] = []
    writer = NarWriter(pieces.append)
    writer.regular(content, executable)
    writer.finish()
    return b"".join(pieces)


def test_builtin_fetchurl_makes_a_file(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    drv = derivation(sha256(BODY), "", url=f"{site.url}/f")
    said: list[str] = []
    made = fetch_derivation(store, drv, limits, said.append)
    assert made["out"].path == drv.outputs["out"].path
    assert said == [f"downloading '{site.url}/f'"]
    assert fetch_derivation(store, drv, limits)["out"].path == made["out"].path
    assert len(site.asked) == 1


def test_builtin_fetchurl_makes_an_executable(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(b"#!/bin/sh\n")
    drv = derivation(sha256(nar(b"#!/bin/sh\n", True)), "r:", url=f"{site.url}/f", executable="1")
    entry = store.tree(fetch_derivation(store, drv, limits)["out"]).entry([])
    assert entry is not None and entry.executable


@pytest.mark.parametrize("packed", [False, True])
def test_builtin_fetchurl_unpacks_an_archive_of_nix(
    store: CastoreStore, limits: Limits, site: Site, packed: bool
) -> None:
    archive = nar(b"hello")
    name = "/f.nar.xz" if packed else "/f.nar"
    site.pages[name] = Page(lzma.compress(archive) if packed else archive)
    drv = derivation(sha256(archive), "r:", url=f"{site.url}{name}", unpack="1")
    assert b"".join(store.tree(fetch_derivation(store, drv, limits)["out"]).read([])) == b"hello"


def test_builtin_fetchurl_tries_one_address_after_the_other(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/second"] = Page(BODY)
    drv = derivation(sha256(BODY), "", url=f"{site.url}/first", urls=f"{site.url}/first {site.url}/second")
    assert fetch_derivation(store, drv, limits)["out"].path == drv.outputs["out"].path
    assert [path for path, _ in site.asked] == ["/first", "/second"]


def test_builtin_fetchurl_names_both_hashes(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(BODY)
    wrong = Hash("sha256", hashlib.sha256(b"x").digest())
    with pytest.raises(HashMismatch, match=re.escape(wrong.sri())):
        fetch_derivation(store, derivation(wrong, "", url=f"{site.url}/f"), limits)


def test_builtin_fetchurl_refuses_what_makes_no_sense(store: CastoreStore, limits: Limits) -> None:
    with pytest.raises(FetchError, match="outputHashMode"):
        fetch_derivation(store, derivation(sha256(b""), "r:", url="file:///f"), limits)
    with pytest.raises(FetchError, match="'url'"):
        fetch_derivation(store, derivation(sha256(b""), ""), limits)


@pytest.mark.parametrize("data", [b"", b"nonsense", nar(b"hello")[:-8], nar(b"hello") + b"more"])
def test_a_broken_archive_of_nix_is_refused(store: CastoreStore, limits: Limits, site: Site, data: bytes) -> None:
    site.pages["/f"] = Page(data)
    with pytest.raises(FetchError, match=re.escape(f"cannot unpack '{site.url}/f': it is no NAR")):
        fetch_nar(store, f"{site.url}/f", "f", None, limits)


def test_a_page_that_is_no_archive_is_refused(store: CastoreStore, limits: Limits, site: Site) -> None:
    site.pages["/f"] = Page(b"<html>" + BODY)
    with pytest.raises(FetchError, match=re.escape(f"cannot unpack '{site.url}/f': it is no tar or zip file")):
        fetch_tarball(store, f"{site.url}/f", "source", None, limits)
