"""From a command line to the derivations that are asked for, written to the store with all that they need."""

from __future__ import annotations

import threading

from evaluator.building.flags import BuildOptions
from evaluator.building.operands import is_stored
from evaluator.command import asking
from evaluator.command.derivations import derivations, instantiated
from evaluator.entry import select_path
from evaluator.io.files import Files
from evaluator.io.reads import Reads
from evaluator.stores.access import LocalAccess


def evaluated(options: BuildOptions, access: LocalAccess, reads: Reads | None = None) -> list[str]:
    """The names (``DRV`` or ``DRV!OUTPUT``) of the derivations in the values of the other operands, in Nix's order.

    What is read for it is noted in ``reads``. Raises EvalError.
    """
    options.operands = [word for word in options.operands if options.expressions or not is_stored(word)]
    session = asking.new_session(options, Files(reads), access)
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
    return names


def _load_builder() -> None:
    import builder.oci.service
    import builder.scheduler  # noqa: F401
