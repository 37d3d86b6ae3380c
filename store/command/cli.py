"""``tvix-store``: what its commands are called and which flags they take. What they do is in the other modules.

Everything is imported when its command runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

_STORE_HELP = "which store (default: $TVIX_STORE, else local:)"

_EPILOG = """\
stores:
  local:  local:/FOLDER            your own store; another folder
  nix:  nix:?root=/CHROOT          what Nix keeps, read-only
  daemon:  daemon:/SOCKET          a running Nix daemon's store
  file:///FOLDER  https://HOST/…   binary caches (?trusted=NAME:KEY, ?require-signatures=false,
  s3://BUCKET/PREFIX               ?secret-key=FILE, ?compression=zstd|xz|none, …)
  grpc://HOST:PORT  grpcs://…      another tvix-store, or Tvix's; with TLS (?tls-ca=FILE)
  FILE.toml                        several of these put together

examples:
  tvix-store add ./src --name source
  tvix-store ls -R /nix/store/…-source
  nix-store --dump ./src | tvix-store import --name source
  tvix-store copy --from https://cache.nixos.org --to local: /nix/store/…-hello-2.12
  tvix-store copy --to 'file:///srv/cache?secret-key=/etc/cache.key' /nix/store/…-hello-2.12
  tvix-store verify --repair --from https://cache.nixos.org
  tvix-store gc --max-size 20G
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        print(f"tvix-store: {message} (try {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def parser() -> argparse.ArgumentParser:
    """All commands and flags."""
    whole = _Parser(
        prog="tvix-store",
        description="A content-addressed store for Nix: add, read, copy, verify and serve store paths.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="store_true", help="print the version and how it runs")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def command(name: str, text: str, example: str, *, store: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if store:
            made.add_argument("--store", metavar="URL", default=None, help=_STORE_HELP)
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    add = command("add", "add files and trees, print their store paths", "tvix-store add ./src --name source")
    add.add_argument("paths", nargs="+", metavar="PATH")
    add.add_argument("--name", help="the name in the store (default: the path's last part)")
    add.add_argument("--flat", metavar="ALGO", help="address a file by its contents' hash: sha256, sha1, md5, sha512")
    add.add_argument("--root", metavar="NAME", help="keep it from garbage collection under this name")

    cat = command("cat", "print a file in the store", "tvix-store cat /nix/store/…-source/default.nix")
    cat.add_argument("path", metavar="PATH")

    ls = command("ls", "list a folder in the store, or all store paths", "tvix-store ls -lR /nix/store/…-source")
    ls.add_argument("path", metavar="PATH", nargs="?")
    ls.add_argument("-l", "--long", action="store_true", help="kinds and sizes too")
    ls.add_argument("-R", "--recursive", action="store_true", help="all that is below")

    info = command("info", "what is known of store paths, or of the store", "tvix-store info --closure /nix/store/…-x")
    info.add_argument("paths", nargs="*", metavar="PATH")
    info.add_argument("--closure", action="store_true", help="also of all that they refer to")

    verify = command("verify", "read everything again", "tvix-store verify --repair --from https://cache.nixos.org")
    verify.add_argument("--repair", action="store_true", help="bring back what is damaged from another store")
    verify.add_argument("--from", dest="source", metavar="URL", help="the store to repair from")

    copy = command("copy", "copy closures between stores", "tvix-store copy --to file:///srv/cache /nix/store/…-x")
    copy.add_argument("paths", nargs="*", metavar="PATH")
    copy.add_argument("--from", dest="source", metavar="URL", help="where they are (default: as --store)")
    copy.add_argument("--to", dest="target", metavar="URL", help="where they go (default: as --store)")
    copy.add_argument("--all", action="store_true", help="everything there is")
    copy.add_argument("--no-closure", action="store_true", help="the paths alone; their references must be there")
    copy.add_argument("--jobs", type=int, default=4, metavar="N", help="at once (default: 4)")
    copy.add_argument("--quiet", action="store_true", help="no progress bar")

    export = command("export", "write a store path as a NAR", "tvix-store export /nix/store/…-x > x.nar")
    export.add_argument("path", metavar="PATH")
    export.add_argument("-o", "--output", metavar="FILE", help="write there instead of to stdout")

    imported = command("import", "add a NAR, print its store path", "nix-store --dump x | tvix-store import --name x")
    imported.add_argument("file", metavar="FILE", nargs="?", help="the NAR (default: stdin)")
    imported.add_argument("--name", required=True, help="the name in the store")
    imported.add_argument("--reference", action="append", default=[], metavar="PATH", help="a path that it refers to")
    imported.add_argument("--root", metavar="NAME", help="keep it from garbage collection under this name")

    gc = command("gc", "delete what nothing needs", "tvix-store gc --max-size 20G")
    gc.add_argument("--root", action="append", default=[], metavar="PATH", help="keep this, and what it refers to")
    gc.add_argument("--max-size", metavar="SIZE", help="delete the oldest, only until the store is so small")
    gc.add_argument("--dry-run", action="store_true", help="only say what would go")
    gc.add_argument("--all", action="store_true", help="also when there is no root at all")

    roots = command(
        "roots", "list, set and remove roots of garbage collection", "tvix-store roots --set x=/nix/store/…"
    )
    roots.add_argument("--set", action="append", default=[], metavar="NAME=PATH", dest="wanted")
    roots.add_argument("--remove", action="append", default=[], metavar="NAME")

    serve = command("serve", "serve the store to others", "tvix-store serve --http localhost:8080")
    serve.add_argument("--http", metavar="HOST:PORT", help="as a binary cache, which Nix substitutes from")
    serve.add_argument("--grpc", metavar="HOST:PORT", help="as a castore over gRPC, to grpc://HOST:PORT")
    serve.add_argument("--grpc-writable", action="store_true", help="let everybody who reaches it write over gRPC")
    serve.add_argument("--tls-cert", metavar="FILE", help="speak TLS over gRPC, with this certificate (PEM)")
    serve.add_argument("--tls-key", metavar="FILE", help="the key that belongs to it")
    serve.add_argument("--tls-client-ca", metavar="FILE", help="only let clients in that have a certificate by this")
    serve.add_argument("--secret-key", metavar="FILE", help="sign what is served")
    serve.add_argument("--token-file", metavar="FILE", help="let those who know this token upload")
    serve.add_argument("--priority", type=int, default=40, metavar="N", help="lower is asked first (default: 40)")

    mount = command("mount", "mount the store read-only through FUSE", "tvix-store mount /mnt/store")
    mount.add_argument("folder", metavar="FOLDER")
    mount.add_argument("--allow-other", action="store_true", help="for other users too")

    key = command("key", "make a key that signs", "tvix-store key cache.example.org-1 > secret", store=False)
    key.add_argument("name", metavar="NAME", nargs="?", help="the new key's name")
    key.add_argument("--public", metavar="FILE", help="print the public key that belongs to a secret one")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answer the exit status: 0, 1 for what failed, 2 for bad usage."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from store.streams import open_missing

        open_missing()
    whole = parser()
    options = whole.parse_args(arguments)
    if options.version:
        from importlib.metadata import PackageNotFoundError, version

        from store.compiled import mode

        try:
            print(f"tvix-store {version('tvix-lsp')} ({mode()})")
        except PackageNotFoundError:
            print(f"tvix-store (not installed, {mode()})")
        return 0
    if options.command is None:
        whole.print_help(sys.stderr)
        return 2
    return _guarded(options)


def _guarded(options: argparse.Namespace) -> int:
    from store.castore.services import StoreError
    from store.nar import NarError

    try:
        return _run(options)
    except BrokenPipeError:
        # Whoever read has enough; keep Python from complaining when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except (StoreError, NarError, ValueError) as error:
        print(f"tvix-store: {error}", file=sys.stderr)
    except OSError as error:
        place = f"{error.filename!r}: " if error.filename else ""
        print(f"tvix-store: {place}{error.strerror or error}", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    name = options.command
    if "store" in options and options.store is None:
        options.store = os.environ.get("TVIX_STORE") or "local:"
    if name in ("add", "import", "copy", "key"):
        from store.command import writing

        return writing.COMMANDS[name](options)
    if name in ("cat", "ls", "info", "export"):
        from store.command import reading

        return reading.COMMANDS[name](options)
    if name in ("verify", "gc", "roots"):
        from store.command import keeping

        return keeping.COMMANDS[name](options)
    if name == "serve":
        from store.command import serving

        return serving.serve(options)
    from store.command import mounting

    return mounting.mount(options)


if __name__ == "__main__":
    raise SystemExit(main())
