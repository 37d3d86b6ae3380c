"""What an editor's evaluation hears of what is not there: fetches that are declared in a session."""

from __future__ import annotations

import queue
import threading
from pathlib import Path

import pytest

from evaluator.io.files import Files
from evaluator.opening import open_session
from evaluator.runtime.errors import BuildFailure, EvalError, Unrealised
from evaluator.service.background import ALWAYS, ASK, NEVER, BackgroundAccess
from evaluator.service.building import FromBuilder
from store.composition.castore_store import CastoreStore
from store.store_path import text_path

NAME = "fetched"
PATH = text_path(NAME, b"content", [])


class Fetch:
    """A declared fetch; ``fails`` with this message, if there is one."""

    what = "https://example.org/x"
    title = "Fetch it"

    def __init__(self, fails: str = "", at_hand: bool = False, meddles: bool = False) -> None:
        self.fails = fails
        self.at_hand = at_hand
        self.meddles = meddles
        self.permitted = False
        self.may_end = threading.Event()
        self.may_end.set()
        self.runs: list[CastoreStore] = []

    def permit(self) -> None:
        self.permitted = True

    def run(self, store: CastoreStore, cancel: threading.Event | None = None) -> None:
        assert self.permitted != self.at_hand
        self.runs.append(store)
        self.may_end.wait()
        if self.fails:
            raise EvalError(self.fails)
        store.add_text(NAME, b"content")


class Editor:
    """A session whose store works in the background."""

    def __init__(self, folder: Path, policy: str, fetch: Fetch) -> None:
        self.news: queue.Queue[FromBuilder | None] = queue.Queue()
        self.access = BackgroundAccess(policy, self.news.put, f"local:{folder}/store")
        self.session = open_session(Files())
        self.session.fetches[PATH] = fetch
        self.access.serve(self.session)

    def read(self) -> object:
        """The content of what is fetched; raises what evaluation raises."""
        context = f'builtins.appendContext "{PATH}" {{ "{PATH}".path = true; }}'
        return self.session.expression(f"builtins.readFile ({context})", "/")

    def state(self) -> str:
        with pytest.raises(Unrealised) as caught:
            self.read()
        return caught.value.state


def test_never(tmp_path: Path) -> None:
    fetch = Fetch()
    editor = Editor(tmp_path, NEVER, fetch)
    assert editor.state() == "barred"
    editor.access.allow([PATH])
    assert editor.state() == "barred"
    assert not fetch.runs


def test_ask(tmp_path: Path) -> None:
    fetch = Fetch()
    editor = Editor(tmp_path, ASK, fetch)
    assert editor.state() == "unfetched"
    assert list(editor.access.missed) == [PATH]
    assert not fetch.runs
    editor.access.allow([PATH])
    assert editor.state() == "fetching"
    assert editor.access.take(editor.news.get(timeout=200))
    assert editor.read() == "content"
    assert len(fetch.runs) == 1


@pytest.mark.parametrize("policy", [NEVER, ASK])
def test_what_is_at_hand_needs_no_leave(tmp_path: Path, policy: str) -> None:
    editor = Editor(tmp_path, policy, Fetch(at_hand=True))
    assert editor.state() == "fetching"
    assert editor.access.take(editor.news.get(timeout=200))
    assert editor.read() == "content"


def test_what_changes_files_is_asked_for_each_time(tmp_path: Path) -> None:
    fetch = Fetch(meddles=True)
    editor = Editor(tmp_path, ALWAYS, fetch)
    assert editor.state() == "unfetched"
    editor.access.allow([PATH])
    assert editor.state() == "fetching"


def test_what_was_cancelled_can_be_asked_for_again(tmp_path: Path) -> None:
    fetch = Fetch()
    fetch.may_end.clear()
    editor = Editor(tmp_path, ALWAYS, fetch)
    assert editor.state() == "fetching"
    editor.access.refuse()
    with pytest.raises(BuildFailure, match=r"fetching 'https://example.org/x' was cancelled"):
        editor.read()
    editor.access.allow([PATH])
    assert editor.state() == "fetching"
    fetch.may_end.set()
    assert editor.access.take(editor.news.get(timeout=200))
    assert editor.read() == "content"


def test_a_failure_is_kept_until_it_is_allowed_again(tmp_path: Path) -> None:
    fetch = Fetch(fails="no such host")
    editor = Editor(tmp_path, ALWAYS, fetch)
    assert editor.state() == "fetching"
    assert editor.access.take(editor.news.get(timeout=200))
    for _ in range(2):
        with pytest.raises(BuildFailure, match="no such host"):
            editor.read()
    assert len(fetch.runs) == 1
    fetch.fails = ""
    editor.access.allow([PATH])
    assert editor.state() == "fetching"
    assert editor.access.take(editor.news.get(timeout=200))
    assert editor.read() == "content"


def test_what_nobody_needs_any_more_changes_nothing(tmp_path: Path) -> None:
    editor = Editor(tmp_path, ALWAYS, Fetch())
    assert editor.state() == "fetching"
    editor.access.stop([PATH])
    assert not editor.access.running
    assert not editor.access.take(editor.news.get(timeout=200))


def test_a_builder_that_is_gone(tmp_path: Path) -> None:
    editor = Editor(tmp_path, ALWAYS, Fetch())
    assert editor.state() == "fetching"
    assert editor.access.take(None)
    with pytest.raises(BuildFailure, match="broke off"):
        editor.access.realise([PATH])
