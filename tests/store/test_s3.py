"""A binary cache in an object store, over S3's protocol: moto's server on loopback (skipped where it is not there)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.castore.services import Refused, StoreError
from store.composition import local_store, open_store
from store.paths import closure
from store.signatures import SecretKey

moto_server = pytest.importorskip("moto.server", reason="no S3 server to talk to: pip install 'moto[server]'")
MakeTree = Callable[[Any], str]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with an empty bucket `cache`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    import httpx

    httpx.put(f"http://{host}:{port}/cache").raise_for_status()
    yield f"http://{host}:{port}"
    server.stop()


def test_a_cache_in_s3(s3: str, make_tree: MakeTree, tmp_path: Path) -> None:
    key = SecretKey.generate("s3-1")
    (tmp_path / "secret").write_text(key.to_text())
    url = f"s3://cache/some/prefix?endpoint={s3}&region=us-east-1"
    with local_store(str(tmp_path / "one")) as one, local_store(str(tmp_path / "two")) as two:
        large = one.add_path(make_tree({"large": random.Random(1).randbytes(400_000).hex() * 20}), "large")
        text = one.add_text("text", large.path.encode(), [large.path])
        with open_store(f"{url}&secret-key={tmp_path}/secret") as cache:
            assert closure.copy(one, cache, [text.path]).done == 2
        with open_store(f"{url}&trusted={key.public().to_text()}") as cache:
            assert sorted(cache.paths()) == sorted([large.path, text.path])
            assert closure.copy(cache, two, [text.path]).done == 2
            assert cache.query("/nix/store/" + "0" * 32 + "-x") is None
        assert b"".join(two.nar(large.with_node(None))) == b"".join(one.nar(large))
        with open_store(url) as cache, pytest.raises(Refused, match="none of which is trusted"):
            cache.query(text.path)


def test_no_such_bucket(s3: str) -> None:
    with open_store(f"s3://nothing?endpoint={s3}&region=us-east-1") as cache, pytest.raises(StoreError):
        list(cache.paths())


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    url = "s3://cache?endpoint=http://127.0.0.1:9&region=us-east-1"
    with open_store(url) as cache, pytest.raises(StoreError, match="s3://cache"):
        cache.query("/nix/store/" + "0" * 32 + "-x")
