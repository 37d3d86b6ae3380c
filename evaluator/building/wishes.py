"""From a command line to the derivations that are asked for, written to the store with all that they need."""

from __future__ import annotations

import threading

from builder.outcome import Wish
from evaluator.building.flags import BuildOptions
from evaluator.command import asking
from evaluator.command.derivations import derivations, instantiated
from evaluator.entry import select_path
from evaluator.io.files import Files
from evaluator.stores.access import LocalAccess
from store.store_path import STORE_DIR, is_derivation, is_store_path


def stored(options: BuildOptions) -> list[Wish]:
    """The operands that are derivations of the store, by their paths: they need no evaluation."""
    return [] if options.expressions else [wish_of(word) for word in options.operands if _is_stored(word)]


def wish_of(name: str) -> Wish:
    """The wish for ``DRV`` or ``DRV!OUTPUT`` as nix-instantiate prints them: of a derivation its output ``out``."""
    wish = Wish.of(name)
    return wish if wish.outputs or name.endswith("!*") else Wish(wish.path, ("out",))


def evaluated(options: BuildOptions, access: LocalAccess) -> list[Wish]:
    """The derivations in the values of the other operands, in Nix's order. Raises EvalError."""
    options.operands = [word for word in options.operands if options.expressions or not _is_stored(word)]
    session = asking.new_session(options, Files(), access)
    session.keeps_trees = False
    given = asking.arguments(options, session)
    names = [
        instantiated(session, derivation)
        for root in asking.roots(options, session)
        for path in options.attributes or [""]
        for derivation in derivations(select_path(root, path, given), given)
    ]
    drv_paths = list(dict.fromkeys(name.partition("!")[0] for name in names))
    if not options.dry_run and any(access.castore.query(path) is None for path in drv_paths):
        # They are new, so they will be built; the disk, which has to say that it has them, leaves time for this.
        threading.Thread(target=_load_builder, name="load", daemon=True).start()
    access.write(session, drv_paths)
    return [wish_of(name) for name in names]


def _load_builder() -> None:
    import builder.oci.service
    import builder.scheduler  # noqa: F401


def _is_stored(word: str) -> bool:
    path = word.partition("!")[0]
    return path.startswith(STORE_DIR + "/") and is_store_path(path) and is_derivation(path)
