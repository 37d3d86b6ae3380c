"""A local store for each test, derivations in it, and what pretends to build them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.composition import local_store
from store.composition.castore_store import CastoreStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[CastoreStore]:
    with local_store(str(tmp_path / "store")) as made:
        yield made
