"""Programs of this machine, by their names."""

from __future__ import annotations

import os
from functools import lru_cache

_ADMINISTRATORS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def which(program: str) -> str | None:
    """Where ``program`` is: those of administrators, too, where they are not in ``PATH``. Looked for once."""
    return _found(program, os.environ.get("PATH", os.defpath))


@lru_cache(maxsize=64)
def _found(program: str, search: str) -> str | None:
    # As shutil.which does it; loading that with all that it does besides takes two milliseconds of each command.
    for folder in [*search.split(os.pathsep), *_ADMINISTRATORS]:
        place = os.path.join(folder, program)
        if os.path.isfile(place) and os.access(place, os.X_OK):
            return place
    return None
