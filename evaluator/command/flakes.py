"""``tvix-eval flake``: locks flakes, and says what is known of them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from evaluator.command import asking, flags
from evaluator.command.flags import Flag, Options, UsageError
from evaluator.command.outputs import wishes_of
from evaluator.flakes.calling import outputs_of
from evaluator.flakes.definition import Flake
from evaluator.flakes.lock_file import Node, path_text
from evaluator.flakes.locking import Locked, lock_flake
from evaluator.flakes.outline import outline
from evaluator.flakes.reference import parse_located, shown
from evaluator.io.files import Files
from evaluator.session import Session
from evaluator.stores.access import LocalAccess

COMMANDS: Final = {
    "lock": "lock the inputs that are not locked yet, and write flake.lock",
    "update": "lock all inputs (or only those named) to what they are now, and write flake.lock",
    "metadata": "print what the flake is, and what its inputs are locked to",
    "show": "print the flake's outputs",
}

_ALIASES: Final = {"info": "metadata"}

FLAGS: Final = [
    *flags.LOCKING,
    Flag("--flake", "REF", "the flake; of 'update', whose other arguments are inputs"),
    Flag("--json", "", "print JSON"),
    Flag("--all-systems", "", "show the outputs for other systems, too"),
    Flag("--legacy", "", "show what is in legacyPackages, too"),
    Flag("--commit-lock-file", "", "commit flake.lock if it was changed"),
    Flag("--impure", "", "accepted; nothing is pure here unless --pure-eval says so"),
    Flag("--store", "URL", "the store to fetch into (default: $TVIX_STORE, else local:)"),
    flags.SETTING,
    Flag("--show-trace", "", "print all steps that led to an error"),
    Flag("--help", "", "print this"),
]


class FlakeOptions(Options):
    """A command line of ``tvix-eval flake``, understood."""

    arity: ClassVar[dict[str, int]] = flags.arities(FLAGS)

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command
        self.located = "."
        self.all_systems = False
        self.legacy = False

    def take(self, flag: str, values: list[str]) -> None:
        match flag:
            case "--flake":
                self.located = values[0]
            case "--all-systems":
                self.all_systems = True
            case "--legacy":
                self.legacy = True
            case "--commit-lock-file":
                self.locking.append((flag, values))
            case "--impure":
                self.settings["pure-eval"] = "false"
            case _:
                super().take(flag, values)

    def complete(self) -> None:
        """Makes of the operands what the command takes them for. Raises UsageError."""
        if self.command == "update":
            self.locking += [("--update-input", [name]) for name in self.operands] or [("--recreate-lock-file", [])]
        elif len(self.operands) > 1:
            raise UsageError(f"'flake {self.command}' takes one flake, not {len(self.operands)}")
        elif self.operands:
            self.located = self.operands[0]


def main(words: Sequence[str], only: bool = False) -> int:
    """The command; answers its exit code."""
    from evaluator.command.running import evaluate

    if not words or _ALIASES.get(words[0], words[0]) not in COMMANDS:
        if words and words[0] in ("--help", "help"):
            print(usage())
            return 0
        what = f"there is no 'flake {words[0]}'" if words else "'flake' needs to know what to do"
        sys.stderr.write(f"error: {what}\n{usage()}\n")
        return 1
    options = FlakeOptions(_ALIASES.get(words[0], words[0]))
    try:
        flags.take_all(options, words[1:])
        options.complete()
    except UsageError as error:
        sys.stderr.write(f"error: {error}\nTry 'tvix-eval flake --help' for more information.\n")
        return 1
    if options.doing == "help":
        print(usage())
        return 0
    return evaluate(options, lambda given: _print(options), only)


def usage() -> str:
    """What ``--help`` prints."""
    lines = [
        "usage: tvix-eval flake COMMAND [FLAG]... [REF]     REF is the flake, by default the one in this folder",
        "",
    ]
    lines += [f"  {name:<28} {does}" for name, does in COMMANDS.items()]
    lines += ["", *flags.rows(FLAGS, 28)]
    lines += [
        "",
        "examples:",
        "  tvix-eval flake lock",
        "  tvix-eval flake update nixpkgs",
        "  tvix-eval flake metadata github:NixOS/nixpkgs --json",
        "  tvix-eval --flake .#packages.x86_64-linux.default.drvPath",
    ]
    return "\n".join(lines)


def _print(options: FlakeOptions) -> None:
    access = LocalAccess(options.store, False, options.settings)
    try:
        for text in _answers(options, asking.new_session(options, Files(), access)):
            sys.stdout.write(text)
        sys.stdout.flush()
    finally:
        access.close()


def _answers(options: FlakeOptions, session: Session) -> Iterator[str]:
    here = os.getcwd()
    wishes = wishes_of(options, options.command in ("lock", "update"))
    found = lock_flake(session, parse_located(options.located, here), wishes)
    if options.command == "metadata":
        yield json.dumps(_facts(found)) + "\n" if options.form == "json" else _told(found)
    elif options.command == "show":
        yield outline(
            outputs_of(session, found),
            session,
            found,
            as_json=options.form == "json",
            all_systems=options.all_systems,
            legacy=options.legacy,
        )


def _facts(found: Locked) -> dict[str, object]:
    """What is known of a flake, as Nix names it."""
    flake = found.flake
    facts: dict[str, object] = {
        "originalUrl": shown(flake.original),
        "original": flake.original,
        "resolvedUrl": shown(flake.resolved),
        "resolved": flake.resolved,
        "url": shown(flake.locked),
        "locked": flake.locked,
        "path": flake.tree.path,
        "locks": found.lock.to_json(),
    }
    if flake.description is not None:
        facts["description"] = flake.description
    for name, attribute in (("revision", "rev"), ("revCount", "revCount"), ("lastModified", "lastModified")):
        if attribute in flake.locked:
            facts[name] = flake.locked[attribute]
    return dict(sorted(facts.items()))


def _told(found: Locked) -> str:
    flake: Flake = found.flake
    lines = [f"{_bold('Resolved URL:')}  {shown(flake.resolved)}", f"{_bold('Locked URL:')}    {shown(flake.locked)}"]
    if flake.description is not None:
        lines.append(f"{_bold('Description:')}   {flake.description}")
    lines.append(f"{_bold('Path:')}          {flake.tree.path}")
    if "rev" in flake.locked:
        lines.append(f"{_bold('Revision:')}      {flake.locked['rev']}")
    if "revCount" in flake.locked:
        lines.append(f"{_bold('Revisions:')}     {flake.locked['revCount']}")
    modified = flake.locked.get("lastModified")
    if isinstance(modified, int):
        lines.append(f"{_bold('Last modified:')} {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(modified))}")
    lines.append(_bold("Inputs:"))
    if found.lock.root.inputs:
        lines += _branches(found.lock.root, "", {id(found.lock.root)})
    return "\n".join(lines) + "\n"


def _branches(node: Node, prefix: str, done: set[int]) -> Iterator[str]:
    for at, (name, found) in enumerate(sorted(node.inputs.items())):
        last = at == len(node.inputs) - 1
        start = f"{prefix}{'└' if last else '├'}───{_bold(name)}"
        if not isinstance(found, Node):
            yield f"{start} follows input '{path_text(found)}'"
            continue
        yield f"{start}: {shown(found.locked)}"
        if id(found) not in done:
            done.add(id(found))
            yield from _branches(found, prefix + ("    " if last else "│   "), done)


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
