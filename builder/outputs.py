"""What a build made becomes store paths: checked, given their final paths, registered all at once."""

from __future__ import annotations

from builder.events import Succeeded
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation


class OutputError(Exception):
    """What was built may not be registered: another hash than the fixed one, a reference that is not allowed…"""


class NotDeterministic(OutputError):
    """A second build made something else (``--check``)."""


def register(store: CastoreStore, drv_path: str, drv: Derivation, built: Succeeded) -> dict[str, PathInfo]:
    """Give the outputs of ``drv`` their store paths in ``store``, all or none; what is known of each, by its name.

    Raises :class:`OutputError`, and what the store raises.
    """
    raise NotImplementedError


def compare(store: CastoreStore, drv_path: str, drv: Derivation, built: Succeeded) -> None:
    """Compare a second build with what ``store`` has. Raises :class:`NotDeterministic` naming each difference."""
    raise NotImplementedError
