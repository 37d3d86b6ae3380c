"""Wide forces: evaluations of many things that do not depend on each other, as ``deepSeq`` and ``concatMap`` make them.

What several of those things miss in the store is made at once, and not one after the other.
"""

from __future__ import annotations

from evaluator.runtime.errors import EvalError, Unrealised
from evaluator.runtime.values import COUNTERS, Gathering
from evaluator.session import Session


class WideForce:
    """One wide force, which can be begun anew."""

    def attempt(self, session: Session) -> object:
        """Does it. While ``session.wide``, what is missing is passed over, and raised (the first) at the end."""
        raise NotImplementedError


class ForEach(WideForce):
    """The same thing done with each item of a list, all of which Nix does, one independent of the other."""

    def __init__(self, items: list[object]) -> None:
        self.items = items

    def begin(self) -> None:
        """Begins, anew perhaps."""
        raise NotImplementedError

    def take(self, item: object) -> None:
        """Does it with the next item."""
        raise NotImplementedError

    def lack(self, missed: Unrealised) -> None:
        """Goes on without what came of the last item."""

    def result(self) -> object:
        """What came of it."""
        raise NotImplementedError

    def attempt(self, session: Session) -> object:
        self.begin()
        missed: Unrealised | None = None
        for item in self.items:
            depth = COUNTERS.depth
            try:
                self.take(item)
            except EvalError as error:
                missed = session.missed(missed, error, depth)
                if missed is None:
                    raise
                self.lack(missed)
        if missed is not None:
            raise missed
        return self.result()


def force_widely(session: Session, work: WideForce) -> object:
    """What ``work`` answers, after all that it misses was made. Raises EvalError.

    One inside another leaves the making to the outermost. What cannot be made with the rest is made, or fails, alone
    where it is needed.
    """
    if session.wide or not session.gathers or session.store() is None:
        return work.attempt(session)
    depth = COUNTERS.depth
    outer = COUNTERS.gathering
    gathering = Gathering(outer)
    COUNTERS.gathering = gathering
    try:
        session.wide += 1
        try:
            going_on = True
            while going_on:
                try:
                    return work.attempt(session)
                except Unrealised:
                    gathering.begin_anew()
                    COUNTERS.depth = depth
                    going_on = session.make_wanted()
        finally:
            session.wide -= 1
        # All that could be found was asked for: what lies inside has no need to look once more, each level anew.
        session.gathers = False
        try:
            return work.attempt(session)
        finally:
            session.gathers = True
    finally:
        gathering.begin_anew()
        COUNTERS.gathering = outer
        COUNTERS.depth = depth
