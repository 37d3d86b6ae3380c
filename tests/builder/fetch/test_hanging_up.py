"""Whoever does not want a fetch any more is not kept by a server that says nothing."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from builder.fetch import FetchError, Limits
from builder.fetch.failure import Cancelled
from builder.fetch.git import GitSource, fetch_git
from builder.fetch.mercurial import fetch_mercurial
from builder.fetch.url import fetch_file, fetch_tarball
from store.composition.castore_store import CastoreStore
from tests.builder.fetch.loopback import Page, Site

BODY = os.urandom(300_000)

Fetch = Callable[[CastoreStore, str, Limits], object]
FETCHES: dict[str, tuple[str, str, Fetch]] = {
    "file": ("", "/f", lambda store, url, limits: fetch_file(store, f"{url}/f", "f", None, limits)),
    "archive": ("", "/f", lambda store, url, limits: fetch_tarball(store, f"{url}/f", "f", None, limits)),
    "git": (
        "git",
        "/f/info/refs?service=git-upload-pack",
        lambda store, url, limits: fetch_git(store, GitSource(f"{url}/f"), None, limits),
    ),
    "hg": ("hg", "/f?cmd=capabilities", lambda store, url, limits: fetch_mercurial(store, f"{url}/f", limits=limits)),
}


@pytest.mark.parametrize("after", [0, 100_000])
@pytest.mark.parametrize("kind", FETCHES)
def test_the_connection_ends(store: CastoreStore, limits: Limits, site: Site, kind: str, after: int) -> None:
    program, path, fetch = FETCHES[kind]
    if program and shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    site.pages[path] = Page(BODY, hangs=9, after=after)
    failures: list[BaseException] = []

    def fetching() -> None:
        try:
            fetch(store, site.url, replace(limits, stall=1000.0))
        except FetchError as error:
            failures.append(error)

    thread = threading.Thread(target=fetching)
    thread.start()
    assert site.hanging.wait(60), site.asked
    limits.cancel.set()
    assert site.left.wait(60)
    thread.join(60)
    assert [type(error) for error in failures] == [Cancelled]
