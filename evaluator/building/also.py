"""``tvix-build log``, ``gc-roots``, ``doctor`` and ``serve``: what the command does besides building."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from builder.logs import Logs
from builder.places import builds_folder, state_folder
from builder.settings import Settings, SettingsError, load
from builder.tidying import Tidied, tidy
from evaluator.building.flags import COMMANDS
from evaluator.building.links import forget_gone, link_roots
from evaluator.runtime.errors import EvalError
from evaluator.stores.access import LocalAccess
from store.castore.services import Missing, StoreError
from store.composition.castore_store import CastoreStore
from store.records import asdict
from store.store_path import BadStorePath, check_base_name, is_derivation

if TYPE_CHECKING:
    from store.remote.server import Certificates

_FAILED = 1
_PATIENCE = 20.0  # seconds that builds have to end when the server does


def command(words: Sequence[str]) -> int:
    """Run ``words``, the first being one of :data:`evaluator.building.flags.COMMANDS`; the exit code."""
    options = _parser().parse_args(words)
    access = LocalAccess(options.store, writes=True)
    try:
        return _ACTIONS[options.command](options, access.castore)
    except (StoreError, EvalError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return _FAILED
    finally:
        access.close()


def _parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="tvix-build")
    commands = whole.add_subparsers(dest="command", required=True)
    made = {}
    for name, text in COMMANDS.items():
        made[name] = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made[name].add_argument(
            "--store", metavar="URL", default="", help="which store (default: $TVIX_STORE, else local:)"
        )
    made["log"].add_argument("path", metavar="PATH", help="a derivation, an output of one, or a result link")
    made["gc-roots"].add_argument("--json", action="store_true", help="print JSON")
    made["doctor"].add_argument("--json", action="store_true", help="print JSON")
    made["serve"].add_argument(
        "--listen", metavar="ADDRESS", default="localhost:8090", help="HOST:PORT or unix:PATH (default: localhost:8090)"
    )
    made["serve"].add_argument("--tls-cert", metavar="FILE", help="speak TLS, with this certificate (PEM)")
    made["serve"].add_argument("--tls-key", metavar="FILE", help="the key that belongs to it")
    made["serve"].add_argument("--tls-client-ca", metavar="FILE", help="only let clients in with a certificate by this")
    made["serve"].add_argument("-j", "--max-jobs", metavar="N", help="so many builds at once (default: Nix's max-jobs)")
    return whole


def _log(options: argparse.Namespace, store: CastoreStore) -> int:
    path = _meant(options.path, store)
    drv_path = path
    if not is_derivation(path):
        info = store.query(path)
        if info is None:
            raise Missing(f"path '{path}' is not in {store.uri}")
        drv_path = info.deriver or ""
        if not drv_path:
            raise Missing(f"'{path}' was not built: it is a source, or its derivation is not known")
    logs = Logs(os.path.join(state_folder(store), "logs"))
    if not logs.has(drv_path) and store.query(drv_path) is not None:
        from builder.realisations import Realisations

        drv_path = Realisations(store, store.read_derivation).built_as(drv_path)
    for piece in logs.read(drv_path):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
    return 0


def _meant(path: str, store: CastoreStore) -> str:
    """The store path that is meant by one, by a path below one, or by a link to where one is laid out."""
    inside = path if path.startswith(store.store_dir + "/") else os.path.realpath(path)
    if inside.startswith(store.store_dir + "/"):
        return store.store_dir + "/" + inside.removeprefix(store.store_dir + "/").partition("/")[0]
    for part in reversed(inside.split("/")):
        try:
            check_base_name(part)
        except BadStorePath:
            continue
        return f"{store.store_dir}/{part}"
    raise Missing(f"'{path}' is neither a store path nor a link to one")


def _roots(options: argparse.Namespace, store: CastoreStore) -> int:
    gone = forget_gone(store)
    left = link_roots(store)
    tidied = tidy(store) or Tidied()
    if options.json:
        removed = {"checkouts": list(tidied.checkouts), "logs": tidied.logs}
        print(json.dumps({"roots": left, "forgotten": gone, "removed": removed}))
        return 0
    for name, path in left.items():
        print(f"{name} -> {path}")
    for name in gone:
        print(f"forgotten: {name}", file=sys.stderr)
    if tidied.checkouts or tidied.logs:
        print(f"removed: {len(tidied.checkouts)} checkouts and {tidied.logs} logs of what is gone", file=sys.stderr)
    return 0


def _doctor(options: argparse.Namespace, store: CastoreStore) -> int:
    from builder.doctor import examine

    report = examine(builds_folder(store))
    settings = load()
    if options.json:
        found = {**asdict(report), "works": report.works, "settings": asdict(settings)}
        print(json.dumps(found))
    else:
        for line in report.lines():
            print(line)
        print(f"limits of a build: {_limits(settings)}")
        print(f"builds at once: {settings.max_jobs}, substituters: {' '.join(settings.substituters) or 'none'}")
        print(f"store: {store.uri}, builds and logs: {state_folder(store)}")
    return 0 if report.works else _FAILED


def _limits(settings: Settings) -> str:
    """What a build may use by the configuration: its settings by name."""
    from builder.oci.bundle import PROCESSES

    given = {
        "max-build-memory": settings.max_build_memory,
        "max-build-processes": settings.max_build_processes or PROCESSES,
        "max-output-size": settings.max_output_size,
        "max-build-log-size": settings.max_build_log_size,
        "timeout": settings.timeout,
        "max-silent-time": settings.max_silent_time,
    }
    return ", ".join(f"{name} {value or 'none'}" for name, value in given.items())


def _serve(options: argparse.Namespace, store: CastoreStore) -> int:
    from threading import Event

    from builder.prepare import Limits
    from builder.remote.for_others import ForOthers
    from builder.remote.server import server
    from evaluator.interrupts import ignore_interrupts, take_ends_as_interrupts

    take_ends_as_interrupts()
    given = {} if options.max_jobs is None else {"max-jobs": options.max_jobs}
    settings = load(given)
    service = ForOthers(
        store,
        builds_folder(store),
        Path(state_folder(store), "inputs"),
        Limits.of(settings),
        enforce_cores=settings.enforce_cores,
    )
    made, port = server(service, store, options.listen, jobs=settings.max_jobs, certificates=_certificates(options))
    made.start()
    host = options.listen.rpartition(":")[0]
    is_socket = options.listen.startswith("unix:")
    scheme = "grpcs" if options.tls_cert else "grpc"
    print(f"grpc:{options.listen.removeprefix('unix:')}" if is_socket else f"{scheme}://{host}:{port}", flush=True)
    try:
        Event().wait()
    except KeyboardInterrupt:
        ignore_interrupts()
        made.stop(1).wait()
        service.wait(_PATIENCE)  # what was being built is cancelled, and what it left goes
    return 0


def _certificates(options: argparse.Namespace) -> Certificates | None:
    from store.remote.server import Certificates

    if not options.tls_cert and not options.tls_key and not options.tls_client_ca:
        return None
    if not (options.tls_cert and options.tls_key):
        raise StoreError("--tls-cert FILE and --tls-key FILE belong together, and --tls-client-ca FILE to them")
    try:
        client_ca = Path(options.tls_client_ca).read_bytes() if options.tls_client_ca else None
        return Certificates(Path(options.tls_cert).read_bytes(), Path(options.tls_key).read_bytes(), client_ca)
    except OSError as error:
        raise StoreError(f"{error.filename}: {error.strerror}") from None


_ACTIONS: dict[str, Callable[[argparse.Namespace, CastoreStore], int]] = {
    "log": _log,
    "gc-roots": _roots,
    "doctor": _doctor,
    "serve": _serve,
}
