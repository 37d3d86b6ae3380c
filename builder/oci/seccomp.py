"""The system calls that builds may not make: those that give files what a store object cannot hold, or lead outside.

Set-user-id and set-group-id bits may not be given to a file (``EPERM``), nor extended attributes (``ENOTSUP``), as in
Nix. Nor are there sockets to the machine that this one is a virtual machine of (``EAFNOSUPPORT``), which Nix allows: no
network namespace keeps them apart. (The old ``socketcall`` of 32-bit programs hides its arguments from any filter.)
Written twice: as the OCI runtime specification has it (``linux.seccomp``), and as the program for the kernel
itself (``Documentation/userspace-api/seccomp_filter.rst``), which also knows the calls of the machine's other
architectures and those that are newer than a runtime's library.
"""

from __future__ import annotations

import os
import struct
from functools import cache
from typing import Any, Final

from store.records import dataclass

_EPERM: Final = 1
_ENOTSUP: Final = 95
_EAFNOSUPPORT: Final = 97
_AF_VSOCK: Final = 40
_SET_ID_BITS: Final = (0o4000, 0o2000)
_X32: Final = 0x40000000  # set in the numbers of calls by x32 programs

#: Which argument has the mode.
_MODES: Final = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}
_ATTRIBUTES: Final = ("setxattr", "lsetxattr", "fsetxattr", "setxattrat")


@dataclass(frozen=True)
class _Architecture:
    oci: str
    audit: int
    numbers: dict[str, int]


_NEW = {"fchmodat2": 452, "setxattrat": 463}
_X86_64 = _Architecture(
    "SCMP_ARCH_X86_64",
    0xC000003E,
    {
        "chmod": 90,
        "fchmod": 91,
        "fchmodat": 268,
        "setxattr": 188,
        "lsetxattr": 189,
        "fsetxattr": 190,
        "socket": 41,
        **_NEW,
    },
)
_X86 = _Architecture(
    "SCMP_ARCH_X86",
    0x40000003,
    {
        "chmod": 15,
        "fchmod": 94,
        "fchmodat": 306,
        "setxattr": 226,
        "lsetxattr": 227,
        "fsetxattr": 228,
        "socket": 359,
        **_NEW,
    },
)
_AARCH64 = _Architecture(
    "SCMP_ARCH_AARCH64",
    0xC00000B7,
    {"fchmod": 52, "fchmodat": 53, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "socket": 198, **_NEW},
)
_ARM = _Architecture(
    "SCMP_ARCH_ARM",
    0x40000028,
    {
        "chmod": 15,
        "fchmod": 94,
        "fchmodat": 333,
        "setxattr": 226,
        "lsetxattr": 227,
        "fsetxattr": 228,
        "socket": 281,
        **_NEW,
    },
)
_MACHINES: Final = {"x86_64": (_X86_64, _X86), "aarch64": (_AARCH64, _ARM)}


def supported(machine: str = os.uname().machine) -> bool:
    """Whether the calls of this kind of machine are known here."""
    return machine in _MACHINES


@cache
def oci(machine: str = os.uname().machine) -> dict[str, Any]:
    """``linux.seccomp`` of a bundle."""
    names = [architecture.oci for architecture in _MACHINES[machine]]
    if machine == "x86_64":
        names.append("SCMP_ARCH_X32")
    calls: list[dict[str, Any]] = []
    for bit in _SET_ID_BITS:
        for name, index in _MODES.items():
            condition = {"index": index, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"}
            calls.append({"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": _EPERM, "args": [condition]})
    calls.append({"names": list(_ATTRIBUTES), "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOTSUP})
    outside = {"index": 0, "value": _AF_VSOCK, "op": "SCMP_CMP_EQ"}
    calls.append({"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EAFNOSUPPORT, "args": [outside]})
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": names, "syscalls": calls}


_LOAD: Final = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP_EQUAL: Final = 0x15
_JUMP_ANY: Final = 0x45  # BPF_JSET
_AND: Final = 0x54
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_KILL: Final = 0x80000000
_NUMBER_AT: Final = 0  # in struct seccomp_data
_AUDIT_AT: Final = 4
_ARGUMENTS_AT: Final = 16


@cache
def program(machine: str = os.uname().machine) -> bytes:
    """The filter as the kernel's instructions, for little-endian machines."""
    code: list[tuple[int, int, int, int]] = []
    for architecture in _MACHINES[machine]:
        block = _block(architecture, machine)
        code.append((_LOAD, 0, 0, _AUDIT_AT))
        code.append((_JUMP_EQUAL, 0, len(block), architecture.audit))
        code += block
    code.append((_RETURN, 0, 0, _KILL))  # a kind of program that cannot run here
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in code)


def _block(architecture: _Architecture, machine: str) -> list[tuple[int, int, int, int]]:
    """What is done with calls of one architecture; every way through it returns."""
    code = [(_LOAD, 0, 0, _NUMBER_AT)]
    if machine == "x86_64":
        code.append((_AND, 0, 0, 0xFFFFFFFF ^ _X32))
    for name in _ATTRIBUTES:
        code.append((_JUMP_EQUAL, 0, 1, architecture.numbers[name]))
        code.append((_RETURN, 0, 0, _ERRNO | _ENOTSUP))
    for name, index in _MODES.items():
        if name in architecture.numbers:
            code.append((_JUMP_EQUAL, 0, 4, architecture.numbers[name]))
            code.append((_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index))
            code.append((_JUMP_ANY, 0, 1, sum(_SET_ID_BITS)))
            code.append((_RETURN, 0, 0, _ERRNO | _EPERM))
            code.append((_RETURN, 0, 0, _ALLOW))
    code.append((_JUMP_EQUAL, 0, 3, architecture.numbers["socket"]))
    code.append((_LOAD, 0, 0, _ARGUMENTS_AT))
    code.append((_JUMP_EQUAL, 0, 1, _AF_VSOCK))
    code.append((_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT))
    code.append((_RETURN, 0, 0, _ALLOW))
    return code
