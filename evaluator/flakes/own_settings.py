"""``nixConfig``: settings that a flake brings along, for whoever trusts it.

Specification: the Nix manual, "nix flake", "Flake format", and "nix.conf", ``accept-flake-config``. A few settings are
harmless. The others hold where the user accepts all (``accept-flake-config``), has said yes to this value once
(``nix/trusted-settings.json`` among the user's data), or says so now on a terminal.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Final

from evaluator.builtins.control import say
from evaluator.code.coerce import as_string_no_context
from evaluator.runtime.errors import EvalError
from evaluator.runtime.show import type_name
from evaluator.runtime.values import Attrs, ContextString, PathValue, force

if TYPE_CHECKING:
    from evaluator.session import Session

#: What a flake may say without being trusted.
_HARMLESS: Final = frozenset(
    """bash-prompt bash-prompt-prefix bash-prompt-suffix flake-registry commit-lock-file-summary
    commit-lockfile-summary""".split()
)


def read_settings(session: Session, value: object) -> dict[str, str]:
    """The settings in a ``nixConfig``, as text. Raises EvalError."""
    value = force(value)
    if not isinstance(value, Attrs):
        raise EvalError(f"flake attribute 'nixConfig' is {type_name(value)}; it must be a set")
    return {name: _text(session, name, value) for name in sorted(value.items)}


def _text(session: Session, name: str, settings: Attrs) -> str:
    value = settings.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str | ContextString):
        return as_string_no_context(value)
    if isinstance(value, PathValue):
        return session.store_path_of(value.path)
    if isinstance(value, list):
        words: list[str] = []
        for each in value:
            word = force(each)
            if not isinstance(word, str | ContextString):
                raise EvalError(
                    f"list element in flake configuration setting '{name}' is {type_name(word)} while a string is"
                    " expected",
                    settings.place_of(name),
                )
            words.append(as_string_no_context(word))
        return " ".join(words)
    raise EvalError(f"flake configuration setting '{name}' is {type_name(value)}", settings.place_of(name))


def accepted(session: Session, settings: dict[str, str], everything: bool) -> dict[str, str]:
    """Those of a flake's settings that are to hold; of the others a warning is said. ``everything``: all are.

    On a terminal the user is asked.
    """
    found: dict[str, str] = {}
    known: dict[str, dict[str, bool]] | None = None
    for name, value in settings.items():
        if everything or name.removeprefix("extra-") in _HARMLESS:
            found[name] = value
            continue
        if known is None:
            known = _decisions()
        decided = known.get(name, {}).get(value)
        if decided is not None:
            say(session, f"warning: Using saved setting for '{name} = {value}' from {_file()}.")
        else:
            decided = _asked(name, value, known)
        if decided:
            found[name] = value
        else:
            say(
                session,
                f"warning: ignoring untrusted flake configuration setting '{_printable(name)}'.\n"
                "Pass '--accept-flake-config' to trust it",
            )
    return found


def added(settings: dict[str, str], more: dict[str, str]) -> None:
    """Puts settings to those of a command line; lists that are to be longer become so."""
    for name, value in more.items():
        before = settings.get(name, "")
        settings[name] = f"{before} {value}" if before and name.startswith("extra-") else value


def _asked(name: str, value: str, known: dict[str, dict[str, bool]]) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    question = f"do you want to allow configuration setting '{_printable(name)}' to be set to '{_printable(value)}'"
    answer = _says_yes(question)
    if _says_yes(f"do you want to permanently mark this value as {'trusted' if answer else 'untrusted'}"):
        known.setdefault(name, {})[value] = answer
        _keep(known)
    return answer


def _says_yes(question: str) -> bool:
    sys.stderr.write(f"{question} (y/N)? ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() == "y"


def _printable(text: str) -> str:
    """A text of a stranger's without what would move a terminal's cursor."""
    return "".join(char if char.isprintable() else "�" for char in text)


def _file() -> str:
    home = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(home, "nix", "trusted-settings.json")


def _decisions() -> dict[str, dict[str, bool]]:
    """What the user has decided for good: by names and values of settings."""
    path = _file()
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        return {str(name): {str(value): yes is True for value, yes in each.items()} for name, each in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise EvalError(f"cannot read the settings that you trust from '{path}': {error}") from None


def _keep(known: dict[str, dict[str, bool]]) -> None:
    path = _file()
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.tmp", "w", encoding="utf-8") as file:
            json.dump(known, file)
        os.replace(f"{path}.tmp", path)
    except OSError as error:
        raise EvalError(f"cannot write the settings that you trust to '{path}': {error.strerror}") from None
