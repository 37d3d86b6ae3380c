"""The sources and the compiler of the real builds: from Debian and PyPI, kept in a folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

_ZIG = "0.13.0"
#: Of zig's library, what is for other targets and languages than C on x86-64 Linux with musl.
_UNWANTED = (
    "lib/libcxx",
    "lib/libcxxabi",
    "lib/libtsan",
    "lib/libc/glibc",
    "lib/libc/mingw",
    "lib/libc/darwin",
    "lib/libc/wasi",
)
_HEADERS = ("generic-musl", "x86_64-linux-musl", "any-linux-any", "x86-linux-any", "x86_64-linux-any", "x86-linux-musl")
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
_DEBIAN = "".join(
    f"{kind} [signed-by={_KEYS}] http://deb.debian.org/debian bookworm main\n" for kind in ("deb", "deb-src")
)
#: GNU make as Debian has it, with the library and the loader that it needs: hello's own build wants one.
_MAKE = {
    "bin/make": "usr/bin/make",
    "lib/ld.so": "lib64/ld-linux-x86-64.so.2",
    "lib/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6",
    "lib/libdl.so.2": "lib/x86_64-linux-gnu/libdl.so.2",
}


def fetch(folder: Path) -> dict[str, Path]:
    """``zig``, ``hello`` and ``make``, fetched into ``folder`` unless they are there. Raises ``OSError`` and
    ``subprocess.SubprocessError`` when they cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "zig": _zig(folder),
        "hello": _hello(folder),
        "make": _make(folder),
    }


def _zig(folder: Path) -> Path:
    made = folder / "zig"
    if not made.is_dir():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), f"ziglang=={_ZIG}"]
        subprocess.run(command, check=True, capture_output=True)
        partial = folder / "zig.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(next(folder.glob("ziglang-*.whl"))) as wheel:
            wanted = [name for name in wheel.namelist() if name.startswith("ziglang/") and _wanted(name[8:])]
            wheel.extractall(partial, wanted)
        (partial / "ziglang/zig").chmod(0o755)
        (partial / "ziglang").rename(made)
    return made


def _wanted(name: str) -> bool:
    if name.startswith("lib/libc/include/"):
        return name.split("/")[3] in _HEADERS
    return not name.startswith(_UNWANTED)


def _hello(folder: Path) -> Path:
    pattern = "hello_*.orig.tar.gz"
    if not list(folder.glob(pattern)):
        _apt(folder, "source", "--download-only", "hello")
    return next(folder.glob(pattern))


def _make(folder: Path) -> Path:
    made = folder / "make"
    if not made.is_dir():
        _apt(folder, "download", "make", "libc6")
        for package in ("make", "libc6"):
            archive = next(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg", "-x", str(archive), str(folder / "make.root")], check=True)
        partial = folder / "make.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for name, origin in _MAKE.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "make.root" / origin, partial / name)
            (partial / name).chmod(0o755)
        partial.rename(made)
    return made


def _apt(folder: Path, *command: str) -> None:
    """apt-get with lists of its own, so that the machine's stay as they are."""
    lists = folder / "apt"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(_DEBIAN)
    options = {
        "Dir::Etc::sourcelist": str(folder / "sources.list"),
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": str(lists),
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *[part for name, value in options.items() for part in ("-o", f"{name}={value}")]]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    subprocess.run([*apt, *command], cwd=folder, check=True, capture_output=True)
