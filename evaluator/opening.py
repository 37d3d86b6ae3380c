"""Opens sessions: gives them their built-in functions, and what those ask for of flakes."""

from __future__ import annotations

from typing import final

from evaluator.builtins.install import install
from evaluator.io.files import Files
from evaluator.session import Fetching, Flakes, Session


@final
class _Flakes(Flakes):
    """The room of flakes, loaded when somebody asks for something of it."""

    def fetcher(self, session: Session) -> Fetching:
        from evaluator.flakes.fetcher import fetcher_of

        return fetcher_of(session)

    def call(self, session: Session, ref: str) -> object:
        from evaluator.flakes.calling import get_flake

        return get_flake(session, ref)


def open_session(
    files: Files,
    search_path: list[tuple[str, str]] | None = None,
    system: str = "",
    observe: int = 0,
    tolerant: bool = False,
    shared: str = "",
) -> Session:
    """A session that knows the built-in functions; the arguments are those of :class:`Session`."""
    session = Session(files, search_path, system, observe, tolerant, shared)
    session.flakes = _Flakes()
    install(session)
    return session
