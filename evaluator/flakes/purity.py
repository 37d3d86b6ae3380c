"""Pure evaluation: what ``--pure-eval`` says, and what holds of flakes unless ``--impure`` says otherwise.

And restricted evaluation, for expressions of strangers: files on the search path, and addresses that are allowed.

Specification: the Nix manual, "nix.conf", ``pure-eval``, ``restrict-eval``, ``allowed-uris``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from evaluator.code.coerce import canonical
from evaluator.flakes.fetcher import fetcher_of
from evaluator.io.observation import CONTENT, EXISTS, content_value
from evaluator.settings import is_on

if TYPE_CHECKING:
    from evaluator.io.reads import Reads
    from evaluator.session import Session

#: What is in a text that may set something which concerns this module. (Compiling a pattern takes longer than reading.)
_SETTINGS = (b"pure-eval", b"restrict-eval", b"include")
_INCLUDE = rb"(?m)^\s*!?include\b"
_SURROUNDINGS = ("currentSystem", "currentTime")


def confine(session: Session, settings: dict[str, str]) -> None:
    """Makes a new session pure or restricted, if the command line's settings or Nix's configuration say so.

    Raises EvalError for a configuration that cannot be read.
    """
    is_configured = _is_configured(session.files.reads)
    for name, confine_so in (("restrict-eval", restrict), ("pure-eval", make_pure)):
        if name in settings:
            wanted = is_on(settings, name)
        elif is_configured:
            nix = fetcher_of(session).means.settings()
            wanted = nix.pure_eval if name == "pure-eval" else nix.restrict_eval
        else:
            wanted = False
        if wanted:
            confine_so(session)


def _is_configured(reads: Reads | None) -> bool:
    """Whether one of the settings may be in Nix's configuration, which takes longer to read than to look at.

    What an evaluation answers holds as long as the files are what they are: that is noted in ``reads``.
    """
    from builder.configuration import configuration_files

    texts = [os.environ.get("NIX_CONFIG", "").encode("utf-8", "surrogateescape")]
    for path in configuration_files(os.environ):
        try:
            with open(path, "rb") as file:
                texts.append(file.read())
        except OSError:
            if reads is not None:
                reads.note(EXISTS, path, "1" if os.path.lexists(path) else "0")
            continue
        if reads is not None:
            reads.note(CONTENT, path, content_value(texts[-1]))
    if reads is not None and any(b"include" in text and re.search(_INCLUDE, text) for text in texts):
        reads.refuse("Nix's configuration includes other files")
    return any(name in text for text in texts for name in _SETTINGS)


def restrict(session: Session) -> None:
    """From now on evaluation reads only the store and what is on the search path, and sees no variables.

    Addresses are asked only where the setting ``allowed-uris`` has them.
    """
    for _, root in session.search_path:
        if ":" not in root:
            session.files.admit(canonical(os.path.abspath(root)))
    session.files.restricted = True


def make_pure(session: Session) -> None:
    """From now on evaluation knows nothing of its surroundings: files, variables, the time, the machine.

    What is fetched must be pinned. What was evaluated before stays.
    """
    fetcher_of(session).pure = True
    session.files.pure = True
    session.search_path.clear()
    builtins = session.builtins.items
    for name in _SURROUNDINGS:
        session.globals.pop("__" + name, None)
        builtins.pop(name, None)
    builtins["nixPath"] = session.globals["__nixPath"] = []
