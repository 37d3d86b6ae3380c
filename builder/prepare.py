"""From a derivation to a build request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builder.request import BuildRequest
from store.composition.castore_store import CastoreStore
from store.derivation import Derivation


@dataclass(frozen=True, slots=True)
class Limits:
    """What every build may use at most; 0 is no limit. Numbers as in :class:`builder.request.Constraints`."""

    memory: int = 0
    seconds: int = 0
    silence: int = 0
    log_size: int = 0
    processes: int = 0
    output_size: int = 0


def prepare(
    store: CastoreStore,
    drv_path: str,
    drv: Derivation,
    *,
    output_of: Callable[[str, str], str] | None = None,
    cores: int = 0,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> BuildRequest:
    """The request that builds ``drv``, whose inputs are all in ``store``.

    ``output_of`` answers the store path of an input derivation's output (given its ``.drv`` and the output's name)
    where that does not stand in the derivation itself: floating ones. ``cores`` goes into ``NIX_BUILD_CORES``
    (0: as many as this machine has). Raises ``RequestError``, and ``Missing`` for inputs that are not there.
    """
    raise NotImplementedError
