"""The first program in a container: it removes itself and becomes the builder, which Nix calls by its base name.

An OCI runtime gives a program the name that it finds it by. Builders see theirs (bash's ``$0``, busybox's idea of what
it is), and what they see must be what Nix shows them. So the container starts this program, a hundred bytes of x86-64,
with the builder's path and arguments: ``starter PATH NAME ARGUMENT…``. It can also ask the kernel for its own end when
the runtime ends that started it, so that nothing is left running when that is killed.
"""

from __future__ import annotations

from typing import Final

from builder.oci import elf

#: What it writes to the log, and ends with, when the builder cannot be executed.
COMPLAINT: Final = b"cannot execute the builder"
STATUS: Final = 127

_DIE_WITH_PARENT: Final = bytes.fromhex("bf01000000 be09000000 b89d000000 0f05")  # prctl(PR_SET_PDEATHSIG, SIGKILL)
_CODE: Final = bytes.fromhex(
    "488b7c2408 b857000000 0f05"  # unlink(argv[0])
    "488b7c2410 488d742418 488b1424 488d54d410 b83b000000 0f05"  # execve(argv[1], argv + 2, environment)
    "bf02000000 488d3518000000 ba1b000000 b801000000 0f05"  # write(2, COMPLAINT, 27)
    "bf7f000000 b83c000000 0f05"  # exit(STATUS)
) + (COMPLAINT + b"\n")


def program(*, dies_with_parent: bool = False) -> bytes | None:
    """The program as an ELF file; None where there is none for this kind of machine, which starts builders directly."""
    if not elf.AVAILABLE:
        return None
    return elf.program(_DIE_WITH_PARENT + _CODE if dies_with_parent else _CODE)
