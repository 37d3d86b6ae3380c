"""The root folder that all builds see, read-only: empty but for a shell and what ``/etc`` must say.

    /bin/sh              a static shell, where this machine has one
    /etc/passwd, group   root, nixbld (1000, 100) and nobody, as Nix has them
    /etc/hosts           localhost; a build with network sees the machine's own instead
    /etc/nsswitch.conf   only for builds with network
    /build /tmp /dev /proc /nix/store   to be mounted on

It is made once for a user, under a name that follows from what is in it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from builder.oci.programs import which
from builder.scratch import ScratchFolders
from store.sha256 import Sha256

_VERSION = 2  # of how it is made
UID = 1000
GID = 100

_PASSWD = (
    "root:x:0:0:Nix build user:/build:/noshell\n"
    f"nixbld:x:{UID}:{GID}:Nix build user:/build:/noshell\n"
    "nobody:x:65534:65534:Nobody:/:/noshell\n"
)
_GROUP = f"root:x:0:\nnixbld:!:{GID}:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_NSSWITCH = "hosts: files dns\nservices: files\n"
_SHELLS = ("/bin/busybox", "/usr/bin/busybox", "/usr/lib/busybox/bin/busybox")
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
CERTIFICATES_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
#: What a build with network sees of the machine, where it is there.
NETWORK_FILES = ("/etc/resolv.conf", "/etc/services", "/etc/hosts")


def find_shell() -> str | None:
    """A shell that runs anywhere: a static busybox."""
    found = which("busybox.static") or which("busybox")
    for path in (*_SHELLS, found):
        if path is not None and os.path.exists(path) and is_static(path):
            return path
    return None


def find_certificates() -> str | None:
    """This machine's bundle of certificate authorities."""
    asked = [os.environ.get("NIX_SSL_CERT_FILE"), os.environ.get("SSL_CERT_FILE"), *_CERTIFICATES]
    return next((path for path in asked if path and os.path.isfile(path)), None)


def is_static(path: str) -> bool:
    """Whether the 64-bit ELF program at ``path`` needs no interpreter."""
    with open(path, "rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            return False
        (at,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(at)
        table = file.read(size * count)
    return all(struct.unpack_from("<I", table, size * index)[0] != 3 for index in range(count))  # PT_INTERP


def root_folder(folder: Path, shell: str | None, network: bool, store_dir: str) -> Path:
    """The root for builds with or without ``network``, made under ``folder`` if it is not there yet."""
    files = {"etc/passwd": _PASSWD, "etc/group": _GROUP}
    if network:
        files["etc/nsswitch.conf"] = _NSSWITCH
        files |= {path[1:]: "" for path in NETWORK_FILES if os.path.exists(path)}
        if find_certificates() is not None:
            files[CERTIFICATES_INSIDE[1:]] = ""
    else:
        files["etc/hosts"] = _HOSTS
    identity = Sha256(repr((sorted(files.items()), store_dir, _VERSION)).encode())
    if shell is not None:
        status = os.stat(shell)
        identity.update(repr((shell, status.st_size, status.st_mtime_ns)).encode())
    made = folder / f"root-{identity.hexdigest()[:20]}"
    if not made.is_dir():
        with ScratchFolders(folder / "tmp").folder() as scratch:
            _fill(scratch.path / "root", files, shell, store_dir)
            try:
                os.rename(scratch.path / "root", made)
            except OSError:
                if not made.is_dir():
                    raise
    return made


def _fill(root: Path, files: dict[str, str], shell: str | None, store_dir: str) -> None:
    for name in ("bin", "build", "dev", "etc", "proc", "tmp", store_dir[1:]):
        (root / name).mkdir(parents=True)
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    for place, _, _ in os.walk(root):
        os.chmod(place, 0o755)  # whatever this process's umask is
    for name in ("build", "tmp"):
        (root / name).chmod(0o1777)  # runc gives what it mounts there the mode of what is under it
    for name, content in files.items():
        (root / name).write_text(content)
        (root / name).chmod(0o644)
    if shell is not None:
        import shutil

        shutil.copyfile(shell, root / "bin/sh")
        (root / "bin/sh").chmod(0o555)
