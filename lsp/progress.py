"""Progress that the client shows: one bar for each kind of work, begun when the work takes more than a moment."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from lsprotocol import types
from pygls.lsp.server import LanguageServer

log = logging.getLogger(__name__)

_PROGRESS_SECONDS: Final = 0.3  # shorter work is not worth a progress bar


class WorkProgress:
    """Work that goes on as long as there is a text about it; ``on_cancel``: the user may end it."""

    def __init__(
        self, server: LanguageServer, name: str, title: str, on_cancel: Callable[[], None] | None = None
    ) -> None:
        self._server: Final = server
        self._name: Final = name
        self._title: Final = title
        self._on_cancel: Final = on_cancel
        self._ready = False
        self._text = ""
        self._token = ""  # of the progress that is shown
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def client_is_ready(self) -> None:
        """The client has said that requests may be sent to it."""
        window = self._server.client_capabilities.window
        self._ready = window is not None and bool(window.work_done_progress)
        if self._text:
            self._later()

    def show(self, text: str) -> None:
        """What is being done; empty: nothing."""
        self._text = text
        if text and self._token:
            self._server.work_done_progress.report(self._token, types.WorkDoneProgressReport(message=text))
        elif text:
            self._later()
        else:
            self._end()

    def _later(self) -> None:
        if self._ready and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PROGRESS_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._create())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _create(self) -> None:
        progress = self._server.work_done_progress
        self._count += 1
        token = f"tvix-lsp/{self._name}/{self._count}"
        try:
            await progress.create_async(token)
        except Exception as error:
            log.debug("no progress for this client: %s", error)
            self._ready = False
            return
        if self._text and not self._token:
            self._token = token
            progress.tokens[token].add_done_callback(functools.partial(self._ended_by_user, token))
            cancellable = self._on_cancel is not None
            progress.begin(token, types.WorkDoneProgressBegin(self._title, message=self._text, cancellable=cancellable))

    def _ended_by_user(self, token: str, future: Future[Any]) -> None:
        if future.cancelled() and token == self._token and self._on_cancel is not None:
            self._on_cancel()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        token, self._token = self._token, ""
        if token:
            progress = self._server.work_done_progress
            progress.end(token, types.WorkDoneProgressEnd())
            progress.tokens.pop(token, None)
