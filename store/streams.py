"""What a process may lack that was started oddly: standard streams, room to print in, a folder to stand in.

Loaded only when something is amiss.
"""

from __future__ import annotations

import errno
import os
import sys

_OUTPUT_FAILS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def open_missing() -> None:
    """Open standard streams that are closed on ``/dev/null``, so that no file of ours gets their numbers."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def explained(error: OSError) -> str | None:
    """What to tell the user of an error that comes of how the process was started; None for all others."""
    if error.filename is not None:
        return None
    if isinstance(error, FileNotFoundError):
        return "error: the folder that this was started in does not exist any more"
    if error.errno in _OUTPUT_FAILS:
        return f"error: cannot print the result: {error.strerror}"
    return None
