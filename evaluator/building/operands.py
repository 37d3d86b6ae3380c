"""Operands of ``tvix-build`` that name derivations of the store: they are built as they are."""

from __future__ import annotations

from builder.outcome import Wish
from evaluator.building.flags import BuildOptions
from store.store_path import STORE_DIR, is_derivation, is_store_path


def stored(options: BuildOptions) -> list[Wish]:
    """The operands that are derivations of the store, by their paths: they need no evaluation."""
    return [] if options.expressions else [wish_of(word) for word in options.operands if is_stored(word)]


def wish_of(name: str) -> Wish:
    """The wish for ``DRV`` or ``DRV!OUTPUT`` as nix-instantiate prints them: of a derivation its output ``out``."""
    wish = Wish.of(name)
    return wish if wish.outputs or name.endswith("!*") else Wish(wish.path, ("out",))


def is_stored(word: str) -> bool:
    """Whether an operand names a derivation of the store."""
    path = word.partition("!")[0]
    return path.startswith(STORE_DIR + "/") and is_store_path(path) and is_derivation(path)
