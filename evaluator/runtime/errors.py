"""What evaluation raises. Every error carries frames: where, and what was being done there."""

from __future__ import annotations

from evaluator.runtime.source import Place


class Frame:
    """One step of a trace: ``text`` says what was being done, ``place`` where (None: not known)."""

    def __init__(self, text: str, place: Place | None) -> None:
        self.text = text
        self.place = place


class EvalError(Exception):
    """Evaluation failed. ``message`` is one sentence without position; ``place`` is where it happened.

    ``frames`` run from the innermost outwards. ``suggestions`` are names meant by a mistyped one.
    """

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.frames: list[Frame] = []
        self.suggestions: list[str] = []

    def is_catchable(self) -> bool:
        """Whether ``tryEval`` catches it."""
        return False

    def note(self, text: str, place: Place | None) -> None:
        """Adds an outer frame; very long traces keep their two ends."""
        if len(self.frames) < 400:
            self.frames.append(Frame(text, place))
        else:
            self.frames[-1] = Frame(text, place)

    def locate(self, place: Place) -> None:
        """Says where it happened, if nobody nearer has said so."""
        if self.place is None:
            self.place = place


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
    """A value that needs itself."""


class StackOverflow(EvalError):
    """Calls nested too deep."""


class HoleForced(EvalError):
    """The text has nothing here yet (a half-typed expression was needed)."""


class Unrealised(EvalError):
    """A store path is needed that nobody has made yet."""

    def __init__(self, path: str, place: Place | None = None) -> None:
        super().__init__(f"path '{path}' is not valid", place)
        self.path = path


class Interrupted(BaseException):
    """The evaluation was cancelled or used its budget up; every thunk is as it was."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
