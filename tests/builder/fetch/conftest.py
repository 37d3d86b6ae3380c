"""What the fetchers' tests share: a store in memory, limits that wait for nothing, a server of our own, Git."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.fetch import Limits
from store.backends.memory import MemoryCastore
from store.composition.castore_store import CastoreStore
from tests.builder.fetch.loopback import Site, serving


@pytest.fixture
def store() -> CastoreStore:
    return CastoreStore(MemoryCastore())


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limits:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    return Limits(folder=tmp_path / "cache", pause=0.0, netrc=tmp_path / "no-netrc")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found
