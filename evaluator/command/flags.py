"""The command line of ``tvix-eval``, read as ``nix-instantiate`` reads its own.

``argparse`` cannot: with ``-E`` all that is no flag is an expression, the values of ``--arg`` may start with a dash,
flags and files come in any order, and ``-vE`` is ``-v -E``. One table serves the reading and the help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final


class UsageError(Exception):
    """A command line that makes no sense. The message is one sentence."""


class Flag:
    """One row: spellings (space between), names of the values that follow, what it does (empty: not in the help)."""

    def __init__(self, spellings: str, values: str, does: str) -> None:
        self.spellings: Final = spellings.split()
        self.values: Final = values.split()
        self.does: Final = does


#: What is given, and to what: the same for all commands that evaluate.
GIVEN: Final = [
    Flag("-E --expr", "", "what is given are expressions, not files"),
    Flag("--flake", "", "what is given are outputs of flakes: REF#ATTR (without it what has a # in it is one)"),
    Flag("--impure", "", "let flakes see files, variables and the time, and fetch what is not pinned"),
]
#: How flakes are locked: the same for all commands that know flakes.
LOCKING: Final = [
    Flag("--update-input", "INPUT", "lock this input anew; a/b is the input b of the input a"),
    Flag("--override-input", "INPUT REF", "lock this input to another flake than the one that flake.nix names"),
    Flag("--recreate-lock-file", "", "lock all inputs anew"),
    Flag("--no-update-lock-file", "", "fail if flake.lock would have to be changed"),
    Flag("--no-write-lock-file", "", "do not write flake.lock"),
    Flag("--offline", "", "ask no other machine"),
    Flag("--refresh", "", "ask again about all that may have changed since it was fetched"),
]
ARGUMENTS: Final = [
    Flag("--arg", "NAME EXPR", "an argument for functions: an expression"),
    Flag("--argstr", "NAME TEXT", "the same, a string"),
    Flag("-I --include", "ENTRY", "a search path entry, NAME=PATH or PATH, before those of NIX_PATH"),
]
SETTING: Final = Flag("--option", "NAME VALUE", "change a setting of Nix; --NAME, --no-NAME or --NAME VALUE do so, too")

ASKING: Final = [
    *GIVEN,
    Flag("-A --attr", "PATH", "print the attribute at this path of the value (any number of times)"),
    *ARGUMENTS,
    Flag("--eval --eval-only", "", "print values; this is the default"),
    Flag("--instantiate", "", "write derivations to the store, in sets and lists too, and print their .drv paths"),
    Flag("--parse --parse-only", "", "print the syntax tree, do not evaluate"),
    Flag("--origin", "", "print where the value came from: files, lines, calls (with --json as data)"),
    Flag("--find-file", "", "print where the files given are on the search path"),
]

PRINTING: Final = [
    Flag("--strict", "", "evaluate everything inside the value, too"),
    Flag("--json", "", "print the value as JSON"),
    Flag("--xml", "", "print the value as XML"),
    Flag("--raw", "", "print a string as it is, without quotes or newline"),
    Flag("--no-location", "", "leave positions out of the XML"),
    Flag("--show-trace", "", "print all steps that led to an error"),
]

LIMITING: Final = [
    Flag("--max-seconds", "N", "give up after so long"),
    Flag("--max-memory", "MB", "give up when the process takes more memory"),
    SETTING,
    Flag("--no-ifd", "", "refuse to build what evaluation itself needs (allow-import-from-derivation false)"),
    Flag("-j --max-jobs", "N", "so many builds at once, where evaluation needs some"),
    Flag("--no-eval-cache", "", "evaluate, even if the answer is known and nothing has changed since"),
    Flag("--store", "URL", "the store to read and write: local:/FOLDER, … (default: $TVIX_STORE, else local:)"),
    Flag("--read-write-mode", "", "write to the store what evaluation makes; without --instantiate it does not"),
    Flag("--readonly-mode --dry-run", "", "write nothing, not even with --instantiate"),
    Flag("--help", "", "print this"),
    Flag("--version", "", "print the version and how the evaluator runs"),
]

#: Flags of nix-instantiate about logs, building and stores: they change nothing here.
ELSEWHERE: Final = [
    Flag("-v --verbose --debug --quiet -Q --no-build-output --repair --indirect", "", ""),
    Flag("-k --keep-going -K --keep-failed --fallback", "", ""),
    Flag("--log-format --eval-store --add-root", "VALUE", ""),
]


def arities(*tables: Sequence[Flag]) -> dict[str, int]:
    """How many values follow each spelling of the flags in ``tables``."""
    return {spelling: len(flag.values) for table in tables for flag in table for spelling in flag.spellings}


class Options:
    """A command line, understood. ``operands`` are files or, with ``expressions``, expressions."""

    #: The flags that there are, and how many values follow each.
    arity: ClassVar[dict[str, int]] = arities(ASKING, LOCKING, PRINTING, LIMITING, ELSEWHERE)

    def __init__(self) -> None:
        self.operands: list[str] = []
        self.expressions = False
        #: Whether the operands are flake references.
        self.flakes = False
        self.impure = False
        #: What the flags of LOCKING say, in their order.
        self.locking: list[tuple[str, list[str]]] = []
        self.offline = False
        self.stdin = False
        self.attributes: list[str] = []
        self.search_path: list[str] = []
        #: Name, text, and whether the text is the value itself (else an expression).
        self.arguments: list[tuple[str, str, bool]] = []
        self.doing = "eval"  # eval, instantiate, parse, find-file, origin, help, version
        self.form = "nix"  # nix, json, xml, raw
        self.strict = False
        self.location = True
        self.show_trace = False
        self.max_seconds = 0.0
        self.max_memory = 0
        self.settings: dict[str, str] = {}
        #: URL of the store; empty: the default one.
        self.store = ""
        #: Whether evaluation may write to it; None: as what is to be done wants it.
        self.read_write: bool | None = None

    def reconfigure(self) -> None:
        """Called when ``settings`` were changed after the command line was read: a flake may bring some along."""

    def writes(self) -> bool:
        """Whether what evaluation makes is to be written to the store."""
        return self.doing == "instantiate" if self.read_write is None else self.read_write

    def take(self, flag: str, values: list[str]) -> None:
        """Notes one flag of the tables above. Raises UsageError."""
        match flag:
            case "-E" | "--expr":
                self.expressions = True
            case "--flake":
                self.flakes = True
            case "--impure":
                self.impure = True
            case "--offline":
                self.offline = True
            case "--refresh":
                self.settings["tarball-ttl"] = "0"
            case (
                "--update-input"
                | "--override-input"
                | "--recreate-lock-file"
                | "--no-update-lock-file"
                | "--no-write-lock-file"
            ):
                self.locking.append((flag, values))
            case "-A" | "--attr":
                self.attributes.append(values[0])
            case "--arg":
                self.arguments.append((values[0], values[1], False))
            case "--argstr":
                self.arguments.append((values[0], values[1], True))
            case "-I" | "--include":
                self.search_path.append(values[0])
            case "--eval" | "--eval-only":
                if self.doing == "instantiate":
                    self.doing = "eval"
            case "--parse-only":
                self.doing = "parse"
            case "--instantiate" | "--parse" | "--find-file" | "--origin" | "--help" | "--version":
                self.doing = flag[2:]
            case "--json" | "--xml" | "--raw":
                self.form = flag[2:]
            case "--strict":
                self.strict = True
            case "--no-location":
                self.location = False
            case "--store":
                self.store = values[0]
            case "--read-write-mode" | "--readonly-mode" | "--dry-run":
                self.read_write = flag == "--read-write-mode"
            case "--show-trace":
                self.show_trace = True
            case "--max-seconds":
                self.max_seconds = _positive(flag, values[0])
            case "--max-memory":
                self.max_memory = int(_positive(flag, values[0]))
            case "--no-ifd":
                self.settings["allow-import-from-derivation"] = "false"
            case "-j" | "--max-jobs":
                self.settings["max-jobs"] = values[0]
            case "--option":
                self.settings[values[0]] = values[1]


def _positive(flag: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise UsageError(f"flag '{flag}' requires a positive number, not '{text}'")
    return number


def read(words: Sequence[str]) -> Options:
    """The command line as :class:`Options`. Raises UsageError, worded as Nix does."""
    options = Options()
    take_all(options, words)
    return options


def take_all(options: Options, words: Sequence[str]) -> None:
    """Notes a command line in ``options``. Raises UsageError."""
    pending = list(reversed(words))

    def values(flag: str, count: int) -> list[str]:
        if len(pending) < count:
            raise UsageError(f"flag '{flag}' requires {count} argument(s)")
        return [pending.pop() for _ in range(count)]

    while pending:
        word = pending.pop()
        if word == "-":
            options.stdin = True
        elif not word.startswith("-"):
            options.operands.append(word)
        elif word in options.arity:
            options.take(word, values(word, options.arity[word]))
        elif len(word) > 2 and word[1].isascii() and word[1].isalpha():
            pending.extend(reversed(_taken_apart(word)))
        else:
            name, value = _setting(word)
            options.settings[name] = values(word, 1)[0] if value is None else value


def _taken_apart(word: str) -> list[str]:
    """``-vE`` as ``-v -E``, ``-j4`` as ``-j 4``."""
    parts: list[str] = []
    for at, char in enumerate(word[1:], 1):
        if not (char.isascii() and char.isalpha()):
            return [*parts, word[at:]]
        parts.append("-" + char)
    return parts


def _setting(word: str) -> tuple[str, str | None]:
    """The setting that a flag changes, and its new value if the flag says it all. Raises UsageError."""
    from evaluator.settings import SWITCHES, is_setting

    name = word[2:] if word.startswith("--") else ""
    if name in SWITCHES:
        return name, "true"
    if name.startswith("no-") and name[3:] in SWITCHES:
        return name[3:], "false"
    if is_setting(name):
        return name, None
    raise UsageError(f"unrecognised flag '{word}'")


def rows(table: Sequence[Flag], width: int) -> list[str]:
    """The flags of a table as ``--help`` prints them, what they do from column ``width`` on."""
    found: list[str] = []
    for flag in table:
        left = ", ".join(flag.spellings) + "".join(f" {value}" for value in flag.values)
        found.append(f"  {left:<{width}} {flag.does}")
    return found


def usage() -> str:
    """What ``--help`` prints."""
    lines = [
        "usage: tvix-eval [FLAG]... [FILE]...      print the value of Nix files (of ./default.nix if none is given)",
        "       tvix-eval [FLAG]... -E [EXPR]...   print the value of Nix expressions",
        "       tvix-eval [FLAG]... REF#ATTR...    print outputs of flakes: .#hello, nixpkgs#hello.name",
        "       tvix-eval flake COMMAND ...        lock and describe flakes: see tvix-eval flake --help",
        "       tvix-eval registry COMMAND ...     say what the names of flakes mean: see tvix-eval registry --help",
        "       tvix-eval repl [FLAG]... [FILE]... read expressions and print their values, one by one",
        "",
        "A FILE may be a directory with a default.nix, <NAME> for what is on the search path, or - for standard input.",
    ]
    for table in (ASKING, LOCKING, PRINTING, LIMITING):
        lines += ["", *rows(table, 26)]
    lines += [
        "",
        "Other flags of nix-instantiate are accepted. examples:",
        "  tvix-eval -E '1 + 1'",
        "  tvix-eval ~/nixpkgs -A hello.drvPath",
        "  tvix-eval -I nixpkgs=$HOME/nixpkgs --strict --json -E '(import <nixpkgs> {}).hello.meta.license'",
    ]
    return "\n".join(lines)
