"""The module behind :mod:`sqlite3`, which adds conversions of dates to it and takes twice the time to load.

To be imported as ``from store.sqlite import sqlite3``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3 as sqlite3
else:
    try:
        import _sqlite3 as sqlite3
    except ImportError:
        import sqlite3  # noqa: F401
