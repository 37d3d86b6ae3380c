"""Outputs of flakes that a command line names: ``.#hello``, ``nixpkgs#hello``."""

from __future__ import annotations

import os
from collections.abc import Iterator

from evaluator.builtins.flake_refs import Ref
from evaluator.command.flags import Options
from evaluator.flakes.calling import outputs_of, select_output
from evaluator.flakes.fetcher import fetcher_of
from evaluator.flakes.locking import Locked, Wishes, lock_flake, named_input
from evaluator.flakes.own_settings import accepted, added
from evaluator.flakes.purity import make_pure
from evaluator.flakes.reference import parse_installable, parse_located
from evaluator.session import Session


def outputs_named(options: Options, session: Session, base: str) -> Iterator[object]:
    """What the operands of a command line mean, or the flake in the folder ``base`` without any. Raises EvalError.

    All flakes are locked before the first is looked at: from then on evaluation knows nothing else (``--impure``:
    it does).
    """
    wishes = wishes_of(options, False)
    found: list[tuple[Locked, Ref, str]] = []
    for given in options.operands or ["."]:
        ref, fragment = parse_installable(given, base)
        found.append((lock_flake(session, ref, wishes), ref, fragment))
        _heed(options, session, found[-1][0])
    if not options.impure:
        make_pure(session)
    for locked, ref, fragment in found:
        yield select_output(outputs_of(session, locked), fragment, session.system, ref, options.doing != "build")


def _heed(options: Options, session: Session, found: Locked) -> None:
    """From now on the settings that a flake brings along hold, as far as the user trusts it."""
    own = found.flake.settings
    if own:
        fetcher = fetcher_of(session)
        more = accepted(session, own, fetcher.means.settings().accept_flake_config)
        if more:
            if session.files.reads is not None:
                session.files.reads.refuse("a flake brings settings along")
            added(options.settings, more)
            fetcher.reconfigure()
            session.allows_builds = session.allows_builds and fetcher.means.settings().allow_import_from_derivation
            options.reconfigure()


def wishes_of(options: Options, write: bool) -> Wishes:
    """What a command line says about locking. Raises EvalError for what names no input or flake."""
    wishes = Wishes(write=write)
    for flag, values in options.locking:
        match flag:
            case "--update-input":
                wishes.updates.add(named_input(flag, values[0]))
            case "--override-input":
                wishes.overrides[named_input(flag, values[0])] = parse_located(values[1], os.getcwd())
            case "--recreate-lock-file":
                wishes.recreate = True
            case "--no-update-lock-file":
                wishes.change = False
            case "--no-write-lock-file":
                wishes.write = False
            case "--commit-lock-file":
                wishes.commit = True
    return wishes
