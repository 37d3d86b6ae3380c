"""The worker's client: answers, budgets, cancellation, and workers that die or hang."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from evaluator.service.protocol import Answer, Configure, Status, Target
from lsp.process import Process
from lsp.worker import Limits, Worker, launcher

FAKE = [sys.executable, "-P", str(Path(__file__).with_name("fake_worker.py"))]
PATIENT = Limits(budget=30.0, grace=5.0)
PATH = "/somewhere/file.nix"

Make = Callable[..., Worker]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    workers: list[Worker] = []

    def build(limits: Limits = PATIENT, on_status: Callable[[Status], None] | None = None) -> Worker:
        worker = Worker(launcher([*FAKE, str(tmp_path / "memory")]), limits=limits, on_status=on_status)
        worker.start()
        workers.append(worker)
        return worker

    yield build
    for worker in workers:
        await worker.stop()


def preview(answer: Answer) -> str:
    assert answer.facts is not None, answer
    return answer.facts.preview


async def describe(worker: Worker, text: str, version: int = 1) -> Answer:
    """Opens a document that consists of ``text`` and asks what it is."""
    worker.open(PATH, version, text)
    return await worker.at(PATH, version).describe(Target(PATH, 0, len(text)))


async def test_answers_about_the_newest_text(make: Make) -> None:
    worker = make()
    for version, text in enumerate(["one", "two", "thr\udc80ee", "four 💥"]):
        assert preview(await describe(worker, text, version)) == f'"{text}"'.replace("\udc80", "?")


async def test_a_path_that_is_not_utf8_is_no_question_for_the_worker(make: Make) -> None:
    worker = make()
    worker.open("/bad\udcff.nix", 1, "text")
    assert (await worker.at("/bad\udcff.nix", 1).describe(Target("/bad\udcff.nix", 0, 4))).state == "unknown"
    assert preview(await describe(worker, "fine")) == '"fine"'


async def test_members_scope_and_arguments(make: Make) -> None:
    worker = make()
    worker.open(PATH, 1, "stdenv")
    values = worker.at(PATH, 1)
    names = [member.name for member in (await values.members(Target(PATH, 0, 6), 10)).members]
    assert names == ["hostPlatform", "mkDerivation"]
    assert [member.name for member in (await values.scope(PATH, 3)).members] == ["fromWith"]
    assert "fetchurl" in [member.name for member in (await values.arguments(PATH)).members]


async def test_questions_in_parallel_get_their_own_answers(make: Make) -> None:
    worker = make()
    worker.open(PATH, 1, "abcdefghij")
    values = worker.at(PATH, 1)
    answers = await asyncio.gather(*(values.describe(Target(PATH, n, n + 1)) for n in range(10)))
    assert [preview(answer) for answer in answers] == [f'"{letter}"' for letter in "abcdefghij"]


async def test_an_older_version_gets_no_answer(make: Make) -> None:
    worker = make()
    worker.open(PATH, 1, "old")
    values = worker.at(PATH, 1)
    worker.open(PATH, 2, "new")
    assert (await values.describe(Target(PATH, 0, 3))).state == "cancelled"


async def test_a_new_configuration_keeps_the_documents(make: Make) -> None:
    worker = make()
    assert preview(await describe(worker, "text")) == '"text"'
    worker.configure(Configure(nixpkgs="/other"))
    assert preview(await worker.at(PATH, 1).describe(Target(PATH, 0, 4))) == '"text"'


async def test_a_closed_document_counts_no_more(make: Make) -> None:
    worker = make()
    await describe(worker, "text")
    worker.close(PATH)
    assert preview(await worker.at(PATH, 1).describe(Target(PATH, 0, 4))) == '""'


@pytest.mark.parametrize("text", ["slow", "hang"])
async def test_the_budget_is_kept(make: Make, text: str) -> None:
    worker = make(Limits(budget=0.05, grace=0.05))
    assert (await describe(worker, text)).state == "timeout"
    assert worker.restarts == 0


async def test_a_cancelled_question_is_cancelled_in_the_worker_and_others_go_on(make: Make) -> None:
    worker = make()
    task = asyncio.create_task(describe(worker, "slow"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert preview(await describe(worker, "next", 2)) == '"next"'


async def test_a_crash_is_asked_again_of_a_new_worker(make: Make) -> None:
    worker = make()
    assert preview(await describe(worker, "crash_once")) == '"crash_once"'
    assert worker.restarts == 1


async def test_killed_in_the_middle(make: Make) -> None:
    worker = make()
    worker.configure(Configure(nixpkgs="/pkgs"))
    other = asyncio.create_task(describe(worker, "slow"))
    assert preview(await describe(worker, "before", 2)) == '"before"'
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    answer = await describe(worker, "after", 3)
    assert preview(answer) == '"after"'
    assert answer.facts is not None
    assert answer.facts.doc == "nixpkgs=/pkgs", "the new worker was told everything anew"
    other.cancel()


async def test_a_question_that_kills_is_given_up(make: Make) -> None:
    worker = make()
    answer = await describe(worker, "crash")
    assert answer.state == "unknown"
    assert "exit code 3" in answer.message
    assert preview(await describe(worker, "fine", 2)) == '"fine"'


async def test_a_worker_that_keeps_dying_rests(make: Make) -> None:
    worker = make(Limits(budget=30.0, crashes=3, rest=3600.0))
    await describe(worker, "crash")
    await describe(worker, "crash", 2)
    assert worker.restarts == 3
    assert (await describe(worker, "fine", 3)).state == "unknown"


async def test_a_worker_that_answers_nonsense_is_replaced(make: Make) -> None:
    worker = make()
    assert (await describe(worker, "garbage")).state == "unknown"
    assert preview(await describe(worker, "fine", 2)) == '"fine"'


async def test_a_worker_that_does_not_react_is_killed(make: Make) -> None:
    seen: asyncio.Queue[Status] = asyncio.Queue()
    worker = make(Limits(budget=0.05, grace=0.05, hang=0.05), seen.put_nowait)
    worker.configure(Configure(nixpkgs="/pkgs"))
    assert [(await seen.get()).state for _ in range(2)] == ["loading", "idle"]
    assert (await describe(worker, "hung")).state == "timeout"
    assert await seen.get() == Status("loading", "loading /pkgs"), "a new one is told everything"
    assert worker.restarts == 1


async def test_status_is_reported(make: Make) -> None:
    seen: asyncio.Queue[Status] = asyncio.Queue()
    worker = make(on_status=seen.put_nowait)
    worker.configure(Configure(nixpkgs="/pkgs"))
    assert await seen.get() == Status("loading", "loading /pkgs")
    assert (await seen.get()).state == "idle"


async def test_a_process_that_was_started_earlier_is_taken_over() -> None:
    process = Process(FAKE)
    process.send(Configure(nixpkgs="/early"))
    worker = Worker(launcher(FAKE), limits=PATIENT)
    worker.start(process, Configure(nixpkgs="/early"))
    assert worker.pid == process.pid
    answer = await describe(worker, "x")
    assert answer.facts is not None
    assert answer.facts.doc == "nixpkgs=/early"
    await worker.stop()
    assert process.wait(0)


async def test_a_command_that_is_not_there_answers_unknown() -> None:
    worker = Worker(launcher(["/nowhere/no-such-command"]))
    worker.start()
    assert (await describe(worker, "x")).state == "unknown"
    await worker.stop()


async def test_stopping_settles_what_is_open(make: Make) -> None:
    worker = make()
    task = asyncio.create_task(describe(worker, "slow"))
    await describe(worker, "x", 2)
    await worker.stop()
    assert (await task).state == "cancelled"
    assert (await describe(worker, "x", 3)).state == "unknown"
