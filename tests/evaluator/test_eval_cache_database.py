"""The database of answers: bounded, for many processes, and never worse than none."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from evaluator.cache import database
from evaluator.cache.database import Database, Row
from evaluator.io.observation import ORDER, pack, unpack
from tests.conftest import ROOT


def row(text: str, size: int = 0) -> Row:
    return Row(b"reads", b"", text.encode() + bytes(size))


def text_of(found: Row | None) -> str | None:
    return None if found is None else found.text.rstrip(b"\0").decode()


def test_keeps_and_replaces(tmp_path: Path) -> None:
    answers = Database(str(tmp_path / "new" / "folder" / "db"))
    assert answers.find(b"key") is None
    answers.keep(b"key", row("one"))
    answers.keep(b"other", row("two"))
    assert text_of(answers.find(b"key")) == "one"
    answers.keep(b"key", row("three"))
    assert text_of(answers.find(b"key")) == "three"
    assert text_of(answers.find(b"other")) == "two"
    assert answers.find(b"none") is None


@pytest.mark.skipif(os.name != "posix", reason="no such permissions here")
def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "db"
    Database(str(path)).keep(b"key", row("secret"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_was_used_longest_ago_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(database, "time", SimpleNamespace(time=lambda: now))
    answers = Database(str(tmp_path / "db"), limit=100_000)
    for number in range(9):
        answers.keep(b"%d" % number, row(str(number), 10_000))
        now += 10_000
    assert text_of(answers.find(b"0")) == "0"  # a use
    now += 10_000
    answers.keep(b"9", row("9", 10_000))
    kept = [number for number in range(10) if answers.find(b"%d" % number) is not None]
    assert kept == [0, 4, 5, 6, 7, 8, 9]


def test_stays_within_its_bounds(tmp_path: Path) -> None:
    answers = Database(str(tmp_path / "db"), limit=1_000_000)
    chance = random.Random(1)
    for number in range(400):
        answers.keep(b"%d" % (number % 150), Row(chance.randbytes(20_000), b"", b""))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size < 2_000_000
    with sqlite3.connect(tmp_path / "db") as connection:
        (rows,) = connection.execute("SELECT sum(size) FROM answers").fetchone()
        (total,) = connection.execute("SELECT bytes FROM total").fetchone()
    assert rows == total
    assert 500_000 < total <= 1_000_000


def test_too_large_an_answer_is_not_kept(tmp_path: Path) -> None:
    answers = Database(str(tmp_path / "db"), limit=100_000)
    answers.keep(b"small", row("small"))
    answers.keep(b"large", row("large", 50_000))
    assert answers.find(b"large") is None
    assert text_of(answers.find(b"small")) == "small"


def other_tables() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE answers (key)")
    return connection.serialize()


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000, other_tables()])
def test_what_is_no_database_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "db").write_bytes(content)
    answers = Database(str(tmp_path / "db"))
    assert answers.find(b"key") is None
    answers.keep(b"key", row("one"))
    answers.keep(b"key", row("two"))
    assert text_of(answers.find(b"key")) == "two"


def test_damage_gives_no_wrong_answer(tmp_path: Path) -> None:
    """Any byte of the file may be wrong."""
    texts = {b"%d" % number: "answer " * 50 + str(number) for number in range(40)}
    answers = Database(str(tmp_path / "db"))
    for key, text in texts.items():
        answers.keep(key, row(text))
    sound = (tmp_path / "db").read_bytes()
    chance = random.Random(2)
    lost = healed = 0
    for _ in range(60):
        broken = bytearray(sound)
        for _ in range(20):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / "db").write_bytes(broken)
        for key, text in texts.items():
            found = text_of(answers.find(key))
            assert found in (None, text)
            lost += found is None
        for _ in range(2):
            answers.keep(b"new", row("new"))
        found = text_of(answers.find(b"new"))
        assert found in (None, "new")
        healed += found == "new"
    assert lost
    assert healed > 50


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answers = Database(str(tmp_path / "file" / "db"))
    answers.keep(b"key", row("one"))
    assert answers.find(b"key") is None


def test_locked_by_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAIT_TO_WRITE", 0.01)
    monkeypatch.setattr(database, "_USE_SECONDS", 0)
    answers = Database(str(tmp_path / "db"))
    answers.keep(b"key", row("one"))
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answers.keep(b"key", row("two"))
    assert text_of(answers.find(b"key")) == "one"
    other.execute("ROLLBACK")
    other.close()
    answers.keep(b"key", row("two"))
    assert text_of(answers.find(b"key")) == "two"


WRITER = """
import random, sys
from evaluator.cache.database import Database, Row
answers, chance = Database(sys.argv[1], limit=300_000), random.Random(int(sys.argv[2]))
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    name = chance.randrange(40)
    found = answers.find(b"%d" % name)
    if found is not None:
        assert set(found.text.split(b" ")) == {b"%d" % name}, found.text[:50]
    answers.keep(b"%d" % name, Row(b"", b"", b" ".join([b"%d" % name] * 3_000)))
"""


def test_many_processes_and_some_are_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(seed: int, steps: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, str(tmp_path / "db"), str(seed), str(steps)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    workers = [start(seed, 60) for seed in range(4)]
    for seed in range(10, 16):
        victim = start(seed, 1_000_000)
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    for worker in workers:
        _, err = worker.communicate()
        assert worker.returncode == 0, err
    with sqlite3.connect(tmp_path / "db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (rows,) = connection.execute("SELECT sum(size) FROM answers").fetchone()
        assert connection.execute("SELECT bytes FROM total").fetchone() == (rows,)
        assert 0 < rows <= 300_000


def test_observations_are_written_down_in_the_order_of_their_price() -> None:
    found = {"c/b": "1:x", "x/a": "0", "x/b": "1", "evariable": "=\udcffé\n", "f/d//12": "00//a//b", "l/l": ""}
    packed = pack(found)
    assert packed is not None
    fields = unpack(packed)
    # That a file exists is said by its contents.
    assert dict(zip(fields[::2], fields[1::2], strict=True)) == {k: v for k, v in found.items() if k != "x/b"}
    assert [field[0] for field in fields[::2]] == sorted([field[0] for field in fields[::2]], key=ORDER.index)
    empty = pack({})
    assert empty is not None
    assert unpack(empty) == []
    assert pack({"e\0": ""}) is None
    assert pack({"x/\ud800": "1"}) is None
