"""Observed calls: the first few of each lambda, however often it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import observing
from evaluator.builtins.control import deep_force
from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.values import force
from evaluator.session import Session

TEXT = "let f = x: y: x + y; g = { a, ... }: f a; in map (n: g { a = n; } 1) (builtins.genList (n: n) 1000)"


def seen(folder: Path, limit: int) -> tuple[Session, Path]:
    """A session that evaluated a file which calls its functions a thousand times."""
    path = folder / "calls.nix"
    path.write_text(TEXT)
    session = open_session(Files(), observe=limit)
    deep_force(session.import_file(str(path)))
    return session, path


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_so_many_calls_of_each_lambda_are_kept(tmp_path: Path, limit: int) -> None:
    session, path = seen(tmp_path, limit)
    lambdas, calls = session.local_observations.counts()
    assert lambdas == (5 if limit else 0)
    assert calls == 5 * limit
    parsed = session.imported_version(str(path))
    assert parsed is not None
    environments = session.calls(parsed.file, TEXT.index("x: y"))
    assert [force(env[1]) for env in environments] == list(range(limit))


def test_what_is_known_of_a_version_can_be_dropped(tmp_path: Path) -> None:
    session, path = seen(tmp_path, 2)
    parsed = session.imported_version(str(path))
    assert parsed is not None
    session.forget_calls(parsed.file)
    assert session.local_observations.counts() == (0, 0)


def test_the_benchmark_runs(pkgset: Path) -> None:
    without = observing.measure(str(pkgset), "hello.drvPath", 0)
    observed = observing.measure(str(pkgset), "hello.drvPath", 2)
    assert without[2:] == [0, 0]
    assert 0 < observed[2] < observed[3] <= 2 * observed[2]
