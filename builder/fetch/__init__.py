"""Fetching what is elsewhere into the store: files, archives, Git and Mercurial repositories.

Each function takes the store (one kept by a castore), where the thing is, what it must hash to (None where that is
not known beforehand) and a :class:`~builder.fetch.limits.Limits`; it answers what is known of the store path, and
raises :class:`~builder.fetch.failure.FetchError`, which names the address and the remedy. What a hash pins is not
fetched when the store has it; what is not pinned is looked at again after ``tarball-ttl`` seconds only.

* :mod:`builder.fetch.url`        ``fetch_file``, ``fetch_tarball``, ``fetch_nar``
* :mod:`builder.fetch.git`        ``fetch_git``: revisions of repositories
* :mod:`builder.fetch.worktree`   local repositories as they are, uncommitted changes to tracked files included
* :mod:`builder.fetch.mercurial`  ``fetch_mercurial``
* :mod:`builder.fetch.derivation` ``fetch_derivation``: what ``builtin:fetchurl`` builds
* :mod:`builder.fetch.transfer`   bytes from ``file:``, ``http:`` and ``https:`` addresses, resumed where they broke off
* :mod:`builder.fetch.archives`   tar and zip files, read into a castore without touching the disk
* :mod:`builder.fetch.memory`     what was fetched before, in the user's cache folder, shared by processes
"""

from builder.fetch.failure import FetchError, HashMismatch, Offline
from builder.fetch.limits import Limits

__all__ = ["FetchError", "HashMismatch", "Limits", "Offline"]
