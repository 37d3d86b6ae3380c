"""What must be so before a container's runtime starts: said once, done by a small program or by the system's commands.

A runtime is started in its control group, in namespaces that suit it, with limits, with a killer that waits for this
process's end. Python would have to fork for that, which takes the longer the more it has evaluated, and the commands
that can do it (a shell, ``unshare``, ``umount``, ``setpriv``, ``setarch``) take as long to start as a container.
So on x86-64 it is a program made for each build that is nothing but these system calls, one after the other, the last
of which becomes the runtime. On other machines a shell and those commands do the same, but for ``read_only``.
"""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from builder.oci import elf
from builder.oci.programs import which
from store.records import dataclass, field

#: What the program writes to the log before it says what failed, and ends with.
COMPLAINT: Final = b"cannot start the container: "
STATUS: Final = 125
#: The first descriptor that :attr:`Leash.opened` gets.
FIRST: Final = 3
#: Where in what is covered :attr:`Leash.shown` can be reached by everybody.
SHOWN: Final = "root"

_KILL: Final = 9
# Numbers of the kernel's: asm/unistd_64.h, linux/sched.h, linux/mount.h, linux/prctl.h, linux/personality.h.
_WRITE, _OPEN, _CLOSE, _EXECVE, _EXIT, _CHDIR, _UMASK = 1, 2, 3, 59, 60, 80, 95
_PERSONALITY, _PRCTL, _SETRLIMIT, _MOUNT, _UMOUNT, _UNSHARE, _CLOSE_RANGE = 135, 157, 160, 165, 166, 272, 436
_MKDIR = 83
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PARENT_DEATH_SIGNAL = 1
_BUILDS_UMASK: Final = 0o022
_LINUX32, _NOT_RANDOM = 8, 0x40000
_SMALL_SYSTEMS = ("i686-linux", "armv7l-linux", "armv6l-linux")
_ULIMITS = {"NOFILE": "n", "CORE": "c", "FSIZE": "f", "AS": "v", "NPROC": "p"}
_UNITS = {"FSIZE": 512, "AS": 1024}


@dataclass(frozen=True, slots=True)
class Leash:
    """What a runtime is started with, besides the umask of builds, whatever that of this process is.

    ``system``: without random addresses, as in Nix, and as a 32-bit machine for 32-bit systems. ``groups``: the files
    of control groups to enter. ``own_users``: in a user namespace, as root of it. ``own_mounts``: in a mount namespace,
    in which ``unmounted`` is not, ``covered`` is empty, and ``read_only`` cannot be written, if the kernel allows that.
    ``opened``: files to read, as descriptors from :data:`FIRST` on. ``limits``: of resources, soft and hard, by names
    without ``RLIMIT_``. ``dies_with_us``: killed when the thread ends that started it.
    """

    system: str
    groups: Sequence[str] = ()
    own_users: bool = False
    own_mounts: bool = False
    unmounted: str = ""
    covered: str = ""
    read_only: str = ""
    shown: str = ""
    opened: Sequence[str] = ()
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    dies_with_us: bool = False

    def hold(self, command: Sequence[str], folder: Path) -> list[str]:
        """The command that runs ``command`` like this; its first word is a path. May write into ``folder``."""
        if not elf.AVAILABLE:
            return self._told_to_a_shell(command)
        place = folder / "leash"
        place.write_bytes(self._program(command))
        place.chmod(0o700)
        return [str(place)]

    def _program(self, command: Sequence[str]) -> bytes:
        made = _SystemCalls()
        made.call(_CHDIR, "/", failing="cannot enter /")
        made.call(_CLOSE_RANGE, FIRST, 0xFFFFFFFF, 0)
        made.call(_UMASK, _BUILDS_UMASK)
        for path in self.groups:
            made.write_file(path, "0")
        if self.own_users:
            made.call(_UNSHARE, _NEW_USER, failing="no user namespace")
            made.write_file("/proc/self/setgroups", "deny")
            made.write_file("/proc/self/uid_map", f"0 {os.geteuid()} 1")
            made.write_file("/proc/self/gid_map", f"0 {os.getegid()} 1")
        if self.own_mounts:
            made.call(_UNSHARE, _NEW_MOUNTS, failing="no mount namespace")
            made.call(_MOUNT, "none", "/", 0, _RECURSIVE | _PRIVATE, 0, failing="mounts cannot be made private")
        if self.unmounted:
            made.call(_UMOUNT, self.unmounted, 0, failing=f"cannot unmount {self.unmounted}")
        if self.covered:
            made.call(_MOUNT, "none", self.covered, "tmpfs", 0, "mode=755", failing=f"cannot mount on {self.covered}")
        if self.shown:
            place = f"{self.covered}/{SHOWN}"
            made.call(_MKDIR, place, 0o755, failing=f"cannot make {place}")
            made.call(_MOUNT, self.shown, place, 0, _BIND, 0, failing=f"cannot mount on {place}")
        if self.read_only:
            made.call(_MOUNT, self.read_only, self.read_only, 0, _BIND, 0)
            made.call(_MOUNT, "none", self.read_only, 0, _REMOUNT | _BIND | _READ_ONLY, 0)
        for path in self.opened:
            made.call(_OPEN, path, os.O_RDONLY, failing=f"cannot read {path}")
        for name, (soft, hard) in self.limits.items():
            limit = struct.pack("<QQ", soft % (1 << 64), hard % (1 << 64))
            made.call(_SETRLIMIT, getattr(resource, f"RLIMIT_{name}"), limit, failing=f"no limit RLIMIT_{name}")
        made.call(_PERSONALITY, _NOT_RANDOM | (_LINUX32 if self.system in _SMALL_SYSTEMS else 0))
        if self.dies_with_us:
            made.call(_PRCTL, _PARENT_DEATH_SIGNAL, _KILL, failing="no signal when this process ends")
        made.become(command)
        return made.program()

    def _told_to_a_shell(self, command: Sequence[str]) -> list[str]:
        import shlex

        steps = ["cd /", f"umask {_BUILDS_UMASK:03o}", *[f"echo 0 >{shlex.quote(path)}" for path in self.groups]]
        if self.unmounted:
            steps.append(f"umount {shlex.quote(self.unmounted)}")
        if self.covered:
            steps.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(self.covered)}")
        if self.shown:
            place = shlex.quote(f"{self.covered}/{SHOWN}")
            steps += [f"mkdir {place}", f"mount --bind {shlex.quote(self.shown)} {place}"]
        steps += [f"exec {number}<{shlex.quote(path)}" for number, path in enumerate(self.opened, FIRST)]
        for name, (soft, hard) in self.limits.items():
            unit = _UNITS.get(name, 1)
            for kind, value in (("S", soft), ("H", hard)):  # the hard limit may not fall below the soft one
                rounded = "unlimited" if value < 0 else (value + unit - 1) // unit
                steps.append(f"ulimit -{kind}{_ULIMITS[name]} {rounded}")
        words = ["/bin/sh", "-c", " && ".join([*steps, 'exec "$@"']), "sh"]
        if self.own_mounts:
            users = ["--user", "--map-root-user"] if self.own_users else []
            words = [which("unshare") or "unshare", *users, "--mount", "--propagation", "private", *words]
        killer, machine = which("setpriv"), which("setarch")
        if killer and self.dies_with_us:
            words += [killer, "--pdeathsig", "KILL"]
        if machine:
            words += [machine, "linux32" if self.system in _SMALL_SYSTEMS else os.uname().machine, "-R"]
        return [*words, *command]


