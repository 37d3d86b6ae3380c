"""Running ``git`` so that it asks nobody, runs nothing of the repository's, and can be stopped.

A repository may come from anywhere, and its configuration can name programs. What git would run of those is switched
off: hooks, the file system monitor, filters (:func:`without_filters`). Only what means another machine may use a
transport at all: with that goes the fetching of objects that a partial clone lacks, and the programs that it involves.
What the user's own configuration names is run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from builder.communicating import communicate
from builder.descendants import descendants
from builder.fetch.failure import FetchError
from builder.fetch.limits import Limits
from builder.fetch.transfer import is_local, local_path

_PROTOCOLS = ("file", "git", "http", "https", "ssh")
_SCP = re.compile(r"[A-Za-z0-9._~][A-Za-z0-9._~-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!//).+", re.DOTALL)
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
_NOBODY = "none"
"""A protocol that there is none of: git then asks nobody, not even another folder."""
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


def _environment(remote: bool) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(_PROTOCOLS) if remote else _NOBODY,
        # Less than a byte a second for a minute: nothing will come any more.
        "GIT_HTTP_LOW_SPEED_LIMIT": "1",
        "GIT_HTTP_LOW_SPEED_TIME": "60",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    return environment


def _words(folder: str, arguments: Sequence[str], settings: Sequence[str]) -> list[str]:
    given = [word for setting in (*_SETTINGS, *settings) for word in ("-c", setting)]
    return ["git", *given, "-C", folder, *arguments]


def git_status(
    folder: str,
    *arguments: str,
    limits: Limits,
    feed: bytes = b"",
    remote: bool = False,
    settings: Sequence[str] = (),
) -> tuple[int, bytes, str]:
    """Runs git in ``folder``: its exit code, what it printed, and what it said. Raises FetchError without a git.

    ``remote``: it may ask other repositories. ``settings`` (``NAME=VALUE``) go before those that are configured.
    """
    with running(folder, *arguments, remote=remote, settings=settings) as process:
        out, err = communicate(process, limits.cancel, lambda: _end(process), feed)
        limits.check()
        return process.returncode, out, err.decode("utf-8", "replace").strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends git, and the programs that talk to servers for it, which it would leave behind waiting for an answer."""
    below = list(descendants(process.pid))
    process.terminate()  # git removes what is half done
    for pid in below:
        with suppress(OSError):  # it has ended, or is somebody else's
            os.kill(pid, signal.SIGTERM)


def git(
    folder: str,
    *arguments: str,
    limits: Limits,
    what: str,
    feed: bytes = b"",
    remote: bool = False,
    settings: Sequence[str] = (),
) -> bytes:
    """What git prints. Raises FetchError, which starts with ``what`` and says what git said."""
    code, out, err = git_status(folder, *arguments, limits=limits, feed=feed, remote=remote, settings=settings)
    if code != 0:
        raise FetchError(f"{what}: {said(err) or f'git {arguments[0]} failed'}")
    return out


def said(err: str) -> str:
    """What git said, on one line."""
    lines = [line.strip().removeprefix("fatal: ").removeprefix("error: ") for line in err.splitlines()]
    kept = [line for line in lines if line and not line.startswith("hint:")]
    return "; ".join(kept[:4])


def without_filters(folder: str, limits: Limits) -> list[str]:
    """Settings under which the filters are those of the user: none that the repository in ``folder`` brings itself.

    For commands that read working trees or make them, since those pass contents through programs. Raises FetchError.
    """
    what = f"cannot read the Git repository '{folder}'"
    code, out, err = git_status(folder, "config", "--show-scope", "-z", "--get-regexp", r"^filter\.", limits=limits)
    if code not in (0, 1):  # 1: there are none
        raise FetchError(f"{what}: {said(err)}")
    own: dict[str, str] = {}
    foreign: list[str] = []
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    for scope, item in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = item.partition("\n")
        if scope not in ("local", "worktree"):
            own[key] = value
        elif "=" in key:
            # There is no way to say it on the command line of older versions of git.
            raise FetchError(f"{what}: it configures a filter of its own with '=' in its name, '{key}'")
        else:
            foreign.append(key)
    # A filter without a program changes nothing, unless it is required.
    return [f"{key}={own.get(key, 'false' if key.endswith('.required') else '')}" for key in foreign]


@contextmanager
def running(
    folder: str, *arguments: str, remote: bool = False, settings: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A git process with pipes at both ends; it is killed if it still runs at the end."""
    try:
        process = subprocess.Popen(
            _words(folder, arguments, settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(remote),
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
