"""Has things built in the middle of an evaluation: what it needs to read and nobody has made yet.

The builder works on threads of its own; the evaluation's waits, and goes on asking whether it shall go on. Whoever
ends the evaluation, or the process, ends the builds before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from evaluator.runtime.errors import BuildFailure, EvalError, Unrealised
from evaluator.runtime.values import COUNTERS

if TYPE_CHECKING:
    from builder.outcome import BuildFailed, Wish
    from builder.progress import Event
    from builder.realise import Realiser
    from builder.views import View
    from evaluator.session import Session
    from store.composition.castore_store import CastoreStore

_TICK: Final = 0.05
_PATIENCE: Final = 10.0
"""Seconds that builds have to end after they were cancelled."""


class _Attempt:
    """One call of the realiser, on a thread of its own."""

    def __init__(self, realiser: Realiser, wishes: list[Wish]) -> None:
        self._realiser: Final = realiser
        self._wishes: Final = wishes
        self._cancel: Final = threading.Event()
        self._done: Final = threading.Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Waits until it is done. Raises what the realiser raises, and what ends the evaluation."""
        threading.Thread(target=self._work, name="realise", daemon=True).start()
        try:
            while not self._done.wait(_TICK):
                if COUNTERS.poll is not None:
                    COUNTERS.poll()
                if COUNTERS.pause is not None:
                    COUNTERS.pause()
        except BaseException:
            self.end()
            raise
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Cancels it, and waits until nothing is left of it."""
        self._cancel.set()
        self._done.wait(_PATIENCE)

    def _work(self) -> None:
        from evaluator.interrupts import leave_interrupts_to_others

        leave_interrupts_to_others()
        try:
            self._realiser.realise(self._wishes, self._cancel)
        except BaseException as failure:
            self._failure = failure
        finally:
            self._done.set()


_UNDER_WAY: Final[list[_Attempt]] = []


def end_builds() -> None:
    """Ends all that is being built for evaluations of this process, which is about to end itself."""
    for attempt in list(_UNDER_WAY):
        attempt.end()


class Realising:
    """Makes what sessions miss in ``store``, each thing once: what has failed is not tried again.

    ``settings`` are Nix's, by name, as a command line gives them. What the builder does is shown on standard error,
    unless ``realiser`` is given, which shows it itself.
    """

    def __init__(self, store: CastoreStore, settings: dict[str, str], realiser: Realiser | None = None) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._realiser = realiser
        self._view: View | None = None
        self._failed: Final[dict[str, tuple[str, str, list[str], int]]] = {}

    def realise(self, session: Session, wanted: list[str]) -> None:
        """Makes what elements of a string context name, declared fetches apart.

        Raises EvalError: BuildFailure for what cannot be built.
        """
        from builder.outcome import BuildFailed, Cancelled, RealiseError, Wish
        from builder.settings import SettingsError
        from store.castore.services import StoreError

        for element in wanted:
            if element in self._failed:
                raise BuildFailure(self._failed[element][0], element, *self._failed[element][1:])
        wishes = [Wish.of(element) for element in wanted if not element.startswith("=")]
        if len(wishes) < len(wanted):
            raise Unrealised(next(element for element in wanted if element.startswith("=")))
        if not wishes:
            return
        try:
            self._write(session, [wish.path for wish in wishes if wish.path in session.recipes])
            attempt = _Attempt(self._builder(), wishes)
            _UNDER_WAY.append(attempt)
            try:
                attempt.run()
            finally:
                _UNDER_WAY.remove(attempt)
                if self._view is not None:
                    self._view.close()
                    self._view = None
        except BuildFailed as failed:
            self._note(failed, wanted)
            element = next((each for each in wanted if each in self._failed), wanted[0])
            raise BuildFailure(
                failure_message(failed), element, failed.drv_path, list(failed.log), failed.exit_code
            ) from None
        except Cancelled:
            raise EvalError("the build was cancelled") from None
        except (RealiseError, SettingsError, StoreError, ValueError) as error:
            raise EvalError(str(error)) from None

    def _write(self, session: Session, drv_paths: list[str]) -> None:
        from evaluator.stores.writing import write_derivations

        write_derivations(session, self._store, drv_paths)

    def _builder(self) -> Realiser:
        if self._realiser is None:
            from builder.realise import Realiser
            from builder.settings import load

            self._realiser = Realiser(self._store, settings=load(self._settings), on_event=self._show)
        return self._realiser

    def _show(self, event: Event) -> None:
        if self._view is None:
            from builder.views import view

            self._view = view(build_output=False)
        self._view.hear(event)

    def _note(self, failed: BuildFailed, wanted: Iterable[str]) -> None:
        """Remembers which of the things wanted cannot be had."""
        for each in (failed, *failed.others):
            guilty = {each.drv_path, *each.needed_by}
            for element in wanted:
                if element[element.rfind("!") + 1 :] in guilty:
                    self._failed[element] = (failure_message(each), each.drv_path, list(each.log), each.exit_code)


def failure_message(failed: BuildFailed) -> str:
    """What failed, and the end of what it said."""
    lines = [f"building '{failed.drv_path}' failed: {failed.why}"]
    if failed.log:
        lines.append(f"last {len(failed.log)} log lines:")
        lines += [f"> {line}" for line in failed.log]
        lines.append(f"For full logs, run 'tvix-build log {failed.drv_path}'.")
    return "\n".join(lines)
