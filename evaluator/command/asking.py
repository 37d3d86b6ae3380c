"""From a command line to a session and the expressions that are asked for."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import Final

from evaluator.code.coerce import as_string, canonical, coerce
from evaluator.code.functions import call
from evaluator.command.flags import Options
from evaluator.flakes.fetcher import Fetcher
from evaluator.flakes.means import Means
from evaluator.flakes.purity import confine
from evaluator.io.files import Files, ParsedFile, syntax_fault
from evaluator.lowering.lower import Lowering
from evaluator.lowering.scope import Scope
from evaluator.opening import open_session
from evaluator.runtime.errors import EvalError
from evaluator.runtime.source import SourceFile
from evaluator.runtime.values import COUNTERS, Attrs
from evaluator.session import Session, base_env, search_path_entries
from evaluator.settings import is_on
from evaluator.stores.access import LocalAccess
from evaluator.syntax.parser import parse

_LOCATOR: Final = r"channel:|(?:https?|file|git|s3|ssh|ftp)[a-z+]*://"

#: What can only be a reference to a flake: ``.#hello``, ``nixpkgs#hello``, ``github:…``.
_OUTPUT: Final = r"(?s)[^<#]*#|(?:github|gitlab|sourcehut|flake|path):|(?:git|hg|tarball|file)\+[a-z]+:"

DEFAULT_FILE: Final = "./default.nix"


def new_session(options: Options, files: Files, access: LocalAccess) -> Session:
    """A session as the flags want it, which reads from a store and, if that may be, writes to it."""
    settings = options.settings
    heed_depth(options)
    if "nix-path" in settings:
        inherited = settings["nix-path"].split()
    else:
        inherited = environment_search_path() + settings.get("extra-nix-path", "").split()
    entries = search_path_entries(options.search_path + inherited)
    system = settings.get("eval-system") or settings.get("system", "")
    session = open_session(files, entries, system, observe=1 if options.doing == "origin" else 0)
    session.allows_builds = settings.get("allow-import-from-derivation", "true") not in ("false", "no", "0")
    session.aborts_on_warn = is_on(settings, "abort-on-warn")
    session.traces_verbosely = is_on(settings, "trace-verbose")
    access.serve(session)
    session.fetcher = Fetcher(Means(lambda: access.castore, network=not options.offline, settings=settings))
    confine(session, settings)
    return session


def heed_depth(options: Options) -> None:
    """Heeds the setting ``max-call-depth``, on the thread that is about to evaluate."""
    given = options.settings.get("max-call-depth", "")
    if given.isdecimal():
        COUNTERS.max_depth = min(int(given), COUNTERS.max_depth)


def environment_search_path() -> list[str]:
    """The entries of NIX_PATH; where it is not set, the channels that are there."""
    given = os.environ.get("NIX_PATH")
    if given is None:
        channels = [os.path.expanduser("~/.nix-defexpr/channels"), "/nix/var/nix/profiles/per-user/root/channels"]
        given = ":".join([channels[0], f"nixpkgs={channels[1]}/nixpkgs", channels[1]])
        return [entry for entry in given.split(":") if os.path.exists(entry.rpartition("=")[2])]
    entries: list[str] = []
    for part in given.split(":"):
        # `nixpkgs=https://…` has a colon of its own.
        before = entries[-1].rpartition("=")[2] if entries else ""
        if part.startswith("//") or before == "channel":
            entries[-1] += ":" + part
        else:
            entries.append(part)
    return entries


def arguments(options: Options, session: Session) -> Attrs:
    """What ``--arg`` and ``--argstr`` give to functions; evaluated when needed.

    Raises SyntaxFault, UndefinedVariable.
    """
    items: dict[str, object] = {}
    for name, text, is_text in options.arguments:
        if is_text:
            items[name] = text
        else:
            parsed = ParsedFile(SourceFile(f"«--arg {name}»", text), parse(text), (0, 0, 0))
            fault = syntax_fault(parsed)
            if fault is not None:
                raise fault
            top = Scope(None, {})
            session.check_names(parsed, top)
            lowering = Lowering(session, parsed.file, os.getcwd())
            items[name] = lowering.later(parsed.source.root, 0, top, "").thunk(base_env())
    return Attrs(items, None)


def texts(options: Options) -> Iterator[tuple[str, str]]:
    """The expressions given as text, each with its name in errors: standard input first, as in Nix."""
    if options.stdin:
        yield sys.stdin.buffer.read().decode("utf-8", "surrogateescape"), "«stdin»"
    if options.expressions:
        for text in options.operands:
            yield text, "«string»"


def named_files(options: Options) -> list[str]:
    """The files that are asked for, as they were given."""
    if options.expressions:
        return []
    return options.operands or ([] if options.stdin else [DEFAULT_FILE])


def located(session: Session, given: str) -> str:
    """The path that a FILE operand means: ``<name>`` is looked up, an address downloaded (once there is a builder)."""
    if given.startswith("<") and given.endswith(">"):
        return session.find_file(given[1:-1])
    if re.match(_LOCATOR, given):
        fetched = call(session.builtins.get("fetchTarball"), given)
        return as_string(coerce(session, fetched, False, False))
    return canonical(os.path.join(os.getcwd(), given))


def roots(options: Options, session: Session) -> Iterator[object]:
    """The value of each expression and file, one after another. Raises EvalError."""
    here = os.getcwd()
    if names_outputs(options):
        from evaluator.command.outputs import outputs_named

        yield from outputs_named(options, session, here)
        return
    for text, name in texts(options):
        yield session.expression(text, here, name)
    for given in named_files(options):
        yield session.import_file(located(session, given))


def names_outputs(options: Options) -> bool:
    """Whether the operands are outputs of flakes. Raises EvalError where some are, and some are files."""
    if options.flakes or options.expressions:
        return options.flakes
    named = [given for given in options.operands if re.match(_OUTPUT, given) and not os.path.lexists(given)]
    if named and (len(named) < len(options.operands) or options.stdin):
        raise EvalError(f"'{named[0]}' is an output of a flake; ask for files in a command of their own")
    return bool(named)
