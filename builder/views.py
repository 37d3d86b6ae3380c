"""What is shown while things are built: lines, JSON, or a live view on a terminal. All of it on standard error.

A view hears events (:mod:`builder.progress`) from several threads, one at a time.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Protocol

from builder import events
from builder.progress import (
    Event,
    Fetched,
    FetchFailed,
    Fetching,
    Made,
    NotMade,
    OfBuild,
    Planned,
    Resolved,
    Unanswered,
    Waiting,
    as_json,
)
from builder.readable import readable
from store.store_path import derivation_name, name_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live


class View(Protocol):
    """Shows events."""

    def hear(self, event: Event) -> None:
        """Something happened."""

    def close(self) -> None:
        """Nothing more will."""


def view(*, json: bool = False, quiet: bool = False, build_output: bool = True) -> View:
    """The view that the flags and the terminal ask for."""
    if json:
        return JsonLines()
    if quiet:
        return Nothing()
    if sys.stderr.isatty():
        try:
            return Lively(build_output)
        except ImportError:
            pass
    return Lines(build_output)


class Nothing:
    """Shows nothing."""

    def hear(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class JsonLines:
    """Each event as a line of JSON (:func:`builder.progress.as_json`), with the time in seconds as ``at``."""

    def hear(self, event: Event) -> None:
        import json

        print(json.dumps({"at": round(time.time(), 3), **as_json(event)}), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class Lines:
    """A line for what begins or goes wrong, and what builds say."""

    def __init__(self, build_output: bool = True) -> None:
        self._build_output = build_output

    def hear(self, event: Event) -> None:
        if isinstance(event, OfBuild) and isinstance(event.event, events.LogLine):
            if self._build_output:
                sys.stderr.flush()
                sys.stderr.buffer.write(event.event.line + b"\n")  # as it is, whatever its encoding
                sys.stderr.buffer.flush()
            return
        text = self._line(event)
        if text is not None:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass

    def _line(self, event: Event) -> str | None:
        if isinstance(event, OfBuild):
            return f"building '{event.drv_path}'..." if isinstance(event.event, events.Started) else None
        return said(event)


def said(event: Event) -> str | None:
    """The line that an event is worth, apart from what builds say."""
    if isinstance(event, Fetching):
        return f"copying path '{event.path}' from '{event.source}'..."
    if isinstance(event, FetchFailed):
        return f"warning: '{event.path}' could not be fetched: {event.why}"
    if isinstance(event, Unanswered):
        return f"warning: substituter '{event.source}' is passed over: {event.why}"
    if isinstance(event, Waiting):
        return f"waiting for another process that builds '{event.drv_path}'..."
    if isinstance(event, Resolved):
        return f"resolved derivation: '{event.drv_path}' -> '{event.resolved}'..."
    if isinstance(event, NotMade) and event.kind == "dependency":
        return f"cannot build '{event.path}': {event.why.replace('is needed for it', 'is missing')}"
    return None


class Lively:
    """A terminal's view: what runs, for how long, and how far it all is; the last line that each build said."""

    _SHOWN = 12  # builds at once

    def __init__(self, build_output: bool = True) -> None:
        from rich.console import Console

        self._build_output = build_output
        self._console: Console = Console(stderr=True)
        self._running: dict[str, _Running] = {}
        self._to_build = self._built = self._to_fetch = self._fetched = self._failed = 0
        self._live: Live | None = None

    def hear(self, event: Event) -> None:
        if isinstance(event, Planned):
            self._to_build = self._built + len(event.builds)
            self._to_fetch = self._fetched + len(event.fetches)
        elif isinstance(event, OfBuild):
            self._of_build(event.drv_path, event.event)
        elif isinstance(event, Fetching):
            self._running[event.path] = _Running(f"fetching {name_of(event.path)}")
        elif isinstance(event, Fetched):
            self._running.pop(event.path, None)
            self._fetched += 1
        elif isinstance(event, Made):
            self._running.pop(event.drv_path, None)
            self._built += 1
        elif isinstance(event, NotMade):
            self._running.pop(event.path, None)
            self._failed += 1
        text = None if isinstance(event, Fetching) else said(event)
        if text is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        if self._live is None and (self._to_build or self._to_fetch):
            from rich.live import Live

            # Made now, for it draws once when it is made.
            self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw)
            self._live.start()

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _of_build(self, drv_path: str, event: events.BuildEvent) -> None:
        if isinstance(event, events.Started):
            self._running[drv_path] = _Running(derivation_name(drv_path))
            return
        running = self._running.get(drv_path)
        if running is None:
            return
        if isinstance(event, events.Phase):
            running.phase = event.name
        elif isinstance(event, events.LogLine):
            running.line = readable(event.line)
            if self._build_output:
                from rich.text import Text

                line = Text.from_ansi(readable(event.line, colours=True))
                self._console.print(Text(f"{running.name}> ") + line, soft_wrap=True)

    def _draw(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        for running in list(self._running.values())[: self._SHOWN]:
            seconds = int(time.monotonic() - running.since)
            last = Text("" if self._build_output else running.line, no_wrap=True, overflow="ellipsis", style="dim")
            grid.add_row(Text(running.name, style="bold"), Text(running.phase), Text(f"{seconds}s"), last)
        parts = [f"{self._built}/{self._to_build} built"]
        if self._to_fetch:
            parts.append(f"{self._fetched}/{self._to_fetch} fetched")
        if self._failed:
            parts.append(f"{self._failed} failed")
        grid.add_row(Text(", ".join(parts), style="bold"))
        return grid


class _Running:
    """Something under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.phase = ""
        self.line = ""
        self.since = time.monotonic()
