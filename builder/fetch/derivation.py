"""``builtin:fetchurl``: derivations whose builder is the fetcher itself (``<nix/fetchurl.nix>``)."""

from __future__ import annotations

from collections.abc import Callable

from builder.fetch.failure import FetchError, HashMismatch, Offline
from builder.fetch.limits import Limits
from builder.fetch.url import fetch_file, fetch_nar
from store.castore.path_info import PathInfo
from store.composition.castore_store import CastoreStore
from store.derivation import FIXED, Derivation
from store.hashes import Hash, HashError

BUILDER = "builtin:fetchurl"


def is_fetch(drv: Derivation) -> bool:
    """Whether :func:`fetch_derivation` builds it."""
    return drv.builder == BUILDER


def fetch_derivation(
    store: CastoreStore,
    drv: Derivation,
    limits: Limits | None = None,
    on_line: Callable[[str], None] | None = None,
) -> dict[str, PathInfo]:
    """Makes the output of a ``builtin:fetchurl`` derivation; by its name what is known of it.

    ``on_line`` hears what is being tried. Raises FetchError: HashMismatch names both hashes.
    """

    def say(line: str) -> None:
        if on_line is not None:
            on_line(line)

    output = drv.outputs.get("out")
    if drv.builder != BUILDER or output is None or len(drv.outputs) != 1:
        raise FetchError(f"'{drv.name}' is no derivation that '{BUILDER}' can build: it has the one output 'out'")
    if output.kind != FIXED:
        raise FetchError(f"'{drv.name}' has no hash of what it fetches; give it 'sha256' or 'hash'")
    try:
        wanted = Hash(output.algo, bytes.fromhex(output.hash))
    except (HashError, ValueError) as error:
        raise FetchError(f"'{drv.name}' has an impossible hash: {error}") from None
    there = store.query(output.path)
    if there is not None:
        return {"out": there}
    unpack = drv.env.get("unpack") == "1"
    executable = drv.env.get("executable") == "1"
    if (unpack or executable) != (output.method == "r:"):
        mode = "recursive" if unpack or executable else "flat"
        raise FetchError(f"'{drv.name}' needs \"{mode}\" as its outputHashMode, since it makes that kind of output")
    urls = [url for url in dict.fromkeys([drv.env.get("url", ""), *drv.env.get("urls", "").split()]) if url]
    if not urls:
        raise FetchError(f"'{drv.name}' names no address to fetch from; give it a 'url'")
    failure: FetchError | None = None
    for url in urls:
        say(f"downloading '{url}'")
        try:
            if unpack:
                info = fetch_nar(store, url, drv.name, wanted, limits).info
            else:
                info = fetch_file(store, url, drv.name, wanted, limits, executable=executable).info
        except (HashMismatch, Offline):
            raise
        except FetchError as error:
            say(str(error))
            failure = failure or error
            continue
        if info.path != output.path:
            raise FetchError(f"'{drv.name}' was to make '{output.path}', not '{info.path}'")
        return {"out": info}
    assert failure is not None
    raise failure
