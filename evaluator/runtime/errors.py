"""What evaluation raises. Every error carries frames: what was being done, and where."""

from __future__ import annotations

from typing import Final, final

from evaluator.runtime.source import Place
from store.store_path import derivation_name

# What a frame is to a report of an error.
STEP: Final = 0  # shown, as long as there is room
DETAIL: Final = 1  # a call of a function of the language: shown in the full trace only
ALWAYS: Final = 2  # never left out

#: So many of the innermost frames are kept, and as many of the outermost.
KEPT: Final = 20_000


@final
class Frame:
    """One step of a trace: ``text`` says what was being done, ``place`` where (None: not known).

    ``kind`` is :data:`STEP`, :data:`DETAIL` or :data:`ALWAYS`.
    """

    def __init__(self, text: str, place: Place | None, kind: int = STEP) -> None:
        self.text: Final = text
        self.place: Final = place
        self.kind: Final = kind


class EvalError(Exception):
    """Evaluation failed. ``message`` is without position.

    ``place`` is the stretch of text nearest to what is wrong; ``pinned`` what Nix prints below the message (often
    None: then it is the innermost frame that tells). ``frames`` run from the innermost outwards; of very long traces
    the middle is left out, ``dropped`` frames after the first :data:`KEPT`.
    """

    def __init__(self, message: str, pinned: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = pinned
        self.pinned = pinned
        self.frames: list[Frame] = []
        self.dropped = 0
        self._outermost: list[Frame] = []
        self._meant = ""
        self._names: list[str] = []
        # Whether a frame is still to come that belongs before all others: see explain.
        self._unexplained = False

    def is_catchable(self) -> bool:
        """Whether ``tryEval`` catches it."""
        return False

    def note(self, text: str, place: Place | None, kind: int = STEP) -> None:
        """Adds an outer frame; none without ``text``."""
        if not text:
            return
        if self.place is None:
            self.place = place
        if len(self.frames) < KEPT:
            self.frames.append(Frame(text, place, kind))
            return
        outermost = self._outermost
        outermost.append(Frame(text, place, kind))
        if len(outermost) >= 2 * KEPT:
            del outermost[:KEPT]
            self.dropped = self.dropped + KEPT  # (the compiler fails on `+=` here)

    def trace(self) -> list[Frame]:
        """All frames that were kept, innermost first."""
        return self.frames + self._outermost

    def locate(self, place: Place) -> None:
        """Says where it happened, if nobody nearer has said so."""
        if self.place is None:
            self.place = place

    def pin(self, place: Place | None) -> None:
        """Says what is to be printed below the message, if nothing is yet."""
        if self.pinned is None and place is not None:
            self.pinned = place
            if not self.frames:
                self.place = place

    def unexplained(self) -> EvalError:
        """Says that whoever wanted the value has still to :meth:`explain` what for."""
        self._unexplained = True
        return self

    def explain(self, text: str, place: Place | None) -> None:
        """Adds the innermost frame of all, to an error that lacks it: what a value of another type was wanted for."""
        if self._unexplained and text:
            self._unexplained = False
            self.frames.insert(0, Frame(text, place))
            if place is not None and self.pinned is None:
                self.place = place

    def where(self) -> Place | None:
        """The position nearest to the message in a report: the one below it, else that of the innermost frame."""
        if self.pinned is not None:
            return self.pinned
        for frame in self.trace():
            if frame.place is not None:
                return frame.place
        return self.place

    def suggest(self, meant: str, names: list[str]) -> None:
        """Names among which may be the one that was meant by ``meant``."""
        self._meant = meant
        self._names = names

    def suggestions(self) -> list[str]:
        """What may have been meant, likeliest first."""
        from evaluator.runtime.suggest import similar

        return similar(self._meant, self._names) if self._names else []


class SyntaxFault(EvalError):
    """A file does not parse."""


class ThrownError(EvalError):
    """``throw``; ``tryEval`` catches it."""

    def is_catchable(self) -> bool:
        return True


class AssertionFailed(EvalError):
    """``assert`` was false; ``tryEval`` catches it."""

    def is_catchable(self) -> bool:
        return True


class AbortError(EvalError):
    """``abort``."""


class TypeFault(EvalError):
    """A value is of another type than was needed."""


class MissingAttribute(EvalError):
    """Selection of an attribute that is not there."""


class UndefinedVariable(EvalError):
    """A name that nothing binds."""


class InfiniteRecursion(EvalError):
    """A value that needs itself; ``culprit`` is the thunk that holds it."""

    def __init__(self, message: str, culprit: object) -> None:
        super().__init__(message)
        self.culprit = culprit

    def enters(self, thunk: object, place: Place | None) -> None:
        """Called for each thunk that fails by it, innermost first; ``place`` is that of the thunk's expression."""
        if not self.frames:
            self.pin(place)
        if thunk is self.culprit:
            self.note("entering the infinite recursion", None, ALWAYS)


class StackOverflow(EvalError):
    """Calls nested too deep."""


class HoleForced(EvalError):
    """The text has nothing here yet (a half-typed expression was needed)."""


_NOT_THERE: Final[dict[str, str]] = {
    "building": "is being built",
    "unbuilt": "has to be built first",
    "never": "has to be built first, which the settings forbid",
    "unfetched": "has to be fetched first",
    "fetching": "is being fetched",
    "barred": "has to be fetched first, which the settings forbid",
}


class Unrealised(EvalError):
    """A store path is needed that nobody has made yet; ``element`` is that of a string context which names it.

    ``state`` is for an editor: "building", "unbuilt" (nobody has allowed it yet), "never" (nobody may), "fetching",
    "unfetched", "barred"; else empty. ``name`` is what people call it, if that is not in its path.
    """

    def __init__(self, element: str, pinned: Place | None = None, state: str = "", name: str = "") -> None:
        # Of an output it is the derivation's own path, as in Nix.
        path = element[element.rfind("!") + 1 :].removeprefix("=")
        message = f"path '{path}' is not valid"
        if state:
            name = name or derivation_name(path)
            message = f"'{name}' {_NOT_THERE[state]}"
        super().__init__(message, pinned)
        self.element = element
        self.path = path
        self.state = state


class BuildFailure(EvalError):
    """Something that evaluation needs could not be built; ``exit_code`` is what a command ends with because of it.

    ``element`` of a string context asked for it, ``drv_path`` is what failed, ``log`` the last lines of what it said.
    """

    def __init__(self, message: str, element: str, drv_path: str, log: list[str], exit_code: int) -> None:
        super().__init__(message)
        self.element: Final = element
        self.drv_path: Final = drv_path
        self.log: Final = log
        self.exit_code: Final = exit_code


class UnexpectedHash(EvalError):
    """What was fetched has another hash than the one that pins it; ``exit_code`` is what a command ends with."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.exit_code: Final = 102


class Interrupted(BaseException):
    """The evaluation was cancelled or used its budget up; every thunk is as it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
