"""What a session's fetches may do, and with what: the store, the network, Nix's settings, the limits they set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from evaluator.runtime.errors import EvalError, UnexpectedHash

if TYPE_CHECKING:
    from threading import Event

    from builder.fetch.limits import Limits
    from builder.settings import Settings
    from store.composition.castore_store import CastoreStore

OFFLINE = "fetch it once with 'tvix-eval', then it is known here, too"


class Means:
    """Fetches go into the store that ``open_store`` answers.

    ``network``: whether other machines may be asked; ``remedy`` says what to do where they may not. ``settings`` are
    Nix's, as a command line gives them; ``limits`` stand for those that the settings give. What
    is under way ends when ``cancel`` is set.
    """

    def __init__(
        self,
        open_store: Callable[[], CastoreStore],
        *,
        network: bool = False,
        remedy: str = OFFLINE,
        settings: dict[str, str] | None = None,
        limits: Limits | None = None,
        cancel: Event | None = None,
    ) -> None:
        self.store = open_store
        self.network = network
        self._remedy = remedy
        self._given = settings or {}
        self._settings: Settings | None = None
        self._limits = limits
        self._cancel = cancel
        self._refused: EvalError | None = None

    def settings(self) -> Settings:
        """Nix's configuration. Raises EvalError for one that cannot be read."""
        if self._settings is None:
            from builder.settings import SettingsError, load

            try:
                self._settings = load(self._given)
            except SettingsError as error:
                raise EvalError(str(error)) from None
        return self._settings

    def reconfigure(self) -> None:
        """The settings of the command line were changed."""
        self._settings = None
        self._limits = None

    def elsewhere(self, store: CastoreStore, permitted: bool, cancel: Event | None) -> Means:
        """The same for another store; ``permitted``: the user lets other machines be asked. ``cancel`` ends fetches."""
        network = self.network or permitted
        return Means(lambda: store, network=network, remedy=self._remedy, settings=self._given, cancel=cancel)

    def limits(self) -> Limits:
        """What a fetch of this session may take and do."""
        if self._limits is None:
            from dataclasses import replace
            from pathlib import Path

            from builder.fetch.limits import Limits
            from evaluator.flakes import forges

            nix = self.settings()
            usual = Limits()
            limits = Limits(
                network=self.network,
                offline_remedy=self._remedy,
                connect=nix.connect_timeout or usual.connect,
                stall=nix.stalled_download_timeout or usual.stall,
                attempts=max(1, nix.download_attempts),
                ttl=nix.tarball_ttl,
                netrc=Path(nix.netrc_file) if nix.netrc_file else None,
                tokens=forges.authorizations(nix.access_tokens),
            )
            self._limits = limits if self._cancel is None else replace(limits, cancel=self._cancel)
        return self._limits

    def failure(self, error: Exception, what: str = "") -> EvalError:
        """The error of the evaluation that a failed fetch is; ``what`` stands before its message."""
        from builder.fetch.failure import HashMismatch, Offline

        if isinstance(error, HashMismatch):
            return UnexpectedHash(what + str(error))
        failure = EvalError(what + str(error))
        if isinstance(error, Offline):
            self._refused = failure
        return failure

    def was_refused(self, error: EvalError) -> bool:
        """Whether a fetch failed only because no other machine may be asked."""
        return error is self._refused
