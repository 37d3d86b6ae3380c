"""What an editor's evaluation misses is built by a process of its own, while evaluation goes on with everything else.

Nothing waits here: whoever needs what is not there hears at once that it is being built, has to be allowed, or has
failed. The process is niced, started when there is something to build, and gone with its standard input.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final, cast

import msgspec

from evaluator.io.store import Fetch
from evaluator.runtime.errors import BuildFailure, EvalError, Unrealised
from evaluator.service.building import FromBuilder, Made, Make, NotMade, Said, Stop, ToBuilder
from evaluator.service.protocol import read_frame, write_frame
from evaluator.stores.access import LocalAccess
from store.store_path import derivation_name

NEVER: Final = "never"
ASK: Final = "ask"
ALWAYS: Final = "always"

_COMMAND: Final = [sys.executable, "-P", "-m", "evaluator.service.building"]


class _Builder:
    """The process; ``hear`` is called with what it says, and with None at its end, on a thread of its own."""

    def __init__(self, url: str, hear: Callable[[FromBuilder | None], None]) -> None:
        self._popen: Final = subprocess.Popen([*_COMMAND, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stdin: Final = cast(BinaryIO, self._popen.stdin)
        self._stdout: Final = cast(BinaryIO, self._popen.stdout)
        self._encoder: Final = msgspec.msgpack.Encoder()
        self._decoder: Final = msgspec.msgpack.Decoder(FromBuilder)
        self._hear: Final = hear
        threading.Thread(target=self._listen, name="builds", daemon=True).start()

    def tell(self, message: ToBuilder) -> None:
        """Sends a message; a process that has gone says so by itself."""
        try:
            write_frame(self._stdin, self._encoder.encode(message))
        except OSError:
            return

    def _listen(self) -> None:
        try:
            while (payload := read_frame(self._stdout)) is not None:
                self._hear(self._decoder.decode(payload))
        except (ValueError, OSError) as error:
            print(f"tvix-lsp builds: {error}", file=sys.stderr)
        self._popen.wait()
        self._hear(None)


class BackgroundAccess(LocalAccess):
    """A store in which things are made in the background. ``policy`` is NEVER, ASK or ALWAYS.

    All methods are for the evaluation's thread; ``hear`` is called on another one, and passes what it gets to
    :meth:`take`.
    """

    def __init__(self, policy: str, hear: Callable[[FromBuilder | None], None], url: str = "") -> None:
        super().__init__(url)
        self.policy: Final = policy
        self._hear: Final = hear
        self._builder: _Builder | None = None
        self._allowed: Final[set[str]] = set()
        #: What could not be had, and from where: the same may be asked for elsewhere.
        self._failed: Final[dict[tuple[str, str], NotMade]] = {}
        #: What is being built or fetched, and what people call it.
        self.running: Final[dict[str, str]] = {}
        #: What ends a fetch that is running.
        self._cancels: Final[dict[str, threading.Event]] = {}
        #: What evaluation has missed since somebody emptied this.
        self.missed: Final[dict[str, None]] = {}

    # --- what a session asks -------------------------------------------------------------------

    def realise(self, wanted: list[str]) -> None:
        self.let_go_if_lost()
        for element in wanted:
            self.missed[element] = None
            failed = self._failed.get((element, self.name(element)))
            if failed is not None:
                raise BuildFailure(failed.message, element, failed.drv_path, list(failed.log), failed.exit_code)
        fresh = [each for each in wanted if each not in self.running and self._may_be_made(each)]
        if fresh:
            self._make(fresh)
        first = wanted[0]
        fetch = self._fetch(first)
        states = ("building", "never", "unbuilt") if fetch is None else ("fetching", "barred", "unfetched")
        state = states[0 if first in self.running else 1 if self.policy == NEVER else 2]
        raise Unrealised(first, None, state, self.name(first))

    def _fetch(self, element: str) -> Fetch | None:
        """The declared fetch that an element is, if it is one."""
        return None if self._session is None else self._session.fetches.get(element)

    def name(self, element: str) -> str:
        """What people call what an element of a string context names."""
        fetch = self._fetch(element)
        return fetch.what if fetch is not None else derivation_name(element)

    def _may_be_made(self, element: str) -> bool:
        if element.startswith("="):
            return False
        fetch = self._fetch(element)
        if fetch is not None and fetch.at_hand:
            return True  # nothing is built, and nobody else is asked
        if self.policy == NEVER:
            return False
        return element in self._allowed or (self.policy == ALWAYS and (fetch is None or not fetch.meddles))

    def _make(self, elements: list[str]) -> None:
        session = self._session
        if session is None:
            return
        for element in elements:
            if element in session.fetches:
                self.running[element] = self.name(element)
                cancel = self._cancels[element] = threading.Event()
                args = (element, session.fetches[element], cancel)
                threading.Thread(target=self._fetch_aside, args=args, name="fetch", daemon=True).start()
        elements = [element for element in elements if element not in session.fetches]
        if not elements:
            return
        paths = [element[element.rfind("!") + 1 :] for element in elements]
        self.write(session, [path for path in paths if path in session.recipes])
        if self._builder is None:
            try:
                self._builder = _Builder(self.url, self._hear)
            except OSError as error:
                raise EvalError(f"what builds in the background cannot be started: {error}") from None
        for element in elements:
            self.running[element] = self.name(element)
            self._builder.tell(Make(element))

    def _fetch_aside(self, element: str, fetch: Fetch, cancel: threading.Event) -> None:
        """A declared fetch, on a thread of its own."""
        try:
            if not fetch.at_hand:
                fetch.permit()
            fetch.run(self.castore, cancel)
            self._hear(Made(element))
        except Exception as error:  # whatever it is: who waits must hear of it
            if cancel.is_set():
                return  # nobody waits, or somebody waits for another try
            message = error.message if isinstance(error, EvalError) else f"'{element}' cannot be fetched: {error}"
            self._hear(NotMade(element, message, element, (), 1))

    # --- what happens meanwhile ----------------------------------------------------------------

    def allow(self, elements: Iterable[str]) -> None:
        """Somebody wants these built: they are, when evaluation asks for them next."""
        for element in elements:
            self._allowed.add(element)
            self._failed.pop((element, self.name(element)), None)

    def stop(self, elements: Iterable[str]) -> None:
        """Nobody needs these any more."""
        for element in list(elements):
            self.running.pop(element, None)
            if element in self._cancels:
                self._cancels.pop(element).set()
            if self._builder is not None:
                self._builder.tell(Stop(element))

    def refuse(self) -> None:
        """Ends everything that is being built; it is not begun again until it is allowed."""
        for element, called in list(self.running.items()):
            self._allowed.discard(element)
            drv_path = element[element.rfind("!") + 1 :]
            message = f"building '{drv_path}' was cancelled"
            fetch = self._fetch(element)
            if fetch is not None:
                message = f"fetching '{fetch.what}' was cancelled"
            self._failed[element, called] = NotMade(element, message, drv_path, (), 1)
        self.stop(self.running)

    def take(self, news: FromBuilder | None) -> bool:
        """Notes what the builder has said; whether that may change answers."""
        if news is None:
            self._builder = None
            for element, called in self.running.items():
                name = element[element.rfind("!") + 1 :]
                self._failed[element, called] = NotMade(element, f"building '{name}' broke off", name, (), 1)
            changed = bool(self.running)
            self.running.clear()
            return changed
        if isinstance(news, Said) or news.element not in self.running:
            return False
        called = self.running.pop(news.element)
        self._cancels.pop(news.element, None)
        self._allowed.discard(news.element)
        if isinstance(news, NotMade):
            self._failed[news.element, called] = news
        return True
