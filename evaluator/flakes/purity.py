"""Pure evaluation: what ``--pure-eval`` says, and what holds of flakes unless ``--impure`` says otherwise.

Specification: the Nix manual, "nix.conf", ``pure-eval``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluator.flakes.fetcher import fetcher_of

if TYPE_CHECKING:
    from evaluator.session import Session

_SURROUNDINGS = ("currentSystem", "currentTime")


def make_pure(session: Session) -> None:
    """From now on evaluation knows nothing of its surroundings: files, variables, the time, the machine.

    What is fetched must be pinned. What was evaluated before stays.
    """
    fetcher_of(session).pure = True
    session.files.pure = True
    session.search_path.clear()
    builtins = session.builtins.items
    for name in _SURROUNDINGS:
        session.globals.pop("__" + name, None)
        builtins.pop(name, None)
    builtins["nixPath"] = session.globals["__nixPath"] = []
