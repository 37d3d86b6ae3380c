"""Files of the store that are not where their paths say: what was built is laid out beside the user's own store."""

from __future__ import annotations

import os

from store.store_path import STORE_DIR, BadStorePath, split


def on_disk(path: str) -> str:
    """Where an editor finds the file at ``path``: there, unless it is in the store and not in its place."""
    if not path.startswith(STORE_DIR + "/") or os.path.lexists(path):
        return path
    from evaluator.runtime.errors import EvalError
    from evaluator.stores.access import LocalAccess

    access = LocalAccess()
    try:
        whole, rest = split(path)
        place = access.place(whole)
    except (BadStorePath, EvalError):
        return path
    finally:
        access.close()
    return place + rest if place else path
