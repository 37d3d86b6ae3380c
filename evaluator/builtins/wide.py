"""Wide forces: evaluations of many things that do not depend on each other, as ``deepSeq`` and ``toJSON`` make them.

What several of those things miss in the store is made at once, and not one after the other.
"""

from __future__ import annotations

from evaluator.runtime.errors import Unrealised
from evaluator.runtime.values import COUNTERS
from evaluator.session import Session


class WideForce:
    """One wide force, which can be begun anew."""

    def attempt(self, session: Session) -> object:
        """Does it. While ``session.wide``, what is missing is passed over, and raised (the first) at the end."""
        raise NotImplementedError


def force_widely(session: Session, work: WideForce) -> object:
    """What ``work`` answers, after all that it misses was made. Raises EvalError.

    One inside another leaves the making to the outermost. What cannot be made with the rest is made, or fails, alone
    where it is needed.
    """
    depth = COUNTERS.depth
    session.wide += 1
    try:
        gathering = True
        while gathering:
            try:
                return work.attempt(session)
            except Unrealised:
                if session.wide > 1:
                    raise
                COUNTERS.depth = depth
                gathering = session.make_wanted()
    finally:
        COUNTERS.depth = depth
        session.wide -= 1
    return work.attempt(session)
