"""Which store path an output turned out to have whose path follows from its contents: Nix's *realisations*.

Specification: what Nix 2.8 writes as ``realisations/ID.doi`` to a binary cache, a JSON object::

    {"dependentRealisations": {ID: BASE_NAME, …}, "id": ID, "outPath": BASE_NAME, "signatures": [SIGNATURE, …]}

An ID is ``sha256:HEX!OUTPUT``: the derivation's hash modulo
(:meth:`store.derivation.DerivationHashes.realisation_ids`), and the output's name. What is signed is the same text
without ``signatures``, keys sorted, no blanks.
"""

from __future__ import annotations

import re

from store.records import dataclass, field
from store.store_path import STORE_DIR, BadStorePath, base_name, check_base_name

#: More bytes than this no realisation has.
MAX_SIZE = 1 << 20

_ID = r"sha256:[0-9a-f]{64}![A-Za-z0-9+._?=-]+\Z"


class RealisationError(ValueError):
    """Not a realisation, with the reason."""


@dataclass(frozen=True, slots=True)
class Realisation:
    """``id`` became ``path``. ``dependencies``: what ids of its inputs' outputs that it refers to became."""

    id: str
    path: str
    dependencies: dict[str, str] = field(default_factory=dict)
    signatures: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """What signatures sign."""
        return _dump(self._plain())

    def to_text(self) -> str:
        """The file in a cache."""
        return _dump({**self._plain(), "signatures": list(self.signatures)})

    def _plain(self) -> dict[str, object]:
        return {
            "dependentRealisations": {key: base_name(path) for key, path in self.dependencies.items()},
            "id": self.id,
            "outPath": base_name(self.path),
        }


def parse(data: bytes, store_dir: str = STORE_DIR) -> Realisation:
    """The realisation that a file in a cache holds. Raises :class:`RealisationError`."""
    import json

    try:
        value = json.loads(data)
        if not isinstance(value, dict):
            raise RealisationError("it is no JSON object")
        dependencies = value.get("dependentRealisations", {})
        signatures = value.get("signatures", [])
        if not isinstance(dependencies, dict) or not isinstance(signatures, list):
            raise RealisationError("'dependentRealisations' is no object, or 'signatures' no list")
        return Realisation(
            _id(value.get("id")),
            _path(value.get("outPath"), store_dir),
            {_id(key): _path(path, store_dir) for key, path in sorted(dependencies.items())},
            tuple(str(signature) for signature in signatures),
        )
    except (ValueError, RecursionError) as error:
        raise RealisationError(f"not a realisation: {error}") from None


def _id(value: object) -> str:
    if not isinstance(value, str) or not re.match(_ID, value):
        raise RealisationError(f"'{value}' is no id of an output")
    return value


def _path(value: object, store_dir: str) -> str:
    if not isinstance(value, str):
        raise RealisationError("a path is missing")
    try:
        check_base_name(value)
    except BadStorePath as error:
        raise RealisationError(str(error)) from None
    return f"{store_dir}/{value}"


def _dump(value: object) -> str:
    import json  # stores are opened far more often than realisations are looked at

    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
