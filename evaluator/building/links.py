"""Result links, and the roots that keep what they point at from being collected as garbage.

A link points at the output as a folder on disk (its *checkout*, :mod:`builder.checkouts`), for nothing need be at
``/nix/store``. The root has the link's absolute path as its name, as ``tvix-store roots`` shows it; once the link is
gone or points elsewhere, the next build (or ``tvix-build gc-roots``) forgets the root.
"""

from __future__ import annotations

import os

from builder.outcome import Wish
from builder.places import checkouts
from store.backends.local.castore import LocalCastore
from store.backends.local.collect import roots, set_root
from store.castore.services import StoreError
from store.composition.castore_store import CastoreStore
from store.store_path import BadStorePath, base_name, check_base_name


def link_outputs(store: CastoreStore, link: str, wanted: list[tuple[Wish, str]]) -> None:
    """Make a link for each output: ``LINK``, of the next derivations ``LINK-2`` …, of other outputs ``LINK-OUTPUT``.

    The folder is made, too. ``wanted`` are wishes for one output each with the output's path. Raises ``StoreError``.
    """
    places = checkouts(store)
    numbers: dict[str, int] = {}
    for wish, path in wanted:
        number = numbers.setdefault(wish.path, len(numbers) + 1)
        name = link if number == 1 else f"{link}-{number}"
        output = wish.outputs[0]
        place = os.path.abspath(name if output == "out" else f"{name}-{output}")
        _point(place, places.path_of(path))
        if isinstance(store.castore, LocalCastore):
            set_root(store.castore, place, path)
    forget_gone(store)


def link_roots(store: CastoreStore) -> dict[str, str]:
    """The links that are roots, and what they keep."""
    if not isinstance(store.castore, LocalCastore):
        raise StoreError(f"only local stores have roots, not {store.uri}")
    return {name: path for name, path in roots(store.castore).items() if name.startswith("/")}


def forget_gone(store: CastoreStore) -> list[str]:
    """Remove the roots whose links are gone or point elsewhere; their names."""
    castore = store.castore
    if not isinstance(castore, LocalCastore):
        return []
    gone = [name for name, path in link_roots(store).items() if _target(name) != base_name(path)]
    for name in gone:
        set_root(castore, name, None)
    return gone


def _target(link: str) -> str:
    try:
        return os.path.basename(os.readlink(link))
    except OSError:
        return ""


def _is_result(name: str) -> bool:
    try:
        check_base_name(name)
    except BadStorePath:
        return False
    return True


def _point(link: str, target: str) -> None:
    if os.path.lexists(link):
        if not os.path.islink(link):
            raise StoreError(f"'{link}' is in the way: it is no link. Remove it, or name another link with -o")
        if not _is_result(_target(link)):
            raise StoreError(
                f"'{link}' is in the way: it is a link, but none to a build's output. Remove it, or name another link "
                "with -o"
            )
    fresh = f"{link}.new-{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, fresh)
        os.replace(fresh, link)
    except OSError as error:
        raise StoreError(f"cannot make the link '{link}': {error.strerror}") from None
