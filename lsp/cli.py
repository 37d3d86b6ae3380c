"""``tvix-lsp``: the server, and its answers on the command line.

Nothing that takes time is imported before it is known to be needed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Final

_LEVELS: Final = ("debug", "info", "warning", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code is 1 for input that cannot be answered, 2 for a wrong command line."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["inspect"]:
        return _inspect(words[1:])
    if words[:1] == ["check"]:
        from lsp.check import main as check

        return check(words[1:])
    options = _server_parser().parse_args(words)
    if options.version:
        from evaluator import version

        print(f"tvix-lsp {version.describe()}")
        return 0
    _log_to_stderr(options.log_level)
    if options.tcp is not None:
        return _tcp(options.tcp, _worker(options.worker))
    if sys.stdin.isatty() and not options.stdio:
        print("tvix-lsp: this is a language server; an editor starts it. See tvix-lsp --help", file=sys.stderr)
        return 2
    from lsp.early import serve

    serve(sys.stdin.buffer, sys.stdout.buffer, _worker(options.worker))
    return 0


def _server_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tvix-lsp",
        description="A Nix language server that evaluates the file you are editing.",
        epilog="`tvix-lsp inspect FILE:LINE:COL` prints what the server would answer at a place in a file; "
        "`tvix-lsp check PATH…` prints what is wrong with files and folders.",
    )
    parser.add_argument("--stdio", action="store_true", help="speak the protocol on stdin and stdout (the default)")
    parser.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="wait for one client at an address instead")
    _add_common(parser, "warning")
    parser.add_argument("--clientProcessId", dest="client", help=argparse.SUPPRESS)  # some clients add it
    parser.add_argument("--version", action="store_true", help="print the version and how the evaluator runs")
    return parser


def _add_common(parser: argparse.ArgumentParser, level: str) -> None:
    parser.add_argument("--log-level", choices=_LEVELS, default=level, help="how much to say on stderr")
    parser.add_argument(
        "--worker", metavar="COMMAND", help="another program that speaks the worker's protocol (evaluator/service)"
    )


def _worker(text: str | None) -> list[str]:
    import shlex

    from lsp.process import worker_command

    return shlex.split(text) if text else worker_command()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


def _tcp(address: tuple[str, int], command: list[str]) -> int:
    from lsp.early import start_worker
    from lsp.nixpkgs import Machine
    from lsp.session import Session

    process = start_worker(command)
    from lsp.server import serve_tcp

    try:
        serve_tcp(Session(Machine.here(), command), process, *address)
    except OSError as error:
        print(f"tvix-lsp: {address[0]}:{address[1]}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _inspect(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tvix-lsp inspect",
        description="Print hover, definition and completion at a place in a file, as the server would answer them.",
    )
    parser.add_argument("place", metavar="FILE:LINE:COL", help="line and column count from 1, as editors show them")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="how long evaluation may take")
    _add_common(parser, "error")
    options = parser.parse_args(words)
    _log_to_stderr(options.log_level)
    from lsp.inspect import BadPlace, inspect

    try:
        sys.stdout.write(inspect(options.place, _worker(options.worker), as_json=options.json, budget=options.budget))
    except BadPlace as error:
        print(f"tvix-lsp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format="tvix-lsp: %(levelname)s: %(message)s")
    # pygls writes every message that it sends to the log, and makes the text even when nobody reads it.
    logging.getLogger("pygls").setLevel(max(logging.WARNING, logging.getLogger().level))


if __name__ == "__main__":
    sys.exit(main())
