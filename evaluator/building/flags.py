"""The command line of ``tvix-build``, read as ``nix-build`` reads its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from evaluator.command import flags
from evaluator.command.flags import Flag, Options, UsageError

if TYPE_CHECKING:
    from builder.realise import Realiser

CHOOSING: Final = [
    Flag("-A --attr", "PATH", "build the attribute at this path (any number of times)"),
    *flags.GIVEN,
    *flags.ARGUMENTS,
    Flag("--no-ifd", "", "refuse to build anything that evaluation itself asks for"),
]

BUILDING: Final = [
    Flag("--dry-run", "", "say what would be built and fetched, and do nothing"),
    Flag("-o --out-link", "PATH", "where the link to the output goes (default: ./result; more get a number)"),
    Flag("--no-out-link --no-link", "", "make no link"),
    Flag("-j --max-jobs", "N", "so many builds at once; auto: as many as there are processors"),
    Flag("-k --keep-going", "", "a failure stops only what needs what failed"),
    Flag("-K --keep-failed", "", "keep the folder of a build that failed"),
    Flag("--check", "", "build once more and compare with what is there"),
    Flag("--cores", "N", "what builds are told to use (NIX_BUILD_CORES); 0: all"),
    Flag("--timeout", "SECONDS", "a build may take so long"),
    Flag("--max-silent-time", "SECONDS", "a build may say nothing for so long"),
    Flag("--builder", "URL", "have it built by a tvix-build serve: grpc://HOST:PORT, grpc:/SOCKET"),
]

SHOWING: Final = [
    Flag("-Q --no-build-output", "", "do not show what builds say; logs are kept all the same"),
    Flag("--json", "", "events as JSON on standard error, one a line"),
    Flag("--show-trace", "", "print all steps that led to an error of evaluation"),
    Flag("--quiet", "", "say nothing but errors"),
]

OTHERS: Final = [
    Flag("--store", "URL", "the store: local:/FOLDER, … (default: $TVIX_STORE, else local:)"),
    flags.SETTING,
    Flag("--no-eval-cache", "", "evaluate, even if nothing has changed since the last time"),
    Flag("--help", "", "print this"),
    Flag("--version", "", "print the version and how the evaluator runs"),
]

#: Flags of nix-build that change nothing here.
ELSEWHERE: Final = [
    Flag("-v --verbose --debug --fallback --indirect -L --print-build-logs --print-out-paths --add-drv-link", "", ""),
    Flag("--log-format --eval-store --add-root --drv-link", "VALUE", ""),
]

COMMANDS: Final = {
    "log": "print the log of a derivation, or of what made a store path",
    "doctor": "say what builds run in here, what is enforced and what not",
    "serve": "build for others, over gRPC",
    "gc-roots": "list result links that keep something from garbage collection; forget those that are gone",
}

_FLAGS: Final = {"-k": "keep-going", "--keep-going": "keep-going", "-K": "keep-failed", "--keep-failed": "keep-failed"}


class BuildOptions(Options):
    """A command line of ``tvix-build``, understood."""

    arity: ClassVar[dict[str, int]] = flags.arities(CHOOSING, flags.LOCKING, BUILDING, SHOWING, OTHERS, ELSEWHERE)

    def __init__(self) -> None:
        super().__init__()
        self.doing = "build"  # build, help, version
        self.read_write = True
        self.dry_run = False
        #: Where the link goes; empty: nowhere.
        self.link = "result"
        self.check = False
        self.build_output = True
        self.json = False
        self.quiet = False
        self.builder = ""
        #: Who builds; once there is somebody.
        self.realiser: Realiser | None = None

    def reconfigure(self) -> None:
        from builder.settings import SettingsError, load
        from evaluator.runtime.errors import EvalError

        if self.realiser is not None:
            try:
                self.realiser.settings = load(self.settings)
            except SettingsError as error:
                raise EvalError(str(error)) from None
            self.realiser.jobs = self.realiser.settings.max_jobs
            self.realiser.keep_going = self.realiser.settings.keep_going

    def take(self, flag: str, values: list[str]) -> None:
        match flag:
            case "--dry-run":
                self.dry_run = True
            case "-o" | "--out-link":
                self.link = values[0]
                if not self.link:
                    raise UsageError(f"flag '{flag}' requires a path; --no-out-link makes no link")
            case "--no-out-link" | "--no-link":
                self.link = ""
            case "-k" | "--keep-going" | "-K" | "--keep-failed":
                self.settings[_FLAGS[flag]] = "true"
            case "--cores" | "--timeout" | "--max-silent-time":
                self.settings[flag[2:]] = values[0]
            case "--check":
                self.check = True
            case "-Q" | "--no-build-output":
                self.build_output = False
            case "--json":
                self.json = True
            case "--quiet":
                self.quiet = True
            case "--builder":
                self.builder = values[0]
            case _:
                super().take(flag, values)


def read(words: Sequence[str]) -> BuildOptions:
    """The command line as :class:`BuildOptions`. Raises UsageError."""
    options = BuildOptions()
    flags.take_all(options, words)
    return options


def usage() -> str:
    """What ``--help`` prints."""
    lines = [
        "usage: tvix-build [FLAG]... [FILE]...     build the derivations of Nix files (./default.nix if none is given)",
        "       tvix-build [FLAG]... -E [EXPR]...  build the derivations of Nix expressions",
        "       tvix-build [FLAG]... REF#ATTR...   build outputs of flakes: .#hello, nixpkgs#hello; .# is the default",
        "       tvix-build [FLAG]... DRV...        build derivations of the store: /nix/store/….drv or ….drv!OUTPUT",
        "       tvix-build COMMAND ...             see tvix-build COMMAND --help",
        "",
        "Prints the store paths of the outputs.",
    ]
    for table in (CHOOSING, flags.LOCKING, BUILDING, SHOWING, OTHERS):
        lines += ["", *flags.rows(table, 28)]
    lines.append("")
    lines += [f"  {name:<28} {does}" for name, does in COMMANDS.items()]
    lines += [
        "",
        "exit codes: 1 error, 100 a build failed, 101 timeout, 102 hash mismatch, 104 --check found a difference;",
        "several of these combined by `or`; 130 interrupted.",
        "",
        "examples:",
        "  tvix-build",
        "  tvix-build '<nixpkgs>' -A hello --dry-run",
        '  tvix-build -E \'with import <nixpkgs> {}; runCommand "x" {} "echo hi > $out"\' --no-out-link',
        "  tvix-build log ./result",
    ]
    return "\n".join(lines)
