"""Running ``git`` so that it asks nobody, runs nothing of the repository's, and can be stopped."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from builder.fetch.failure import FetchError
from builder.fetch.limits import Limits
from builder.fetch.transfer import is_local, local_path

_PROTOCOLS = ("file", "git", "http", "https", "ssh")
_SCP = re.compile(r"[A-Za-z0-9._~-]+@[A-Za-z0-9.-]+:[^/].*", re.DOTALL)
#: What would make git work on another repository than the one it is told.
_MISLEADING = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_EXTERNAL_DIFF",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "gc.auto=0", "maintenance.auto=false")


def plain_url(url: str) -> str:
    """An address as git is given it: a path for what is on this machine. Raises FetchError."""
    if is_local(url):
        return str(local_path(url.partition("?")[0]))
    if _SCP.fullmatch(url):
        return url
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _PROTOCOLS:
        known = ", ".join(_PROTOCOLS)
        raise FetchError(f"cannot fetch the Git repository '{url}': its address begins with none of {known} and ://")
    return url


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(_PROTOCOLS),
        # Less than a byte a second for a minute: nothing will come any more.
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "60",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    return environment


def _words(folder: str, arguments: Sequence[str]) -> list[str]:
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    return ["git", *settings, "-C", folder, *arguments]


def git_status(folder: str, *arguments: str, limits: Limits, feed: bytes = b"") -> tuple[int, bytes, str]:
    """Runs git in ``folder``: its exit code, what it printed, and what it said. Raises FetchError without a git."""
    with running(folder, *arguments) as process:
        done = threading.Event()
        out = b""
        err = b""

        def talk() -> None:
            nonlocal out, err
            out, err = process.communicate(feed)
            done.set()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        while not done.wait(0.1):
            if limits.cancel.is_set():
                process.kill()
        thread.join()
        limits.check()
        return process.returncode, out, err.decode("utf-8", "replace").strip()


def git(folder: str, *arguments: str, limits: Limits, what: str, feed: bytes = b"") -> bytes:
    """What git prints. Raises FetchError, which starts with ``what`` and says what git said."""
    code, out, err = git_status(folder, *arguments, limits=limits, feed=feed)
    if code != 0:
        raise FetchError(f"{what}: {said(err) or f'git {arguments[0]} failed'}")
    return out


def said(err: str) -> str:
    """What git said, on one line."""
    lines = [line.strip().removeprefix("fatal: ").removeprefix("error: ") for line in err.splitlines()]
    kept = [line for line in lines if line and not line.startswith("hint:")]
    return "; ".join(kept[:4])


@contextmanager
def running(folder: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A git process with pipes at both ends; it is killed if it still runs at the end."""
    try:
        process = subprocess.Popen(
            _words(folder, arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
    except FileNotFoundError:
        raise FetchError("there is no program 'git', which fetching from Git repositories needs; install it") from None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
