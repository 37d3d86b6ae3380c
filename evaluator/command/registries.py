"""``tvix-eval registry``: what the names of flakes mean, and what they are to mean to the user."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from builder.fetch.failure import FetchError
from evaluator.builtins.flake_refs import Ref
from evaluator.command import asking, flags
from evaluator.command.flags import Flag, Options, UsageError
from evaluator.flakes.definition import fetch_tree
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.reference import parse_located, shown
from evaluator.flakes.registry import Entry, Registries, read_registry, user_registry, write_registry
from evaluator.io.files import Files
from evaluator.runtime.errors import EvalError
from evaluator.session import Session
from evaluator.stores.access import LocalAccess

COMMANDS: Final = {
    "list": "print all names and what they mean, those that count most first",
    "add NAME REF": "from now on the name means this flake",
    "remove NAME": "it means what other registries say",
    "pin NAME [REF]": "from now on it means exactly what it (or the other flake) is now",
}
_OPERANDS: Final = {"list": (0, 0), "add": (2, 2), "remove": (1, 1), "pin": (1, 2)}

FLAGS: Final = [
    Flag("--registry", "FILE", "the registry to change (default: the user's, nix/registry.json among the settings)"),
    Flag("--offline", "", "ask no other machine"),
    Flag("--refresh", "", "ask again about all that may have changed since it was fetched"),
    Flag("--store", "URL", "the store to fetch into (default: $TVIX_STORE, else local:)"),
    flags.SETTING,
    Flag("--help", "", "print this"),
]


class RegistryOptions(Options):
    """A command line of ``tvix-eval registry``, understood."""

    arity: ClassVar[dict[str, int]] = flags.arities(FLAGS)

    def __init__(self) -> None:
        super().__init__()
        self.file = ""

    def take(self, flag: str, values: list[str]) -> None:
        if flag == "--registry":
            self.file = values[0]
        else:
            super().take(flag, values)


def main(words: Sequence[str], only: bool = False) -> int:
    """The command; answers its exit code."""
    from evaluator.command.running import evaluate

    options = RegistryOptions()
    try:
        flags.take_all(options, words)
        if options.doing != "help":
            _check(options)
    except UsageError as error:
        sys.stderr.write(f"error: {error}\n{usage()}\n")
        return 1
    if options.doing == "help":
        print(usage())
        return 0
    return evaluate(options, lambda given: _run(options), only)


def usage() -> str:
    """What ``--help`` prints."""
    lines = ["usage: tvix-eval registry COMMAND [FLAG]...", ""]
    lines += [f"  {name:<20} {does}" for name, does in COMMANDS.items()]
    return "\n".join([*lines, "", *flags.rows(FLAGS, 20)])


def _check(options: RegistryOptions) -> None:
    if not options.operands:
        raise UsageError("'registry' needs to know what to do")
    command = options.operands[0]
    if command not in _OPERANDS:
        raise UsageError(f"there is no 'registry {command}'")
    least, most = _OPERANDS[command]
    if not least <= len(options.operands) - 1 <= most:
        expected = str(least) if least == most else f"{least} or {most}"
        raise UsageError(f"'registry {command}' takes {expected} arguments, not {len(options.operands) - 1}")


def _run(options: RegistryOptions) -> None:
    access = LocalAccess(options.store, False, options.settings)
    try:
        session = asking.new_session(options, Files(), access)
        if options.operands[0] == "list":
            for line in _listed(session):
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
        else:
            _change(options, session)
    except FetchError as error:
        raise EvalError(str(error)) from None
    finally:
        access.close()


def _listed(session: Session) -> Iterator[str]:
    means = fetcher_of(session).means
    for kind, entries in Registries(means.settings(), means.limits()).all():
        for entry in entries:
            yield f"{kind:<6} {shown(entry.before)} {shown(entry.after)}"


def _change(options: RegistryOptions, session: Session) -> None:
    here = os.getcwd()
    command, name, *more = options.operands
    named = parse_located(name, here)
    meant: Ref | None = None
    if command == "add":
        meant = parse_located(more[0], here)
    elif command == "pin":
        meant = _pinned(session, parse_located(more[0] if more else name, here))
    path = options.file or user_registry()
    entries = [entry for entry in read_registry(path) if entry.before != named]
    if meant is not None:
        entries.append(Entry(named, meant, False))
    write_registry(path, entries)


def _pinned(session: Session, ref: Ref) -> Ref:
    """The reference that means exactly the tree that ``ref`` means now."""
    return fetch_tree(session, ref)[2]