def complaint(status: int, log: Sequence[bytes]) -> str:
    """Why nothing was started, if that is what happened; ``log`` has the last lines."""
    last = log[-1] if log else b""
    return last.decode(errors="replace") if status == STATUS and last.startswith(COMPLAINT) else ""


class _SystemCalls:
    """A program for x86-64 that makes one system call after the other (System V ABI, AMD64 supplement, A.2.1).

    Texts and tables come before the instructions.
    """

    _REGISTERS = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")  # mov rdi…r9, imm64

    def __init__(self) -> None:
        self._data = bytearray()
        self._code = bytearray()

    def call(self, number: int, *arguments: int | str | bytes, failing: str = "") -> None:
        """Make a call; texts are given by their addresses. With ``failing`` an error of it is complained of."""
        self._load(arguments)
        self._call(number, failing)

    def write_file(self, path: str, content: str) -> None:
        """Write into a file that is there."""
        self.call(_OPEN, path, os.O_WRONLY, failing=f"cannot open {path}")
        self._code += b"\x48\x89\xc7"  # mov rdi, rax: the descriptor, which stays there
        self._load([content, len(content)], first=1)
        self._call(_WRITE, f"cannot write to {path}")
        self._call(_CLOSE)

    def become(self, command: Sequence[str]) -> None:
        """Execute ``command`` in the environment that the program was given."""
        addresses = [self._address(word) for word in command]
        self._load([command[0], struct.pack(f"<{len(command) + 1}Q", *addresses, 0)])
        self._code += b"\x48\x8d\x54\x24\x18"  # lea rdx, [rsp + 24]: behind argc, the one argument and its end
        self._call(_EXECVE, f"cannot execute {command[0]}")

    def program(self) -> bytes:
        """The program as an ELF file."""
        return elf.program(bytes(self._code), bytes(self._data))

    def _load(self, arguments: Iterable[int | str | bytes], first: int = 0) -> None:
        for register, argument in enumerate(arguments, first):
            value = argument if isinstance(argument, int) else self._address(argument)
            self._code += self._REGISTERS[register] + struct.pack("<Q", value)

    def _call(self, number: int, failing: str = "") -> None:
        self._code += b"\xb8" + struct.pack("<I", number) + b"\x0f\x05"  # mov eax, number; syscall
        if failing:
            rest, self._code = self._code, bytearray()
            message = COMPLAINT + os.fsencode(failing) + b"\n"
            self.call(_WRITE, 2, message, len(message))
            self.call(_EXIT, STATUS)
            rest += b"\x48\x85\xc0\x79" + bytes([len(self._code)])  # test rax, rax; jns over it
            self._code = rest + self._code

    def _address(self, text: str | bytes) -> int:
        at = elf.DATA + len(self._data)
        self._data += (os.fsencode(text) if isinstance(text, str) else text) + b"\0"
        return at
